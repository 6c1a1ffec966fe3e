// The words of one chunk, as bits that are set where an ordinal is free, under two summaries:
//
//   slot 0      top       bit s: summary word s is not zero
//   slots 1…4   summary   bit w: word w has a free bit
//   slot 5      the number of free bits
//   slots 6, 7  the owner's (a pool keeps the cursor there)
//   slots 8…    the words, 64 ordinals each, 1 … 256 of them
//
// A search looks at the rest of one word, then at the summary, then at the top: three
// count-trailing-zeros at any size and any fill. All bit tricks of the module live here.
//
// The view borrows memory that somebody else owns: a `ChunkBitmap`, or a pool's slab.

@frozen
@usableFromInline
struct FreeWords {
  @usableFromInline static let firstWord = 8
  @usableFromInline static let freeCountSlot = 5

  @usableFromInline let base: UnsafeMutablePointer<UInt64>

  @inlinable
  init(_ base: UnsafeMutablePointer<UInt64>) { self.base = base }

  /// The number of slots of a chunk of 2^`chunkBits`.
  @inlinable
  static func slotCount(chunkBits: Int) -> Int { firstWord + wordCount(chunkBits: chunkBits) }

  @inlinable
  static func wordCount(chunkBits: Int) -> Int { 1 &<< (chunkBits &- 6) }

  @inlinable
  var words: UnsafeMutablePointer<UInt64> { base + Self.firstWord }

  @inlinable
  var freeCount: Int {
    get { Int(truncatingIfNeeded: base[Self.freeCountSlot]) }
    nonmutating set { base[Self.freeCountSlot] = UInt64(truncatingIfNeeded: newValue) }
  }

  // MARK: - One bit

  @inlinable
  @inline(__always)
  func isFree(_ bit: Int) -> Bool {
    words[bit &>> 6] &>> UInt64(truncatingIfNeeded: bit & 63) & 1 != 0
  }

  /// Takes a bit that is known to be free.
  @inlinable
  @inline(__always)
  func take(_ bit: Int) {
    let index = bit &>> 6
    let word = words[index] & ~(1 &<< UInt64(truncatingIfNeeded: bit & 63))
    words[index] = word
    freeCount &-= 1
    if word == 0 { markEmpty(word: index) }
  }

  /// Frees a bit that is known to be taken.
  @inlinable
  @inline(__always)
  func free(_ bit: Int) {
    let index = bit &>> 6
    let word = words[index]
    words[index] = word | (1 &<< UInt64(truncatingIfNeeded: bit & 63))
    freeCount &+= 1
    if word == 0 { markOccupied(word: index) }
  }

  @inlinable
  @inline(__always)
  func markEmpty(word index: Int) {
    let slot = 1 &+ index &>> 6
    base[slot] &= ~(1 &<< UInt64(truncatingIfNeeded: index & 63))
    if base[slot] == 0 { base[0] &= ~(1 &<< UInt64(truncatingIfNeeded: slot &- 1)) }
  }

  @inlinable
  @inline(__always)
  func markOccupied(word index: Int) {
    let slot = 1 &+ index &>> 6
    base[slot] |= 1 &<< UInt64(truncatingIfNeeded: index & 63)
    base[0] |= 1 &<< UInt64(truncatingIfNeeded: slot &- 1)
  }

  // MARK: - Search

  /// The first free bit at or after `bit`, which is in range; -1 if there is none.
  @inlinable
  func nextFree(_ bit: Int) -> Int {
    let index = bit &>> 6
    let rest = words[index] & (~0 &<< UInt64(truncatingIfNeeded: bit & 63))
    if rest != 0 { return index &<< 6 | rest.trailingZeroBitCount }
    let next = nextOccupied(after: index)
    return next < 0 ? -1 : next &<< 6 | words[next].trailingZeroBitCount
  }

  /// The first word after word `index` that has a free bit; -1 if there is none.
  @inlinable
  func nextOccupied(after index: Int) -> Int {
    let slot = index &>> 6
    let above = ~1 &<< UInt64(truncatingIfNeeded: index & 63)
    let rest = base[1 &+ slot] & above
    if rest != 0 { return slot &<< 6 | rest.trailingZeroBitCount }
    let slots = base[0] & (~1 &<< UInt64(truncatingIfNeeded: slot))
    if slots == 0 { return -1 }
    let next = slots.trailingZeroBitCount
    return next &<< 6 | base[1 &+ next].trailingZeroBitCount
  }

  /// The first word with a free bit after word `index`, or else from the lowest up to and with
  /// `index`; -1 if there is none.
  @inlinable
  @inline(__always)
  func nextOccupied(cyclicallyAfter index: Int) -> Int {
    let slot = index &>> 6
    if base[0] & ~(1 &<< UInt64(truncatingIfNeeded: slot)) == 0 {
      // Nothing under another summary word: turn this one so that its first bit is the answer,
      // without a branch that depends on where the free bit is.
      let summary = base[1 &+ slot]
      if summary == 0 { return -1 }
      let turn = UInt64(truncatingIfNeeded: index &+ 1)
      let turned = summary &>> turn | summary &<< (0 &- turn)
      return slot &<< 6 | (index &+ 1 &+ turned.trailingZeroBitCount) & 63
    }
    let next = nextOccupied(after: index)
    if next >= 0 { return next }
    let first = base[0].trailingZeroBitCount
    return first &<< 6 | base[1 &+ first].trailingZeroBitCount
  }

