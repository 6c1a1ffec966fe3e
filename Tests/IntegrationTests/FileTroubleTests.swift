// Files that cannot be read or written: an error that names file and remedy where the command depends
// on it, and no notice taken where it does not. Root may do everything, so these calls are another
// user's, with a copy of the plugin in a folder that everybody sees.

internal import FoundationEssentials
internal import Glibc
import TestSupport
import Testing

@Suite(.needsConsul, .needsRoot)
struct FileTroubleTests {
  /// A network of root's and calls by another user.
  private struct Foreign {
    let network: TestNetwork
    let configuration: JSON
    private let program: String

    init(_ kind: StoreKind, _ ipam: JSON) async throws {
      network = try await TestNetwork(kind)
      configuration = network.configuration(ipam)
      program = network.folder.path + "/plugin"
      // By another process: a file that is being written by one, or by what it started, cannot be run.
      try await ChildProcess.run(["cp", Program.ours, program])
      for path in [network.folder.path, program] { chmod(path, 0o755) }
    }

    func call(_ command: String, _ container: String) -> Call {
      var call = Call(command, configuration, container: container).by(program)
      call.entering = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
      return call
    }

    func expectRefusals(
      _ calls: [(String, String)], _ words: [String], _ location: SourceLocation = #_sourceLocation
    ) async throws {
      let before = try network.contents()
      for (command, container) in calls {
        Refusal(5, words: words).expect(try await call(command, container).run(), location)
      }
      #expect(try network.contents() == before, sourceLocation: location)
    }
  }

  @Test func addressFilesThatCannotBeRead() async throws {
    let foreign = try await Foreign(.disk, ["subnet": "10.7.0.0/29"])
    for container in ["c1", "c2"] {
      try await Call("ADD", foreign.configuration, container: container).succeeds()
    }
    let directory = foreign.network.directory
    chmod(directory, 0o777)
    chmod(directory + "/lock", 0o666)
    chmod(directory + "/10.7.0.2", 0)

    // It is somebody's, whoever that is: never given again, in no one's way.
    for (container, address) in [("c3", "10.7.0.4"), ("c4", "10.7.0.5"), ("c5", "10.7.0.6")] {
      let added = try await foreign.call("ADD", container).succeeds()
      #expect(added.addresses == ["\(address)/29"], "\(added)")
    }
    #expect(try await foreign.call("ADD", "c6").run().code == 101)
    #expect(try await foreign.call("CHECK", "c1").run().code == 103)
    try await foreign.call("CHECK", "c2").succeeds()
    for container in ["c2", "c3", "c4", "c5", "c1"] {
      try await foreign.call("DEL", container).succeeds()
    }
    #expect(try foreign.network.audit().holders == ["10.7.0.2": "c1/eth0"])
    try await Call("DEL", foreign.configuration).succeeds()  // root can read it
    #expect(try foreign.network.audit() == Holders())
  }

  @Test func aDirectoryThatCannotBeUsed() async throws {
    let foreign = try await Foreign(.disk, ["subnet": "10.7.0.0/29"])
    try await Call("ADD", foreign.configuration).succeeds()
    let directory = foreign.network.directory
    let all = [("ADD", "c2"), ("DEL", "c1"), ("CHECK", "c1")]

    chmod(directory + "/lock", 0)
    try await foreign.expectRefusals(all, ["\(directory)/lock", "permission denied", "dataDir"])

    // Read-only: what writes fails, and what does not works.
    chmod(directory + "/lock", 0o644)
    chmod(directory, 0o555)
    try await foreign.expectRefusals(
      [("ADD", "c2"), ("DEL", "c1")], [directory, "permission denied", "dataDir"])
    for call in [("CHECK", "c1"), ("DEL", "nobody")] {
      try await foreign.call(call.0, call.1).succeeds()
    }

    chmod(directory, 0)
    try await foreign.expectRefusals(all, [directory, "permission denied", "dataDir"])
    chmod(directory, 0o755)
    try await Call("DEL", foreign.configuration).succeeds()
  }

