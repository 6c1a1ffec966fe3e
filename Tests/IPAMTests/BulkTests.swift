import AddressSpace
import BitmapAllocator
import IPAM
import IPAMTesting
import Testing
import TestSupport

// Thousands of addresses at once, on memory: each exactly once, whatever becomes of the commits.

@Suite struct BulkTests {
  private static var deadline: Deadline { Surroundings.system.deadline(inMilliseconds: 600_000) }

  private func definition(
    _ subnets: [String], chunkBits: Int? = nil, unit: Int? = nil, cooldown: UInt32 = 0
  ) throws -> NetworkDefinition {
    NetworkDefinition(
      name: "bulk", kind: .bare,
      rangeSets: try RangeSet.sets([subnets.map { SubnetRange.Text(subnet: $0) }]),
      cooldown: NetworkDefinition.Cooldown(seconds: cooldown), chunkBits: chunkBits,
      unitPrefixLength: unit)
  }

  private func allocator(
    _ store: any AllocationStore, _ definition: NetworkDefinition, node: String = "n0"
  ) -> BulkAllocator {
    BulkAllocator(
      store: store, networkName: "bulk", definition: definition, node: node, surroundings: .system)
  }

  private func intervals(_ ranges: [AddressRange]) -> IntervalSet {
    IntervalSet(
      ranges.compactMap { OffsetRange(first: $0.first.value, last: $0.last.value) })
  }

  /// Every taken bit of a store is one of `ranges`, each once.
  private func expectExactly(
    _ ranges: [AddressRange], in memory: MemoryStore, _ moment: String = ""
  ) throws {
    var taken = 0
    for case (.chunk(let key), let entry) in memory.entries where key.node.level == 0 {
      if case .chunk(let chunk) = entry.value { taken += chunk.bitmap.takenCount }
    }
    let sum = ranges.reduce(ExactCount.zero) { $0 + $1.count }
    #expect(intervals(ranges).count == sum, "an address twice, \(moment)")
    #expect(ExactCount(UInt64(taken)) == sum, "bits and answers differ, \(moment)")
  }

  @Test func aHundredThousandOfASlash64() async throws {
    let memory = MemoryStore()
    let bulk = allocator(memory, try definition(["2001:db8::/64"]))
    let ranges = try await bulk.acquire(100_000, job: 1, deadline: Self.deadline)
    try expectExactly(ranges, in: memory)
    #expect(ranges.reduce(.zero) { $0 + $1.count } == 100_000)
    // One creates the definition.
    #expect(memory.counts.commits <= 3)
    let again = try await bulk.acquire(100_000, job: 1, deadline: Self.deadline)
    #expect(again == ranges)
    try await bulk.acknowledge(1, deadline: Self.deadline)
    #expect(try await bulk.held(by: 1, deadline: Self.deadline) == [])
    try expectExactly(ranges, in: memory, "after the acknowledgement")
    try await bulk.release(ranges, deadline: Self.deadline)
    try expectExactly([], in: memory, "after the release")
  }

