// The words of one chunk, as bits that are set where an ordinal is free, under two summaries:
//
//   slot 0      top       bit s: summary word s is not zero
//   slots 1…4   summary   bit w: word w has a free bit
//   slot 5      the number of free bits
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
  func isFree(_ bit: Int) -> Bool {
    words[bit &>> 6] &>> UInt64(truncatingIfNeeded: bit & 63) & 1 != 0
  }

  /// Takes a bit that is known to be free.
  @inlinable
  func take(_ bit: Int) {
    let index = bit &>> 6
    let word = words[index] & ~(1 &<< UInt64(truncatingIfNeeded: bit & 63))
    words[index] = word
    freeCount &-= 1
    if word == 0 { markEmpty(word: index) }
  }

  /// Frees a bit that is known to be taken.
  @inlinable
  func free(_ bit: Int) {
    let index = bit &>> 6
    let word = words[index]
    words[index] = word | (1 &<< UInt64(truncatingIfNeeded: bit & 63))
    freeCount &+= 1
    if word == 0 { markOccupied(word: index) }
  }

  @inlinable
  func markEmpty(word index: Int) {
    let slot = 1 &+ index &>> 6
    base[slot] &= ~(1 &<< UInt64(truncatingIfNeeded: index & 63))
    if base[slot] == 0 { base[0] &= ~(1 &<< UInt64(truncatingIfNeeded: slot &- 1)) }
  }

  @inlinable
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
  func shrink(word index: Int, to word: UInt64, taken: Int) {
    words[index] = word
    freeCount &-= taken
    if word == 0 { markEmpty(word: index) }
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
