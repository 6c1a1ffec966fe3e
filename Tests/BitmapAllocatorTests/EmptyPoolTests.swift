import AddressSpace
import BitmapAllocator
import Testing

// Pools of which nothing may be handed out, with trees of every height.

@Suite struct EmptyPoolTests {
  @Test(arguments: ["10.0.0.0/27", "10.0.0.0/22", "10.0.0.0/19", "10.0.0.0/8", "::/0"])
  func nothingIsHandedOut(subnet: String) throws {
    let geometry = try #require(
      PoolGeometry(subnet: try Prefix(parsing: subnet), chunkBits: 6))
    var pool = AddressPool(space: PoolSpace(geometry: geometry, allowed: IntervalSet()))
    for _ in 0..<3 {
      #expect(pool.acquire() == nil)
      #expect(pool.acquire(count: 10).isEmpty)
      pool._checkInvariants()
    }
    #expect(pool.capacity == ExactCount.zero && pool.free == ExactCount.zero)
  }
}
