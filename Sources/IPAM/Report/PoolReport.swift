public import AddressSpace
public import BitmapAllocator

// How full a pool is, told chunk by chunk: each is looked at once and let go, so that a pool of any
// size is reported in the memory of one chunk.
//
//   chunks    ....[##.#]..........[#...]....     in order; what is missing is empty
//   run             ^^  ^^^^^^^^^^^  ^^^^^^^      free stretches, joined across chunks
//
// Only what may be handed out counts as free; what is taken elsewhere (a range was changed) is told
// apart.

/// The figures of one pool.
public struct PoolReport: Sendable {
  /// Which ordinals of the pool may be handed out.
  public let space: PoolSpace
  /// How many could be handed out if all were free.
  public var capacity: ExactCount { space.allowed.count }
  /// How many the subnet has that never are: reserved, excluded, or outside the ranges.
  public var excluded: ExactCount { space.geometry.ordinalCount - capacity }
  /// How many are in use.
  public private(set) var used = ExactCount.zero
  /// How many were released and wait.
  public private(set) var cooling = ExactCount.zero
  /// How many are in use or wait that may not be handed out any more.
  public private(set) var strays = ExactCount.zero
  /// How many are free; in damaged chunks none is.
  public var free: ExactCount { capacity - used - cooling - unreadable }
  /// How many chunks there could be.
  public let chunks: ExactCount
  /// How many of them were ever written.
  public private(set) var touchedChunks: UInt64 = 0
  /// How many of them have nothing free.
  public private(set) var fullChunks: UInt64 = 0
  /// How many cannot be read.
  public private(set) var damagedChunks: UInt64 = 0
  /// How many chunks the fan-out tree above them has.
  public private(set) var treeChunks: UInt64 = 0
  /// The bytes of all of them, without their keys.
  public private(set) var bytes: UInt64 = 0
  /// How often they were written in all, by their generations; each commit writes one at least.
  public private(set) var writes: UInt64 = 0
  /// What may be handed out and stands in chunks that cannot be read.
  private var unreadable = ExactCount.zero

  private let now: UInt64
  private let cooldown: UInt64
  private var run: OffsetRange?
  private var longest: OffsetRange?
  /// The first ordinal that no chunk was seen for; nil behind the last.
  private var next: Offset? = .zero

  /// A report on a pool without chunks.
  ///
  /// - Parameters:
  ///   - space: The pool.
  ///   - cooldown: How long a released ordinal waits, in seconds.
  ///   - now: Seconds since 1970.
  public init(of space: PoolSpace, cooldown: UInt64, now: UInt64) {
    self.space = space
    self.cooldown = cooldown
    self.now = now
    chunks = space.touchedChunks.count
  }

  /// Takes a chunk in; those of level 0 in the order of their ordinals, each once.
  ///
  /// - Parameters:
  ///   - node: Which chunk.
  ///   - chunk: What it holds; nil if it cannot be read.
  ///   - size: Its bytes in the store.
  /// - Complexity: O(words + free stretches).
  public mutating func add(_ node: TreeNode, _ chunk: Chunk?, size: Int) {
    bytes += UInt64(size)
    if chunk == nil { damagedChunks += 1 }
    writes &+= chunk?.generation ?? 0
    guard node.level == 0 else {
      treeChunks += 1
      return
    }
    let ordinals = space.geometry.ordinals(of: node)
    precondition(next.map { $0 <= ordinals.first } ?? false, "chunks come in order")
    if let next, next < ordinals.first {
      OffsetRange(first: next, last: ordinals.first &- .one).map { noteFree($0) }
    }
    next = ordinals.last == space.geometry.lastOrdinal.offset ? nil : ordinals.last &+ .one
    touchedChunks += 1
    let usable = space.usableBits(in: node)
    guard let chunk else {
      unreadable = unreadable + ExactCount(UInt64(usable.reduce(0) { $0 + $1.count }))
      return
    }
    count(chunk, usable, from: ordinals.first)
  }

  private mutating func count(_ chunk: Chunk, _ usable: [ClosedRange<Int>], from first: Offset) {
    var waiting = ChunkBitmap(chunkBits: chunk.chunkBits)
    var taken = chunk.bitmap
    for bucket in chunk.cooling.buckets {
      taken.subtract(bucket.bits)
      let isOver = bucket.since <= now && now - bucket.since >= cooldown
      if !isOver { waiting.formUnion(bucket.bits) }
    }
    var unavailable = taken
    unavailable.formUnion(waiting)
    let all = unavailable.takenCount
    if usable != [chunk.bitmap.allBits] {
      var mask = ChunkBitmap(chunkBits: chunk.chunkBits)
      for range in usable { for bit in range { mask.take(bit) } }
      taken.formIntersection(mask)
      waiting.formIntersection(mask)
    }
    used = used + ExactCount(UInt64(taken.takenCount))
    cooling = cooling + ExactCount(UInt64(waiting.takenCount))
    strays = strays + ExactCount(UInt64(all - taken.takenCount - waiting.takenCount))
    var hasFree = false
    for range in usable {
      var from = range.lowerBound
      while from <= range.upperBound {
        let end = unavailable.firstTaken(in: from...range.upperBound) ?? range.upperBound + 1
        if end > from {
          hasFree = true
          OffsetRange(
            first: first &+ Offset(from), last: first &+ Offset(end - 1)
          ).map { noteFree($0) }
        }
        from = end + 1
      }
    }
    if !hasFree, !usable.isEmpty { fullChunks += 1 }
  }

  /// Joins a stretch without anything taken to what was free before it.
  private mutating func noteFree(_ stretch: OffsetRange) {
    for part in space.allowed.intersection(with: stretch) {
      if let current = run, current.last &+ .one == part.first, current.last != .max,
        let joined = OffsetRange(first: current.first, last: part.last)
      {
        run = joined
      } else {
        run = part
      }
      if let run, longest.map({ $0.count < run.count }) ?? true { longest = run }
    }
  }

  /// The longest stretch of consecutive ordinals that are all free; nil if none is. To be asked for
  /// when all chunks are in.
  ///
  /// - Complexity: O(intervals).
  public var largestFree: OffsetRange? {
    var end = self
    if let next, let rest = OffsetRange(first: next, last: space.geometry.lastOrdinal.offset) {
      end.noteFree(rest)
    }
    return end.longest
  }
}

extension NetworkDefinition {
  /// Every pool of the network once, with all that any of its range sets may hand out of it.
  ///
  /// - Throws: ``NetworkDefinitionError`` if a set cannot be laid out.
  public func spaces() throws(NetworkDefinitionError) -> [PoolSpace] {
    var spaces: [PoolSpace] = []
    for space in try layouts().flatMap(\.pools) {
      if let index = spaces.firstIndex(where: { $0.geometry == space.geometry }) {
        spaces[index] = PoolSpace(
          geometry: space.geometry, allowed: spaces[index].allowed.union(space.allowed))
      } else {
        spaces.append(space)
      }
    }
    return spaces
  }
}
