// A container runtime on a node: Tests/GoPrograms/libcni-client, which does what containerd, CRI-O,
// podman and Nomad do, by the same library.

internal import FoundationEssentials
internal import TestSupport

/// A runtime with a folder for its configurations and for the results that libcni keeps.
struct LibcniRuntime: Sendable {
  let node: TestNode
  private let client: String
  private let folder: TemporaryFolder

  init(_ node: TestNode) async throws {
    self.node = node
    client = try await GoProgram.libcniClient
    folder = try TemporaryFolder()
  }

  /// Runs a command of the client: ADD, CHECK, DEL, or CACHED for the result that libcni kept.
  func run(
    _ command: String, _ configuration: JSON, _ namespace: NetworkNamespace?,
    container: String = "c1", interface: String = "eth0", arguments: String = "",
    capabilities: JSON = [:]
  ) async throws -> Answer {
    let file = folder.path + "/\(UInt64.random(in: 0...(.max))).conflist"
    try writeFile(file, configuration.text)
    var execution = Execution(node.host.entering)
    execution.command += [
      client, "-path", node.path, "-cache", folder.path + "/cache", "-args", arguments,
      "-capabilities", capabilities.text,
      command, file, container, namespace?.path ?? "", interface,
    ]
    execution.environment = ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin"]
    return Answer(try await execution.run())
  }

  /// The same, and wants it to succeed.
  @discardableResult
  func succeeds(
    _ command: String, _ configuration: JSON, _ namespace: NetworkNamespace?,
    container: String = "c1", interface: String = "eth0", arguments: String = "",
    capabilities: JSON = [:]
  ) async throws -> Answer {
    let answer = try await run(
      command, configuration, namespace, container: container, interface: interface,
      arguments: arguments, capabilities: capabilities)
    guard answer.succeeded else {
      throw TestSupportError("libcni's \(command) of \(container): \(answer)")
    }
    return answer
  }

  /// The names of the files in which libcni keeps results.
  func keptResults() -> [String] {
    let results = folder.path + "/cache/results"
    return ((try? FileManager.default.contentsOfDirectory(atPath: results)) ?? []).sorted()
  }
}
