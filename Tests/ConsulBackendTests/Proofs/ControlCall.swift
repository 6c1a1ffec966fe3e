// Real ipamctl processes on a real Consul.

import Glibc
import TestSupport

/// `ipamctl` on one network, as an operator runs it.
struct ControlCall: Sendable {
  /// The program: CNI_IPAM_CTL, else the one that was built along with the tests.
  static let program = environmentVariable("CNI_IPAM_CTL") ?? builtAlong("ipamctl")

  /// For `.enabled(if:)`.
  static var isAvailable: Bool { program != nil }

  let network: TestNetwork
  let folder: TemporaryFolder

  private var file: String { folder.path + "/pid" }

  /// Runs `ipamctl check net` to its end.
  func check(_ address: String, _ words: [String]) async throws -> Execution.Ended {
    try await run(address, ["check", "net", "--state-dir", folder.path + "/no-node"] + words)
  }

  /// Runs a command to its end, with its process id where ``kill()`` finds it.
  func run(_ address: String, _ words: [String]) async throws -> Execution.Ended {
    guard let program = Self.program else { throw TestSupportError("no ipamctl") }
    let place = ["--consul", address, "--consul-prefix", network.prefix, "--timeout", "60"]
    let noting = ["sh", "-c", #"echo $$ > "$0"; exec "$@""#, file]
    return try await Execution(noting + [program] + words + place).run()
  }

  /// Kills the one that was started last.
  func kill() throws {
    let text = String(decoding: try readFile(file), as: UTF8.self)
    guard let pid = pid_t(text.filter { $0 != "\n" }), pid > 1 else {
      throw TestSupportError("no process: \(text)")
    }
    _ = Glibc.kill(pid, SIGKILL)
  }
}
