// A set of offsets as sorted intervals with gaps between them:
//
//     intervals   [3...7]   [20...20]   [64...127]
//     ranks        0         5           6            members below each interval
//
// One set has one representation, so equality is that of the arrays. Nothing here ever steps
// through the members.

/// A set of 128-bit offsets, kept as sorted, disjoint inclusive intervals that do not touch.
///
/// It carries ranges, exclusions and the addresses that are never handed out. The complexities
/// speak of n and m, the numbers of intervals of this set and the other one.
public struct IntervalSet: Sendable {
  /// The intervals, in order; between two of them at least one offset is missing. O(1).
  public private(set) var intervals: [OffsetRange]
  /// The number of members below each interval. It is always below 2^128.
  private var ranks: [Offset]

  /// The empty set. O(1).
  public init() {
    intervals = []
    ranks = []
  }

  /// The members of all `ranges`, in any order, overlapping or not. O(n log n).
  @inlinable
  public init(_ ranges: some Sequence<OffsetRange>) {
    self.init(unordered: Array(ranges))
  }

  @usableFromInline
  init(unordered ranges: [OffsetRange]) {
    var merged: [OffsetRange] = []
    for range in ranges.sorted(by: { $0.first < $1.first }) {
      merged.appendMerging(range)
    }
    self.init(canonical: merged)
  }

  /// The members of `range`. O(1).
  public init(_ range: OffsetRange) {
    self.init(canonical: [range])
  }

  private init(canonical: [OffsetRange]) {
    intervals = canonical
    ranks = []
    ranks.reserveCapacity(canonical.count)
    var below = Offset.zero
    for interval in canonical {
      ranks.append(below)
      // Wraps to zero only behind the last interval of the set of all offsets.
      below = below &+ (interval.last &- interval.first) &+ .one
    }
  }

  /// Whether there is no member. O(1).
  public var isEmpty: Bool { intervals.isEmpty }

  /// The number of members, exact, 0 … 2^128. O(1).
  public var count: ExactCount {
    guard let rank = ranks.last, let interval = intervals.last else { return .zero }
    return ExactCount(rank) + interval.count
  }
}

extension IntervalSet: Hashable {
  /// Whether both have the same members. O(n).
  public static func == (left: IntervalSet, right: IntervalSet) -> Bool {
    left.intervals == right.intervals
  }

  /// Hashes the members. O(n).
  public func hash(into hasher: inout Hasher) {
    hasher.combine(intervals)
  }
}

// MARK: - Questions

extension IntervalSet {
  /// The index of the first interval that ends at `offset` or above it.
  private func index(endingFrom offset: Offset) -> Int {
    var lower = 0
    var upper = intervals.count
    while lower < upper {
      let middle = (lower + upper) / 2
      if intervals[middle].last < offset { lower = middle + 1 } else { upper = middle }
    }
    return lower
  }

  /// Whether `offset` is a member. O(log n).
  public func contains(_ offset: Offset) -> Bool {
    let index = index(endingFrom: offset)
    return index < intervals.count && intervals[index].first <= offset
  }

  /// Whether every offset of `range` is a member. O(log n).
  public func contains(_ range: OffsetRange) -> Bool {
    let index = index(endingFrom: range.first)
    return index < intervals.count && intervals[index].contains(range)
  }

  /// Whether an offset of `range` is a member. O(log n).
  public func overlaps(_ range: OffsetRange) -> Bool {
    let index = index(endingFrom: range.first)
    return index < intervals.count && intervals[index].first <= range.last
  }

  /// Whether the sets have a member in common. O(n log m) with n the smaller number.
  public func overlaps(_ other: IntervalSet) -> Bool {
    let (few, many) = intervals.count <= other.intervals.count ? (self, other) : (other, self)
    return few.intervals.contains { many.overlaps($0) }
  }

