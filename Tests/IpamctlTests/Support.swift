// What the tests share: a Consul server, the two programs, and a prefix that no other test has.

internal import Glibc
import JSON
import TestSupport
import Testing

extension Trait where Self == ConditionTrait {
  /// The test needs a real Consul: it is skipped without one, and fails in CI.
  static var needsConsul: Self {
    .enabled(Comment(rawValue: ConsulBinary.reason)) { await ConsulBinary.isAvailable }
  }
}

/// A program that was built along with the tests, or the one that a variable names.
func program(_ name: String, _ variable: String) -> String {
  if let path = environmentVariable(variable) { return path }
  guard let bundle = realpath("/proc/self/exe", nil) else { return name }
  defer { free(bundle) }
  let folder = String(cString: bundle).split(separator: "/").dropLast().joined(separator: "/")
  return "/\(folder)/\(name)"
}

/// The words of a command, with a state directory below a test's folder where it would note what it does
/// in this machine's own. It is not there: nothing is noted on a machine that is no node.
private func unnoted(_ words: [String], _ folder: TemporaryFolder) -> [String] {
  let noting = [["lease", "acquire"], ["lease", "release"], ["reclaim"], ["check"], ["import"]]
  guard noting.contains(where: { words.starts(with: $0) }), !words.contains("--state-dir") else {
    return words
  }
  return words + ["--state-dir", folder.path + "/no-node"]
}

/// Runs ipamctl on a directory, or anywhere else that the words say.
func plainly(_ words: [String], input: String = "") async throws -> Execution.Ended {
  let folder = try TemporaryFolder()
  var execution = Execution([program("ipamctl", "CNI_IPAM_CTL")] + unnoted(words, folder))
  execution.input = .text(input)
  return try await execution.run()
}

/// A Consul with a prefix and a state directory of one test's own.
struct Bench: Sendable {
  private static let shared = Task { try await ConsulServer.start() }

  let consul: ConsulServer
  let folder: TemporaryFolder
  /// As long in every test, so that tables have the same columns.
  let prefix = "test-\(String(UInt64.random(in: 1 << 63...(.max)), radix: 16))"

  init(_ consul: ConsulServer? = nil) async throws {
    if let consul { self.consul = consul } else { self.consul = try await Self.shared.value }
    folder = try TemporaryFolder()
  }

  /// Runs ipamctl with words, and the place of this test behind them.
  func ctl(_ words: String..., input: String = "") async throws -> Execution.Ended {
    try await ctl(words, input: input)
  }

  func ctl(_ words: [String], input: String = "") async throws -> Execution.Ended {
    var execution = Execution(
      [program("ipamctl", "CNI_IPAM_CTL")] + unnoted(words, folder)
        + ["--consul", consul.address, "--consul-prefix", prefix, "--timeout", "60"])
    execution.input = .text(input)
    return try await execution.run()
  }

  /// Runs ipamctl and wants it to succeed.
  @discardableResult
  func succeeds(_ words: String..., input: String = "") async throws -> String {
    try await succeeds(words, input: input)
  }

  @discardableResult
  func succeeds(_ words: [String], input: String = "") async throws -> String {
    let ended = try await ctl(words, input: input)
    guard ended.exitStatus == 0 else { throw TestSupportError("\(words): \(ended)") }
    return ended.output
  }

  /// Calls the plugin as a node of this test, which keeps its own files.
  func plugin(
    _ command: String, _ network: String, _ container: String, _ ipam: String = "",
    node: String = "n1"
  ) async throws -> Execution.Ended {
    var execution = Execution([program("cni-ipam-consul", "CNI_IPAM_PLUGIN")])
    execution.environment = [
      "CNI_COMMAND": command, "CNI_CONTAINERID": container, "CNI_IFNAME": "eth0",
      "CNI_NETNS": "/run/netns/test", "CNI_PATH": "/opt/cni/bin",
    ]
    execution.input = .text(
      #"{"cniVersion": "1.0.0", "name": "\#(network)", "ipam": {"type": "consul", "#
        + #""consul_addr": "\#(consul.host)", "consul_port": "\#(consul.port)", "#
        + #""prefix": "\#(prefix)", "node": "\#(node)", "#
        + #""stateDir": "\#(stateDirectory(node))""#
        + (ipam.isEmpty ? "" : ", \(ipam)") + "}}")
    return try await execution.run()
  }

  func stateDirectory(_ node: String = "n1") -> String {
    "\(folder.path)/state" + (node == "n1" ? "" : "-\(node)")
  }

  func key(_ name: String) -> String { "/v1/kv/\(prefix)/\(name)" }

  func put(_ key: String, _ value: String) throws {
    let reply = try consul.request("PUT", key, body: value)
    guard reply.status == 200 else { throw TestSupportError("\(key): \(reply)") }
  }

  func delete(_ key: String) throws {
    _ = try consul.request("DELETE", key)
  }

  /// The names of the keys below this test's prefix, without it.
  func keys() throws -> [String] {
    let reply = try consul.request("GET", "/v1/kv/\(prefix)/?keys")
    if reply.status == 404 { return [] }
    let names = try JSONValue(parsing: Array(reply.body.utf8)).elements ?? []
    return names.compactMap(\.string).map { String($0.dropFirst(prefix.count + 1)) }
  }
}

extension Execution.Ended {
  /// Standard output as JSON.
  var json: JSONValue {
    get throws { try JSONValue(parsing: Array(output.utf8)) }
  }
}

/// A bench whose Consul asks for a token, with a network and a file that has one.
struct GuardedBench {
  let bench: Bench
  /// The file.
  let token: String

  init() async throws {
    var options = ConsulServer.Options()
    options.acl = true
    bench = try await Bench(try await ConsulServer.start(options))
    token = bench.folder.path + "/token"
    try renewToken(for: "write")
    try await bench.succeeds(
      "network", "create", "net", "--subnet", "10.1.0.0/24", "--token-file", token)
  }

  /// Puts a token for this access to the bench's keys into the file.
  func renewToken(for access: String) throws {
    let rules = "key_prefix \"\(bench.prefix)/\" { policy = \"\(access)\" }"
    try writeFile(token, try bench.consul.makeToken(rules: rules))
  }
}
