// Three servers under load, one of which dies or stops. Allocators on each of them and real plugin
// processes go on as they can; in the end no address was held twice and every answer was true.

import IPAM
import TestSupport
import Testing

@testable import ConsulBackend

extension Proofs {
  @Suite(.serialized) struct ClusterFaultTests {
    private static let cluster = Task { try await ConsulCluster.start() }

    enum Fault: String, CaseIterable, Sendable {
      case leaderKilled, followerKilled, leaderStopped
    }

    @Test(arguments: Fault.allCases)
    func aServerFailsUnderLoad(_ fault: Fault) async throws {
      let cluster = try await Self.cluster.value
      let network = try TestNetwork(["10.1.0.0/20", "2001:db8::/64"])
      let state = try TemporaryFolder()
      var processes: [Process] = []
      for (index, server) in cluster.servers.enumerated() {
        let folder = index == 0 ? state.path : nil
        processes.append(
          try Process(server.address, network, node: "n\(index)", stateDirectory: folder))
      }
      var runtimes: [any Runtime] = processes
      let leader = try await cluster.leader()
      let follower = try #require(try await cluster.followers().first)
      if PluginCall.isAvailable {
        let survivor = fault == .followerKilled ? leader : follower
        for node in ["plugin0", "plugin1"] {
          var call = PluginCall(
            network: network, port: survivor.port, host: survivor.host,
            stateDirectory: "\(state.path)/\(node)")
          call.node = node
          runtimes.append(call)
        }
      }
      let load = Traffic()
      try await load.run(runtimes) {
        switch fault {
        case .leaderKilled: try await killAndRestart(leader, load)
        case .followerKilled: try await killAndRestart(follower, load)
        case .leaderStopped:
          leader.pause()
          try await Task.sleep(for: .seconds(12))
          leader.resume()
        }
        for server in cluster.servers { try await server.ready() }
      }
      try await load.expectTruth(network, on: try await cluster.leader())
      for process in processes { await process.client.shutdown() }
    }

    /// The others go on before it comes back.
    private func killAndRestart(_ server: ConsulServer, _ load: Traffic) async throws {
      await server.kill()
      try await load.more(20, "while a server is gone")
      try await server.launchAgain()
    }
  }
}
