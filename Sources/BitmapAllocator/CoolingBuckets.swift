// Released ordinals that may not be handed out yet. They stay set in the chunk's bitmap and sit in
// coarse buckets of time, oldest first:
//
//   cooldown 60 s: a bucket spans 7 s, so at most 10 of them are alive
//
// A bucket carries the time of its latest release, so that no ordinal comes back early; the first
// of a bucket waits at most one span longer. A bucket from the future (another node's clock) counts
// as released now with the next release of its chunk. Where none comes its time must, unless that is
// more than an hour away (a clock was years ahead, or was set back): then it has cooled.

/// Ordinals of one chunk that were released at about the same time.
public struct CoolingBucket: Hashable, Sendable {
  /// When the last of them was released: seconds since 1970.
  public var since: UInt64
  /// The released ordinals, at least one.
  public var bits: ChunkBitmap
}

/// The cooling ordinals of one chunk, in at most 16 buckets, oldest first.
public struct CoolingBuckets: Hashable, Sendable {
  /// More buckets than this are merged, the older into the younger.
  public static let bucketLimit = 16

  /// Seconds that clocks may differ; a time that is further ahead is not waited for.
  public static let horizon: UInt64 = 3_600

  /// The buckets: none empty, disjoint, `since` ascending.
  public private(set) var buckets: [CoolingBucket] = []
  /// The number of cooling ordinals.
  public private(set) var count = 0

  /// No cooling ordinals. O(1).
  public init() {}

  /// The given buckets, or `nil` if they are too many, empty, unordered or not disjoint. O(words).
  public init?(_ buckets: [CoolingBucket]) {
    guard buckets.count <= Self.bucketLimit else { return nil }
    guard zip(buckets, buckets.dropFirst()).allSatisfy({ $0.since < $1.since }) else { return nil }
    if let first = buckets.first {
      var all = first.bits
      for bucket in buckets { all.formUnion(bucket.bits) }
      count = buckets.reduce(0) { $0 + $1.bits.takenCount }
      guard count == all.takenCount else { return nil }
    }
    guard buckets.allSatisfy({ $0.bits.takenCount > 0 }) else { return nil }
    self.buckets = buckets
  }

  /// Whether nothing cools. O(1).
  public var isEmpty: Bool { count == 0 }

  /// The time that a bucket spans: an eighth of the cool-down, at least a second. O(1).
  public static func span(cooldown: UInt64) -> UInt64 { max(1, cooldown / 8) }

  /// Whether `bit` cools. O(buckets).
  public func contains(_ bit: Int) -> Bool { buckets.contains { $0.bits.isTaken(bit) } }

  /// Adds `bit`, released at `now`; the bitmap has 2^`chunkBits` bits. O(buckets).
  public mutating func insert(_ bit: Int, now: UInt64, cooldown: UInt64, chunkBits: Int) {
    settleFuture(now: now)
    let span = Self.span(cooldown: cooldown)
    if let last = buckets.indices.last, buckets[last].since / span == now / span {
      count += buckets[last].bits.take(bit) ? 1 : 0
      buckets[last].since = now
      return
    }
    var bits = ChunkBitmap(chunkBits: chunkBits)
    bits.take(bit)
    append(CoolingBucket(since: now, bits: bits))
  }

  /// Adds a bucket that is not older than the others and has none of their bits. O(words).
  mutating func append(_ bucket: CoolingBucket) {
    count += bucket.bits.takenCount
    if let last = buckets.indices.last, buckets[last].since == bucket.since {
      buckets[last].bits.formUnion(bucket.bits)
      return
    }
    buckets.append(bucket)
    if buckets.count > Self.bucketLimit {
      let oldest = buckets.removeFirst()
      buckets[0].bits.formUnion(oldest.bits)
    }
  }

  /// Takes `bit` out; whether it cooled. O(buckets).
  @discardableResult
  public mutating func remove(_ bit: Int) -> Bool {
    guard let index = buckets.firstIndex(where: { $0.bits.isTaken(bit) }) else { return false }
    buckets[index].bits.free(bit)
    if buckets[index].bits.takenCount == 0 { buckets.remove(at: index) }
    count -= 1
    return true
  }

  /// Whether some bucket has waited for `cooldown` at `now`, or is not waited for. O(1).
  public func hasExpired(now: UInt64, cooldown: UInt64) -> Bool {
    expiredIndex(now: now, cooldown: cooldown) != nil
  }

  /// Takes such a bucket out, if there is one. O(buckets).
  public mutating func popExpired(now: UInt64, cooldown: UInt64) -> CoolingBucket? {
    guard let index = expiredIndex(now: now, cooldown: cooldown) else { return nil }
    let bucket = buckets.remove(at: index)
    count -= bucket.bits.takenCount
    return bucket
  }

  /// The oldest, or the one that is furthest ahead.
  private func expiredIndex(now: UInt64, cooldown: UInt64) -> Int? {
    guard let oldest = buckets.first, let newest = buckets.last else { return nil }
    if oldest.since <= now, now - oldest.since >= cooldown { return 0 }
    return newest.since > now && newest.since - now > Self.horizon ? buckets.count - 1 : nil
  }

  /// The lowest ordinal within `ranges` of the oldest bucket that has one. O(words).
  public func oldest(in ranges: [ClosedRange<Int>]) -> (bit: Int, since: UInt64)? {
    for bucket in buckets {
      for range in ranges {
        if let bit = bucket.bits.firstTaken(in: range) { return (bit, bucket.since) }
      }
    }
    return nil
  }

  /// Joins the buckets whose time has not come yet into one of `now`.
  mutating func settleFuture(now: UInt64) {
    guard let first = buckets.firstIndex(where: { $0.since > now }) else { return }
    for bucket in buckets[(first + 1)...] { buckets[first].bits.formUnion(bucket.bits) }
    buckets.removeLast(buckets.count - first - 1)
    buckets[first].since = now
    guard first > 0, buckets[first - 1].since == now else { return }
    let last = buckets.removeLast()
    buckets[first - 1].bits.formUnion(last.bits)
  }
}
