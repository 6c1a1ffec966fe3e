// What can be asked of a pool that threads share: the same as of an AddressPool.

public import AddressSpace

// MARK: - One address

extension ConcurrentAddressPool {
  /// Takes a free address, next-fit within the thread's part. `nil` if at one moment nothing was
  /// free. O(1) amortized at any size and fill, one lock while the thread's part has something.
  public func acquire(now: UInt64 = 0) -> IPAddress? {
    let taken = take { core -> IPAddress? in
      guard let (leaf, bit) = core.acquire(now: now) else { return nil }
      return core.address(leaf, bit)
    }
    guard let taken else { return nil }
    return stripes.address(taken.result, part: taken.part)
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
    guard let ordinal = stripes.ordinal(of: address) else { return nil }
    return (stripes.local(ordinal), stripes.part(of: ordinal))
  }

  /// Takes up to `count` free addresses, whole words at a time, part after part; fewer if no more
  /// are free. O(words + count).
  public func acquire(count: Int, now: UInt64 = 0) -> [IPAddress] {
    var addresses: [IPAddress] = []
    while addresses.count < count {
      let taken = take { core -> [IPAddress]? in
        let got = core.acquire(upTo: count - addresses.count, now: now)
        return got.isEmpty ? nil : got
      }
      guard let taken else { break }
      addresses += taken.result.lazy.map { stripes.address($0, part: taken.part) }
    }
    return addresses
  }
}

// MARK: - Prefixes

extension ConcurrentAddressPool {
  /// Takes all units of `prefix` if all are free and may be used. O(words) up to a chunk, O(chunks)
  /// for more; all locks if it is larger than a stripe.
  public func acquire(_ prefix: Prefix, now: UInt64 = 0) -> Bool {
    guard let (first, order) = units(of: prefix) else { return false }
    let block = stripes.block(first, order: order)
    if order <= stripes.bits {
      return locked(block.parts.lowerBound) {
        $0.acquireBlock(block.first, order: order, now: now)
      }
    }
    return allLocked { acquire(block, now: now) }
  }

  /// Takes an aligned block of free units that makes up a prefix of `length`. `nil` if there is
  /// none, or if a unit is larger. O(words) in the thread's part and chunk, else O(chunks × words);
  /// all locks if it is larger than a stripe.
  public func acquirePrefix(length: Int, now: UInt64 = 0) -> Prefix? {
    let geometry = space.geometry
    let order = geometry.unitPrefixLength - length
    guard (0...geometry.ordinalBits).contains(order) else { return nil }
    guard let first = acquireBlock(order: order, now: now) else { return nil }
    return Prefix(address: geometry.address(of: Ordinal(first)), length: length)
  }

  private func acquireBlock(order: Int, now: UInt64) -> Offset? {
    if order <= stripes.bits {
      let home = home
      for turn in 0..<partCount {
        let part = (home + turn) & (partCount - 1)
        if let first = locked(part, { $0.acquireBlock(order: order, now: now) }) {
          return stripes.global(first, part: part)
        }
      }
      return nil
    }
    return allLocked {
      let free = (0..<partCount).map { part in
        parts[part].core.expireAll(now: now)
        return parts[part].core.freeIntervals()
      }
      guard let first = stripes.freeBlock(order: order, free: free) else { return nil }
      let isTaken = acquire(stripes.block(first, order: order), now: now)
      precondition(isTaken, "a block that was found free can be taken")
      return first
    }
  }

  /// Under all locks: takes a block, or none of it.
  private func acquire(_ block: Stripes.Block, now: UInt64) -> Bool {
    for part in block.parts {
      if parts[part].core.acquireBlock(block.first, order: block.order, now: now) { continue }
      for taken in block.parts.prefix(upTo: part) {
        _ = parts[taken].core.releaseBlock(
          block.first, order: block.order, now: now, cools: false)
      }
      return false
    }
    return true
  }

  /// Gives all units of `prefix` back. `false`, with nothing changed, if one of them is not held.
  /// What is larger than a chunk is free at once. O(words) up to a chunk, O(chunks) for more; all
  /// locks if it is larger than a stripe.
  @discardableResult
  public func release(_ prefix: Prefix, now: UInt64 = 0) -> Bool {
    guard let (first, order) = units(of: prefix) else { return false }
    let block = stripes.block(first, order: order)
    if order <= stripes.bits {
      return releasing(block.parts.lowerBound) {
        $0.releaseBlock(block.first, order: order, now: now)
      }
    }
    let range = OffsetRange(block.first, Offset(wide: block.first.wide | .lowMask(block.order)))
    let cools = order <= space.geometry.chunkBits
    return allLocked {
      for part in block.parts {
        parts[part].core.expireAll(now: now)
        guard parts[part].core.heldIntervals().contains(range) else { return false }
      }
      for part in block.parts {
        let isReleased = parts[part].core.releaseBlock(
          block.first, order: block.order, now: now, cools: cools)
        precondition(isReleased, "a block that is held can be released")
        reopen(part)
      }
      return true
    }
  }

  private func units(of prefix: Prefix) -> (first: Offset, order: Int)? {
    guard let units = space.geometry.ordinals(of: prefix) else { return nil }
    return (units.first, space.geometry.unitPrefixLength - prefix.length)
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
}