  /// A collection goes on behind what cannot be released, and tells of it at the end. In a directory
  /// with the sticky bit everybody may remove only what is theirs.
  @Test func aCollectionGoesOn() async throws {
    let foreign = try await Foreign(.disk, ["subnet": "10.7.0.0/29"])
    try await Call("ADD", foreign.configuration, container: "c1").succeeds()
    chmod(foreign.network.directory, 0o1777)
    chmod(foreign.network.directory + "/lock", 0o666)
    for container in ["c2", "c3"] { try await foreign.call("ADD", container).succeeds() }
    var collection = foreign.call("GC", "")
    collection.input = .text(
      foreign.configuration.merging(["cniVersion": "1.1.0", "cni.dev/valid-attachments": []]).text)
    let answer = try await collection.run()
    Refusal(5, words: ["1 attachment could not be released", "10.7.0.2"]).expect(answer)
    #expect(try foreign.network.audit().holders == ["10.7.0.2": "c1/eth0"])
  }

  /// On Consul, only a new attachment needs to know who this node is; its cache is nobody's need.
  @Test func aStateDirectoryThatCannotBeRead() async throws {
    let foreign = try await Foreign(.consul, ["subnet": "10.7.0.0/24", "node": "n1"])
    for container in ["c1", "c2"] {
      try await Call("ADD", foreign.configuration, container: container).succeeds()
    }
    let state = foreign.network.folder.path + "/state"
    let below = try FileManager.default.subpathsOfDirectory(atPath: state)
    #expect(below.contains("node") && below.count > 2, "\(below)")
    chmod(state, 0o755)
    for path in below { chmod("\(state)/\(path)", 0) }

    try await foreign.expectRefusals([("ADD", "c3")], ["\(state)/node", "Permission denied"])
    for command in ["CHECK", "DEL"] {
      let answer = try await foreign.call(command, "c1").succeeds()
      #expect(answer.ended.errorOutput.contains("\(state)/node"), "\(answer)")
    }
    chmod("\(state)/node", 0o644)
    for call in [("ADD", "c3"), ("CHECK", "c2"), ("CHECK", "c3"), ("DEL", "c2"), ("DEL", "c3")] {
      try await foreign.call(call.0, call.1).succeeds()
    }
    #expect(try foreign.network.audit() == Holders())
  }

  /// A file system that is full, then read-only, in the words of the plugin.
  @Test func aFullDisk() async throws {
    let network = try await TestNetwork(.disk)
    let folder = network.folder.path
    let configuration = network.configuration(["subnet": "10.7.0.0/24"])
    try writeFile(folder + "/conf", configuration.text)
    func run(_ command: String, _ container: String, _ status: Int) -> String {
      let words = Call(command, configuration, container: container).variables
        .map { "\($0.key)=\($0.value)" }.joined(separator: " ")
      return "set +e; env \(words) \(Program.ours) < \(folder)/conf > \(folder)/answer; "
        + "[ $? -eq \(status) ] || { cat \(folder)/answer; exit 1; }; set -e"
    }
    let script = [
      "set -e", "mkdir \(folder)/networks",
      "mount -t tmpfs -o size=64k none \(folder)/networks",
      run("ADD", "c1", 0), run("ADD", "c2", 0),
      "head -c 1000000 /dev/zero > \(folder)/networks/filler || true",
      run("ADD", "c3", 1), "cat \(folder)/answer",
      "ls \(network.directory)", run("CHECK", "c1", 0), run("DEL", "c1", 0),
      "mount -o remount,ro \(folder)/networks",
      run("ADD", "c4", 1), "cat \(folder)/answer", run("DEL", "c2", 1), "cat \(folder)/answer",
      run("CHECK", "c2", 0), run("DEL", "c1", 0),
    ].joined(separator: "\n")
    var execution = Execution(["unshare", "-m", "sh", "-c", script])
    execution.environment = ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin"]
    let ended = try await execution.run()
    #expect(ended.exitStatus == 0, "\(ended)")
    #expect(ended.output.contains("no space left on device"), "\(ended)")
    #expect(ended.output.components(separatedBy: "\"code\": 5").count == 4, "\(ended)")
    #expect(ended.output.components(separatedBy: "read-only file system").count == 3, "\(ended)")
    #expect(
      ended.output.contains("10.7.0.2\n10.7.0.3\nlast_reserved_ip.0\nlock\n"),
      "a failed ADD left something: \(ended)")
  }
}
