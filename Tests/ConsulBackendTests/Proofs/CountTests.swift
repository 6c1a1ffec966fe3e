// What an operation costs, counted: requests by the client, commits by the server.

import AddressSpace
import BitmapAllocator
import IPAM
import IPAMTesting
import TestSupport
import Testing

@testable import ConsulBackend

extension Proofs {
  @Suite(.serialized) struct CountTests {
    private static let networks = [
      ["10.1.0.0/24"], ["10.1.0.0/16", "2001:db8::/64"],
      ["10.1.0.0/24", "10.2.0.0/24", "10.3.0.0/16", "2001:db8::/64"],
    ]

    /// A server that nobody else writes keys to.
    private static let server = Task { try await ConsulServer.start() }

    private struct Cost: Equatable, CustomStringConvertible {
      var commits: Int
      /// Of the server's log; commits that lost are there too.
      var entries: Int
      var requests: Int
      var description: String { "\(commits) commits, \(entries) entries, \(requests) requests" }

      static let oneOfEach = Cost(commits: 1, entries: 1, requests: 1)
    }

    /// What `body` costs, as the client and the server tell it; the process's turn is over by then.
    private func cost(
      _ process: Process, _ body: () async throws -> Void
    ) async throws -> Cost {
      let server = try await Self.server.value
      let writes = try server.writes()
      let before = process.client.counters
      try await body()
      await process.allocator.settle()
      let after = process.client.counters
      return Cost(
        commits: after.commits - before.commits, entries: try server.writes() - writes,
        requests: after.requests - before.requests)
    }

    /// With a journal in Consul the note is part of the commit: nothing more.
    @Test(arguments: networks, [0, 16])
    func oneCommitAndOneRoundTrip(_ subnets: [String], journal: Int) async throws {
      let server = try await Self.server.value
      let network = try TestNetwork(subnets, journal: journal)
      let state = try TemporaryFolder()
      func process() throws -> Process {
        try Process(server.address, network, stateDirectory: state.path)
      }
      let sets = subnets.count

      // The network's first ADD: reads, the definition, and the commit with which all other begin.
      let first = try process()
      let creation = try await cost(first) { try await first.add("c0") }
      #expect(creation.commits == 2 && creation.entries == 2)

      // Each of these is a process of its own, as the plugin is.
      let warm = try process()
      #expect(try await cost(warm) { try await warm.add("c1") } == .oneOfEach)
      let warmDelete = try process()
      #expect(
        try await cost(warmDelete) { try await warmDelete.delete("c1") }
          == .oneOfEach)

      // Without the node's copy: definition, attachment and a chunk for each set, read at once, and
      // the commit; with a journal one look where it ends.
      let cold = try Process(server.address, network, node: "n0")
      let rounds = RoundCounter(cold.store)
      let allocator = NetworkAllocator(
        store: rounds, networkName: "net", definition: network.definition, node: Node(name: "n0"),
        surroundings: .system)
      let deadline = Surroundings.system.deadline(inMilliseconds: 30_000)
      let request = AcquireRequest(attachment: cold.key("c2"))
      let add = try await cost(cold) {
        _ = try await allocator.acquire(request, deadline: deadline)
      }
      #expect(
        add == Cost(commits: 1, entries: 1, requests: 1 + 1 + sets + 1 + (journal > 0 ? 1 : 0)))
      #expect(rounds.count == 2)