  @Test func theLastAddressThenExhausted() async throws {
    let memory = MemoryStore()
    let bulk = allocator(memory, try definition(["10.1.0.0/22"], chunkBits: 6))
    var all = try await bulk.acquire(1_021, job: 1, deadline: Self.deadline)
    try expectExactly(all, in: memory)
    await #expect(throws: AllocationError.self) {
      try await bulk.acquire(1, job: 2, deadline: Self.deadline)
    }
    let part = [try AddressRange(parsing: "10.1.1.60-10.1.2.3")]
    try await bulk.release(part, deadline: Self.deadline)
    let other = allocator(memory, try definition(["10.1.0.0/22"], chunkBits: 6), node: "n7")
    let again = try await other.acquire(200, job: 3, deadline: Self.deadline)
    #expect(intervals(again) == intervals(part))
    all = try await bulk.held(by: 1, deadline: Self.deadline)
    try expectExactly(all, in: memory)
  }

  @Test func whatIsNotHeldIsNotGivenBack() async throws {
    let memory = MemoryStore()
    let bulk = allocator(memory, try definition(["10.1.0.0/24"]))
    let ranges = try await bulk.acquire(10, job: 1, deadline: Self.deadline)
    for text in ["10.1.0.1-10.1.0.1", "10.1.0.2-10.1.0.13", "10.2.0.0-10.2.0.1"] {
      await #expect(throws: AllocationError.self, "\(text)") {
        try await bulk.release([try AddressRange(parsing: text)], deadline: Self.deadline)
      }
    }
    try expectExactly(ranges, in: memory)
    let leased = NetworkDefinition(
      name: "bulk", rangeSets: try RangeSet.sets([[SubnetRange.Text(subnet: "10.1.0.0/24")]]))
    await #expect(throws: AllocationError.self) {
      try await allocator(MemoryStore(), leased).acquire(1, job: 1, deadline: Self.deadline)
    }
  }

  @Test func delegatedPrefixesAndCooldown() async throws {
    let memory = MemoryStore()
    let definition = try definition(["2001:db8::/48"], unit: 64, cooldown: 3_600)
    let bulk = allocator(memory, definition)
    let ranges = try await bulk.acquire(3_000, job: 1, deadline: Self.deadline)
    let size = ExactCount.powerOfTwo(64)
    #expect(ranges.reduce(.zero) { $0 + $1.count } == ExactCount(3_000 as UInt64) * size)
    try await bulk.release(ranges, deadline: Self.deadline)
    let others = try await bulk.acquire(3_000, job: 2, deadline: Self.deadline)
    for range in others { #expect(!ranges.contains { $0.overlaps(range) }, "it rests") }
  }

  /// Single free bits only: the record stays within its limit, and all are found.
  @Test func scatteredBits() async throws {
    let memory = MemoryStore()
    let definition = try definition(["2001:db8::/112"], chunkBits: 14)
    let bulk = allocator(memory, definition)
    let all = try await bulk.acquire(65_534, job: 1, deadline: Self.deadline)
    var given: [AddressRange] = []
    for value in stride(from: UInt64(2), to: 40_000, by: 2) {
      let address = try #require(try IPAddress(parsing: "2001:db8::").advanced(by: Offset(value)))
      given.append(try #require(AddressRange(first: address, last: address)))
    }
    try await bulk.release(given, deadline: Self.deadline)
    let again = try await bulk.acquire(given.count, job: 2, deadline: Self.deadline)
    #expect(again.count == given.count)
    for case (.bulk, let entry) in memory.entries {
      if case .bulk(let ranges) = entry.value { #expect(ranges.count <= 2_048) }
    }
    try expectExactly(all, in: memory)
  }

  /// Several processes on a store that loses, delays and refuses; jobs that are broken off and taken
  /// up again until they are done.
  @Test(arguments: 0..<8) func eachAddressOnce(round: Int) async throws {
    let seed = TestSeed()
    let memory = MemoryStore()
    var faults = FaultyStore.Faults()
    faults.lostAnswers = 15
    faults.lostCommits = 15
    faults.lateCommits = 15
    faults.refusals = 10
    let store = FaultyStore(memory, faults: faults, seed: seed.value &+ UInt64(round))
    let definition = try definition(["10.1.0.0/20"], chunkBits: 6)
    let got = try await withThrowingTaskGroup(of: [AddressRange].self) { group in
      for worker in 0..<4 {
        let bulk = allocator(store, definition, node: "n\(worker)")
        group.addTask {
          var ranges: [AddressRange] = []
          for job in 0..<3 {
            ranges += try await persist(bulk, job: UInt64(worker * 10 + job), 150)
          }
          return ranges
        }
      }
      return try await group.reduce(into: []) { $0 += $1 }
    }
    await store.heal(deadline: Self.deadline)
    #expect(got.reduce(.zero) { $0 + $1.count } == 1_800, "\(seed)")
    try expectExactly(got, in: memory, "\(seed)")
    let clean = allocator(memory, definition)
    try await clean.release(got, deadline: Self.deadline)
    try expectExactly([], in: memory, "after the release, \(seed)")
  }

  /// The same call again, as after a crash, until it succeeds.
  private func persist(
    _ bulk: BulkAllocator, job: UInt64, _ count: Int
  ) async throws -> [AddressRange] {
    for _ in 0..<1_000 {
      do throws(AllocationError) {
        return try await bulk.acquire(
          count, job: job, deadline: Surroundings.system.deadline(inMilliseconds: 20))
      } catch {
        switch error {
        case .deadlineExceeded, .outcomeUnknown, .store: continue
        default: throw error
        }
      }
    }
    throw TestSupportError("job \(job) is not done after 1,000 calls")
  }
}
