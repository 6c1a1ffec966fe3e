import AddressSpace
import BitmapAllocator
import IPAMTesting
import Synchronization
import TestSupport
import Testing

@testable import IPAM

// What is done about a lost race, step by step in virtual time: a rival writes the chunk just before
// each commit that it is told to spoil.

/// A memory store with a rival; it keeps what was done, in order.
private final class RivalStore: StoreWrapper {
  enum Event: Hashable, Sendable {
    /// Chunks that the commit wrote, at level 0.
    case won(Set<ChunkKey>)
    case lost(Set<ChunkKey>)
    case slept(UInt64)
  }

  private struct State {
    var events: [Event] = []
    var time: UInt64 = 1
  }

  let base = MemoryStore()
  private let state = Mutex(State())
  /// Whether to spoil the n-th commit of a chunk (from 0), `age` nanoseconds after the start.
  private let spoils: @Sendable (_ number: Int, _ age: UInt64) -> Bool

  init(_ spoils: @escaping @Sendable (_ number: Int, _ age: UInt64) -> Bool) {
    self.spoils = spoils
  }

  var events: [Event] { state.withLock { $0.events } }
  var wrapped: any AllocationStore { base }

  /// A commit takes a millisecond, and nothing else takes any time.
  var surroundings: Surroundings {
    let random = Mutex(SeededGenerator(seed: 7))
    return Surroundings(
      now: { [self] in 1_000_000 + state.withLock { $0.time } / 1_000_000_000 },
      monotonic: { [self] in state.withLock { $0.time } },
      random: { random.withLock { $0.next() } },
      sleep: { [self] nanoseconds in
        state.withLock { state in
          state.time += nanoseconds
          state.events.append(.slept(nanoseconds))
        }
      })
  }

  func commit(
    _ operations: [StoreOperation], cursors: [Int: IPAddress], deadline: Deadline
  ) async -> CommitOutcome {
    var chunks: Set<ChunkKey> = []
    for case .put(.chunk(let key), _, _) in operations where key.node.level == 0 {
      chunks.insert(key)
    }
    let (number, age) = state.withLock { state in
      state.time += 1_000_000
      let count = state.events.count { if case .slept = $0 { false } else { true } }
      return (count, state.time)
    }
    if !chunks.isEmpty, spoils(number, age) { await write(chunks, operations, deadline) }
    let outcome = await base.commit(operations, cursors: cursors, deadline: deadline)
    if !chunks.isEmpty {
      var isWon = false
      if case .committed = outcome { isWon = true }
      state.withLock { $0.events.append(isWon ? .won(chunks) : .lost(chunks)) }
    }
    return outcome
  }

  /// The rival: the same chunks, with another generation.
  private func write(
    _ chunks: Set<ChunkKey>, _ operations: [StoreOperation], _ deadline: Deadline
  ) async {
    for case .put(.chunk(let key), .chunk(let written), _) in operations
    where chunks.contains(key) {
      let stored = base.entries[.chunk(key)]
      var chunk = Chunk(chunkBits: written.chunkBits, incarnation: written.incarnation)
      if case .chunk(let known)? = stored?.value { chunk = known }
      chunk.stamp(writer: 99)
      _ = await base.commit(
        [.put(.chunk(key), .chunk(chunk), expected: stored?.revision ?? .absent)], cursors: [:],
        deadline: deadline)
    }
  }
}

@Suite struct ConflictTests {
  /// One ADD within so many milliseconds.
  private func add(
    _ store: RivalStore, _ subnet: String, within milliseconds: UInt64 = 30_000
  ) async throws -> Acquired {
    let sets = try RangeSet.sets([[SubnetRange.Text(subnet: subnet)]])
    let surroundings = store.surroundings
    let allocator = NetworkAllocator(
      store: store, networkName: "net",
      definition: NetworkDefinition(name: "net", rangeSets: sets, chunkBits: 6),
      node: Node(name: "n0"), surroundings: surroundings)
    let key = AttachmentKey(node: "n0", container: "c0", interface: "eth0")
    return try await allocator.acquire(
      AcquireRequest(attachment: key), deadline: surroundings.deadline(inMilliseconds: milliseconds)
    )
  }

  @Test func theFirstRaceLostIsRunAgainAtOnce() async throws {
    let store = RivalStore { number, _ in number == 0 }
    _ = try await add(store, "10.1.0.0/22")
    guard case .lost(let first) = store.events[0] else {
      Issue.record("\(store.events)")
      return
    }
    #expect(store.events == [.lost(first), .won(first)])
  }

  @Test func theSecondMovesToAnotherChunk() async throws {
    let store = RivalStore { number, _ in number < 2 }
    _ = try await add(store, "10.1.0.0/22")
    guard case .lost(let first) = store.events[0], case .won(let last)? = store.events.last else {
      Issue.record("\(store.events)")
      return
    }
    #expect(store.events == [.lost(first), .lost(first), .won(last)])
    #expect(last.isDisjoint(with: first))
  }

