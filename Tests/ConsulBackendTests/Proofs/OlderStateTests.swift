// The server's memory is of yesterday: a snapshot was restored. What it calls free may be in use, and a
// node that has seen more notices.

import BitmapAllocator
import IPAM
import IPAMTesting
import JSON
import TestSupport
import Testing

@testable import ConsulBackend

extension Proofs {
  @Suite(.serialized) struct OlderStateTests {
    private func snapshot(_ verb: String, _ server: ConsulServer, _ path: String) async throws {
      try await ChildProcess.run([
        try await ConsulBinary.path(), "snapshot", verb, "-http-addr=\(server.address)", path,
      ])
      try await server.ready()
    }

    enum Since: String, CaseIterable, Sendable {
      case nothing, othersWrote
    }

    /// The node has seen more than the store now holds: what it calls free may be in use.
    @Test(arguments: Since.allCases)
    func aRestoredSnapshot(_ since: Since) async throws {
      let server = try await ConsulServer.start()
      let network = try TestNetwork()
      let folder = try TemporaryFolder()
      func process(_ node: String = "n0") throws -> Process {
        try Process(
          server.address, network, node: node,
          stateDirectory: node == "n0" ? folder.path : nil)
      }
      try await process().addAndEnd("old")
      try await snapshot("save", server, folder.path + "/snapshot")
      for index in 0..<10 { try await process().addAndEnd("lost\(index)") }
      try await snapshot("restore", server, folder.path + "/snapshot")
      if since == .othersWrote {
        // A node that saw nothing cannot know; it makes the store's numbers grow again.
        for index in 0..<3 { try await process("n1").add("new\(index)") }
      }
      let error = await (try process()).failureOfAdd("next")
      guard case .storeWentBack? = error else {
        Issue.record("\(String(describing: error))")
        return
      }
      #expect(error?.description.contains("older state") == true)
      // Every later process of the node refuses too.
      let again = await (try process()).failureOfAdd("next")
      guard case .storeWentBack? = again else {
        Issue.record("\(String(describing: again))")
        return
      }
      #expect(try await process().delete("old") != nil)
      for index in 0..<10 { try await process().delete("lost\(index)") }
      let left = try await network.attachments(on: server)
      #expect(left.count == (since == .othersWrote ? 3 : 0))
      try await network.expectSound(on: server)
    }

    @Test(.enabled(if: PluginCall.isAvailable))
    func thePluginNamesTheRemedy() async throws {
      let server = try await ConsulServer.start()
      let network = try TestNetwork()
      let folder = try TemporaryFolder()
      let call = PluginCall(
        network: network, port: server.port, stateDirectory: folder.path + "/state")
      _ = try await call.run("ADD", "old")
      try await snapshot("save", server, folder.path + "/snapshot")
      _ = try await call.run("ADD", "lost")
      try await snapshot("restore", server, folder.path + "/snapshot")
      let refused = try await call.run("ADD", "next")
      #expect(refused.exitStatus == 1, "\(refused)")
      #expect(refused.output.filter { !$0.isWhitespace }.contains("\"code\":11"), "\(refused)")
      #expect(refused.output.contains("ipamctl check net"), "\(refused)")
      #expect(refused.output.contains("--repair"), "\(refused)")
      for container in ["old", "lost", "next"] {
        let deleted = try await call.run("DEL", container)
        #expect(deleted.exitStatus == 0, "\(deleted)")
      }
      #expect(try await network.attachments(on: server).isEmpty)
      try await network.expectSound(on: server)
    }

    private func isOlder(_ error: AllocationError?) -> Bool {
      if case .storeWentBack? = error { true } else { false }
    }

    /// The chunk that the node took from was made after the snapshot, so that there is nothing to compare.
    /// ipamctl notices, too, whether or not an ADD was tried before.
    @Test func aRestoredSnapshotWithoutTheChunk() async throws {
      let server = try await ConsulServer.start()
      let network = try TestNetwork(["10.1.0.0/16"])
      let folder = try TemporaryFolder()
      func process(_ node: String = "n0") throws -> Process {
        try Process(
          server.address, network, node: node, stateDirectory: node == "n0" ? folder.path : nil)
      }
      let old = try await process("n1").add("old").attachment.holdings[0]
      try await snapshot("save", server, folder.path + "/snapshot")
      let lost = try await process().addAndEnd("lost").attachment.holdings[0]
      #expect(old.pool.node(of: old.ordinal).node != lost.pool.node(of: lost.ordinal).node)
      try await snapshot("restore", server, folder.path + "/snapshot")
      let deadline = Surroundings.system.deadline(inMilliseconds: 30_000)
      #expect(try await process().store.findOutWhetherItWentBack(deadline: deadline))
      #expect(isOlder(await (try process()).failureOfAdd("next")))
      #expect(isOlder(await (try process()).failureOfAdd("next")))
      // A DEL works, and there is nothing left of it.
      #expect(try await process().delete("lost") == nil)
      // A network of that name that is made anew is another one.
      let removal = try await process("n1").store.removeNetwork(
        force: true, dryRun: false, deadline: deadline)
      guard case .removed = removal else { throw TestSupportError("\(removal)") }
      try await process("n1").add("anew")
      try await process().add("next")
      try await eventually("the copies of the new one") {
        try await !process().store.findOutWhetherItWentBack(deadline: deadline)
      }
      try await network.expectSound(on: server)
    }