      let fresh = try Process(server.address, network, node: "n0")
      let freshRounds = RoundCounter(fresh.store)
      let releaser = NetworkAllocator(
        store: freshRounds, networkName: "net", definition: network.definition,
        node: Node(name: "n0"), surroundings: .system)
      let delete = try await cost(fresh) {
        _ = try await releaser.release([fresh.key("c2")], deadline: deadline)
      }
      #expect(delete.commits == 1 && delete.entries == 1 && freshRounds.count == 2)
      try await network.expectSound(on: server)
    }

    /// A repeated ADD and a DEL of nothing change nothing. That an ADD is a repetition the first
    /// commit tells, by losing.
    @Test func answersWithoutCommits() async throws {
      let server = try await Self.server.value
      let network = try TestNetwork()
      let process = try Process(server.address, network)
      let held = try await process.add("c0").attachment
      let again = try await cost(process) {
        let repeated = try await process.add("c0")
        #expect(repeated.isRepeat && repeated.attachment == held)
      }
      #expect(again.commits == 0 && again.entries <= 1)
      try await process.delete("c0")
      let nothing = try await cost(process) { try await process.delete("c0") }
      #expect(nothing.commits == 0 && nothing.entries == 0)
    }

    /// A repeated ADD gets the same addresses from a full pool, and whatever it asks for this time.
    @Test func repeatsOfAFullPool() async throws {
      let server = try await Self.server.value
      let network = try TestNetwork(["10.1.0.0/29"])
      let process = try Process(server.address, network)
      var held: [IPAM.Attachment] = []
      for index in 0..<5 { held.append(try await process.add("c\(index)").attachment) }
      for index in 0..<5 { #expect(try await process.add("c\(index)").attachment == held[index]) }
      let address = held[1].holdings[0].address
      for wanted in [address, IPAddress(ipv4: 0x0b00_0001)] {
        let request = AcquireRequest(attachment: process.key("c0"), requested: [wanted])
        let deadline = Surroundings.system.deadline(inMilliseconds: 30_000)
        #expect(
          try await process.allocator.acquire(request, deadline: deadline).attachment == held[0])
      }
      guard case .exhausted? = await process.failureOfAdd("c5") else {
        Issue.record("there is no sixth address")
        return
      }
    }

    /// Commits that are too large for the server are refused once, as many as are in flight then.
    @Test func theServersLimitIsLearnedOnce() async throws {
      let server = try await Self.server.value
      let network = try TestNetwork(["10.1.0.0/16"])
      let proxy = try FaultyProxy(server)
      let process = try Process(proxy.address, network)
      #expect(process.store.traits.operationLimit == 128)
      try await process.add("c")
      let allWait = Gate()
      proxy.setRule { $0.isTransaction && $0.number == 0 ? .held(allWait) : .pass }
      try await process.addAll(200, named: "c", behind: allWait)
      #expect(process.store.traits.operationLimit == 64)
      let tooLarge = sizes(proxy.requests).filter { $0 > 64 }.count
      #expect((1...3).contains(tooLarge))
      try await process.addAll(200, named: "d")
      let sizes = sizes(proxy.requests)
      #expect(sizes.filter { $0 > 64 }.count == tooLarge, "\(sizes)")
      #expect((sizes.max() ?? 0) <= 128 && sizes.filter { $0 <= 64 }.max() ?? 0 >= 62, "\(sizes)")
      #expect(try await network.attachments(on: server).count == 401)
      try await network.expectSound(on: server)
    }

    /// A server that takes more gets more: no version is asked for, nothing is refused.
    @Test func aNewerServersLimitIsUsed() async throws {
      let server = try NewerConsul()
      let process = try Process(server.address, try TestNetwork(["10.1.0.0/16"]))
      try await process.add("first")
      let allWait = Gate()
      server.hold(allWait)
      try await process.addAll(200, named: "c", behind: allWait)
      let sizes = server.transactionSizes
      #expect((65...128).contains(sizes.max() ?? 0), "\(sizes)")
      #expect(process.store.traits.operationLimit == 128)
      await process.client.shutdown()
    }

    /// Nodes with chunks of their own do not meet: what the server logs is what was committed.
    @Test func nodesOfTheirOwnChunksDoNotMeet() async throws {
      let server = try await Self.server.value
      let network = try TestNetwork(["10.1.0.0/16"])
      var processes: [Process] = []
      var homes: Set<TreeNode> = []
      let layout = try #require(try network.definition.layouts().first)
      var number = 0
      while processes.count < 8 {
        number += 1
        let process = try Process(server.address, network, node: "n\(number)")
        let held = try await process.add("first").attachment.holdings[0]
        if homes.insert(layout.pools[0].geometry.node(of: held.ordinal).node).inserted {
          processes.append(process)
        } else {
          try await process.delete("first")
          await process.client.shutdown()
        }
      }
      let before = processes.map { $0.client.counters.commits }.reduce(0, +)
      let team = processes
      let grown = try await cost(processes[0]) {
        try await withThrowingTaskGroup(of: Void.self) { group in
          for process in team {
            group.addTask { for turn in 0..<25 { try await process.add("c\(turn)") } }
          }
          try await group.waitForAll()
        }
      }.entries
      let commits = processes.map { $0.client.counters.commits }.reduce(0, +) - before
      #expect(commits == 200 && (grown - commits) * 100 < commits, "\(grown) for \(commits)")
      for process in processes { await process.client.shutdown() }
    }

    /// One chunk for all of them: nobody owns it, and nobody starves.
    @Test func whoShareAChunkAllGetOn() async throws {
      let server = try await Self.server.value
      let network = try TestNetwork(["10.1.0.0/24"])
      let processes = try (0..<8).map { try Process(server.address, network, node: "n\($0)") }
      try await withThrowingTaskGroup(of: Void.self) { group in
        for process in processes {
          group.addTask {
            for turn in 0..<12 { try await process.add("c\(turn)", within: 120_000) }
          }
        }
        try await group.waitForAll()
      }
      #expect(try await network.attachments(on: server).count == 96)
      try await network.expectSound(on: server)
      for process in processes { await process.client.shutdown() }
    }

    /// Operations of each commit that was sent.
    private func sizes(_ requests: [String]) -> [Int] {
      requests.filter { $0.hasPrefix("PUT /v1/txn") }
        .map { $0.split(separator: "\"Verb\"", omittingEmptySubsequences: false).count - 1 }
    }
  }
}
