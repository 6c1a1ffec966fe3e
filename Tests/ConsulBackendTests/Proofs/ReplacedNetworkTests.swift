// A network in use is deleted (--force) and another one made under its name while the node's copies of
// the old one are fresh. What is done by them afterwards changes nothing of the new one.

import AddressSpace
import IPAM
import IPAMTesting
import TestSupport
import Testing

@testable import ConsulBackend

extension Proofs {
  @Suite(.serialized) struct ReplacedNetworkTests {
    private static let server = Task { try await ConsulServer.start() }
    private static var deadline: Deadline { Surroundings.system.deadline(inMilliseconds: 60_000) }

    /// What takes the place of a leased 10.1.0.0/24.
    enum Heir: CaseIterable, Sendable {
      case same, bare, otherRanges, smallerChunks, bareOfSmallerChunks

      var definition: NetworkDefinition {
        get throws {
          let subnet = self == .otherRanges ? "10.2.0.0/24" : "10.1.0.0/24"
          let isBare = self == .bare || self == .bareOfSmallerChunks
          var definition = try TestNetwork(
            [subnet], cooldown: isBare ? 0 : 60, kind: isBare ? .bare : .leased
          ).definition
          if self == .smallerChunks || self == .bareOfSmallerChunks { definition.chunkBits = 6 }
          return definition
        }
      }
    }

    /// Deletes the network whatever is held, and defines another one.
    private static func replace(
      _ network: TestNetwork, by heir: NetworkDefinition, on server: ConsulServer,
      _ incarnation: UInt64 = .random(in: 1...(.max))
    ) async throws -> TestNetwork {
      let process = try Process(server.address, network)
      let removal = try await process.store.removeNetwork(
        force: true, dryRun: false, deadline: deadline)
      guard case .removed = removal else { throw TestSupportError("\(removal)") }
      var (network, heir) = (network, heir)
      heir.incarnation = incarnation
      let put = StoreOperation.put(.definition, .definition(heir), expected: .absent)
      guard case .committed = await process.store.commit([put], cursors: [:], deadline: deadline)
      else { throw TestSupportError("the network was made again by somebody else") }
      await process.client.shutdown()
      network.definition = heir
      return network
    }

    /// Somebody takes all that the new network has; then the old one's containers go.
    @Test(arguments: Heir.allCases) func oldReleasesFreeNothing(_ heir: Heir) async throws {
      let server = try await Self.server.value
      let old = try TestNetwork(["10.1.0.0/24"], cooldown: 60)
      let folder = try TemporaryFolder()
      func process() throws -> Process {
        try Process(server.address, old, stateDirectory: folder.path)
      }
      let node = try process()
      for index in 0..<8 { try await node.add("c\(index)") }
      try await eventually("the copies") {
        (try? readFile(folder.path + "/state/copy")) != nil
      }
      let network = try await Self.replace(old, by: try heir.definition, on: server)

      let other = try Process(server.address, network, node: "n1")
      let bulk = BulkAllocator(
        store: other.store, networkName: "net", definition: nil, node: "n1",
        surroundings: .system)
      var taken: [String: IPAddress] = [:]
      if network.definition.kind == .bare {
        _ = try await bulk.acquire(253, job: 1, deadline: Self.deadline)
      } else {
        for index in 0..<253 {
          let acquired = try await other.add("x\(index)")
          taken["x\(index)"] = acquired.attachment.holdings[0].address
        }
        // They cool down, and so count as free of any lease.
        for index in 0..<20 { try await other.delete("x\(index)") }
      }

      // In one process that has seen it all, in others, and after an ADD that has learnt of the change.
      for index in 0..<3 { try await node.delete("c\(index)") }
      for index in 3..<5 { try await process().delete("c\(index)") }
      let learnt = try process()
      let added = await Result.of { try await learnt.add("late").attachment.holdings[0].address }
      for index in 5..<8 { try await learnt.delete("c\(index)") }
      try await network.expectSound(on: server)

      if network.definition.kind == .bare {
        guard case .failure(let error) = added else {
          Issue.record("an ADD of a network without leases")
          return
        }
        #expect("\(error)".contains("bare"), "\(error)")
        await #expect(throws: AllocationError.self, "an address of the new network was freed") {
          try await bulk.acquire(1, job: 2, deadline: Self.deadline)
        }
      } else {
        let address = try added.get()
        let held = Set(taken.filter { Int($0.key.dropFirst()) ?? 0 >= 20 }.values)
        #expect(!held.contains(address), "an address that is held was handed out")
        // One that had cooled, lent; so nothing of the chunk was lost by the old releases.
        #expect(network.definition.rangeSets[0].range(holding: address) != nil)
        try await other.add("more")
      }
    }

