import AddressSpace
import BitmapAllocator
import IPAM
@testable import IPAMTesting
import TestSupport
import Testing

// Several commits of one planner in flight: whatever order they end in, whatever becomes of them, they
// change nothing in common, and what callers were told is what the store holds.

@Suite struct OverlapTests {
  @Test func commitsInFlightChangeNothingInCommon() throws {
    let seed = TestSeed()
    for round in 0..<60 as Range<UInt64> {
      var bench = try PlannerBench(
        seed: seed.value &+ round, subnet: "10.1.0.0/22", faults: round % 2 == 1)
      bench.run(operations: 400)
      #expect(bench.mostInFlight == 3, "nothing overlapped, \(seed)")
      bench.expectSound("round \(round), \(seed)")
    }
  }

  /// Few who wait share one commit, more two, and more than two are full.
  @Test(arguments: [(31, [31]), (32, [16, 16]), (64, [31, 31]), (100, [31, 31, 31])])
  func commitsAreAsFewAsCarryAll(callers: Int, sizes: [Int]) throws {
    var desk = try PlannerDesk("10.1.0.0/20", chunkBits: 6)
    for index in 0..<callers { desk.acquire("c\(index)") }
    for size in sizes {
      #expect(try desk.nextCommit().operations.filter(\.isLease).count == size)
    }
    guard case .idle = try desk.next() else {
      Issue.record("another commit for \(callers) callers")
      return
    }
  }

  /// One chunk is all there is: nothing can overlap, and everybody is served.
  @Test func onePoolOfOneChunkIsServedInTurn() throws {
    let seed = TestSeed()
    var bench = try PlannerBench(
      seed: seed.value, subnet: "10.1.0.0/24", chunkBits: 8, faults: false)
    bench.run(operations: 400)
    #expect(bench.mostInFlight == 1)
    #expect(bench.conflicts == 0)
    bench.expectSound("\(seed)")
  }

  /// Alone on its chunks, a planner never loses a race against itself.
  @Test func withoutRivalsNothingConflicts() throws {
    let seed = TestSeed()
    var bench = try PlannerBench(seed: seed.value, subnet: "10.1.0.0/20", faults: false)
    bench.run(operations: 1_000)
    #expect(bench.mostInFlight == 3)
    #expect(bench.conflicts == 0, "\(seed)")
    bench.expectSound("\(seed)")
  }

  /// A search in order hands out in order, so its commits go one after the other.
  @Test func sequentialNetworksDoNotOverlap() throws {
    let seed = TestSeed()
    var bench = try PlannerBench(
      seed: seed.value, subnet: "10.1.0.0/22", order: .sequential, faults: false)
    bench.run(operations: 300)
    #expect(bench.mostInFlight == 1)
    bench.expectSound("\(seed)")
  }
}

/// A planner on a store in memory, whose commits end when chance says so: done, not done, unknown and
/// done, unknown and not done, or done later.
private struct PlannerBench {
  private var planner: Planner
  /// Eight wishes fill a commit, so that few callers are enough for several.
  private let store = MemoryStore(
    traits: StoreTraits(
      keepsDefinition: true, isShared: true, operationLimit: 16, isLocal: false,
      keepsJournal: true))
  private var chance: SeededGenerator
  private let clock = VirtualClock()
  private let faults: Bool
  private var inFlight: [Commit] = []
  /// Copies of commits that may still happen.
  private var late: [Commit] = []
  private var held: Set<AttachmentKey> = []
  private var waiting: [UInt64: (key: AttachmentKey, acquires: Bool)] = [:]
  /// What callers that were refused may hold.
  private var suspects: Set<AttachmentKey> = []
  private var lastTicket: UInt64 = 0
  private(set) var mostInFlight = 0
  private(set) var conflicts = 0
  private var failures: [String] = []

  init(
    seed: UInt64, subnet: String, chunkBits: Int = 6,
    order: NetworkDefinition.SearchOrder = .homeChunk, faults: Bool
  ) throws {
    chance = SeededGenerator(seed: seed)
    self.faults = faults
    var definition = NetworkDefinition(
      name: "net", rangeSets: try RangeSet.sets([[SubnetRange.Text(subnet: subnet)]]),
      chunkBits: chunkBits)
    definition.searchOrder = order
    planner = Planner(
      PlannerConfiguration(
        node: Node(name: "n"), definition: definition, networkName: "net",
        repeatPolicy: .sameAgain,
        surroundings: clock.surroundings(secondsAhead: 0, seed: chance.next()), flightLimit: 3),
      traits: store.traits)
  }

  mutating func run(operations: Int) {
    var left = operations
    var idle = 0
    while left > 0 || planner.hasWork {
      let arrivals = left == 0 ? 0 : min(left, Int.random(in: 0...24, using: &chance))
      for _ in 0..<arrivals { call() }
      left -= arrivals
      while step() {}
      if !inFlight.isEmpty {
        end(Int.random(in: inFlight.indices, using: &chance))
        idle = 0
      } else {
        idle += 1
      }
      guard idle < 1_000 else {
        failures.append("nothing happens any more, and \(waiting.count) callers wait")
        return
      }
      clock.move(to: clock.nanoseconds + 1_000_000)
    }
    for commit in late { _ = store.commitNow(commit.operations, cursors: commit.cursors) }
  }

