// Pools far too large to enumerate, beside an interval set. Events gather at a few places, so that
// blocks of every size meet single units.

import AddressSpace
import Testing
import TestSupport

@testable import BitmapAllocator

@Suite struct LargePoolTests {
  @Test(arguments: ["::/0", "2001:db8::/32", "2001:db8::/64", "10.0.0.0/8"], 0..<5)
  func agreesWithAnIntervalSet(subnet text: String, round: UInt64) throws {
    let seed = runSeed
    var random = SeededGenerator(seed: seed.value &+ round)
    let subnet = try Prefix(parsing: text)
    let geometry = try #require(PoolGeometry(subnet: subnet))
    var allowed = IntervalSet(geometry.allOrdinals)
    if round % 2 == 0 {
      allowed.remove(OffsetRange(.zero))
      allowed.remove(OffsetRange(geometry.lastOrdinal.offset))
    }
    var pool = AddressPool(space: PoolSpace(geometry: geometry, allowed: allowed))
    var held = IntervalSet()
    let places = (0..<3).map { _ in anyOrdinal(geometry, &random) }
    for event in 0..<120 {
      let place = places.randomElement(using: &random) ?? .zero
      let order = Int.random(in: 0...geometry.ordinalBits, using: &random)
      let near = (order < 20 ? 20 : order) + Int.random(in: 0...3, using: &random)
      let mask = UInt128.lowMask(min(near, geometry.ordinalBits))
      let ordinal = Offset(wide: place.wide & ~mask | anyOrdinal(geometry, &random).wide & mask)
      let address = geometry.address(of: Ordinal(ordinal))
      let prefix = try #require(
        Prefix(address: address, length: geometry.unitPrefixLength - order))
      let block = try #require(geometry.ordinals(of: prefix))
      switch Int.random(in: 0..<6, using: &random) {
      case 0:
        if let got = pool.acquire() {
          let unit = try #require(geometry.ordinal(of: got)).offset
          #expect(allowed.contains(unit) && !held.contains(unit), "\(seed)")
          held.insert(OffsetRange(unit))
        } else {
          #expect(held == allowed, "\(seed)")
        }
      case 1:
        let isFree = allowed.contains(ordinal) && !held.contains(ordinal)
        let isTaken = pool.acquire(address)
        #expect(isTaken == isFree, "\(seed)")
        if isFree { held.insert(OffsetRange(ordinal)) }
      case 2:
        let isReleased = pool.release(address)
        #expect(isReleased == held.contains(ordinal), "\(seed)")
        held.remove(OffsetRange(ordinal))
      case 3:
        let isFree = allowed.contains(block) && !held.overlaps(block)
        let isTaken = pool.acquire(prefix)
        #expect(isTaken == isFree, "\(seed) \(prefix)")
        if isFree { held.insert(block) }
      case 4:
        let isHeld = held.contains(block)
        let isReleased = pool.release(prefix)
        #expect(isReleased == isHeld, "\(seed) \(prefix)")
        if isHeld { held.remove(block) }
      default:
        guard let got = pool.acquirePrefix(length: prefix.length) else { break }
        let units = try #require(geometry.ordinals(of: got))
        #expect(allowed.contains(units) && !held.overlaps(units), "\(seed) \(got)")
        held.insert(units)
      }
      #expect(pool.contains(address) == held.contains(ordinal), "\(seed)")
      #expect(pool.used == held.count, "\(seed)")
      if event % 20 == 0 { pool._checkInvariants() }
    }
    #expect(pool.core.pointee.heldIntervals() == held, "\(seed)")
    try checkLargest(pool, allowed.subtracting(held), seed)
    let restored = try AddressPool(restoring: pool.snapshot(), space: pool.space)
    restored._checkInvariants()
    #expect(restored == pool, "\(seed)")
  }

  private func anyOrdinal(_ geometry: PoolGeometry, _ random: inout SeededGenerator) -> Offset {
    let any = Offset(high: random.next(), low: random.next())
    return Offset(wide: any.wide & .lowMask(geometry.ordinalBits))
  }

  /// Against the aligned blocks that fit into the free intervals.
  private func checkLargest(_ pool: AddressPool, _ free: IntervalSet, _ seed: TestSeed) throws {
    let bits = pool.geometry.ordinalBits
    let largest = (0...bits).last { order in
      free.intervals.contains { interval in
        let mask = UInt128.lowMask(order)
        let (up, overflow) = interval.first.wide.addingReportingOverflow(mask)
        let start = up & ~mask
        return !overflow && start >= interval.first.wide && start <= interval.last.wide
          && interval.last.wide - start >= mask
      }
    }
    let found = pool.largestFreePrefix
    #expect(found.map { pool.geometry.unitPrefixLength - $0.length } == largest, "\(seed)")
    guard let found, let units = pool.geometry.ordinals(of: found) else { return }
    #expect(free.contains(units), "\(seed)")
  }

  /// The figure of a pool of ::/0: what 1,000 random addresses cost.
  @Test func aThousandRandomAddressesFitInAMebibyte() throws {
    let seed = runSeed
    var random = seed.generator
    var pool = try #require(AddressPool(subnet: Prefix(parsing: "::/0")))
    for _ in 0..<1000 {
      let isTaken = pool.acquire(IPAddress(ipv6: Offset(high: random.next(), low: random.next())))
      #expect(isTaken, "\(seed)")
    }
    #expect(pool.memoryFootprint <= 1 << 20, "\(seed)")
  }
}