  /// Nowhere to go: the wait is random, below a bound that doubles, and ends with the age cap.
  @Test func whoCannotMoveWaitsAndWhoIsOldDoesNot() async throws {
    let lifetime: UInt64 = 30_000
    let cap = lifetime * 1_000_000 / Backoff.ageDivisor
    let store = RivalStore { _, age in age < cap + 500_000_000 }
    _ = try await add(store, "10.1.0.0/26", within: lifetime)
    let events = store.events
    #expect(events.prefix(2).allSatisfy { if case .lost = $0 { true } else { false } })
    var losses = 0
    var age: UInt64 = 0
    var lateWaits = 0
    for event in events {
      switch event {
      case .lost:
        losses += 1
        age += 1_000_000
      case .won: age += 1_000_000
      case .slept(let wait):
        let longest = max(Backoff.floor, 2_000_000) << UInt64(min(losses - 1, 6))
        #expect(wait < longest, "\(wait) after \(losses) lost races")
        if age >= cap { lateWaits += 1 }
        age += wait
      }
    }
    #expect(losses > 100 && lateWaits == 0, "\(losses) races, \(lateWaits) waits of an old wish")
  }

  @Test func aDeadlineEndsItAndSaysWhy() async throws {
    let store = RivalStore { _, _ in true }
    let error = await #expect(throws: AllocationError.self) {
      try await add(store, "10.1.0.0/26", within: 200)
    }
    guard case .deadlineExceeded(let text)? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(text.contains("lost races"))
    let kinds = store.base.entries.keys.filter {
      if case .chunk = $0 { false } else { $0 != .definition }
    }
    #expect(kinds.isEmpty, "nothing is left")
  }

  @Test func waitsAreFullJitter() {
    let backoff = Backoff()
    for conflicts in 0...1 {
      #expect(backoff.wait(conflicts: conflicts, age: 0, lifetime: 100, random: .max) == 0)
    }
    for conflicts in 2...20 {
      let longest = backoff.commitTime << UInt64(min(conflicts - 1, Backoff.longestDoubling))
      func wait(_ random: UInt64, age: UInt64 = 0) -> UInt64 {
        backoff.wait(conflicts: conflicts, age: age, lifetime: 1 << 40, random: random)
      }
      #expect(wait(0) == 0 && wait(.max) == longest - 1 && wait(1 << 63) == longest / 2)
      // No wait goes beyond the age cap.
      #expect(wait(.max, age: 1 << 38 - 3) == 3 && wait(.max, age: 1 << 38) == 0)
    }
  }

  /// A commit that takes long makes waits long, one that takes no time does not make them nothing.
  @Test func waitsFollowTheServer() {
    var backoff = Backoff()
    for _ in 0..<100 { backoff.observe(commitTime: 40_000_000) }
    #expect((39_000_000...40_000_000).contains(backoff.commitTime))
    for _ in 0..<200 { backoff.observe(commitTime: 0) }
    let longest = backoff.wait(conflicts: 2, age: 0, lifetime: .max, random: .max)
    #expect(longest == Backoff.floor * 2 - 1)
    // A leader that was gone for a while is no slow server.
    backoff.observe(commitTime: 12_000_000_000)
    #expect(backoff.wait(conflicts: 2, age: 0, lifetime: .max, random: .max) < Backoff.floor * 4)
  }
}

// Networks whose attachments come near to what one commit may have.

@Suite struct LargestCommitTests {
  /// Sixteen sets whose home chunks get full in the same ADD: what could be told to the tree would make
  /// that commit too large, and waits.
  @Test func marksMakeNoCommitTooLarge() async throws {
    let fixture = try Fixture((0..<16).map { ["10.\($0).0.0/20"] }, chunkBits: 6)
    for index in 0..<80 { try await fixture.acquire("c\(index)") }
    for index in 0..<80 { #expect(try await fixture.release("c\(index)") != nil) }
    let definition = try #require(fixture.store.entries[.definition])
    guard case .definition(let ruling) = definition.value else { return }
    let findings = try await Auditor(of: fixture.store, definition: ruling)
      .findings(deadline: fixture.surroundings.deadline(inMilliseconds: 600_000))
    #expect(findings == [])
  }

  @Test func aNetworkThatIsTooLargeIsNotBegun() async throws {
    let fixture = try Fixture((0..<31).map { ["10.\($0).0.0/20"] }, chunkBits: 6)
    await fixture.expect(
      "an attachment of 31 range sets may need 96 operations in one commit, and this Consul takes 64 "
        + "(1.14 and newer take 128): use fewer range sets"
    ) { try await fixture.acquire("c0") }
    #expect(fixture.store.entries.isEmpty)
  }
}
