// What can be asked of a pool that threads share: the same as of an AddressPool.

public import AddressSpace

// MARK: - One address

extension ConcurrentAddressPool {
  /// Takes a free address, next-fit within the thread's part. `nil` if at one moment nothing was
  /// free. O(1) amortized at any size and fill, one lock while the thread's part has something.
  public func acquire(now: UInt64 = 0) -> IPAddress? {
    take { core in
      guard let (leaf, bit) = core.acquire(now: now) else { return nil }
      return core.address(leaf, bit)
    }
  }

  /// Takes a free unit as a prefix. `nil` if at one moment nothing was free. O(1) amortized.
  public func acquirePrefix(now: UInt64 = 0) -> Prefix? {
    guard let address = acquire(now: now) else { return nil }
    return Prefix(address: address, length: space.geometry.unitPrefixLength)
  }

  /// Takes the unit of `address` if it is free, or if it cools. `false` if it is held or may not be
  /// used. O(1), O(levels) the first time in a chunk.
  public func acquire(_ address: IPAddress, now: UInt64 = 0) -> Bool {
    guard let (ordinal, part) = locate(address) else { return false }
    return locked(part) { $0.acquire(ordinal, now: now) }
  }

  /// Gives the unit of `address` back. `false` if it is not held. O(1), O(levels × words) the first
  /// time that part of a block larger than a chunk is released.
  @discardableResult
  public func release(_ address: IPAddress, now: UInt64 = 0) -> Bool {
    guard let (ordinal, part) = locate(address) else { return false }
    return releasing(part) { $0.release(ordinal, now: now) }
  }

  /// Whether the unit of `address` is held. O(1), O(levels) where no chunk exists.
  public func contains(_ address: IPAddress) -> Bool {
    guard let (ordinal, part) = locate(address) else { return false }
    return locked(part) { $0.isHeld(ordinal) }
  }

  private func locate(_ address: IPAddress) -> (ordinal: Offset, part: Int)? {
    guard let ordinal = parts[0].core.ordinal(of: address), let part = part(of: ordinal) else {
      return nil
    }
    return (ordinal, part)
  }

  /// Takes up to `count` free addresses, whole words at a time, part after part; fewer if no more
  /// are free. O(words + count).
  public func acquire(count: Int, now: UInt64 = 0) -> [IPAddress] {
    var addresses: [IPAddress] = []
    while addresses.count < count {
      let got = take { core -> [IPAddress]? in
        let got = core.acquire(upTo: count - addresses.count, now: now)
        return got.isEmpty ? nil : got
      }
      guard let got else { break }
      if addresses.isEmpty { addresses = got } else { addresses += got }
    }
    return addresses
  }
}

// MARK: - Prefixes

extension ConcurrentAddressPool {
  /// Takes all units of `prefix` if all are free and may be used. O(words) up to a chunk, O(chunks)
  /// for more; all locks if it is larger than a part.
  public func acquire(_ prefix: Prefix, now: UInt64 = 0) -> Bool {
    guard let (first, order) = block(prefix) else { return false }
    if order <= shift {
      guard let part = part(of: first) else { return false }
      return locked(part) { $0.acquireBlock(first, order: order, now: now) }
    }
    return allLocked { acquireParts(first, order: order, now: now) }
  }

  /// Takes an aligned block of free units that makes up a prefix of `length`. `nil` if there is
  /// none, or if a unit is larger. O(words) in the thread's part and chunk, else O(chunks × words).
  public func acquirePrefix(length: Int, now: UInt64 = 0) -> Prefix? {
    let geometry = space.geometry
    let order = geometry.unitPrefixLength - length
    guard (0...geometry.ordinalBits).contains(order) else { return nil }
    guard let first = acquireBlock(order: order, now: now) else { return nil }
    return Prefix(address: geometry.address(of: Ordinal(first)), length: length)
  }

  private func acquireBlock(order: Int, now: UInt64) -> Offset? {
    let home = ThreadNumber.current % partCount
    if order <= shift {
      for turn in 0..<partCount {
        let part = (home + turn) % partCount
        if let first = locked(part, { $0.acquireBlock(order: order, now: now) }) { return first }
      }
      return nil
    }
    return allLocked {
      for index in 0..<partCount {
        let first = range(ofPart: index).first
        guard first.wide & .lowMask(order) == 0 else { continue }
        if acquireParts(first, order: order, now: now) { return first }
      }
      return nil
    }
  }

