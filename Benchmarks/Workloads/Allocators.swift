// Next-free on one chunk, by this library and by what one might use instead. All have the ordinals
// below `capacity`, hand out the first free one at or after a cursor, and take it back.

internal import BitCollections
internal import BitmapAllocator
internal import CRoaring

/// One allocator by its name, with which the same ordinal is taken and given back again and again.
package final class ChunkPairs {
  /// What there is to compare.
  package static var names: [String] { kinds.map(\.name) }

  private static var kinds: [(name: String, kind: any NextFree.Type)] {
    [
      ("bare loop over flat words", FlatWords.self), ("ChunkBitmap", BitmapWithCursor.self),
      ("Chunk", WholeChunk.self), ("scan over a Set", LinearScan.self),
      ("swift-collections BitSet", FreeBitSet.self),
    ] + (croaring_is_there() ? [("CRoaring", FreeRoaring.self)] : [])
  }

  private let body: (Int) -> UInt64

  package init(_ cell: ChunkCell, _ name: String) {
    let kind = Self.kinds.first { $0.name == name }?.kind ?? FlatWords.self
    body = Self.pairs(kind, cell)
  }

  /// Takes and gives back `count` times.
  package func run(_ count: Int) -> UInt64 { body(count) }

  private static func pairs<Allocator: NextFree>(
    _ kind: Allocator.Type, _ cell: ChunkCell
  ) -> (Int) -> UInt64 {
    var allocator = Allocator(capacity: cell.capacity, free: cell.freeOrdinals(of: 0))
    return { count in
      var sum = 0
      for _ in 0..<count {
        let ordinal = allocator.acquire()
        sum &+= ordinal
        allocator.release(ordinal)
      }
      return UInt64(truncatingIfNeeded: sum)
    }
  }
}

/// What is compared; -1 if nothing is free.
protocol NextFree {
  init(capacity: Int, free: [Int])
  mutating func acquire() -> Int
  mutating func release(_ ordinal: Int)
}

/// The limit: flat words, a set bit for a free ordinal, no bounds checked, nothing else kept.
struct FlatWords: NextFree {
  private let words: UnsafeMutablePointer<UInt64>
  private let count: Int
  private var cursor = 0

  init(capacity: Int, free: [Int]) {
    count = capacity / 64
    words = .allocate(capacity: count)  // lives as long as the program, as all workloads do
    words.initialize(repeating: 0, count: count)
    for ordinal in free { release(ordinal) }
  }

  @inline(__always)
  mutating func acquire() -> Int {
    var index = cursor >> 6
    var word = words[index] & (UInt64.max &<< UInt64(truncatingIfNeeded: cursor & 63))
    var left = count
    while word == 0 {
      if left == 0 { return -1 }
      left &-= 1
      index &+= 1
      if index == count { index = 0 }
      word = words[index]
    }
    let bit = word.trailingZeroBitCount
    words[index] &= ~(1 &<< UInt64(truncatingIfNeeded: bit))
    let ordinal = index << 6 | bit
    cursor = (ordinal &+ 1) & (count << 6 &- 1)
    return ordinal
  }

  @inline(__always)
  mutating func release(_ ordinal: Int) {
    words[ordinal >> 6] |= 1 &<< UInt64(truncatingIfNeeded: ordinal & 63)
  }
}

/// `ChunkBitmap` with a cursor beside it.
struct BitmapWithCursor: NextFree {
  private var bitmap: ChunkBitmap
  private var cursor = 0

  init(capacity: Int, free: [Int]) {
    bitmap = .full(chunkBits: capacity.trailingZeroBitCount)
    for ordinal in free { bitmap.free(ordinal) }
  }

  @inline(__always)
  mutating func acquire() -> Int {
    guard let bit = bitmap.takeNext(from: cursor, in: bitmap.allBits) else { return -1 }
    cursor = (bit &+ 1) & (bitmap.capacity &- 1)
    return bit
  }

  @inline(__always)
  mutating func release(_ ordinal: Int) { bitmap.free(ordinal) }
}

/// `Chunk`, as a store changes it: cool-down looked after, ranges respected.
struct WholeChunk: NextFree {
  private var chunk: Chunk
  private let allowed: [ClosedRange<Int>]

  init(capacity: Int, free: [Int]) {
    chunk = Chunk(chunkBits: capacity.trailingZeroBitCount, incarnation: 1)
    chunk.bitmap = .full(chunkBits: chunk.chunkBits)
    for ordinal in free { chunk.bitmap.free(ordinal) }
    allowed = [0...capacity - 1]
  }

  @inline(__always)
  mutating func acquire() -> Int { chunk.acquire(in: allowed, now: 0, cooldown: 0) ?? -1 }

  @inline(__always)
  mutating func release(_ ordinal: Int) { chunk.release(ordinal, now: 0, cooldown: 0) }
}

/// The set of what is taken, and one ordinal after the other asked: what many allocators do.
struct LinearScan: NextFree {
  private var taken: Set<Int>
  private let capacity: Int
  private var cursor = 0

  init(capacity: Int, free: [Int]) {
    self.capacity = capacity
    taken = Set(0..<capacity).subtracting(free)
  }

  mutating func acquire() -> Int {
    for step in 0..<capacity {
      let ordinal = (cursor + step) % capacity
      if taken.insert(ordinal).inserted {
        cursor = (ordinal + 1) % capacity
        return ordinal
      }
    }
    return -1
  }

  mutating func release(_ ordinal: Int) { taken.remove(ordinal) }
}

/// swift-collections' `BitSet` of what is free.
struct FreeBitSet: NextFree {
  private var free: BitSet
  private let capacity: Int
  private var cursor = 0

  init(capacity: Int, free: [Int]) {
    self.capacity = capacity
    self.free = BitSet(free)
  }

  mutating func acquire() -> Int {
    guard let ordinal = free[members: cursor...].first ?? free.first else { return -1 }
    free.remove(ordinal)
    cursor = ordinal + 1 == capacity ? 0 : ordinal + 1
    return ordinal
  }

  mutating func release(_ ordinal: Int) { free.insert(ordinal) }
}

/// CRoaring's set of what is free.
struct FreeRoaring: NextFree {
  private let free: OpaquePointer
  private let capacity: Int
  private var cursor = 0

  init(capacity: Int, free ordinals: [Int]) {
    self.capacity = capacity
    free = croaring_create()
    for ordinal in ordinals { croaring_add(free, UInt32(ordinal)) }
  }

  mutating func acquire() -> Int {
    var found = croaring_next(free, UInt32(cursor))
    if found < 0 { found = croaring_next(free, 0) }
    guard found >= 0 else { return -1 }
    croaring_remove(free, UInt32(found))
    cursor = Int(found) + 1 == capacity ? 0 : Int(found) + 1
    return Int(found)
  }

  mutating func release(_ ordinal: Int) { croaring_add(free, UInt32(ordinal)) }
}