    /// A cluster begun anew counts from the beginning. Its chunk is older than the one that the node saw,
    /// which it reads last: by then it knows that this is another network.
    @Test func aClusterBegunAnew() async throws {
      let (old, server) = (try await ConsulServer.start(), try await ConsulServer.start())
      let network = try TestNetwork()
      let folder = try TemporaryFolder()
      let before = try Process(old.address, network, stateDirectory: folder.path)
      // Else the definitions could have the same index by chance.
      for key in 0..<100 { _ = try old.request("PUT", "/v1/kv/other\(key)", body: "") }
      for index in 0..<20 { try await before.addAndEnd("e\(index)") }
      try await Process(server.address, network, node: "n1").add("c0")
      let proxy = try FaultyProxy(server) { request in
        request.text.contains("/pools/") && request.text.contains("consistent")
          ? .slow(milliseconds: 300) : .pass
      }
      let process = try Process(proxy.address, network, stateDirectory: folder.path)
      try await process.add("c1")
      #expect(!process.store.traits.hasGoneBack)
      try await network.expectSound(on: server)
    }

    /// All that the node has seen is full, so that it asks for the proof first.
    @Test(arguments: [0, 2])
    func aRestoredSnapshotOfAFullPool(_ before: Int) async throws {
      let server = try await ConsulServer.start()
      let network = try TestNetwork(["10.1.0.0/29"])
      let folder = try TemporaryFolder()
      func process() throws -> Process {
        try Process(server.address, network, stateDirectory: folder.path)
      }
      let other = try Process(server.address, network, node: "n1")
      try await other.add("first")
      if before == 0 { try await other.delete("first") }
      try await snapshot("save", server, folder.path + "/snapshot")
      for index in 0..<(before == 0 ? 5 : 4) { try await process().addAndEnd("lost\(index)") }
      try await snapshot("restore", server, folder.path + "/snapshot")
      #expect(isOlder(await (try process()).failureOfAdd("next")))
    }

    /// Bulk acquisition refuses, too; and goes on once the network was repaired, wherever that was done.
    @Test func aBareNetwork() async throws {
      let server = try await ConsulServer.start()
      let network = try TestNetwork(["10.1.0.0/16"], kind: .bare)
      let folder = try TemporaryFolder()
      let deadline = Surroundings.system.deadline(inMilliseconds: 60_000)
      func acquire(_ job: UInt64) async throws {
        let store = try Process(server.address, network, stateDirectory: folder.path).store
        try await store.withTurn(deadline: deadline) { () async throws(AllocationError) in
          _ = try await BulkAllocator(
            store: store, networkName: "net", definition: network.definition, node: "n0",
            surroundings: .system
          ).acquire(300, job: job, deadline: deadline)
        }
      }
      try await acquire(1)
      try await snapshot("save", server, folder.path + "/snapshot")
      try await acquire(2)
      try await snapshot("restore", server, folder.path + "/snapshot")
      for job in 3...4 as ClosedRange<UInt64> {
        let result = await Result.of { try await acquire(job) }
        #expect(throws: AllocationError.storeWentBack(network: "net")) { try result.get() }
      }
      let repairer = Repairer(
        of: try Process(server.address, network).store, networkName: "net", surroundings: .system)
      try await repairer.renewIncarnation(deadline: deadline)
      #expect(try await repairer.repair(deadline: deadline).left == [])
      try await acquire(5)
    }

    /// Of the copies that a file has room for the definition is one: by it the node knows that a network
    /// was repaired.
    @Test func manyCopies() throws {
      var network = try TestNetwork()
      func definition(_ incarnation: UInt64) -> [UInt8] {
        network.definition.incarnation = incarnation
        return network.definition.json.compactBytes
      }
      var copy = NodeCopy(bootID: "boot")
      copy.note("config", 5, bytes: definition(1), at: 1)
      for index in 0..<2 * UInt64(NodeCopy.entryLimit) {
        copy.note("x\(index)", 10, bytes: [1], at: 10 + index)
      }
      copy.noteOlderState("x99")
      var read = try #require(NodeCopy(copy.bytes, bootID: "boot"))
      #expect(read.hasGoneBack && read.entries.count == NodeCopy.entryLimit)
      read.note("config", 50, bytes: definition(2), at: 20)
      #expect(!read.hasGoneBack)
    }
  }
}
