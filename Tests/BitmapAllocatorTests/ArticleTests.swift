// The examples of BitmapAllocator.docc/Pools.md, so that what it promises stays true.

import AddressSpace
import BitmapAllocator
import Testing

@Suite struct ArticleTests {
  @Test func aPool() throws {
    var pool = try #require(AddressPool(subnet: try Prefix(parsing: "2001:db8::/64")))
    let first = pool.acquire()
    #expect(first?.description == "2001:db8::")
    let many = pool.acquire(count: 1_000)
    #expect(many.count == 1_000)
    let wanted = try IPAddress(parsing: "2001:db8::cafe")
    let isAcquired = pool.acquire(wanted)
    let isReleased = pool.release(wanted)
    #expect(isAcquired && isReleased)
    #expect(pool.used == 1_001)
    #expect(pool.capacity.description == "18446744073709551616")
    let block = pool.acquirePrefix(length: 112)
    #expect(block?.length == 112)
    #expect(pool.largestFreePrefix?.description == "2001:db8:0:0:8000::/65")
  }

  @Test func exclusions() throws {
    let geometry = try #require(PoolGeometry(subnet: try Prefix(parsing: "10.0.0.0/8")))
    let reserved = [try AddressRange(parsing: "10.0.0.0-10.0.255.255")]
    let pool = AddressPool(space: PoolSpace(geometry: geometry, excluding: reserved))
    #expect(pool.capacity == 16_711_680)
  }

  @Test func delegation() throws {
    let subnet = try Prefix(parsing: "2001:db8::/32")
    var provider = try #require(AddressPool(subnet: subnet, unitPrefixLength: 56))
    let customer = provider.acquirePrefix()
    #expect(customer?.description == "2001:db8::/56")
    let business = provider.acquirePrefix(length: 48)
    #expect(business?.length == 48)
    #expect(provider.used == 257)
  }

  @Test func cooldownAndPersistence() throws {
    let subnet = try Prefix(parsing: "192.0.2.0/30")
    var pool = try #require(AddressPool(subnet: subnet, cooldown: 60, cooling: .strict))
    for _ in 0..<4 { _ = pool.acquire(now: 0) }
    let address = try IPAddress(parsing: "192.0.2.1")
    pool.release(address, now: 0)
    let early = pool.acquire(now: 59)
    let late = pool.acquire(now: 120)
    #expect(early == nil)
    #expect(late == address)
    let bytes = pool.snapshot().bytes
    let restored = try AddressPool(restoring: PoolSnapshot(bytes: bytes), space: pool.space)
    #expect(restored == pool)
    let shared = ConcurrentAddressPool(space: pool.space)
    #expect(shared.acquire() != nil)
    #expect(shared.copy().heldRanges.count == 1)
  }
}
