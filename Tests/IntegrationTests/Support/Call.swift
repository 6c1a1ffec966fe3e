// A call of a plugin as a runtime makes it: variables, a configuration on standard input, and what
// comes back.

internal import Glibc
internal import TestSupport

/// The programs that the tests run.
enum Program {
  /// The plugin under test: CNI_IPAM_PLUGIN, else the one that was built along with the tests.
  static let ours: String = {
    if let path = environmentVariable("CNI_IPAM_PLUGIN") { return path }
    guard let bundle = realpath("/proc/self/exe", nil) else { return "cni-ipam-consul" }
    defer { free(bundle) }
    let folder = String(cString: bundle).split(separator: "/").dropLast().joined(separator: "/")
    return "/\(folder)/cni-ipam-consul"
  }()

  /// Where the distribution keeps its plugins.
  static let distribution = environmentVariable("CNI_IPAM_REFERENCE") ?? "/usr/lib/cni"

  /// The reference's `host-local`.
  static let hostLocal = "\(distribution)/host-local"
}

/// One call of a plugin.
struct Call: Sendable {
  /// Everything that a runtime says without a word from the test.
  static let variables = [
    "CNI_CONTAINERID": "c1", "CNI_IFNAME": "eth0", "CNI_NETNS": "/run/netns/test",
    "CNI_PATH": "/opt/cni/bin",
  ]

  var program = Program.ours
  /// Words before the program, for example those that lead into a network namespace.
  var entering: [String] = []
  var variables = Call.variables
  var input = Execution.Input.text("")
  var killedAfter: UInt32?

  init(_ command: String?, _ input: String = "", _ variables: [String: String?] = [:]) {
    self.variables["CNI_COMMAND"] = command
    self.input = .text(input)
    for (name, value) in variables { self.variables[name] = value }
  }

  init(
    _ command: String, _ configuration: JSON, container: String = "c1",
    interface: String = "eth0", arguments: String? = nil
  ) {
    self.init(
      command, configuration.text,
      ["CNI_CONTAINERID": container, "CNI_IFNAME": interface, "CNI_ARGS": arguments])
  }

  /// The same call of another program.
  func by(_ program: String) -> Call {
    var call = self
    call.program = program
    return call
  }

  /// The same call on another node.
  func entering(_ namespace: NetworkNamespace) -> Call {
    var call = self
    call.entering = namespace.entering
    return call
  }

  func run() async throws -> Answer {
    var execution = Execution(entering + [program])
    execution.environment = variables
    execution.input = input
    execution.killedAfter = killedAfter
    return Answer(try await execution.run())
  }

  /// Runs the call and wants it to succeed.
  @discardableResult
  func succeeds() async throws -> Answer {
    let answer = try await run()
    guard answer.succeeded else { throw TestSupportError("\(self) failed: \(answer)") }
    return answer
  }
}

extension Call: CustomStringConvertible {
  var description: String {
    let words = ["CNI_COMMAND", "CNI_CONTAINERID", "CNI_IFNAME", "CNI_ARGS"]
    return words.compactMap { variables[$0] }.joined(separator: " ")
  }
}

/// What a call came to.
struct Answer: Sendable, CustomStringConvertible {
  let ended: Execution.Ended
  /// Standard output, if it is one JSON value.
  let json: JSON?

  init(_ ended: Execution.Ended) {
    self.ended = ended
    json = try? JSON(parsing: ended.output)
  }

  var succeeded: Bool { ended.exitStatus == 0 }
  var code: Int? { json?["code"]?.number }
  var message: String? { json?["msg"]?.string }
  var details: String? { json?["details"]?.string }
  var description: String { ended.description }

  /// The addresses of a result of any version, with their prefix lengths.
  var addresses: [String] {
    let families = ["ip4", "ip6"].compactMap { json?[$0]?["ip"]?.string }
    return families + (json?["ips"]?.elements ?? []).compactMap { $0["address"]?.string }
  }

  /// Whether this is how a plugin fails: status 1, an error object on standard output.
  var isError: Bool {
    ended.exitStatus == 1 && code != nil && message?.isEmpty == false
  }
}
