internal import Glibc
import JSON
import TestSupport
import Testing

// The script that puts the plugin onto a node, and the manifest that carries it.

@Suite struct DeployTests {
  private static let script = "deploy/install-plugin"

  /// A folder of plugins, a source, and the script as the manifest has it.
  private struct Node {
    let folder: TemporaryFolder
    var plugins: String { folder.path + "/bin" }
    var source: String { folder.path + "/source" }
    var plugin: String { plugins + "/cni-ipam-consul" }

    init() throws {
      folder = try TemporaryFolder()
      mkdir(plugins, 0o755)
      try writeFile(
        folder.path + "/script",
        String(decoding: try readRepositoryFile(DeployTests.script), as: UTF8.self))
      try writeFile(source, "new plugin")
    }

    func install(_ before: String = "", _ words: [String] = ["consul"]) async throws
      -> Execution.Ended
    {
      let command = (["\(folder.path)/script", source, plugins] + words).joined(separator: " ")
      var execution = Execution(["sh", "-c", "\(before) sh \(command)"])
      execution.environment = ["PATH": "/usr/bin:/bin"]
      return try await execution.run()
    }

    func text(_ path: String) throws -> String {
      String(decoding: try readFile(path), as: UTF8.self)
    }

    /// What is in the folder of plugins, drafts included.
    func names() async throws -> [Substring] {
      var execution = Execution(["ls", "-A", plugins])
      execution.environment = ["PATH": "/usr/bin:/bin"]
      return try await execution.run().output.split(separator: "\n")
    }
  }

  @Test func installsAndChangesNothingTheSecondTime() async throws {
    let node = try Node()
    let first = try await node.install()
    #expect(first.exitStatus == 0 && first.output.contains("is new"), "\(first)")
    #expect(try node.text(node.plugins + "/consul") == "new plugin")
    #expect(access(node.plugin, X_OK) == 0)
    var (before, after) = (stat(), stat())
    stat(node.plugin, &before)
    let second = try await node.install()
    #expect(second.exitStatus == 0 && second.output.contains("up to date"), "\(second)")
    stat(node.plugin, &after)
    #expect(before.st_ino == after.st_ino && before.st_ctim.tv_nsec == after.st_ctim.tv_nsec)
    #expect(try await node.names() == ["cni-ipam-consul", "consul"])
  }

  @Test func anUpdateIsAnotherFileOfTheSameName() async throws {
    let node = try Node()
    _ = try await node.install()
    // A runtime that has the old one open keeps it whole.
    let old = open(node.plugin, O_RDONLY | O_CLOEXEC)
    defer { close(old) }
    try writeFile(node.source, "newer")
    #expect(try await node.install().exitStatus == 0)
    #expect(try node.text(node.plugin) == "newer")
    var bytes = [UInt8](repeating: 0, count: 64)
    let count = read(old, &bytes, bytes.count)
    #expect(String(decoding: bytes.prefix(max(0, count)), as: UTF8.self) == "new plugin")
  }

  @Test func afterAFailureTheOldOneStands() async throws {
    let node = try Node()
    _ = try await node.install()
    // No room: a file may have no more than one block of 512 bytes.
    try writeFile(node.source, String(repeating: "x", count: 100_000))
    let full = try await node.install("trap '' XFSZ; ulimit -f 1;")
    #expect(full.exitStatus == 1 && full.errorOutput.contains("as it was"), "\(full)")
    #expect(try node.text(node.plugin) == "new plugin")
    #expect(try await node.names() == ["cni-ipam-consul", "consul"])
    // No permission, for a root too.
    chmod(node.folder.path, 0o755)
    for path in [node.source, node.folder.path + "/script"] { chmod(path, 0o644) }
    let other = getuid() == 0 ? "setpriv --reuid 65534 --clear-groups" : ""
    if getuid() != 0 { chmod(node.plugins, 0o555) }
    let denied = try await node.install(other)
    #expect(denied.exitStatus == 1 && denied.errorOutput.contains("as it was"), "\(denied)")
    #expect(try node.text(node.plugin) == "new plugin")
    chmod(node.plugins, 0o755)
    // Nothing to install.
    for text in ["", nil] {
      if let text { try writeFile(node.source, text) } else { unlink(node.source) }
      #expect(try await node.install().exitStatus == 1)
      #expect(try node.text(node.plugin) == "new plugin")
    }
  }

  @Test func anotherPluginIsNeverReplaced() async throws {
    let node = try Node()
    try writeFile(node.plugins + "/host-local", "the reference")
    let ended = try await node.install("", ["consul", "host-local"])
    #expect(ended.exitStatus == 1 && ended.errorOutput.contains("host-local"), "\(ended)")
    #expect(try node.text(node.plugins + "/host-local") == "the reference")
    #expect(try node.text(node.plugins + "/consul") == "new plugin")
  }

  @Test func theManifestCarriesTheScriptThatIsTested() async throws {
    let reader =
      "import json, sys, yaml; json.dump(list(yaml.safe_load_all(sys.stdin)), sys.stdout)"
    var execution = Execution(["python3", "-c", reader])
    execution.environment = ["PATH": "/usr/bin:/bin"]
    execution.input = .text(
      String(decoding: try readRepositoryFile("deploy/kubernetes.yaml"), as: UTF8.self))
    let documents = try await execution.run().json.elements ?? []
    #expect(documents.map { $0["kind"]?.string } == ["ConfigMap", "DaemonSet"])
    let script = String(decoding: try readRepositoryFile(Self.script), as: UTF8.self)
    #expect(documents.first?["data"]?["install-plugin"]?.string == script)
    let pod = documents.last?["spec"]?["template"]?["spec"]
    let install = pod?["initContainers"]?.elements?.first
    let command = install?["command"]?.elements?.compactMap(\.string) ?? []
    #expect(
      command == [
        "sh", "/scripts/install-plugin", "/usr/lib/cni/cni-ipam-consul", "/host/opt/cni/bin",
        "consul",
      ])
    let volumes = Set((pod?["volumes"]?.elements ?? []).compactMap { $0["name"]?.string })
    let mounted = (install?["volumeMounts"]?.elements ?? []).compactMap { $0["name"]?.string }
    #expect(Set(mounted) == volumes)
  }
}
