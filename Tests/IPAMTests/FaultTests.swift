import AddressSpace
import BitmapAllocator
import IPAM
import IPAMTesting
import Synchronization
import Testing
import TestSupport

// Several nodes on one store that loses, delays and refuses. Whatever happens: no address is held
// twice, every answer is true, the journal tells what happened, and when the faults have
// ended a release of every attachment leaves nothing behind.

@Suite struct FaultTests {
  struct Mix: CustomTestStringConvertible, Sendable {
    let name: String
    let faults: FaultyStore.Faults
    var testDescription: String { name }

    init(_ name: String, _ set: (inout FaultyStore.Faults) -> Void) {
      var faults = FaultyStore.Faults()
      set(&faults)
      self.name = name
      self.faults = faults
    }
  }

  static let mixes = [
    Mix("lost answers") { $0.lostAnswers = 30 },
    Mix("lost commits") { $0.lostCommits = 30 },
    Mix("late commits") { $0.lateCommits = 30 },
    Mix("refusals") { $0.refusals = 30 },
    Mix("all") {
      $0.lostAnswers = 15
      $0.lostCommits = 15
      $0.lateCommits = 15
      $0.refusals = 10
    },
  ]

  @Test(arguments: mixes) func nothingIsHeldTwiceAndNothingLeaks(_ mix: Mix) async throws {
    let seed = TestSeed()
    let memory = MemoryStore()
    let store = FaultyStore(memory, faults: mix.faults, seed: seed.value)
    let sets = try RangeSet.sets([
      [SubnetRange.Text(subnet: "10.1.0.0/25")], [SubnetRange.Text(subnet: "2001:db8::/121")],
    ])
    let definition = NetworkDefinition(name: "net", rangeSets: sets, chunkBits: 6, journal: 4_096)
    let world = World(memory)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for node in 0..<4 {
        let allocator = NetworkAllocator(
          store: store, networkName: "net", definition: definition, node: Node(name: "n\(node)"),
          surroundings: .system)
        for worker in 0..<4 {
          group.addTask {
            try await world.work(allocator, node: "n\(node)", worker: worker, seed: seed.value)
          }
        }
      }
      try await group.waitForAll()
    }
    let deadline = Surroundings.system.deadline(inMilliseconds: 600_000)
    await store.heal(deadline: deadline)
    try await world.expectSound("after the load, \(seed)")
    #expect(memory.attachments == world.holding, "what exists is what is held, \(seed)")
    let replay = try await JournalReplay(of: memory, deadline: deadline)
    #expect(replay.problems == [] && Set(replay.held.keys) == memory.attachments, "\(seed)")
    let clean = NetworkAllocator(
      store: memory, networkName: "net", definition: definition, node: Node(name: "n0"),
      surroundings: .system)
    for key in world.everything { _ = try await clean.release([key], deadline: deadline) }
    try await world.expectSound("after all releases, \(seed)")
    #expect(memory.entries.keys.allSatisfy { $0.isChunkOrMore }, "something is left, \(seed)")
  }
}

/// What the callers were told, against what the store holds.
private final class World: Sendable {
  private let memory: MemoryStore
  private let holders = Mutex<[IPAddress: AttachmentKey]>([:])
  private let names = Mutex<Set<AttachmentKey>>([])

  init(_ memory: MemoryStore) {
    self.memory = memory
  }

  var everything: Set<AttachmentKey> { names.withLock { $0 } }
  var holding: Set<AttachmentKey> { holders.withLock { Set($0.values) } }

  func work(
    _ allocator: NetworkAllocator, node: String, worker: Int, seed: UInt64
  ) async throws {
    var random = SeededGenerator(seed: seed &+ UInt64(worker) &* 977 &+ UInt64(node.utf8.last ?? 0))
    var held: [AttachmentKey] = []
    for step in 0..<40 {
      let deadline = Surroundings.system.deadline(inMilliseconds: 600_000)
      if held.count < 2 || (held.count < 6 && Bool.random(using: &random)) {
        let key = AttachmentKey(node: node, container: "c\(worker)-\(step)", interface: "eth0")
        names.withLock { _ = $0.insert(key) }
        let isImpatient = Int.random(in: 0..<4, using: &random) == 0
        let patience = isImpatient ? moment(in: 20_000...600_000, &random) : deadline
        guard let acquired = try await acquire(key, from: allocator, until: patience) else {
          // As a runtime does: whatever became of the ADD, DEL leaves nothing and nothing comes later.
          _ = try await allocator.release([key], deadline: deadline)
          continue
        }
        for holding in acquired.attachment.holdings {
          let before = holders.withLock { $0.updateValue(key, forKey: holding.address) }
          #expect(before == nil, "\(holding.address) is held by two")
        }
        held.append(key)
      } else {
        let key = held.remove(at: Int.random(in: held.indices, using: &random))
        // From here on others may get it: what is released is free before the answer is here.
        let mine = holders.withLock { holders in
          let mine = holders.filter { $0.value == key }.map(\.key)
          for address in mine { holders[address] = nil }
          return mine
        }
        let released = try await allocator.release([key], deadline: deadline)
        #expect(Set(released?.holdings.map(\.address) ?? mine) == Set(mine))
      }
    }
  }

  /// A deadline this many nanoseconds ahead: about as long as a commit takes here.
  private func moment(
    in range: ClosedRange<UInt64>, _ random: inout SeededGenerator
  ) -> Deadline {
    Deadline(
      nanoseconds: Surroundings.system.monotonic() + UInt64.random(in: range, using: &random))
  }

  /// Nil if it took too long.
  private func acquire(
    _ key: AttachmentKey, from allocator: NetworkAllocator, until deadline: Deadline
  ) async throws -> Acquired? {
    do {
      return try await allocator.acquire(AcquireRequest(attachment: key), deadline: deadline)
    } catch AllocationError.outcomeUnknown, AllocationError.deadlineExceeded {
      return nil
    } catch AllocationError.store(let error) where error.kind == .unavailable {
      return nil
    }
  }

  func expectSound(_ moment: String) async throws {
    guard case .definition(let definition)? = memory.entries[.definition]?.value else { return }
    let auditor = try Auditor(of: memory, definition: definition)
    let findings = try await auditor.findings(
      deadline: Surroundings.system.deadline(inMilliseconds: 600_000))
    #expect(findings == [], "\(moment)")
  }
}

extension MemoryStore {
  fileprivate var attachments: Set<AttachmentKey> {
    Set(
      entries.keys.compactMap { key in
        if case .attachment(let name) = key { name } else { nil }
      })
  }
}

extension StoreKey {
  fileprivate var isChunkOrMore: Bool {
    switch self {
    case .chunk, .definition, .cursor, .journal: true
    case .lease, .attachment, .mac, .bulk: false
    }
  }
}