  /// The first free bit at or after `bit`, which is in range, else the lowest; -1 if there is none.
  @inlinable
  @inline(__always)
  func nextFree(cyclicallyFrom bit: Int) -> Int {
    let index = bit &>> 6
    let rest = words[index] & (~0 &<< UInt64(truncatingIfNeeded: bit & 63))
    if rest != 0 { return index &<< 6 | rest.trailingZeroBitCount }
    let next = nextOccupied(cyclicallyAfter: index)
    return next < 0 ? -1 : next &<< 6 | words[next].trailingZeroBitCount
  }

  /// Takes the bit that `nextFree(cyclicallyFrom:)` finds; -1 if there is none.
  @inlinable
  @inline(__always)
  func takeNext(from bit: Int) -> Int {
    let index = bit &>> 6
    let word = words[index]
    let rest = word & (~0 &<< UInt64(truncatingIfNeeded: bit & 63))
    if rest != 0 {
      shrink(word: index, to: word ^ (rest & (0 &- rest)), taken: 1)
      return index &<< 6 | rest.trailingZeroBitCount
    }
    let next = nextOccupied(cyclicallyAfter: index)
    if next < 0 { return -1 }
    let other = words[next]
    shrink(word: next, to: other & (other &- 1), taken: 1)
    return next &<< 6 | other.trailingZeroBitCount
  }

  // MARK: - Whole words

  /// Makes all of the first `count` bits free and all others taken.
  func reset(freeBits count: Int, chunkBits: Int) {
    for index in 0..<Self.wordCount(chunkBits: chunkBits) {
      words[index] = Self.mask(below: count - index * 64)
    }
    rebuild(chunkBits: chunkBits)
  }

  /// The free bits of word `index` within `range`.
  @inlinable
  func word(_ index: Int, in range: ClosedRange<Int>) -> UInt64 {
    words[index] & Self.mask(ofWord: index, in: range)
  }

  /// Replaces word `index`, which is known to lose free bits only.
  @inlinable
  @inline(__always)
  func shrink(word index: Int, to word: UInt64, taken: Int) {
    words[index] = word
    freeCount &-= taken
    if word == 0 { markEmpty(word: index) }
  }

  /// Whether every bit of `range` is free.
  func isAllFree(_ range: ClosedRange<Int>) -> Bool {
    (range.lowerBound >> 6...range.upperBound >> 6).allSatisfy {
      word($0, in: range) == Self.mask(ofWord: $0, in: range)
    }
  }

  /// Whether every bit of `range` is taken.
  func isAllTaken(_ range: ClosedRange<Int>) -> Bool {
    (range.lowerBound >> 6...range.upperBound >> 6).allSatisfy { word($0, in: range) == 0 }
  }

  /// Takes every bit of `range`.
  func takeAll(_ range: ClosedRange<Int>) { change(range) { $0 & ~$1 } }

  /// Frees every bit of `range`.
  func freeAll(_ range: ClosedRange<Int>) { change(range) { $0 | $1 } }

  @inline(__always)
  private func change(
    _ range: ClosedRange<Int>, _ freeWord: (_ old: UInt64, _ mask: UInt64) -> UInt64
  ) {
    for index in (range.lowerBound >> 6)...(range.upperBound >> 6) {
      let old = words[index]
      let new = freeWord(old, Self.mask(ofWord: index, in: range))
      words[index] = new
      freeCount += new.nonzeroBitCount - old.nonzeroBitCount
      if new == 0, old != 0 { markEmpty(word: index) }
      if new != 0, old == 0 { markOccupied(word: index) }
    }
  }

  /// The first bit of the lowest aligned block of 2^`order` free bits within `range`.
  func freeAlignedBlock(order: Int, in range: ClosedRange<Int>) -> Int? {
    guard order >= 6 else {
      for index in (range.lowerBound >> 6)...(range.upperBound >> 6) {
        let starts = word(index, in: range).alignedBlocks(order: order)
        if starts != 0 { return index << 6 | starts.trailingZeroBitCount }
      }
      return nil
    }
    let size = 1 << order
    var first = (range.lowerBound + size - 1) & ~(size - 1)
    while first + size - 1 <= range.upperBound {
      if isAllFree(first...first + size - 1) { return first }
      first += size
    }
    return nil
  }

  /// Keeps free only what `ranges` (in order, disjoint) have.
  func restrict(to ranges: [ClosedRange<Int>], chunkBits: Int) {
    for index in 0..<Self.wordCount(chunkBits: chunkBits) {
      words[index] &= ranges.reduce(0) { $0 | Self.mask(ofWord: index, in: $1) }
    }
    rebuild(chunkBits: chunkBits)
  }

  /// Recomputes summaries and count from the words.
  func rebuild(chunkBits: Int) {
    for slot in 0..<5 { base[slot] = 0 }
    var free = 0
    for index in 0..<Self.wordCount(chunkBits: chunkBits) where words[index] != 0 {
      free += words[index].nonzeroBitCount
      markOccupied(word: index)
    }
    freeCount = free
  }

  /// The lowest `count` bits of a word; none for a negative count, all from 64 on.
  @inlinable
  static func mask(below count: Int) -> UInt64 {
    count <= 0 ? 0 : count >= 64 ? ~0 : (1 &<< UInt64(truncatingIfNeeded: count)) &- 1
  }

  /// The bits of word `index` that lie within `range`.
  @inlinable
  static func mask(ofWord index: Int, in range: ClosedRange<Int>) -> UInt64 {
    let origin = index &<< 6
    return mask(below: range.upperBound &- origin &+ 1) & ~mask(below: range.lowerBound &- origin)
  }
}
