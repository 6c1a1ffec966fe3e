// The pool beside a slow model: a dictionary of ordinals. Random events, random weights, results
// and counts compared after each event.

import AddressSpace
import Testing
import TestSupport

@testable import BitmapAllocator

/// What a pool of a few thousand units should hold; every question is answered by looking at all.
struct PoolModel {
  let allowed: Set<UInt64>
  let cooldown: UInt64
  var held: Set<UInt64> = []
  /// When an ordinal was released last; kept until it is held again.
  var released: [UInt64: UInt64] = [:]
  var now: UInt64 = 1000

  mutating func take(_ ordinal: UInt64) {
    held.insert(ordinal)
    released[ordinal] = nil
  }

  mutating func free(_ ordinal: UInt64, cools: Bool = true) {
    held.remove(ordinal)
    if cools, cooldown > 0 { released[ordinal] = now }
  }

  func isUnheld(_ ordinal: UInt64) -> Bool {
    allowed.contains(ordinal) && !held.contains(ordinal)
  }

  /// Whether the pool may hand it out.
  func mayBeFree(_ ordinal: UInt64) -> Bool {
    isUnheld(ordinal) && (released[ordinal].map { $0 + cooldown <= now } ?? true)
  }

  /// Whether the pool, which is coarse about time, must hand it out.
  func mustBeFree(_ ordinal: UInt64) -> Bool {
    let span = CoolingBuckets.span(cooldown: cooldown)
    return isUnheld(ordinal) && (released[ordinal].map { $0 + cooldown + span <= now } ?? true)
  }

  /// The largest order of an aligned block of free ordinals.
  func largestFreeOrder(bits: Int) -> Int? {
    (0...bits).last { order in
      let size = 1 << order
      return stride(from: 0, to: 1 << bits, by: size).contains { first in
        (first..<first + size).allSatisfy { mustBeFree(UInt64($0)) }
      }
    }
  }

  var heldRanges: [ClosedRange<UInt64>] {
    held.sorted().reduce(into: []) { ranges, ordinal in
      if let last = ranges.last, last.upperBound + 1 == ordinal {
        ranges[ranges.count - 1] = last.lowerBound...ordinal
      } else {
        ranges.append(ordinal...ordinal)
      }
    }
  }
}

/// What both kinds of pools can do.
protocol PoolUnderTest {
  init(space: PoolSpace, cooldown: UInt64, cooling: TreeSearch.CoolingRule)
  mutating func acquire(now: UInt64) -> IPAddress?
  mutating func acquire(count: Int, now: UInt64) -> [IPAddress]
  mutating func acquire(_ address: IPAddress, now: UInt64) -> Bool
  mutating func release(_ address: IPAddress, now: UInt64) -> Bool
  mutating func acquirePrefix(length: Int, now: UInt64) -> Prefix?
  mutating func acquire(_ prefix: Prefix, now: UInt64) -> Bool
  mutating func release(_ prefix: Prefix, now: UInt64) -> Bool
  func contains(_ address: IPAddress) -> Bool
  var capacity: ExactCount { get }
  var used: ExactCount { get }
  var cooling: ExactCount { get }
  var free: ExactCount { get }
  func copy() -> AddressPool
  init(_ pool: AddressPool)
  func _checkInvariants()
}

extension AddressPool: PoolUnderTest {
  func copy() -> AddressPool { self }
  init(_ pool: AddressPool) { self = pool }
}

extension ConcurrentAddressPool: PoolUnderTest {}

/// One run: a pool, its model, and the weights of the events.
struct PoolRun<Pool: PoolUnderTest> {
  let seed: TestSeed
  var random: SeededGenerator
  let bits: Int
  let space: PoolSpace
  let rule: TreeSearch.CoolingRule
  var pool: Pool
  var model: PoolModel
  let weights: [Double]

