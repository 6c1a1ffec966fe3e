// What an operation costs, counted: requests by the client, commits by the server's own log.

import AddressSpace
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

    /// A server that nobody else writes to: its log grows only by what the test commits.
    private static let server = Task {
      var options = ConsulServer.Options()
      options.configuration = "disable_coordinates = true"
      let server = try await ConsulServer.start(options)
      let observer = try makeClient(server.address)
      var last: UInt64?
      try await eventually("an end of what the server registers of itself") {
        try await Task.sleep(for: .milliseconds(500))
        let log = try await observer.agent().lastLogIndex
        defer { last = log }
        return log == last
      }
      await observer.shutdown()
      return server
    }

    private struct Cost: Equatable, CustomStringConvertible {
      var commits: Int
      /// Of the server's log; commits that lost are there too.
      var entries: Int
      var requests: Int
      var description: String { "\(commits) commits, \(entries) entries, \(requests) requests" }

      static let oneOfEach = Cost(commits: 1, entries: 1, requests: 1)
    }

    /// What `body` costs, as the client and the server's log tell it.
    private func cost(
      _ process: Process, _ body: () async throws -> Void
    ) async throws -> Cost {
      let observer = try makeClient(process.client.configuration.endpoint.description)
      let log = try await observer.agent().lastLogIndex ?? 0
      let before = process.client.counters
      try await body()
      let after = process.client.counters
      let grown = try await observer.agent().lastLogIndex ?? 0
      await observer.shutdown()
      return Cost(
        commits: after.commits - before.commits, entries: Int(grown) - Int(log),
        requests: after.requests - before.requests)
    }

    @Test(arguments: networks)
    func oneCommitAndOneRoundTrip(_ subnets: [String]) async throws {
      let server = try await Self.server.value
      let network = try TestNetwork(subnets)
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
      // the commit.
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
      #expect(add == Cost(commits: 1, entries: 1, requests: 1 + 1 + sets + 1))
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
      try await addAll(process, 200, named: "c")
      #expect(process.store.traits.operationLimit == 64)
      let tooLarge = sizes(proxy).filter { $0 > 64 }.count
      #expect((1...3).contains(tooLarge))
      try await addAll(process, 200, named: "d")
      let sizes = sizes(proxy)
      #expect(sizes.filter { $0 > 64 }.count == tooLarge, "\(sizes)")
      #expect((sizes.max() ?? 0) <= 128 && sizes.filter { $0 <= 64 }.max() ?? 0 >= 62, "\(sizes)")
      #expect(try await network.attachments(on: server).count == 401)
      try await network.expectSound(on: server)
    }

    /// Operations of each commit that was sent.
    private func sizes(_ proxy: FaultyProxy) -> [Int] {
      proxy.requests.filter { $0.hasPrefix("PUT /v1/txn") }
        .map { $0.split(separator: "\"Verb\"", omittingEmptySubsequences: false).count - 1 }
    }

    private func addAll(_ process: Process, _ count: Int, named name: String) async throws {
      try await withThrowingTaskGroup(of: Void.self) { group in
        for index in 0..<count { group.addTask { try await process.add("\(name)\(index)") } }
        try await group.waitForAll()
      }
    }
  }
}

/// Counts the calls of a store that had to ask the server.
private final class RoundCounter: AllocationStore {
  private let base: ConsulStore
  private let rounds = Counter()

  init(_ base: ConsulStore) { self.base = base }

  var count: Int { rounds.value }
  var traits: StoreTraits { base.traits }

  private func counting<Value, Failure: Error>(
    _ body: () async throws(Failure) -> Value
  ) async throws(Failure) -> Value {
    let before = base.client.counters.requests
    let value = try await body()
    if base.client.counters.requests > before { rounds.add() }
    return value
  }

  func read(
    _ keys: Set<StoreKey>, consistency: Consistency, deadline: Deadline
  ) async throws(StoreError) -> [StoreKey: StoreEntry] {
    try await counting { () async throws(StoreError) in
      try await base.read(keys, consistency: consistency, deadline: deadline)
    }
  }

  func commit(
    _ operations: [StoreOperation], cursors: [Int: IPAddress], deadline: Deadline
  ) async -> CommitOutcome {
    await counting { await base.commit(operations, cursors: cursors, deadline: deadline) }
  }

  func list(
    _ kind: StoreListing, deadline: Deadline,
    _ visit: (StoreKey, StoreEntry) throws(StoreError) -> Void
  ) async throws(StoreError) {
    try await base.list(kind, deadline: deadline, visit)
  }

  func withTurn<Result: Sendable>(
    deadline: Deadline, _ body: () async throws(AllocationError) -> Result
  ) async throws(AllocationError) -> Result {
    try await base.withTurn(deadline: deadline, body)
  }
}
