import AddressSpace
import Testing
import TestSupport

@testable import BitmapAllocator

@Suite struct TreeSearchTests {
  /// Random worlds of up to three levels: churn by the stores' loop against a set of integers.
  @Test(arguments: 0..<40) func agreesWithASetOfIntegers(round: UInt64) throws {
    let seed = TestSeed()
    var random = SeededGenerator(seed: seed.value &+ round)
    let hostBits = Int.random(in: 0...13, using: &random)
    let subnet = try #require(
      Prefix(address: IPAddress(ipv4: 0x0A00_0000), length: 32 - hostBits))
    let geometry = try #require(PoolGeometry(subnet: subnet, chunkBits: 6))
    let space = PoolSpace(geometry: geometry, allowed: allowed(hostBits, &random))
    var store = TreeStore(space: space)
    var model: Set<UInt64> = []
    let all = Set(space.allowed.intervals.flatMap { $0.first.low...$0.last.low })
    let acquireWeight = Double.random(in: 0.3...0.9, using: &random)
    for _ in 0..<min(3 * all.count + 10, 4000) {
      if Double.random(in: 0..<1, using: &random) < acquireWeight {
        let start = ChunkIndex(
          UInt64.random(in: 0..<1 << UInt64(max(1, hostBits - 5)), using: &random))
        let order: TreeSearch.Order =
          Bool.random(using: &random) ? .next : .random(seed: random.next())
        let got = try store.acquire(from: start, order: order, now: 0)
        if let got {
          #expect(all.contains(got.offset.low), "\(seed)")
          #expect(model.insert(got.offset.low).inserted, "\(seed)")
        } else {
          #expect(model == all, "\(seed)")
        }
      } else {
        let ordinal = UInt64.random(in: 0..<1 << UInt64(hostBits), using: &random)
        let released = store.release(Ordinal(ordinal), now: 0)
        #expect(released == (model.remove(ordinal) != nil), "\(seed)")
      }
    }
    store.checkTree()
    while let got = try store.acquire(from: ChunkIndex(UInt64(0)), order: .next, now: 0) {
      #expect(model.insert(got.offset.low).inserted, "\(seed)")
    }
    #expect(model == all, "\(seed)")
    store.checkTree()
  }

  private func allowed(_ hostBits: Int, _ random: inout SeededGenerator) -> IntervalSet {
    let last = UInt64(1) << UInt64(hostBits) - 1
    var set = IntervalSet(OffsetRange(.zero, Offset(last)))
    for _ in 0..<Int.random(in: 0...5, using: &random) {
      let first = UInt64.random(in: 0...last, using: &random)
      let end = min(last, first + UInt64.random(in: 0...last / 3, using: &random))
      set.remove(OffsetRange(Offset(first), Offset(end)))
    }
    return set
  }
}
