// Searches of one chunk. None looks at single bits: a word at a time at worst.

extension ChunkBitmap {
  /// The first clear bit of `range` at or after `start`, without wrapping. O(1).
  @inlinable
  public func nextFree(from start: Int, in range: ClosedRange<Int>) -> Int? {
    check(range.upperBound)
    let start = max(start, range.lowerBound)
    guard start <= range.upperBound else { return nil }
    check(start)
    let bit = words.nextFree(start)
    return bit >= 0 && bit <= range.upperBound ? bit : nil
  }

  /// The lowest clear bit of `range`. O(1).
  @inlinable
  public func firstFree(in range: ClosedRange<Int>) -> Int? {
    nextFree(from: range.lowerBound, in: range)
  }

  /// The first clear bit of `ranges` (in order, disjoint) at or after `start`, else the lowest.
  /// O(ranges).
  public func nextFree(cyclicallyFrom start: Int, in ranges: [ClosedRange<Int>]) -> Int? {
    for range in ranges {
      if let bit = nextFree(from: start, in: range) { return bit }
    }
    for range in ranges {
      if let bit = firstFree(in: range) { return bit }
    }
    return nil
  }

  /// Next-fit: sets the first clear bit of `range` at or after `cursor`, else the lowest one.
  /// O(1), O(words) if the value is a copy.
  @inlinable
  public mutating func takeNext(from cursor: Int, in range: ClosedRange<Int>) -> Int? {
    if range == allBits {
      check(cursor)
      let bit = uniqueWords().takeNext(from: cursor)
      return bit < 0 ? nil : bit
    }
    guard let bit = nextFree(from: cursor, in: range) ?? firstFree(in: range) else { return nil }
    uniqueWords().take(bit)
    return bit
  }

  /// The first set bit of `range`. O(words).
  public func firstTaken(in range: ClosedRange<Int>) -> Int? {
    check(range.upperBound)
    check(range.lowerBound)
    for index in (range.lowerBound >> 6)...(range.upperBound >> 6) {
      let taken = ~words.words[index] & FreeWords.mask(ofWord: index, in: range)
      if taken != 0 { return index << 6 | taken.trailingZeroBitCount }
    }
    return nil
  }

  /// The number of clear bits of `range`. O(words).
  public func freeCount(in range: ClosedRange<Int>) -> Int {
    check(range.upperBound)
    check(range.lowerBound)
    if range == allBits { return freeCount }
    var count = 0
    for index in (range.lowerBound >> 6)...(range.upperBound >> 6) {
      count += words.word(index, in: range).nonzeroBitCount
    }
    return count
  }

  /// The clear bit of `range` with `n` other clear ones before it there. O(words).
  public func nthFree(_ n: Int, in range: ClosedRange<Int>) -> Int? {
    check(range.upperBound)
    check(range.lowerBound)
    guard n >= 0 else { return nil }
    var left = n
    for index in (range.lowerBound >> 6)...(range.upperBound >> 6) {
      let word = words.word(index, in: range)
      let count = word.nonzeroBitCount
      if left < count { return index << 6 | word.bitIndex(ofSet: left) }
      left -= count
    }
    return nil
  }

  /// A clear bit of `ranges` (disjoint), each as likely as any other if `hash` is uniform over 64
  /// bits. O(ranges + words).
  public func randomFree(hash: UInt64, in ranges: [ClosedRange<Int>]) -> Int? {
    var rank = hash.scaled(to: ranges.reduce(0) { $0 + freeCount(in: $1) })
    for range in ranges {
      if let bit = nthFree(rank, in: range) { return bit }
      rank -= freeCount(in: range)
    }
    return nil
  }

  /// The first bit of the lowest aligned block of 2^`order` clear bits within `range`. O(words).
  public func freeAlignedBlock(order: Int, in range: ClosedRange<Int>) -> Int? {
    check(range.upperBound)
    check(range.lowerBound)
    guard (0...chunkBits).contains(order) else { return nil }
    return words.freeAlignedBlock(order: order, in: range)
  }