  /// Under all locks: takes a block of whole parts, or none of it.
  private func acquireParts(_ first: Offset, order: Int, now: UInt64) -> Bool {
    guard let whole = wholeParts(first, order: order) else { return false }
    for index in whole {
      let origin = range(ofPart: index).first
      if parts[index].core.acquireBlock(origin, order: shift, now: now) { continue }
      for taken in whole.prefix(upTo: index) {
        let origin = range(ofPart: taken).first
        _ = parts[taken].core.releaseBlock(origin, order: shift, now: now, cools: false)
      }
      return false
    }
    return true
  }

  /// Gives all units of `prefix` back. `false`, with nothing changed, if one of them is not held.
  /// What is larger than a chunk is free at once. O(words) up to a chunk, O(chunks) for more; all
  /// locks if it is larger than a part.
  @discardableResult
  public func release(_ prefix: Prefix, now: UInt64 = 0) -> Bool {
    guard let (first, order) = block(prefix) else { return false }
    if order <= shift {
      guard let part = part(of: first) else { return false }
      return releasing(part) { $0.releaseBlock(first, order: order, now: now) }
    }
    return allLocked {
      guard let whole = wholeParts(first, order: order) else { return false }
      for index in whole {
        guard parts[index].core.heldIntervals().contains(range(ofPart: index)) else { return false }
      }
      for index in whole {
        let origin = range(ofPart: index).first
        let cools = order <= space.geometry.chunkBits
        _ = parts[index].core.releaseBlock(origin, order: shift, now: now, cools: cools)
        reopen(index)
      }
      return true
    }
  }

  private func block(_ prefix: Prefix) -> (first: Offset, order: Int)? {
    guard let units = space.geometry.ordinals(of: prefix) else { return nil }
    return (units.first, space.geometry.unitPrefixLength - prefix.length)
  }

  /// The parts that a block larger than a part is made of.
  private func wholeParts(_ first: Offset, order: Int) -> Range<Int>? {
    guard order - shift <= 6, let start = part(of: first) else { return nil }
    let end = start + 1 << (order - shift)
    return end <= partCount ? start..<end : nil
  }
}

// MARK: - The whole pool

extension ConcurrentAddressPool {
  /// The number of units that may be handed out. O(intervals).
  public var capacity: ExactCount { space.allowed.count }
  /// The number of units held at one moment. O(levels), all locks.
  public var used: ExactCount {
    allLocked { (0..<partCount).reduce(.zero) { $0 + parts[$1].core.used } }
  }
  /// The number of released units that were not free yet at one moment. O(1), all locks.
  public var cooling: ExactCount {
    let count = allLocked { (0..<partCount).reduce(0) { $0 + parts[$1].core.coolingCount } }
    return ExactCount(UInt64(count))
  }
  /// The number of units free at one moment. O(levels + intervals), all locks.
  public var free: ExactCount {
    let taken = allLocked {
      (0..<partCount).reduce(ExactCount.zero) { sum, index in
        let core = parts + index
        return sum + core.pointee.core.used
          + ExactCount(UInt64(core.pointee.core.coolingCount))
      }
    }
    return capacity - taken
  }

  /// Stops the program if an invariant does not hold. O(chunks × words), all locks.
  public func _checkInvariants() {
    allLocked {
      for index in 0..<partCount {
        parts[index].core.checkInvariants()
        precondition(!parts[index].isClosed || parts[index].core.free == .zero)
      }
    }
  }

  /// A copy of one moment, for everything that looks at the whole: held ranges, the largest free
  /// prefix, snapshots. O(runs × levels + blocks larger than a chunk × chunks), all locks.
  public func copy() -> AddressPool {
    allLocked {
      var core = PoolCore(
        space: space, cooldown: parts[0].core.cooldown, rule: parts[0].core.rule)
      var cooling: [TreeNode: [CoolingBucket]] = [:]
      for index in 0..<partCount {
        core.adopt(parts[index].core.heldIntervals().intervals, [:])
        for (leaf, buckets) in parts[index].core.coolingLeaves() {
          cooling[leaf, default: []] += buckets.buckets
        }
      }
      for (leaf, buckets) in cooling {
        for bucket in buckets.sorted(by: { $0.since < $1.since }) { core.adopt(bucket, in: leaf) }
      }
      return AddressPool(core)
    }
  }
}
