// Several allocators under load behind a network that delays, cuts, drops replies and sends requests
// on when nobody expects them any more.

import IPAM
import IPAMTesting
import Synchronization
import TestSupport
import Testing

@testable import ConsulBackend

extension Proofs {
  @Suite(.serialized) struct ProxyFaultTests {
    private static let server = Task {
      var options = ConsulServer.Options()
      options.storage = .disk
      return try await ConsulServer.start(options)
    }

    struct Mix: Sendable, CustomTestStringConvertible {
      let name: String
      /// Out of a hundred requests.
      let fates: [(share: Int, fate: FaultyProxy.Fate)]
      var testDescription: String { name }
    }

    private static let mixes = [
      Mix(name: "delays", fates: [(30, .slow(milliseconds: 20)), (5, .slow(milliseconds: 200))]),
      Mix(name: "cuts", fates: [(15, .cut), (10, .reset)]),
      Mix(name: "lost replies", fates: [(25, .dropReply)]),
      Mix(name: "late copies", fates: [(25, .late)]),
      Mix(
        name: "all",
        fates: [
          (5, .slow(milliseconds: 50)), (5, .cut), (5, .reset), (8, .dropReply), (8, .late),
          (3, .answer(status: 500, body: "rpc error making call: EOF", isSentOn: true)),
          (3, .answer(status: 429, body: "", isSentOn: false)),
        ]),
    ]

    @Test(arguments: mixes)
    func everyAnswerIsTrue(_ mix: Mix) async throws {
      let server = try await Self.server.value
      let network = try TestNetwork(["10.1.0.0/24", "2001:db8::/64"], journal: 4_096)
      let seed = TestSeed()
      let random = Mutex(seed.generator)
      let proxy = try FaultyProxy(server) { _ in
        var roll = random.withLock { Int.random(in: 0..<100, using: &$0) }
        for (share, fate) in mix.fates {
          if roll < share { return fate }
          roll -= share
        }
        return .pass
      }
      let folders = try (0..<3).map { _ in try TemporaryFolder() }
      let processes = try folders.indices.map { index in
        try Process(
          proxy.address, network, node: "n\(index)", stateDirectory: folders[index].path)
      }
      var runtimes: [any Runtime] = processes
      if PluginCall.isAvailable, mix.name == "all" {
        runtimes.append(
          PluginCall(
            network: network, port: proxy.port, stateDirectory: folders[0].path + "/plugin"))
      }
      let load = Traffic(impatience: 3)
      try await load.run(runtimes) {
        for _ in 0..<4 {
          try proxy.deliverLate()
          try await load.more(20, "with \(mix.name)")
        }
        proxy.setRule { _ in .pass }
      }
      try proxy.deliverLate()
      try await load.expectTruth(network, on: server)
      let replay = try await JournalReplay(
        of: try Process(server.address, network).store,
        deadline: Surroundings.system.deadline(inMilliseconds: 60_000))
      #expect(replay.problems == [], "\(seed)")
      let attachments = try await network.attachments(on: server)
      #expect(Set(replay.held.keys) == attachments, "\(seed)")
      for process in processes { await process.client.shutdown() }
    }
  }
}
