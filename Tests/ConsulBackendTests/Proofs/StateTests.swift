// What a node remembers may be lost, garbage, foreign, old or impossible to write: a command costs more
// then, and its answer is the same.

import AddressSpace
import IPAM
import IPAMTesting
import TestSupport
import Testing

@testable import ConsulBackend

extension Proofs {
  @Suite(.serialized) struct StateTests {
    private static let server = Task { try await ConsulServer.start() }

    /// The files of a state directory, by their paths in it.
    private func files(_ folder: String) async throws -> [String] {
      try await ChildProcess.run(["find", folder, "-ignore_readdir_race", "-type", "f"]).split(
        separator: "\n"
      )
      .map { String($0) }
    }

    @Test(arguments: ["", "garbage", "CIPNODE1", String(repeating: "\u{0}", count: 100_000)])
    func garbage(_ content: String) async throws {
      let server = try await Self.server.value
      let network = try TestNetwork(journal: 4)
      let folder = try TemporaryFolder()
      func process() throws -> Process {
        try Process(server.address, network, stateDirectory: folder.path)
      }
      try await process().add("c0")
      for path in try await files(folder.path) { try writeFile(path, content) }
      try await process().add("c1")
      for path in try await files(folder.path) { try writeFile(path, content) }
      #expect(try await process().delete("c0") != nil)
      #expect(try await network.attachments(on: server) == [process().key("c1")])
      try await network.expectSound(on: server)
    }

    /// Every byte of the copy that is changed makes it no copy.
    @Test func flippedBytes() async throws {
      let server = try await Self.server.value
      let network = try TestNetwork()
      let folder = try TemporaryFolder()
      try await Process(server.address, network, stateDirectory: folder.path).add("c0")
      var bytes: [UInt8] = []
      try await eventually("the copy, which is written once the caller has its answer") {
        bytes = (try? readFile(folder.path + "/state/copy")) ?? []
        return NodeCopy(bytes, bootID: "boot") != nil
      }
      #expect(NodeCopy(bytes, bootID: "another boot") == nil)
      for index in bytes.indices {
        var changed = bytes
        changed[index] ^= 0x10
        #expect(NodeCopy(changed, bootID: "boot") == nil, "byte \(index)")
        #expect(NodeCopy(Array(bytes[..<index]), bootID: "boot") == nil, "cut at \(index)")
      }
    }

    /// The node's copy of an attachment is recent and wrong: it is gone, its address another's.
    @Test func aCopyOfWhatIsGone() async throws {
      let server = try await Self.server.value
      let network = try TestNetwork(["10.1.0.0/29"])
      let folder = try TemporaryFolder()
      let address = try await Process(server.address, network, stateDirectory: folder.path)
        .addAndEnd("c0").attachment.holdings[0].address
      let other = try Process(server.address, network)
      try await other.delete("c0")
      var heir: String?
      for index in 1...5 where heir == nil {
        let holdings = try await other.add("c\(index)").attachment.holdings
        if holdings[0].address == address { heir = "c\(index)" }
      }
      #expect(heir != nil)
      try await Process(server.address, network, stateDirectory: folder.path).delete("c0")
      try await network.expectSound(on: server)
      #expect(try await other.add(try #require(heir)).attachment.holdings[0].address == address)
    }

    /// The whole directory is another cluster's, on which the network went further or less far.
    @Test(arguments: [0, 20])
    func anotherCluster(_ ahead: Int) async throws {
      let server = try await Self.server.value
      let other = try await ConsulServer.start()
      let network = try TestNetwork()
      let folder = try TemporaryFolder()
      let elsewhere = try Process(other.address, network, stateDirectory: folder.path)
      for index in 0..<(20 - ahead) { try await elsewhere.addAndEnd("e\(index)") }
      for index in 0..<ahead + 1 { try await Process(server.address, network).add("c\(index)") }
      let process = try Process(server.address, network, stateDirectory: folder.path)
      try await process.add("new")
      try await process.delete("c0")
      try await network.expectSound(on: server)
      #expect(try await network.attachments(on: server).count == ahead + 1)
    }

    /// A disk that is full or read-only, once the node has its identity: ADD and DEL go on.
    @Test(
      .enabled(if: PluginCall.isAvailable),
      arguments: ["head -c 1000000 /dev/zero > STATE/filler || true", "mount -o remount,ro STATE"])
    func aDiskThatTakesNothing(_ trouble: String) async throws {
      let server = try await Self.server.value
      let network = try TestNetwork(journal: 4)
      let folder = try TemporaryFolder()
      let state = folder.path + "/state"
      let call = PluginCall(network: network, port: server.port, stateDirectory: state)
      let program = try #require(PluginCall.program)
      try writeFile(folder.path + "/conf", call.configuration)
      func command(_ name: String, _ container: String) -> String {
        let words = call.variables(name, container).map { "\($0.key)=\($0.value)" }
        return "env \(words.joined(separator: " ")) \(program) < \(folder.path)/conf"
      }
      var script = [
        "set -e", "mkdir \(state)", "mount -t tmpfs -o size=64k none \(state) || exit 77",
        command("ADD", "c0"), trouble.replacing("STATE", with: state),
        command("ADD", "c1"), command("ADD", "c2"), command("CHECK", "c1"), command("DEL", "c0"),
        command("DEL", "c1"),
      ]
      // Several processes at once, and each of them is waited for.
      for worker in 0..<4 {
        let lines = (0..<5).flatMap { round in
          ["ADD", "CHECK", "ADD"].map { command($0, "w\(worker)-\(round)") }
            + (round % 2 == 0 ? [command("DEL", "w\(worker)-\(round)")] : [])
        }
        script.append("(\nset -e\n\(lines.joined(separator: "\n"))\n) & jobs=\"$jobs $!\"")
      }
      script.append("for job in $jobs; do wait $job; done")
      var execution = Execution(["unshare", "-m", "sh", "-c", script.joined(separator: "\n")])
      execution.environment = ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin"]
      let ended = try await execution.run()
      if ended.exitStatus == 77 || ended.errorOutput.contains("unshare") {
        print("skipped: no mounts here, \(ended)")
        return
      }
      #expect(ended.exitStatus == 0, "\(ended)")
      let kept = (0..<4).flatMap { worker in [1, 3].map { "w\(worker)-\($0)" } }
      let held = try await network.attachments(on: server).map(\.container)
      #expect(held.sorted() == ["c2"] + kept.sorted())
      try await network.expectSound(on: server)
    }