  /// The member that has exactly `rank` members below it, or `nil` if there is none. O(log n).
  public func element(at rank: Offset) -> Offset? {
    var lower = 0
    var upper = ranks.count
    while lower < upper {
      let middle = (lower + upper) / 2
      if ranks[middle] <= rank { lower = middle + 1 } else { upper = middle }
    }
    guard lower > 0 else { return nil }
    let interval = intervals[lower - 1]
    let further = rank &- ranks[lower - 1]
    return further <= interval.last &- interval.first ? interval.first &+ further : nil
  }

  /// The number of members below `offset`, itself a member or not. O(log n).
  public func rank(of offset: Offset) -> Offset {
    let index = index(endingFrom: offset)
    if index < intervals.count {
      let first = intervals[index].first
      return offset > first ? ranks[index] &+ (offset &- first) : ranks[index]
    }
    guard let rank = ranks.last, let interval = intervals.last else { return .zero }
    return rank &+ (interval.last &- interval.first) &+ .one
  }

  /// The stretches of `range` that are members, in order. O(log n + stretches).
  public func intersection(with range: OffsetRange) -> [OffsetRange] {
    var result: [OffsetRange] = []
    var index = index(endingFrom: range.first)
    while index < intervals.count, let stretch = intervals[index].intersection(range) {
      result.append(stretch)
      index += 1
    }
    return result
  }
}

// MARK: - Algebra

extension IntervalSet {
  /// The members of either set. O(n + m).
  public func union(_ other: IntervalSet) -> IntervalSet {
    var merged: [OffsetRange] = []
    merged.reserveCapacity(intervals.count + other.intervals.count)
    var mine = intervals[...]
    var theirs = other.intervals[...]
    while let a = mine.first, let b = theirs.first {
      merged.appendMerging(a.first <= b.first ? mine.removeFirst() : theirs.removeFirst())
    }
    for range in mine { merged.appendMerging(range) }
    for range in theirs { merged.appendMerging(range) }
    return IntervalSet(canonical: merged)
  }

  /// The members of both sets. O(n + m).
  public func intersection(_ other: IntervalSet) -> IntervalSet {
    var common: [OffsetRange] = []
    var a = 0
    var b = 0
    while a < intervals.count, b < other.intervals.count {
      let (mine, theirs) = (intervals[a], other.intervals[b])
      if let stretch = mine.intersection(theirs) { common.append(stretch) }
      if mine.last < theirs.last { a += 1 } else { b += 1 }
    }
    return IntervalSet(canonical: common)
  }

  /// The members of this set that are not in `other`. O(n + m).
  public func subtracting(_ other: IntervalSet) -> IntervalSet {
    intersection(other.complement)
  }

  /// The offsets that are not members. O(n).
  public var complement: IntervalSet {
    var gaps: [OffsetRange] = []
    gaps.reserveCapacity(intervals.count + 1)
    var next: Offset? = .zero
    for interval in intervals {
      if let start = next, start < interval.first {
        gaps.append(OffsetRange(unchecked: start, interval.first &- .one))
      }
      next = interval.last == .max ? nil : interval.last &+ .one
    }
    if let start = next { gaps.append(OffsetRange(unchecked: start, .max)) }
    return IntervalSet(canonical: gaps)
  }

  /// Makes every offset of `range` a member. O(n).
  public mutating func insert(_ range: OffsetRange) {
    self = union(IntervalSet(range))
  }

  /// Makes no offset of `range` a member. O(n).
  public mutating func remove(_ range: OffsetRange) {
    self = subtracting(IntervalSet(range))
  }
}

extension IntervalSet: CustomStringConvertible {
  /// The intervals in decimal, such as `[3...7, 20...20]`. O(n).
  public var description: String { intervals.description }
}

extension [OffsetRange] {
  /// Appends a range that does not start before the last one, joined with it if they touch.
  fileprivate mutating func appendMerging(_ range: OffsetRange) {
    guard let end = last, end.last == .max || range.first <= end.last &+ .one else {
      return append(range)
    }
    self[count - 1] = OffsetRange(unchecked: end.first, Swift.max(end.last, range.last))
  }
}
