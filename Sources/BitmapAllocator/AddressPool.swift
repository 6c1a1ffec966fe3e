// The pool that library users hold: a value around one PoolCore. Copies share the core until one of
// them changes. Addresses and prefixes here, ordinals below.

public import AddressSpace

/// A pool of addresses, or of delegated prefixes, in memory.
///
/// One ordinal stands for one address, or for one prefix of `unitPrefixLength` if the pool
/// delegates prefixes; then an address stands for the unit that contains it. Chunks of 2^k ordinals
/// are made when they are first used, so that a pool over `::/0` costs what is used of it: about
/// 700 bytes a chunk.
///
/// A value: copying is O(1); the first change of a copy is O(chunks). For use by several threads at
/// once there is `ConcurrentAddressPool`.
///
/// `now` is a time in whole seconds, for example since 1970. It is needed only if the pool has a
/// cool-down.
public struct AddressPool: Sendable {
  private var box: PoolBox

  /// A pool of what `space` allows.
  ///
  /// - Parameters:
  ///   - cooldown: for how many seconds a released ordinal is not handed out again.
  ///   - cooling: what to do when only cooling ordinals are left.
  ///
  /// O(intervals).
  public init(
    space: PoolSpace, cooldown: UInt64 = 0, cooling: TreeSearch.CoolingRule = .borrow
  ) {
    box = PoolBox(PoolCore(space: space, cooldown: cooldown, rule: cooling))
  }

  /// A pool of the units of `subnet` except those that `excluded` touches. `nil` if there is no such
  /// `PoolGeometry`. O(excluded × log excluded).
  public init?(
    subnet: Prefix, unitPrefixLength: Int? = nil, excluding excluded: [AddressRange] = [],
    cooldown: UInt64 = 0, cooling: TreeSearch.CoolingRule = .borrow
  ) {
    guard let geometry = PoolGeometry(subnet: subnet, unitPrefixLength: unitPrefixLength) else {
      return nil
    }
    let space = PoolSpace(geometry: geometry, excluding: excluded)
    self.init(space: space, cooldown: cooldown, cooling: cooling)
  }

  init(_ core: consuming PoolCore) { box = PoolBox(core) }

  /// The core, for reading; valid while this value is.
  var core: UnsafePointer<PoolCore> { UnsafePointer(box.core) }

  /// The core of a box that nobody else refers to.
  @inline(__always)
  mutating func uniqueCore() -> UnsafeMutablePointer<PoolCore> {
    if !isKnownUniquelyReferenced(&box) { box = PoolBox(PoolCore(copying: box.core.pointee)) }
    return box.core
  }

  /// What may be handed out. O(1).
  public var space: PoolSpace { core.pointee.space }
  /// How the subnet is cut. O(1).
  public var geometry: PoolGeometry { core.pointee.geometry }
}

/// Owns a core in memory of its own, so that access needs no check for exclusivity.
// Sendable by proof: a box is changed only through `uniqueCore()`, while exactly one value refers
// to it; otherwise it is only read. The core's memory is reachable through nothing else.
private final class PoolBox: @unchecked Sendable {
  let core: UnsafeMutablePointer<PoolCore>

  init(_ core: consuming PoolCore) {
    self.core = .allocate(capacity: 1)
    self.core.initialize(to: core)
  }

  deinit {
    core.deinitialize(count: 1)
    core.deallocate()
  }
}

// MARK: - One address

extension AddressPool {
  /// Takes a free address, next-fit: not soon one that was just released. `nil` if nothing is free.
  /// O(1) amortized at any size and fill; O(chunks) in the worst case with a strict cool-down.
  public mutating func acquire(now: UInt64 = 0) -> IPAddress? {
    let core = uniqueCore()
    guard let (leaf, bit) = core.pointee.acquire(now: now) else { return nil }
    return core.pointee.address(leaf, bit)
  }

  /// Takes the unit of `address` if it is free, or if it cools. `false` if it is held or may not be
  /// used. O(1), O(levels) the first time in a chunk.
  public mutating func acquire(_ address: IPAddress, now: UInt64 = 0) -> Bool {
    let core = uniqueCore()
    guard let ordinal = core.pointee.ordinal(of: address) else { return false }
    return core.pointee.acquire(ordinal, now: now)
  }

  /// Gives the unit of `address` back. `false` if it is not held. O(1), O(levels × words) the first
  /// time that part of a block larger than a chunk is released.
  @discardableResult
  public mutating func release(_ address: IPAddress, now: UInt64 = 0) -> Bool {
    let core = uniqueCore()
    guard let ordinal = core.pointee.ordinal(of: address) else { return false }
    return core.pointee.release(ordinal, now: now)
  }

