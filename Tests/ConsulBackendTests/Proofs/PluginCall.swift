// Real plugin processes on a real Consul.

import AddressSpace
import IPAM
import TestSupport

/// A program that was built along with the tests, if it was.
func builtAlong(_ name: String) -> String? {
  guard let command = try? readFile("/proc/self/cmdline").split(separator: 0).first else {
    return nil
  }
  let bundle = String(decoding: command, as: UTF8.self)
  let folder = bundle.split(separator: "/", omittingEmptySubsequences: false).dropLast()
  let path = (folder + [name[...]]).joined(separator: "/")
  return (try? readFile(path)) == nil ? nil : path
}

/// Calls of the plugin on one network, as a runtime makes them.
struct PluginCall: Sendable {
  /// The program: CNI_IPAM_PLUGIN, else the one that was built along with the tests.
  static let program = environmentVariable("CNI_IPAM_PLUGIN") ?? builtAlong("cni-ipam-consul")

  /// For `.enabled(if:)`.
  static var isAvailable: Bool { program != nil }

  let network: TestNetwork
  var port: Int
  var host = "127.0.0.1"
  var stateDirectory: String
  var node = "plugin"
  var token: String?
  var timeout = "30s"
  var valid: [String]?

  var configuration: String {
    let subnets = network.definition.rangeSets.flatMap(\.ranges).map(\.subnet)
    let ranges = subnets.map { "[{\"subnet\": \"\($0)\"}]" }.joined(separator: ", ")
    let valid = valid.map { names in
      let list = names.map { "{\"containerID\": \"\($0)\", \"ifname\": \"eth0\"}" }
      return ", \"cni.dev/valid-attachments\": [\(list.joined(separator: ", "))]"
    }
    return """
      {"cniVersion": "1.1.0", "name": "net"\(valid ?? ""), "ipam": {"type": "consul",
      "consul_addr": "\(host)", "consul_port": \(port), "prefix": "\(network.prefix)",
      "stateDir": "\(stateDirectory)", "node": "\(node)", "timeout": "\(timeout)",
      "cooldown": "0s", "journal": \(network.definition.journal), "ranges": [\(ranges)]}}
      """
  }

  func variables(_ command: String, _ container: String) -> [String: String] {
    var variables = [
      "CNI_COMMAND": command, "CNI_CONTAINERID": container, "CNI_IFNAME": "eth0",
      "CNI_NETNS": "/run/netns/test", "CNI_PATH": "/opt/cni/bin",
    ]
    variables["CONSUL_HTTP_TOKEN"] = token
    return variables
  }

  /// Runs it to its end, by another program if need be.
  func run(
    _ command: String, _ container: String, by runner: [String] = []
  ) async throws -> Execution.Ended {
    guard let program = Self.program else { throw TestSupportError("no plugin") }
    var execution = Execution(runner + [program])
    execution.environment = variables(command, container)
    execution.input = .text(configuration)
    return try await execution.run()
  }

  /// Starts it, to be killed.
  func start(_ command: String, _ container: String) async throws -> ChildProcess {
    guard let program = Self.program else { throw TestSupportError("no plugin") }
    let path = "\(stateDirectory)-\(container).json"
    try writeFile(path, configuration)
    let words = variables(command, container).map { "\($0.key)=\($0.value)" }
    return try await ChildProcess.start(
      ["env"] + words + ["sh", "-c", "exec \"$0\" < \"$1\"", program, path])
  }
}
