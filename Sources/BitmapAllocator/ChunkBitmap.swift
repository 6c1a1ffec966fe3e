// 2^k bits, each set where an ordinal (or, above level 0, a child chunk) is taken. The value keeps
// them in one allocation, inverted and summarised as `FreeWords` draws it, and copies on write.

/// The bitmap of one chunk: 2^k bits, k 6 … 14; a set bit means taken.
///
/// A value: copying is O(1), the first change of a copy O(words). Bits beyond those that exist are
/// the caller's to avoid: every search takes the range that it may use.
@frozen
public struct ChunkBitmap: Sendable {
  // Invariant: the buffer is changed only while it is uniquely referenced, so that no two values
  // and no two threads share a buffer that changes.
  @usableFromInline nonisolated(unsafe) var buffer: ManagedBuffer<Void, UInt64>
  /// k: the bitmap has 2^k bits.
  public let chunkBits: Int

  /// An empty bitmap of 2^`chunkBits` bits; k must be 6 … 14. O(words).
  public init(chunkBits: Int) {
    self.init(chunkBits: chunkBits, freeBits: 1 << chunkBits)
  }

  /// A full bitmap of 2^`chunkBits` bits; k must be 6 … 14. O(words).
  public static func full(chunkBits: Int) -> ChunkBitmap {
    ChunkBitmap(chunkBits: chunkBits, freeBits: 0)
  }

  private init(chunkBits: Int, freeBits: Int) {
    self.init(uninitialized: chunkBits)
    words.reset(freeBits: freeBits, chunkBits: chunkBits)
  }

  private init(uninitialized chunkBits: Int) {
    precondition(PoolGeometry.chunkBitsBounds.contains(chunkBits), "k is 6 ... 14")
    let slots = FreeWords.slotCount(chunkBits: chunkBits)
    self.buffer = ManagedBuffer<Void, UInt64>.create(minimumCapacity: slots) { _ in }
    self.chunkBits = chunkBits
    buffer.withUnsafeMutablePointerToElements { $0.initialize(repeating: 0, count: slots) }
  }

  /// A view of the words, valid while the value is.
  @inlinable
  var words: FreeWords { FreeWords(buffer.withUnsafeMutablePointerToElements { $0 }) }

  @usableFromInline
  @inline(never)
  mutating func copyBuffer() {
    let copy = ChunkBitmap(uninitialized: chunkBits)
    copy.words.base.update(from: words.base, count: FreeWords.slotCount(chunkBits: chunkBits))
    self = copy
  }

  /// The words of a buffer that nobody else refers to.
  @inlinable
  mutating func uniqueWords() -> FreeWords {
    if !isKnownUniquelyReferenced(&buffer) { copyBuffer() }
    return words
  }

  @inlinable
  func check(_ bit: Int) {
    precondition(UInt(bitPattern: bit) &>> UInt(chunkBits) == 0, "a bit is 0 ... 2^k - 1")
  }
}

// MARK: - Counts and single bits

extension ChunkBitmap {
  /// 2^k. O(1).
  @inlinable
  public var capacity: Int { 1 &<< chunkBits }

  /// All bits: 0 … 2^k − 1. O(1).
  @inlinable
  public var allBits: ClosedRange<Int> { ClosedRange(uncheckedBounds: (0, capacity &- 1)) }

  /// The number of clear bits. O(1).
  @inlinable
  public var freeCount: Int { words.freeCount }

  /// The number of set bits. O(1).
  @inlinable
  public var takenCount: Int { capacity &- freeCount }

  /// Whether `bit` is set. O(1).
  @inlinable
  public func isTaken(_ bit: Int) -> Bool {
    check(bit)
    return !words.isFree(bit)
  }

  /// Sets `bit`; whether it was clear. O(1), O(words) if the value is a copy.
  @inlinable
  @discardableResult
  public mutating func take(_ bit: Int) -> Bool {
    check(bit)
    guard words.isFree(bit) else { return false }
    uniqueWords().take(bit)
    return true
  }

  /// Clears `bit`; whether it was set. O(1), O(words) if the value is a copy.
  @inlinable
  @discardableResult
  public mutating func free(_ bit: Int) -> Bool {
    check(bit)
    guard !words.isFree(bit) else { return false }
    uniqueWords().free(bit)
    return true
  }
}

// MARK: - Words

extension ChunkBitmap {
  /// The number of 64-bit words, 2^(k − 6). O(1).
  @inlinable
  public var wordCount: Int { FreeWords.wordCount(chunkBits: chunkBits) }

  /// Bits 64 `index` … 64 `index` + 63, the lowest first; set means taken. O(1).
  @inlinable
  public func word(_ index: Int) -> UInt64 {
    check(index &<< 6)
    return ~words.words[index]
  }

  /// The bitmap whose words are `word(0)`, `word(1)`, …; k must be 6 … 14. O(words).
  public init(chunkBits: Int, takenWords word: (Int) -> UInt64) {
    self.init(uninitialized: chunkBits)
    for index in 0..<wordCount { words.words[index] = ~word(index) }
    words.rebuild(chunkBits: chunkBits)
  }

  /// Sets every bit that is set in `other`, which has the same k. O(words).
  public mutating func formUnion(_ other: ChunkBitmap) { combine(other) { $0 & $1 } }

  /// Clears every bit that is set in `other`, which has the same k. O(words).
  public mutating func subtract(_ other: ChunkBitmap) { combine(other) { $0 | ~$1 } }

  /// Clears every bit that is clear in `other`, which has the same k. O(words).
  public mutating func formIntersection(_ other: ChunkBitmap) { combine(other) { $0 | $1 } }

  private mutating func combine(_ other: ChunkBitmap, _ freeWord: (UInt64, UInt64) -> UInt64) {
    precondition(chunkBits == other.chunkBits, "bitmaps of one size")
    let mine = uniqueWords()
    for index in 0..<wordCount {
      mine.words[index] = freeWord(mine.words[index], other.words.words[index])
    }
    mine.rebuild(chunkBits: chunkBits)
  }
}

extension ChunkBitmap: Hashable {
  /// Whether both have the same k and the same bits set. O(words).
  public static func == (left: ChunkBitmap, right: ChunkBitmap) -> Bool {
    guard left.chunkBits == right.chunkBits else { return false }
    if left.buffer === right.buffer { return true }
    return (0..<left.wordCount).allSatisfy { left.words.words[$0] == right.words.words[$0] }
  }

  /// Feeds k and the words. O(words).
  public func hash(into hasher: inout Hasher) {
    hasher.combine(chunkBits)
    for index in 0..<wordCount { hasher.combine(words.words[index]) }
  }
}