  /// Whether the unit of `address` is held. O(1), O(levels) where no chunk exists.
  public func contains(_ address: IPAddress) -> Bool {
    guard let ordinal = core.pointee.ordinal(of: address) else { return false }
    return core.pointee.isHeld(ordinal)
  }

  /// Takes up to `count` free addresses, whole words at a time; fewer if no more are free.
  /// O(words + count).
  public mutating func acquire(count: Int, now: UInt64 = 0) -> [IPAddress] {
    uniqueCore().pointee.acquire(upTo: count, now: now)
  }
}

// MARK: - Prefixes

extension AddressPool {
  /// Takes a free unit as a prefix. `nil` if nothing is free. O(1) amortized.
  public mutating func acquirePrefix(now: UInt64 = 0) -> Prefix? {
    guard let address = acquire(now: now) else { return nil }
    return Prefix(address: address, length: geometry.unitPrefixLength)
  }

  /// Takes an aligned block of free units that makes up a prefix of `length`. `nil` if there is
  /// none, or if a unit is larger. O(words) in the current chunk, else O(chunks × words).
  public mutating func acquirePrefix(length: Int, now: UInt64 = 0) -> Prefix? {
    let order = geometry.unitPrefixLength - length
    guard (0...geometry.ordinalBits).contains(order) else { return nil }
    guard let first = uniqueCore().pointee.acquireBlock(order: order, now: now) else { return nil }
    return Prefix(address: geometry.address(of: Ordinal(first)), length: length)
  }

  /// Takes all units of `prefix` if all are free and may be used. O(words) up to a chunk, O(chunks)
  /// for more.
  public mutating func acquire(_ prefix: Prefix, now: UInt64 = 0) -> Bool {
    guard let units = geometry.ordinals(of: prefix) else { return false }
    let order = geometry.unitPrefixLength - prefix.length
    return uniqueCore().pointee.acquireBlock(units.first, order: order, now: now)
  }

  /// Gives all units of `prefix` back. `false`, with nothing changed, if one of them is not held.
  /// What is larger than a chunk is free at once. O(words) up to a chunk, O(chunks) for more.
  @discardableResult
  public mutating func release(_ prefix: Prefix, now: UInt64 = 0) -> Bool {
    guard let units = geometry.ordinals(of: prefix) else { return false }
    let order = geometry.unitPrefixLength - prefix.length
    return uniqueCore().pointee.releaseBlock(units.first, order: order, now: now)
  }

  /// The lowest of the largest prefixes all of whose units are free. O(chunks × words).
  public var largestFreePrefix: Prefix? {
    guard let block = core.pointee.freeBlock() else { return nil }
    let address = geometry.address(of: Ordinal(block.first))
    return Prefix(address: address, length: geometry.unitPrefixLength - block.order)
  }
}

// MARK: - Counts

extension AddressPool {
  /// The number of units that may be handed out. O(intervals).
  public var capacity: ExactCount { core.pointee.capacity }
  /// The number of units held. O(levels).
  public var used: ExactCount { core.pointee.used }
  /// The number of released units that are not free yet; those whose time is over count until an
  /// acquire comes by, or `expire` does. O(1).
  public var cooling: ExactCount { ExactCount(UInt64(core.pointee.coolingCount)) }
  /// The number of free units: `capacity` − `used` − `cooling`. O(intervals).
  public var free: ExactCount { core.pointee.free }

  /// The bytes of memory that the chunks and their table take. O(chunks).
  public var memoryFootprint: Int { core.pointee.table.allocatedBytes }

  /// Frees every unit whose cool-down is over. O(chunks).
  public mutating func expire(now: UInt64) { uniqueCore().pointee.expireAll(now: now) }

  /// The maximal ranges of held addresses, in order. O(chunks × log chunks + runs).
  public var heldRanges: [AddressRange] {
    let geometry = geometry
    return core.pointee.heldIntervals().intervals.compactMap { interval in
      AddressRange(
        first: geometry.address(of: Ordinal(interval.first)),
        last: geometry.prefix(of: Ordinal(interval.last)).last)
    }
  }
}

extension AddressPool: Equatable {
  /// Whether both may hand out the same units, hold the same, and the same cool since the same
  /// times. O(chunks × words).
  public static func == (left: AddressPool, right: AddressPool) -> Bool {
    left.space == right.space
      && left.core.pointee.heldIntervals() == right.core.pointee.heldIntervals()
      && left.core.pointee.coolingLeaves() == right.core.pointee.coolingLeaves()
  }
}