  init(seed: TestSeed, round: UInt64) throws {
    self.seed = seed
    var random = SeededGenerator(seed: seed.value &+ round &* 0x9E37_79B9)
    let bits = Int.random(in: 0...13, using: &random)
    let isIPv6 = Bool.random(using: &random)
    let unit = isIPv6 ? [128, 64, 56].randomElement(using: &random) ?? 128 : 32
    let base = isIPv6 ? Offset(high: 0x2001_0db8 << 32, low: 0) : Offset(0x0A00_0000)
    let address = try #require(IPAddress(family: isIPv6 ? .ipv6 : .ipv4, value: base))
    let subnet = try #require(Prefix(address: address, length: unit - bits))
    let k = Int.random(in: 6...7, using: &random)
    let geometry = try #require(
      PoolGeometry(subnet: subnet, unitPrefixLength: unit, chunkBits: k))
    var allowed = IntervalSet(geometry.allOrdinals)
    let last = UInt64(1) << UInt64(bits) - 1
    if Int.random(in: 0..<20, using: &random) == 0 { allowed = IntervalSet() }
    for _ in 0..<Int.random(in: 0...3, using: &random) where bits > 2 {
      let first = UInt64.random(in: 0...last, using: &random)
      let end = min(last, first + UInt64.random(in: 0...last / 8, using: &random))
      allowed.remove(OffsetRange(Offset(first), Offset(end)))
    }
    let cooldown: UInt64 = [0, 0, 1, 10, 60].randomElement(using: &random) ?? 0
    self.bits = bits
    space = PoolSpace(geometry: geometry, allowed: allowed)
    rule = Bool.random(using: &random) ? .strict : .borrow
    pool = Pool(space: space, cooldown: cooldown, cooling: rule)
    model = PoolModel(
      allowed: Set(allowed.intervals.flatMap { $0.first.low...$0.last.low }), cooldown: cooldown)
    weights = (0..<11).map { _ in Double.random(in: 0...1, using: &random) }
    self.random = random
  }

  var comment: Comment { "\(seed)" }

  func ordinal(_ address: IPAddress) throws -> UInt64 {
    try #require(space.geometry.ordinal(of: address)).offset.low
  }

  func address(_ ordinal: UInt64) -> IPAddress {
    space.geometry.address(of: Ordinal(ordinal))
  }

  mutating func anyOrdinal() -> UInt64 { .random(in: 0..<1 << UInt64(bits), using: &random) }

  mutating func event() throws {
    var pick = Double.random(in: 0..<weights.reduce(0, +), using: &random)
    let kind =
      weights.firstIndex {
        pick -= $0; return pick < 0
      } ?? 0
    switch kind {
    case 0: try acquire()
    case 1: try acquireMany()
    case 2: acquireGiven()
    case 3, 4: release(held: kind == 3)
    case 5: try acquireBlock()
    case 6: acquireGivenBlock()
    case 7: releaseBlock()
    case 8: model.now += UInt64.random(in: 0...20, using: &random)
    case 9: try restore()
    default: try changeCopy()
    }
  }

  mutating func acquire() throws {
    guard let got = pool.acquire(now: model.now) else {
      let isEmpty =
        rule == .borrow
        ? !model.allowed.contains(where: model.isUnheld)
        : !model.allowed.contains(where: model.mustBeFree)
      #expect(isEmpty, comment)
      return
    }
    let ordinal = try ordinal(got)
    #expect(rule == .borrow ? model.isUnheld(ordinal) : model.mayBeFree(ordinal), comment)
    model.take(ordinal)
  }

  mutating func acquireMany() throws {
    let count = Int.random(in: 0...300, using: &random)
    let got = try pool.acquire(count: count, now: model.now).map { try ordinal($0) }
    #expect(Set(got).count == got.count && got.count <= count, comment)
    for ordinal in got {
      #expect(rule == .borrow ? model.isUnheld(ordinal) : model.mayBeFree(ordinal), comment)
      model.take(ordinal)
    }
    if got.count < count, rule == .borrow { #expect(model.held == model.allowed, comment) }
    if got.count < count { #expect(!model.allowed.contains(where: model.mustBeFree), comment) }
  }

  mutating func acquireGiven() {
    let ordinal = anyOrdinal()
    let isTaken = pool.acquire(address(ordinal), now: model.now)
    #expect(isTaken == model.isUnheld(ordinal), comment)
    if model.isUnheld(ordinal) { model.take(ordinal) }
  }

  mutating func release(held isHeld: Bool) {
    let rank = Int.random(in: 0...model.held.count, using: &random)
    let ordinal = isHeld ? model.held.sorted().dropFirst(rank).first : nil
    let any = ordinal ?? anyOrdinal()
    #expect(pool.contains(address(any)) == model.held.contains(any), comment)
    let isReleased = pool.release(address(any), now: model.now)
    #expect(isReleased == model.held.contains(any), comment)
    if model.held.contains(any) { model.free(any) }
  }

  private func members(_ prefix: Prefix) throws -> [UInt64] {
    let units = try #require(space.geometry.ordinals(of: prefix))
    return Array(units.first.low...units.last.low)
  }

  mutating func acquireBlock() throws {
    let order = Int.random(in: 0...bits, using: &random)
    let length = space.geometry.unitPrefixLength - order
    guard let got = pool.acquirePrefix(length: length, now: model.now) else {
      #expect(model.largestFreeOrder(bits: bits) ?? -1 < order, comment)
      return
    }
    #expect(got.length == length, comment)
    for ordinal in try members(got) {
      #expect(model.mayBeFree(ordinal), comment)
      model.take(ordinal)
    }
  }

  private mutating func anyPrefix() -> Prefix? {
    let order = Int.random(in: 0...bits, using: &random)
    return Prefix(
      address: address(anyOrdinal()), length: space.geometry.unitPrefixLength - order)
  }

  mutating func acquireGivenBlock() {
    guard let prefix = anyPrefix(), let members = try? members(prefix) else { return }
    let isTaken = pool.acquire(prefix, now: model.now)
    if isTaken { #expect(members.allSatisfy(model.mayBeFree), comment) }
    if members.allSatisfy(model.mustBeFree) { #expect(isTaken, comment) }
    if isTaken { for ordinal in members { model.take(ordinal) } }
  }

  mutating func releaseBlock() {
    guard let prefix = anyPrefix(), let members = try? members(prefix) else { return }
    let isHeld = members.allSatisfy(model.held.contains)
    let isReleased = pool.release(prefix, now: model.now)
    #expect(isReleased == isHeld, comment)
    guard isHeld else { return }
    let cools = members.count <= 1 << space.geometry.chunkBits
    for ordinal in members { model.free(ordinal, cools: cools) }
  }

  /// Goes on with the pool as it comes back from bytes.
  mutating func restore() throws {
    let copy = pool.copy()
    let snapshot = try PoolSnapshot(bytes: copy.snapshot(incarnation: 5).bytes)
    let restored = try AddressPool(
      restoring: snapshot, space: space, cooldown: model.cooldown, cooling: rule)
    #expect(restored == copy, comment)
    pool = Pool(restored)
    #expect(pool.copy() == copy, comment)
  }

  /// A change of a copy leaves the other as it was; goes on with either.
  mutating func changeCopy() throws {
    let original = pool.copy()
    let before = original.snapshot()
    var copy = original
    _ = copy.acquire(now: model.now)
    for address in copy.acquire(count: 3, now: model.now) { copy.release(address) }
    copy._checkInvariants()
    #expect(original.snapshot() == before, comment)
    if let address = copy.acquire(now: model.now) {
      #expect(copy != original, comment)
      copy.release(address)
    }
  }

  func check() {
    pool._checkInvariants()
    #expect(pool.capacity == ExactCount(UInt64(model.allowed.count)), comment)
    #expect(pool.used == ExactCount(UInt64(model.held.count)), comment)
    #expect(pool.free + pool.cooling + pool.used == pool.capacity, comment)
    let cooling = model.released.values.filter { $0 + model.cooldown > model.now }.count
    #expect(pool.cooling >= ExactCount(UInt64(cooling)), comment)
    #expect(pool.cooling <= ExactCount(UInt64(model.released.count)), comment)
  }

  func checkWhole() throws {
    let ranges = try pool.copy().heldRanges.map { range in
      try ordinal(range.first)...(try ordinal(range.last))
    }
    #expect(ranges == model.heldRanges, comment)
    guard model.cooldown == 0 else { return }
    let order = pool.copy().largestFreePrefix.map { space.geometry.unitPrefixLength - $0.length }
    #expect(order == model.largestFreeOrder(bits: bits), comment)
  }

  /// Until nothing is left, and back to nothing held.
  mutating func drain() throws {
    model.now += 200
    while let got = pool.acquire(now: model.now) { model.take(try ordinal(got)) }
    #expect(model.held == model.allowed, comment)
    check()
    for ordinal in model.allowed {
      let isReleased = pool.release(address(ordinal), now: model.now)
      #expect(isReleased, comment)
      model.free(ordinal)
    }
    check()
  }
}

@Suite struct AddressPoolModelTests {
  @Test(arguments: 0..<150) func agreesWithTheModel(round: UInt64) throws {
    try run(AddressPool.self, round)
  }

  @Test(arguments: 0..<100) func sharedPoolAgreesWithTheModel(round: UInt64) throws {
    try run(ConcurrentAddressPool.self, round)
  }

  private func run<Pool: PoolUnderTest>(_: Pool.Type, _ round: UInt64) throws {
    var run = try PoolRun<Pool>(seed: runSeed, round: round)
    for _ in 0..<120 {
      try run.event()
      run.check()
    }
    try run.checkWhole()
    try run.drain()
  }
}