    /// Without a place for the node's identity nothing is begun, and the error names the place.
    @Test(.enabled(if: PluginCall.isAvailable))
    func noPlaceForAnIdentity() async throws {
      let server = try await Self.server.value
      let network = try TestNetwork()
      let call = PluginCall(network: network, port: server.port, stateDirectory: "/proc/none")
      let ended = try await call.run("ADD", "c0")
      #expect(ended.exitStatus == 1 && ended.output.contains("/proc/none"), "\(ended)")
      #expect(ended.output.contains("stateDir"))
    }

    // MARK: - What is old

    /// Refusals that no commit protects: what the definition did not allow a moment ago, it does now.
    @Test func aCopyOfAnOldDefinition() async throws {
      let server = try await Self.server.value
      var network = try TestNetwork()
      let wanted = try IPAddress(parsing: "10.1.0.77")
      network.definition.exclusions = [AddressRange(first: wanted, last: wanted)].compactMap { $0 }
      let folder = try TemporaryFolder()
      try await Process(server.address, network, stateDirectory: folder.path).add("c0")
      let deadline = Surroundings.system.deadline(inMilliseconds: 30_000)
      let store = try Process(server.address, network).store
      let entry = try await store.storedDefinition(deadline: deadline)
      guard case .definition(var definition)? = entry.value else {
        throw TestSupportError("no definition")
      }
      definition.exclusions = []
      let outcome = await store.commit(
        [.put(.definition, .definition(definition), expected: entry.revision)], cursors: [:],
        deadline: deadline)
      guard case .committed = outcome else { throw TestSupportError("\(outcome)") }
      let next = try Process(server.address, network, stateDirectory: folder.path)
      let acquired = try await next.allocator.acquire(
        AcquireRequest(attachment: next.key("c1"), requested: [wanted]), deadline: deadline)
      #expect(acquired.attachment.holdings.map(\.address) == [wanted])
    }

    /// A chunk that was damaged when the node saw it, and is mended.
    @Test func aCopyOfADamagedChunk() async throws {
      let server = try await Self.server.value
      let network = try TestNetwork()
      let folder = try TemporaryFolder()
      let wanted = try IPAddress(parsing: "10.1.0.77")
      let deadline = Surroundings.system.deadline(inMilliseconds: 30_000)
      func add() async throws -> Acquired {
        let process = try Process(server.address, network, stateDirectory: folder.path)
        return try await process.allocator.acquire(
          AcquireRequest(attachment: process.key("c1"), requested: [wanted]), deadline: deadline)
      }
      let other = try Process(server.address, network, node: "n1")
      try await other.add("c0")
      let pools = "/v1/kv/\(network.prefix)/net/pools/"
      let keys = try server.request("GET", pools + "?keys").body.split(separator: "\"")
      let chunk = try #require(keys.first { $0.contains("/pools/") })
      #expect(try server.request("PUT", "/v1/kv/\(chunk)", body: "garbage").status == 200)
      await #expect(throws: AllocationError.self) { try await add() }
      let report = try await Repairer(
        of: other.store, networkName: "net", surroundings: .system
      ).repair(deadline: deadline)
      #expect(report.left == [])
      #expect(try await add().attachment.holdings.map(\.address) == [wanted])
      try await network.expectSound(on: server)
    }

    // MARK: - Turns

    /// The process that has the turn is stopped: the others wait as long as they may and no longer, however
    /// often they come.
    @Test func aHolderThatIsStopped() async throws {
      let folder = try TemporaryFolder()
      let path = folder.path + "/state"
      try NodeFile.makeFolder(path)
      let holder = try #require(NodeFile.openLock(path + "/lock"))
      #expect(NodeFile.tryLock(holder))
      let state = NodeState(folder: path, bootID: "boot", surroundings: .system)
      // A second for each is five minutes.
      let longest = Surroundings.system.deadline(inMilliseconds: 200_000)
      for _ in 0..<300 {
        await state.beginTurn(deadline: Surroundings.system.deadline(inMilliseconds: 200)) {}
        state.endTurn()
      }
      #expect(Surroundings.system.remaining(until: longest) > 0)
      NodeFile.closeLock(holder)
      try await eventually("the turn that is free again") {
        await state.beginTurn(deadline: Surroundings.system.deadline(inMilliseconds: 200)) {}
        defer { state.endTurn() }
        guard let other = NodeFile.openLock(path + "/lock") else { return false }
        defer { NodeFile.closeLock(other) }
        return !NodeFile.tryLock(other)
      }
    }
  }
}
