// Acquire and release within one chunk. Each change first clears the buckets whose cool-down is
// over, so that a chunk cleans itself with its next commit.

extension Chunk {
  /// Takes the first free ordinal of `allowed` at or after the cursor, else the lowest one, and
  /// moves the cursor behind it. `nil` if none is free at `now`. O(ranges), O(words) when buckets
  /// expire.
  public mutating func acquire(
    in allowed: [ClosedRange<Int>], now: UInt64, cooldown: UInt64
  ) -> Int? {
    expire(now: now, cooldown: cooldown)
    guard let bit = nextFree(in: allowed) else { return nil }
    take(bit)
    return bit
  }

  /// Takes `bit` if it is free, or if it cools and `borrowing` is set. O(buckets).
  public mutating func acquire(
    bit: Int, borrowing: Bool = true, now: UInt64, cooldown: UInt64
  ) -> Bool {
    expire(now: now, cooldown: cooldown)
    if bitmap.take(bit) { return true }
    return borrowing && cooling.remove(bit)
  }

  /// Takes up to `count` free ordinals of `allowed`, next-fit, in one pass over the words, and
  /// moves the cursor behind the last. O(words + count).
  public mutating func acquire(
    count: Int, in allowed: [ClosedRange<Int>], now: UInt64, cooldown: UInt64
  ) -> [Int] {
    expire(now: now, cooldown: cooldown)
    var bits: [Int] = []
    bitmap.takeUpTo(count, in: allowed, from: cursor, into: &bits)
    if let last = bits.last { cursor = (last + 1) & (bitmap.capacity - 1) }
    return bits
  }

  /// Takes the lowest aligned block of 2^`order` free ordinals within one range of `allowed`;
  /// returns its first. O(words).
  public mutating func acquireAlignedBlock(
    order: Int, in allowed: [ClosedRange<Int>], now: UInt64, cooldown: UInt64
  ) -> Int? {
    expire(now: now, cooldown: cooldown)
    for range in allowed {
      guard let first = bitmap.freeAlignedBlock(order: order, in: range) else { continue }
      bitmap.takeAll(in: first...first + (1 << order) - 1)
      return first
    }
    return nil
  }

  /// Takes the ordinal of `allowed` that has cooled longest, though its time is not over.
  /// O(words).
  public mutating func borrowOldest(in allowed: [ClosedRange<Int>]) -> Int? {
    guard let oldest = cooling.oldest(in: allowed) else { return nil }
    cooling.remove(oldest.bit)
    return oldest.bit
  }

  /// Gives `bit` back: it is free at once, or cools if there is a `cooldown`. `false` if it was
  /// not held, that is free or cooling already. O(buckets).
  @discardableResult
  public mutating func release(_ bit: Int, now: UInt64, cooldown: UInt64) -> Bool {
    cooling.settleFuture(now: now)
    expire(now: now, cooldown: cooldown)
    guard isHeld(bit) else { return false }
    if cooldown == 0 {
      bitmap.free(bit)
    } else {
      cooling.insert(bit, now: now, cooldown: cooldown, chunkBits: chunkBits)
    }
    return true
  }

  /// Whether somebody has `bit`: taken and not cooling. O(buckets).
  public func isHeld(_ bit: Int) -> Bool { bitmap.isTaken(bit) && !cooling.contains(bit) }

  /// Frees the ordinals whose cool-down is over. O(words) for each expired bucket.
  public mutating func expire(now: UInt64, cooldown: UInt64) {
    while let bucket = cooling.popExpired(now: now, cooldown: cooldown) {
      bitmap.subtract(bucket.bits)
    }
  }

  /// The ordinal that `acquire(in:now:cooldown:)` would take if no bucket expired. O(ranges).
  public func nextFree(in allowed: [ClosedRange<Int>]) -> Int? {
    bitmap.nextFree(cyclicallyFrom: cursor, in: allowed)
  }

  private mutating func take(_ bit: Int) {
    bitmap.take(bit)
    cursor = (bit + 1) & (bitmap.capacity - 1)
  }
}
