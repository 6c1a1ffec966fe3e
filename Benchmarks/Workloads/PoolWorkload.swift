// The operations on a pool. Each leaves the pool as full as it was: what acquires is followed by what
// releases, in the same lap, timed or not.

internal import AddressSpace
internal import BitmapAllocator

/// A pool with what its operations need, so that a lap prepares nothing.
package final class PoolWorkload {
  package let cell: PoolCell
  private var pool: AddressPool
  private var held: [IPAddress] = []
  private lazy var given = cell.freeAddresses(1_000, of: pool)

  package init(_ cell: PoolCell) {
    self.cell = cell
    pool = cell.makePool()
  }

  /// One address taken and given back, `count` times.
  package func acquireAndRelease(_ count: Int) -> UInt64 { Self.pairs(&pool, count) }

  /// `count` free addresses, one at a time; `giveBack()` is due.
  package func acquire(_ count: Int) -> UInt64 { Self.singles(&pool, count, into: &held) }

  /// `count` free addresses at once; `giveBack()` is due.
  package func acquireBulk(_ count: Int) -> UInt64 {
    held = pool.acquire(count: count)
    return UInt64(held.count)
  }

  /// Releases what is held, one at a time.
  package func giveBack() -> UInt64 {
    Self.releases(&pool, held)
    let count = held.count
    held.removeAll(keepingCapacity: true)
    return UInt64(count)
  }

  /// A given free address taken and given back, `count` times.
  package func acquireGiven(_ count: Int) -> UInt64 { Self.given(&pool, given, count) }

  /// A block of 16 taken and given back, `count` times. For a cell whose groups are such blocks.
  package func acquireBlock(_ count: Int) -> UInt64 { Self.blocks(&pool, count) }

  /// Makes what is made on first use.
  package func prepare() {
    held.reserveCapacity(1_000)
    require(!given.isEmpty, "\(cell) has nothing free")
    _ = acquireAndRelease(100)
  }

  @inline(never)
  private static func pairs(_ pool: inout AddressPool, _ count: Int) -> UInt64 {
    var sum: UInt64 = 0
    for _ in 0..<count {
      guard let address = pool.acquire() else { return nothingFree() }
      sum &+= address.value.low
      pool.release(address)
    }
    return sum
  }

  @inline(never)
  private static func singles(
    _ pool: inout AddressPool, _ count: Int, into held: inout [IPAddress]
  ) -> UInt64 {
    for _ in 0..<count {
      guard let address = pool.acquire() else { return nothingFree() }
      held.append(address)
    }
    return UInt64(held.count)
  }

  @inline(never)
  private static func releases(_ pool: inout AddressPool, _ held: [IPAddress]) {
    for address in held { pool.release(address) }
  }

  @inline(never)
  private static func given(
    _ pool: inout AddressPool, _ addresses: [IPAddress], _ count: Int
  ) -> UInt64 {
    var taken: UInt64 = 0
    var next = 0
    for _ in 0..<count {
      if pool.acquire(addresses[next]) { taken &+= 1 }
      pool.release(addresses[next])
      next &+= 1
      if next == addresses.count { next = 0 }
    }
    require(taken == UInt64(count), "a free address was refused")
    return taken
  }

  @inline(never)
  private static func blocks(_ pool: inout AddressPool, _ count: Int) -> UInt64 {
    var sum: UInt64 = 0
    let length = pool.geometry.unitPrefixLength - 4
    for _ in 0..<count {
      guard let block = pool.acquirePrefix(length: length) else { return nothingFree() }
      sum &+= block.address.value.low
      pool.release(block)
    }
    return sum
  }
}

private func nothingFree() -> UInt64 {
  require(false, "nothing was free")
  return 0
}
