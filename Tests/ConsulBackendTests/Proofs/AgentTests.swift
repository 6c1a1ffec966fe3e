// How a node really reaches Consul: through an agent of its own, which is no server, limits the rate of
// its requests, or asks a server that lags behind.

import IPAM
import IPAMTesting
import TestSupport
import Testing

@testable import ConsulBackend

extension Proofs {
  @Suite(.serialized) struct AgentTests {
    private static let server = Task { try await ConsulServer.start() }

    /// A real agent that turns most requests away (429 without a body): nothing of that reaches a
    /// caller, and nothing is done twice.
    @Test func anAgentThatLimitsItsRate() async throws {
      let server = try await Self.server.value
      let agent = try await server.startAgent(
        configuration: "limits { rpc_rate = 40, rpc_max_burst = 4 }\ndisable_coordinates = true")
      let network = try TestNetwork(["10.1.0.0/24", "2001:db8::/64"])
      let processes = try (0..<3).map { try Process(agent.address, network, node: "n\($0)") }
      try await withThrowingTaskGroup(of: Void.self) { group in
        for process in processes {
          group.addTask {
            for turn in 0..<6 {
              // Patient: on a busy machine the agent's own traffic takes much of what it may send.
              try await process.add("c\(turn)", within: 200_000)
              if turn % 2 == 0 { try await process.delete("c\(turn)", within: 200_000) }
            }
          }
        }
        try await group.waitForAll()
      }
      // A machine may be so slow that none of that was too much; these are.
      await withTaskGroup { group in
        for _ in 0..<60 { group.addTask { _ = try? await processes[0].client.get("k") } }
      }
      try await eventually("the agent turns requests away") {
        agent.log.contains("RPC rate limit exceeded")
      }
      #expect(try await network.attachments(on: server).count == 9)
      try await network.expectSound(on: server)
      for process in processes { await process.client.shutdown() }
    }

    /// What a commit will check may be read as the configuration says; what is read again because it
    /// has moved is not read from who may lag; and answers that no commit protects are consistent.
    @Test(arguments: ["default", "consistent", "stale"])
    func readsAreAsFreshAsConfigured(_ consistency: String) async throws {
      let server = try await Self.server.value
      let network = try TestNetwork()
      let other = try Process(server.address, network, node: "n0")
      try await other.add("first")
      let proxy = try FaultyProxy(server)
      let process = try Process(proxy.address, network, node: "n0", consistency: consistency)
      func reads(_ from: Int) -> [Substring] {
        proxy.requests.dropFirst(from).filter { $0.hasPrefix("GET") }
          .compactMap { $0.split(separator: " ").dropFirst().first }
      }
      let mark = "?\(consistency)"
      try await process.add("cold")
      #expect(reads(0).count == 3)
      #expect(
        reads(0).allSatisfy { consistency == "default" ? !$0.contains("?") : $0.hasSuffix(mark) },
        "\(reads(0))")

      // Somebody else writes the chunk that this process knows: it loses, reads, and wins.
      try await other.delete("first")
      var count = proxy.requests.count
      try await process.add("late")
      let again = reads(count)
      #expect(again.count == 1 && again.allSatisfy { !$0.contains("stale") }, "\(again)")

      count = proxy.requests.count
      try await process.delete("nobody")
      #expect(reads(count).last?.hasSuffix("?consistent") == true, "\(reads(count))")
      try await network.expectSound(on: server)
      await process.client.shutdown()
    }

    /// Three servers, and everybody reads from the one that is asked, however far behind.
    @Test func staleReadsOfACluster() async throws {
      let cluster = try await SharedServers.cluster.value
      let network = try TestNetwork(["10.1.0.0/24"])
      let processes = try cluster.servers.enumerated().map { index, server in
        try Process(server.address, network, node: "n\(index)", consistency: "stale")
      }
      let load = Traffic()
      try await load.run(processes) {}
      try await load.expectTruth(network, on: cluster.servers[0])
      for process in processes { await process.client.shutdown() }
    }
  }
}