    enum Author: CaseIterable, Sendable { case livingProcess, nextProcess }

    /// An ADD of the old network has no outcome. Whoever makes sure that its copies come too late, the
    /// process itself at its deadline or the next one by the word that it left, leaves nothing behind.
    @Test(arguments: Author.allCases) func anOldDoubtLeavesNothing(_ author: Author) async throws {
      try await withThrowingTaskGroup(of: Void.self) { group in
        for heir in Heir.allCases { group.addTask { try await leavesNothing(author, heir) } }
        try await group.waitForAll()
      }
    }

    private func leavesNothing(_ author: Author, _ heir: Heir) async throws {
      let server = try await Self.server.value
      let old = try TestNetwork(["10.1.0.0/24"], cooldown: 60)
      let folder = try TemporaryFolder()
      let owner = try Process(server.address, old, node: "n1")
      // The definition alone: the chunk is made by the commit in doubt.
      try await owner.add("first")
      try await owner.delete("first")
      let chunks = try await Self.chunkNames(of: owner)
      for name in chunks { _ = try server.request("DELETE", "/v1/kv/\(name)") }

      let proxy = try FaultyProxy(server) { request in
        guard request.isTransaction else { return .pass }
        return author == .nextProcess || request.makesAttachments ? .late : .pass
      }
      let process = try Process(proxy.address, old, stateDirectory: folder.path)
      // Time enough to send it, and to replace the network, on a slow machine too.
      async let failure = process.failureOfAdd("c0", within: 3_000)
      try await eventually("the commit") { proxy.kept > 0 }
      let network = try await Self.replace(old, by: try heir.definition, on: server)
      guard case .outcomeUnknown? = await failure else {
        Issue.record("\(heir): \(String(describing: await failure))")
        return
      }
      // What is in doubt is cleared up before anything else.
      proxy.setRule { $0.makesAttachments ? .late : .pass }
      let next =
        author == .livingProcess
        ? process : try Process(server.address, old, stateDirectory: folder.path)
      #expect(try await next.delete("c0") == nil, "\(heir)")
      #expect(try proxy.deliverLate().allSatisfy { $0 == 409 }, "\(heir)")
      try await network.expectSound(on: server, "\(heir)")
      proxy.setRule { _ in .pass }
      if network.definition.kind == .leased { try await next.add("c1") }
      try await network.expectSound(on: server, "\(heir)")
    }

    private static func chunkNames(of process: Process) async throws -> [String] {
      var names: [String] = []
      try await process.store.list(.chunks, deadline: deadline) { key, _ in
        if let name = process.store.schema.name(key) { names.append(name) }
      }
      return names
    }

