import AddressSpace
import BitmapAllocator
import IPAM
import IPAMTesting
import Synchronization
import TestSupport
import Testing

// What the tree says of full chunks is true also when not everything could be said at once: a tree node
// is called full only when each bit of it is set. Otherwise what is released below an unset bit
// would never be found again, and "exhausted" would be said of a pool that is not.

@Suite struct MarkTests {
  private static var deadline: Deadline { Surroundings.system.deadline(inMilliseconds: 600_000) }

  /// 1,024 chunks of 64 in 16 tree nodes under one root.
  private func definition(_ kind: NetworkDefinition.Kind) throws -> NetworkDefinition {
    let sets = try RangeSet.sets([[SubnetRange.Text(subnet: "10.1.0.0/16")]])
    return NetworkDefinition(name: "net", kind: kind, rangeSets: sets, chunkBits: 6)
  }

  /// Bits of parents that are set for a child that is not full.
  private func falseMarks(_ store: MemoryStore) -> [ChunkKey] {
    store.entries.compactMap { key, entry in
      guard case .chunk(let key) = key, case .chunk(let chunk)? = entry.value,
        let up = key.pool.parent(of: key.node),
        case .chunk(let parent)? =
          store.entries[.chunk(ChunkKey(pool: key.pool, node: up.node))]?.value,
        parent.bitmap.isTaken(up.bit)
      else { return nil }
      let isFull = chunk.isFull(existingBits: key.pool.existingBits(in: key.node))
      return isFull && chunk.isMarked ? nil : key
    }
  }

  /// The node above a full chunk is contended, so that the chunk is not reported; the node, of which
  /// this was the last bit, must not be either.
  @Test func aReportThatHasToWait() async throws {
    let store = MemoryStore()
    let rival = Mutex<ChunkKey?>(nil)
    let meddled = MeddledStore(store) { operations in
      for case .put(.chunk(let key), _, _) in operations where key == rival.withLock({ $0 }) {
        rival.withLock { $0 = nil }
        try? await Self.change(key, in: store) { $0.stamp(writer: 99) }
      }
    }
    let definition = try definition(.leased)
    func acquire(_ container: String) async throws -> IPAM.Attachment {
      let allocator = NetworkAllocator(
        store: meddled, networkName: "net", definition: definition, node: Node(name: "n1"),
        surroundings: .system)
      let key = AttachmentKey(node: "n1", container: container, interface: "eth0")
      return try await allocator.acquire(AcquireRequest(attachment: key), deadline: Self.deadline)
        .attachment
    }
    let first = try await acquire("c0").holdings[0]
    let pool = first.pool
    let leaf = pool.node(of: first.ordinal).node
    let above = try #require(pool.parent(of: leaf))
    try await Self.change(ChunkKey(pool: pool, node: leaf), in: store) { chunk in
      for bit in 0..<64 { chunk.bitmap.take(bit) }
    }
    let node = ChunkKey(pool: pool, node: above.node)
    try await Self.change(node, in: store) { chunk in
      for bit in 0..<64 where bit != above.bit { chunk.bitmap.take(bit) }
    }
    #expect(falseMarks(store).isEmpty)
    rival.withLock { $0 = node }
    _ = try await acquire("c1")
    #expect(rival.withLock { $0 } == nil, "the race was lost")
    #expect(falseMarks(store) == [])
  }

  private static func change(
    _ key: ChunkKey, in store: MemoryStore, _ body: (inout Chunk) -> Void
  ) async throws {
    let entry = store.entries[.chunk(key)]
    guard case .definition(let definition)? = store.entries[.definition]?.value else { return }
    var chunk = Chunk(chunkBits: key.pool.chunkBits, incarnation: definition.incarnation)
    if case .chunk(let stored)? = entry?.value { chunk = stored }
    body(&chunk)
    let outcome = await store.commit(
      [.put(.chunk(key), .chunk(chunk), expected: entry?.revision ?? .absent)], cursors: [:],
      deadline: Self.deadline)
    guard case .committed = outcome else { throw TestSupportError("\(outcome)") }
  }