  private mutating func call() {
    lastTicket += 1
    let body: Wish.Body
    if let key = held.randomElement(using: &chance), Int.random(in: 0..<3, using: &chance) == 0 {
      held.remove(key)
      waiting[lastTicket] = (key, false)
      body = .release([key])
    } else {
      let key = AttachmentKey(node: "n", container: "c\(lastTicket)", interface: "eth0")
      waiting[lastTicket] = (key, true)
      body = .acquire(AcquireRequest(attachment: key))
    }
    planner.enqueue(
      Wish(
        ticket: lastTicket, body: body,
        deadline: Deadline(nanoseconds: clock.nanoseconds + 600_000_000_000),
        enqueuedAt: clock.nanoseconds))
  }

  /// One step of the planner; false if it has nothing to do now.
  private mutating func step() -> Bool {
    let step = planner.next()
    defer { deliver() }
    switch step {
    case .idle, .wait: return false
    case .read(let keys, let consistency):
      planner.learn(
        consistency == .copies ? [:] : store.readNow(keys), consistency: consistency)
    case .commit(let commit):
      for other in inFlight {
        let shared = Set(written(commit)).intersection(written(other))
        if !shared.isEmpty { failures.append("two commits in flight write \(shared)") }
      }
      inFlight.append(commit)
      mostInFlight = max(mostInFlight, inFlight.count)
    }
    return true
  }

  private mutating func end(_ index: Int) {
    let commit = inFlight.remove(at: index)
    let fate = faults ? Int.random(in: 0..<10, using: &chance) : 9
    // A late copy of an earlier commit may come at any moment.
    if let copy = late.indices.randomElement(using: &chance), fate < 5 {
      let commit = late.remove(at: copy)
      _ = store.commitNow(commit.operations, cursors: commit.cursors)
    }
    switch fate {
    case 0: planner.ended(commit, .unavailable("no leader"))
    case 1:
      late.append(commit)
      planner.ended(commit, .unknown("the reply is late"))
    case 2:
      _ = store.commitNow(commit.operations, cursors: commit.cursors)
      planner.ended(commit, .unknown("the reply was lost"))
    default:
      let outcome = store.commitNow(commit.operations, cursors: commit.cursors)
      if case .conflict = outcome { conflicts += 1 }
      planner.ended(commit, outcome)
    }
    deliver()
  }

  private mutating func deliver() {
    for (ticket, result) in planner.takeResolved() {
      guard let (key, acquires) = waiting.removeValue(forKey: ticket) else { continue }
      switch result {
      case .success(.acquired): held.insert(key)
      case .success: break
      case .failure(let error):
        suspects.insert(key)
        if case .exhausted = error, acquires { continue }
        failures.append("\(key): \(error)")
      }
    }
  }

  private func written(_ commit: Commit) -> [StoreKey] {
    commit.operations.compactMap { operation in
      if case .check = operation { nil } else { operation.key }
    }
  }

  func expectSound(_ comment: String) {
    #expect(failures.isEmpty, "\(comment): \(failures.prefix(3))")
    #expect(waiting.isEmpty, "\(waiting.count) callers got no answer, \(comment)")
    var holders: [IPAddress: AttachmentKey] = [:]
    var bits: Set<IPAddress> = []
    var attachments: Set<AttachmentKey> = []
    for (key, entry) in store.entries {
      switch (key, entry.value) {
      case (.lease(let address), .lease(let lease)): holders[address] = lease.attachment
      case (.attachment(let key), .attachment(let attachment)):
        attachments.insert(key)
        bits.formUnion(attachment.holdings.map(\.address))
        #expect(attachment.holdings.allSatisfy { isTaken($0) }, "\(key): \(comment)")
      default: continue
      }
    }
    #expect(attachments.subtracting(suspects) == held.subtracting(suspects), "\(comment)")
    #expect(Set(holders.keys) == bits, "\(comment)")
    #expect(Set(holders.values) == attachments, "\(comment)")
    #expect(takenBits == holders.count, "bits without leases, \(comment)")
  }

  private func isTaken(_ holding: IPAM.Attachment.Holding) -> Bool {
    let (node, bit) = holding.pool.node(of: holding.ordinal)
    let entry = store.entries[.chunk(ChunkKey(pool: holding.pool, node: node))]
    guard case .chunk(let chunk)? = entry?.value else { return false }
    return chunk.bitmap.isTaken(bit)
  }

  private var takenBits: Int {
    store.entries.reduce(0) { sum, pair in
      guard case .chunk(let key) = pair.key, key.node.level == 0,
        case .chunk(let chunk)? = pair.value.value
      else { return sum }
      return sum + chunk.bitmap.takenCount
    }
  }
}

extension StoreOperation {
  fileprivate var isLease: Bool { if case .put(.lease, _, _) = self { true } else { false } }
}