    /// Nodes go on through one network after the other, each process by the copies of the one before. Every
    /// answer is by the definition that ruled, and nobody has what another was given since.
    @Test func replacedUnderLoad() async throws {
      let server = try await Self.server.value
      var network = try TestNetwork(["10.1.0.0/24"], cooldown: 0)
      let folder = try TemporaryFolder()
      let first = try Process(server.address, network)
      try await first.add("first")
      let load = Flow(server.address, network, folder.path)
      try await load.run {
        for heir in Heir.allCases + Heir.allCases.shuffled() {
          try await load.more(15)
          network = try await load.replacing {
            try await Self.replace(network, by: try heir.definition, on: server, $0)
          }
          guard network.definition.kind == .bare else { continue }
          let other = try Process(server.address, network, node: "bulk")
          let bulk = BulkAllocator(
            store: other.store, networkName: "net", definition: nil, node: "bulk",
            surroundings: .system)
          var taken: [AddressRange] = []
          for job in 1...6 as ClosedRange<UInt64> {
            taken += try await bulk.acquire(40, job: job, deadline: Self.deadline)
            try await load.more(3)
          }
          try await other.expectExactly(taken)
          await other.client.shutdown()
        }
        network = try await load.replacing {
          try await Self.replace(network, by: try Heir.same.definition, on: server, $0)
        }
        try await load.more(15)
      }
      #expect(load.findings == [])
      try await network.expectSound(on: server)
      #expect(try await network.attachments(on: server) == load.held)
    }

    /// A deletion is killed at each of its commits. What it left is in nobody's way and given to nobody:
    /// a network without leases waits until the deletion is done, in a leased one they are released.
    @Test(.enabled(if: ControlCall.isAvailable), arguments: [FaultyProxy.Fate.cut, .dropReply])
    func aDeletionKilledAtEachCommit(_ fate: FaultyProxy.Fate) async throws {
      let server = try await Self.server.value
      var victims = 0
      for victim in 0..<20 where victims == victim {
        let old = try TestNetwork(["10.1.0.0/24"])
        let folder = try TemporaryFolder()
        let node = try Process(server.address, old, stateDirectory: folder.path)
        try await Self.fill(node, 100)
        let ipamctl = ControlCall(network: old, folder: try TemporaryFolder())
        let proxy = try FaultyProxy(server) { request in
          guard request.isTransaction, request.number == victim else { return .pass }
          try? ipamctl.kill()
          return fate
        }
        let ended = try await ipamctl.run(proxy.address, ["network", "delete", "net", "--force"])
        try await proxy.settle()
        if ended.signal != nil { victims += 1 } else { #expect(ended.exitStatus == 0, "\(ended)") }
        let left = try await Self.leases(of: node)
        let bare = try await ipamctl.run(
          server.address,
          ["network", "create", "net", "--subnet", "10.1.0.0/24", "--kind", "bare", "--dry-run"])
        #expect((bare.exitStatus == 0) == left.isEmpty, "\(victim): \(bare)")

        // As the nodes do whose configurations still have it.
        let other = try Process(server.address, old, node: "n1")
        _ = await other.failureOfAdd("x")
        let repaired = try await ipamctl.check(server.address, ["--repair"])
        #expect(repaired.exitStatus == 0, "\(victim): \(repaired)")
        try await Self.fill(other, 100)
        let now = try await Self.leases(of: node)
        for (address, holder) in left { #expect(now[address] == holder, "\(victim): \(address)") }
        for index in 0..<100 { try await node.delete("c\(index)") }
        try await old.expectSound(on: server, "\(victim)")
        #expect(try await old.attachments(on: server).allSatisfy { $0.node == "n1" })
      }
      #expect(victims >= 4 && victims < 20, "every commit was a victim")
    }

    private static func fill(_ process: Process, _ count: Int) async throws {
      try await withThrowingTaskGroup(of: Void.self) { group in
        for index in 0..<count { group.addTask { try await process.add("c\(index)") } }
        try await group.waitForAll()
      }
    }

    private static func leases(of process: Process) async throws -> [IPAddress: AttachmentKey] {
      var found: [IPAddress: AttachmentKey] = [:]
      try await process.store.list(.leases, deadline: deadline) { key, entry in
        if case .lease(let address) = key, case .lease(let lease)? = entry.value {
          found[address] = lease.attachment
        }
      }
      return found
    }
  }
}