  /// Bulk commits of which some are turned away, so that the next attempt reports nothing.
  @Test(arguments: 0..<3) func bulkCommitsThatAreTurnedAway(round: Int) async throws {
    let seed = TestSeed()
    let store = MemoryStore()
    var faults = FaultyStore.Faults()
    faults.refusals = 25
    faults.lostAnswers = 5
    let faulty = FaultyStore(store, faults: faults, seed: seed.value &+ UInt64(round))
    var random = SeededGenerator(seed: seed.value &+ UInt64(round))
    let definition = try definition(.bare)
    let bulk = BulkAllocator(
      store: faulty, networkName: "net", definition: definition, node: "n0", surroundings: .system)
    let everything = 65_534 - 1
    var held: [AddressRange] = []
    var job: UInt64 = 0
    for count in [4_000, 1_500, 9_000, 20_000, 3_000] {
      job += 1
      held += try await bulk.acquire(count, job: job, deadline: Self.deadline)
      #expect(falseMarks(store) == [], "\(seed)")
      held.shuffle(using: &random)
      let back = held.prefix(held.count / 3)
      try await bulk.release(Array(back), deadline: Self.deadline)
      held.removeFirst(back.count)
      #expect(falseMarks(store) == [], "\(seed)")
    }
    let sum = held.reduce(ExactCount.zero) { $0 + $1.count }
    let rest = everything - Int(String(describing: sum))!
    held += try await bulk.acquire(rest, job: 99, deadline: Self.deadline)
    #expect(falseMarks(store) == [], "\(seed)")
    await #expect(throws: AllocationError.self, "\(seed)") {
      try await bulk.acquire(1, job: 100, deadline: Self.deadline)
    }
    await faulty.heal(deadline: Self.deadline)
    try await bulk.release(held, deadline: Self.deadline)
    let again = try await bulk.acquire(everything, job: 101, deadline: Self.deadline)
    #expect(again.reduce(.zero) { $0 + $1.count } == ExactCount(UInt64(everything)), "\(seed)")
  }

  /// A commit takes as many chunks as it has operations for, also where many were read one after the
  /// other, and reports them.
  @Test func bulkCommitsAreFull() async throws {
    let store = MemoryStore()
    let sets = try RangeSet.sets([[SubnetRange.Text(subnet: "2001:db8::/64")]])
    let definition = NetworkDefinition(name: "net", kind: .bare, rangeSets: sets, chunkBits: 8)
    let bulk = BulkAllocator(
      store: store, networkName: "net", definition: definition, node: "n0", surroundings: .system)
    for job in UInt64(1)...3 {
      let before = store.counts.commits
      _ = try await bulk.acquire(100_000, job: job, deadline: Self.deadline)
      // 391 chunks, at most 61 of them in a commit; one more creates the definition.
      #expect(store.counts.commits - before <= (job == 1 ? 9 : 8))
      #expect(falseMarks(store) == [])
    }
    let unreported = store.entries.count { key, entry in
      guard case .chunk(let key) = key, case .chunk(let chunk)? = entry.value else { return false }
      return key.node.level == 0 && !chunk.isMarked && chunk.isFull(existingBits: 256)
    }
    #expect(unreported < 61, "those of the last commits only")
  }
}

/// A store in which something happens just before each commit.
private final class MeddledStore: StoreWrapper {
  let wrapped: any AllocationStore
  private let meddle: @Sendable ([StoreOperation]) async -> Void

  init(
    _ wrapped: any AllocationStore, _ meddle: @escaping @Sendable ([StoreOperation]) async -> Void
  ) {
    self.wrapped = wrapped
    self.meddle = meddle
  }

  func commit(
    _ operations: [StoreOperation], cursors: [Int: IPAddress], deadline: Deadline
  ) async -> CommitOutcome {
    await meddle(operations)
    return await wrapped.commit(operations, cursors: cursors, deadline: deadline)
  }
}
