import AddressSpace
import BitmapAllocator
import IPAM
import IPAMTesting
import Testing
import TestSupport

/// A bare network made again from what was taken in it, and lines that nobody's export has.
@Suite struct RestorationTests {
  private static var deadline: Deadline { Surroundings.system.deadline(inMilliseconds: 600_000) }

  private func definition(_ subnet: String) throws -> NetworkDefinition {
    var definition = NetworkDefinition(
      name: "bulk", kind: .bare,
      rangeSets: try RangeSet.sets([[SubnetRange.Text(subnet: subnet)]]), chunkBits: 6)
    definition.incarnation = 7
    return definition
  }

  private func taken(_ store: MemoryStore) -> [ChunkKey: [Int]] {
    var taken: [ChunkKey: [Int]] = [:]
    for case (.chunk(let key), let entry) in store.entries where key.node.level == 0 {
      guard case .chunk(let chunk) = entry.value else { continue }
      taken[key] = (0..<chunk.bitmap.capacity).filter(chunk.bitmap.isTaken)
    }
    return taken
  }

  @Test func whatWasTakenIsTakenAgain() async throws {
    let definition = try definition("10.1.0.0/22")
    let original = MemoryStore()
    let ranges = try await BulkAllocator(
      store: original, networkName: "bulk", definition: definition, node: "n0",
      surroundings: .system
    ).acquire(300, job: 1, deadline: Self.deadline)
    let copy = MemoryStore()
    let restoration = Restoration(of: definition, in: copy, surroundings: .system)
    for beginning in [Restoration.Beginning.fresh, .resumed] {
      #expect(try await restoration.begin(dryRun: false, deadline: Self.deadline) == beginning)
      let marks = ranges.map(RestoredMark.taken)
      #expect(try await restoration.mark(marks, deadline: Self.deadline) == marks.count)
    }
    #expect(taken(copy) == taken(original))
    try await restoration.finish(deadline: Self.deadline)
    #expect(try await restoration.begin(dryRun: false, deadline: Self.deadline) == .complete)
  }

  /// One line can name more addresses than there is memory.
  @Test func allOfIPv6IsTooMuch() async throws {
    let restoration = Restoration(
      of: try definition("2001:db8::/32"), in: MemoryStore(), surroundings: .system)
    _ = try await restoration.begin(dryRun: false, deadline: Self.deadline)
    let all = try #require(
      AddressRange(
        first: try IPAddress(parsing: "2001:db8::"),
        last: try IPAddress(parsing: "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff")))
    await #expect(throws: AllocationError.self) {
      try await restoration.mark([.taken(all)], deadline: Self.deadline)
    }
  }
}
