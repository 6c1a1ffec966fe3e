// Every size around a word and a chunk, wherever the range begins: each unit exactly once, then
// nothing, then all of them again.

import AddressSpace
import TestSupport
import Testing

@testable import BitmapAllocator

@Suite struct PoolSizeTests {
  static let sizes: [UInt64] = [1, 2, 3, 63, 64, 65, 127, 128, 129, 255, 256, 257, 511, 512, 513]

  @Test(arguments: sizes, [0, 1, 62, 63, 64, 65] as [UInt64])
  func eachUnitExactlyOnce(size: UInt64, first: UInt64) throws {
    let geometry = try geometry(10)
    let range = OffsetRange(Offset(first), Offset(first + size - 1))
    let space = PoolSpace(geometry: geometry, allowed: IntervalSet(range))
    var pool = AddressPool(space: space)
    var store = TreeStore(space: space)
    var start = ChunkIndex(first >> 6)
    for round in 0..<2 {
      var seen: [Ordinal] = []
      while let address = pool.acquire() {
        let got = try #require(geometry.ordinal(of: address))
        let same = try store.acquire(from: start, order: .next, now: 0)
        #expect(same == got)
        start = geometry.node(of: got).node.index
        seen.append(got)
      }
      let refused = try store.acquire(from: start, order: .next, now: 0)
      #expect(refused == nil)
      #expect(seen.count == Int(size) && Set(seen).count == Int(size))
      #expect(pool.free == .zero && pool.used == ExactCount(size))
      if round == 0 { #expect(seen.map(\.offset.low) == Array(first..<first + size)) }
      for ordinal in seen {
        let isReleased = pool.release(geometry.address(of: ordinal))
        let isReleasedThere = store.release(ordinal, now: 0)
        #expect(isReleased && isReleasedThere)
      }
      pool._checkInvariants()
      store.checkTree()
    }
  }

  /// Full, one free, full again, at the edges of words and chunks.
  @Test(arguments: [63, 64, 65, 127, 128, 255, 256, 511] as [UInt64])
  func lastFreeOneIsFound(bit: UInt64) throws {
    let geometry = try geometry(9)
    var pool = AddressPool(space: PoolSpace(geometry: geometry))
    let all = pool.acquire(count: 600)
    #expect(all.count == 512)
    for _ in 0..<3 {
      let address = geometry.address(of: Ordinal(bit))
      let isReleased = pool.release(address)
      #expect(isReleased && !pool.contains(address))
      let again = pool.acquire()
      let none = pool.acquire()
      #expect(again == address && none == nil)
      pool._checkInvariants()
    }
  }

  @Test func shortestPools() throws {
    for text in ["10.0.0.1/32", "10.0.0.0/31", "::1/128", "2001:db8::/126"] {
      let subnet = try Prefix(parsing: text)
      var pool = try #require(AddressPool(subnet: subnet))
      #expect(pool.largestFreePrefix == subnet)
      let all = pool.acquire(count: 10)
      #expect(ExactCount(UInt64(all.count)) == subnet.count)
      #expect(pool.heldRanges == [subnet.range])
      let isReleased = pool.release(subnet)
      #expect(isReleased && pool.used == .zero)
    }
  }

  /// ::/0 has one unit more than fits into 128 bits.
  @Test func everything() throws {
    let all = try Prefix(parsing: "::/0")
    var pool = try #require(AddressPool(subnet: all))
    #expect(pool.capacity == .powerOfTwo(128) && pool.largestFreePrefix == all)
    let isTaken = pool.acquire(all)
    #expect(isTaken && pool.used == .powerOfTwo(128) && pool.free == .zero)
    let none = pool.acquire()
    #expect(none == nil)
    let address = try IPAddress(parsing: "2001:db8::1")
    let isReleased = pool.release(address)
    let again = pool.acquire()
    #expect(isReleased && again == address)
    pool._checkInvariants()
    let isAllReleased = pool.release(all)
    #expect(isAllReleased && pool.used == .zero)
  }

  /// Next-fit in one chunk of every size: the first free ordinal behind the one taken last, else the
  /// lowest.
  @Test(arguments: 6...14) func nextFit(chunkBits: Int) throws {
    let seed = runSeed
    var random = SeededGenerator(seed: seed.value &+ UInt64(chunkBits))
    let base = try IPAddress(parsing: "2001:db8::")
    let subnet = try #require(Prefix(address: base, length: 128 - chunkBits))
    let geometry = try #require(PoolGeometry(subnet: subnet, chunkBits: chunkBits))
    var pool = AddressPool(space: PoolSpace(geometry: geometry))
    _ = pool.acquire(count: 1 << chunkBits)
    var last = UInt64(1 << chunkBits - 1)
    for _ in 0..<200 {
      let freed = (0..<Int.random(in: 1...3, using: &random)).map { _ in
        UInt64.random(in: 0..<1 << UInt64(chunkBits), using: &random)
      }
      var free = Set(freed)
      for ordinal in free { pool.release(geometry.address(of: Ordinal(ordinal))) }
      while let expected = free.filter({ $0 > last }).min() ?? free.min() {
        let taken = pool.acquire()
        #expect(taken == geometry.address(of: Ordinal(expected)), "\(seed)")
        free.remove(expected)
        last = expected
      }
    }
    #expect(pool.acquire() == nil, "\(seed)")
  }
}
