internal import AddressSpace
internal import BitmapAllocator

/// A pool of ::/0 in which random addresses are taken: nearly each makes a chunk of its own.
package final class RandomPool {
  private var pool: AddressPool

  package init(count: Int) {
    guard let pool = AddressPool(subnet: PoolSize.everything.prefix) else {
      preconditionFailure("a pool of ::/0")
    }
    self.pool = pool
    var generator = SplitMix(seed: 6)
    for _ in 0..<count {
      let value = Offset(high: generator.next(), low: generator.next())
      require(self.pool.acquire(IPAddress(ipv6: value)), "a random address was taken")
    }
  }
}