  /// The order of the largest aligned block of clear bits within `range`; `nil` if no bit of it is
  /// clear. O(k words).
  public func largestFreeAlignedOrder(in range: ClosedRange<Int>) -> Int? {
    (0...chunkBits).last { freeAlignedBlock(order: $0, in: range) != nil }
  }

  /// Calls `body` with each maximal run of set bits, in order. O(words + runs).
  public func forEachTakenRun(_ body: (ClosedRange<Int>) -> Void) {
    var start = 0
    while start < capacity, let first = firstTaken(in: start...capacity - 1) {
      let end = nextFree(from: first, in: allBits) ?? capacity
      body(first...end - 1)
      start = end + 1
    }
  }
}

// MARK: - Many at once

extension ChunkBitmap {
  /// Sets up to `count` clear bits within `ranges` (in order, disjoint), next-fit from `cursor`,
  /// and appends them to `bits`. Returns how many. O(words + bits), one pass.
  @discardableResult
  public mutating func takeUpTo(
    _ count: Int, in ranges: [ClosedRange<Int>], from cursor: Int, into bits: inout [Int]
  ) -> Int {
    guard count > 0 else { return 0 }
    let words = uniqueWords()
    var left = count
    for range in ranges where range.upperBound >= cursor && left > 0 {
      let rest = max(range.lowerBound, cursor)...range.upperBound
      left -= take(left, in: rest, of: words, into: &bits)
    }
    for range in ranges where range.lowerBound < cursor && left > 0 {
      let rest = range.lowerBound...min(range.upperBound, cursor - 1)
      left -= take(left, in: rest, of: words, into: &bits)
    }
    return count - left
  }

  private func take(
    _ count: Int, in range: ClosedRange<Int>, of words: FreeWords, into bits: inout [Int]
  ) -> Int {
    check(range.upperBound)
    check(range.lowerBound)
    var left = count
    var index = range.lowerBound >> 6
    while index >= 0, index <= range.upperBound >> 6, left > 0 {
      let free = words.word(index, in: range)
      let chosen = free.lowestSet(left)
      if chosen != 0 {
        let taken = chosen.nonzeroBitCount
        words.shrink(word: index, to: words.words[index] & ~chosen, taken: taken)
        left -= taken
        var rest = chosen
        while rest != 0 {
          bits.append(index << 6 | rest.trailingZeroBitCount)
          rest &= rest &- 1
        }
      }
      index = words.nextOccupied(after: index)
    }
    return count - left
  }

  /// Sets every bit of `range`. O(words).
  public mutating func takeAll(in range: ClosedRange<Int>) {
    check(range.upperBound)
    check(range.lowerBound)
    uniqueWords().takeAll(range)
  }

  /// Clears every bit of `range`. O(words).
  public mutating func freeAll(in range: ClosedRange<Int>) {
    check(range.upperBound)
    check(range.lowerBound)
    uniqueWords().freeAll(range)
  }
}

extension UInt64 {
  /// The position of the set bit with `n` set bits below it; fewer than n + 1 set gives 64.
  func bitIndex(ofSet n: Int) -> Int {
    var word = self
    for _ in 0..<n { word &= word &- 1 }
    return word.trailingZeroBitCount
  }

  /// The lowest `count` set bits.
  func lowestSet(_ count: Int) -> UInt64 {
    if nonzeroBitCount <= count { return self }
    return self & FreeWords.mask(below: bitIndex(ofSet: count))
  }

  /// The set bits that begin an aligned run of 2^`order` set bits, order 0 … 5.
  func alignedBlocks(order: Int) -> UInt64 {
    var word = self
    for step in 0..<order { word &= word &>> (1 &<< UInt64(step)) }
    let starts: [UInt64] = [
      ~0, 0x5555_5555_5555_5555, 0x1111_1111_1111_1111, 0x0101_0101_0101_0101,
      0x0001_0001_0001_0001, 0x0000_0001_0000_0001,
    ]
    return word & starts[order]
  }

  /// A uniform 64-bit hash scaled to 0 … `count` − 1; -1 for no count.
  func scaled(to count: Int) -> Int {
    count <= 0 ? -1 : Int(truncatingIfNeeded: multipliedFullWidth(by: UInt64(count)).high)
  }
}
