// Networks whose attachments need more operations in one commit than every Consul takes. Which limit a
// server has is found by trying: the definition goes in with as many operations as any of its
// attachments can need, so that a server which would refuse those refuses the network.

import IPAM
import IPAMTesting
import TestSupport
import Testing

@testable import ConsulBackend

extension Proofs {
  @Suite(.serialized) struct LimitTests {
    private static let server = Task { try await ConsulServer.start() }

    private static func subnets(_ count: Int) -> [String] {
      (0..<count).map { "10.\($0).0.0/24" }
    }

    /// 62 sets in chunks of their own: 127 operations, all of them in one commit.
    @Test(arguments: [31, 62])
    func aNewerServerServesThem(_ sets: Int) async throws {
      let server = try NewerConsul()
      let network = try TestNetwork(Self.subnets(sets))
      let process = try Process(server.address, network)
      let added = try await process.add("c0").attachment
      #expect(added.holdings.count == sets)
      #expect(server.transactionSizes == [2 * sets + 3, 2 * sets + 2], "definition, attachment")
      // A process that knows nothing, as the plugin's next.
      let next = try Process(server.address, network)
      #expect(try await next.delete("c0") == added)
      let team = try (0..<4).map { try Process(server.address, network, node: "n\($0)") }
      try await withThrowingTaskGroup(of: Void.self) { group in
        for process in team {
          group.addTask { for turn in 0..<5 { try await process.add("c\(turn)") } }
        }
        try await group.waitForAll()
      }
      #expect((server.transactionSizes.max() ?? 0) <= 128)
      try await expectSound(server, network, attachments: 20)
      for process in team + [process, next] { await process.client.shutdown() }
    }

    /// Among many writers of different definitions one wins, and the losers serve by the winner's.
    @Test func oneOfManyDefinitionsRules() async throws {
      let server = try NewerConsul()
      let first = try TestNetwork(Self.subnets(40))
      let rivals = try (0..<6).map { index in
        var network = first
        network.definition.cooldown.seconds = UInt32(index)
        return try Process(server.address, network, node: "n\(index)")
      }
      try await withThrowingTaskGroup(of: Void.self) { group in
        for process in rivals { group.addTask { try await process.add("c") } }
        try await group.waitForAll()
      }
      try await expectSound(server, first, attachments: 6)
      for process in rivals { await process.client.shutdown() }
    }

    /// 1.8.7 takes 64: the network is refused before anything of it is there, with what to do.
    @Test func anOlderServerRefusesThem() async throws {
      let server = try await Self.server.value
      let network = try TestNetwork(Self.subnets(31))
      let process = try Process(server.address, network)
      let error = try #require(await process.failureOfAdd("c0"))
      #expect(
        error.description
          == "an attachment of 31 range sets may need 65 operations in one commit, and this Consul "
          + "takes 64 (1.14 and newer take 128): use fewer range sets")
      #expect(process.client.counters.commits == 0)
      #expect(try server.request("GET", "/v1/kv/\(network.prefix)/?keys").status == 404)
      // Known now: nothing more is tried.
      let before = process.client.counters.requests
      _ = await process.failureOfAdd("c1")
      #expect(process.client.counters.requests <= before + 4)
      await process.client.shutdown()
    }

    /// The most that every server takes.
    @Test func anOlderServerServesThirtySets() async throws {
      let server = try await Self.server.value
      let network = try TestNetwork(Self.subnets(30))
      let process = try Process(server.address, network)
      let added = try await process.add("c0").attachment
      #expect(added.holdings.count == 30 && process.client.counters.commits == 2)
      #expect(try await process.delete("c0") == added)
      try await network.expectSound(on: server)
      await process.client.shutdown()
    }

    /// No Consul takes 129.
    @Test func noServerIsAskedForMore() async throws {
      let server = try NewerConsul()
      let process = try Process(server.address, try TestNetwork(Self.subnets(63)))
      let error = try #require(await process.failureOfAdd("c0"))
      #expect(
        error.description
          == "an attachment of 63 range sets may need 129 operations in one commit, and Consul takes "
          + "128: use fewer range sets")
      #expect(server.transactionSizes == [])
      await process.client.shutdown()
    }

    /// Defined through a newer agent, used through an older one.
    @Test func anOlderAgentOfANewerNetwork() async throws {
      let server = try NewerConsul()
      let network = try TestNetwork(Self.subnets(32))
      let process = try Process(server.address, network)
      let held = try await process.add("c0").attachment
      await process.client.shutdown()

      server.setLimit(64)
      let older = try Process(server.address, network)
      let error = try #require(await older.failureOfAdd("c1"))
      guard case .tooLarge(operations: 66, limit: 64) = error else {
        Issue.record("\(error)")
        return
      }
      // The release of one set less would just fit; of this one it says why it does not.
      await #expect(throws: AllocationError.tooLarge(operations: 65, limit: 64)) {
        try await older.delete("c0")
      }
      server.setLimit(128)
      let newer = try Process(server.address, network)
      #expect(try await newer.delete("c0") == held)
      try await expectSound(server, network, attachments: 0)
      for process in [older, newer] { await process.client.shutdown() }
    }

    private func expectSound(
      _ server: NewerConsul, _ network: TestNetwork, attachments: Int
    ) async throws {
      let process = try Process(server.address, network)
      let deadline = Surroundings.system.deadline(inMilliseconds: 60_000)
      let entry = try await process.store.storedDefinition(deadline: deadline)
      guard case .definition(let ruling)? = entry.value else {
        throw TestSupportError("no definition")
      }
      let auditor = try Auditor(of: process.store, definition: ruling)
      #expect(try await auditor.findings(deadline: deadline) == [])
      var count = 0
      try await process.store.list(.attachments(node: nil), deadline: deadline) { _, _ in
        count += 1
      }
      #expect(count == attachments)
      await process.client.shutdown()
    }
  }
}
