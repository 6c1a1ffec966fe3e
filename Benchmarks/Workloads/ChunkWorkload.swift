// Acquire on single chunks. An operation that empties what it works on cannot be repeated, so there
// are many chunks: a lap acquires up to 16 from each, timed, and releases them, not timed. Where
// only one ordinal is free, one is acquired from each.

/// Chunks of one size and fill.
package struct ChunkCell: Hashable, Sendable, CustomStringConvertible {
  package let chunkBits: Int
  package let fill: Fill
  package var description: String { "2^\(chunkBits), \(fill)" }
  package var capacity: Int { 1 << chunkBits }
  /// At least one.
  package var free: Int { fill.free(of: capacity) }

  package init(chunkBits: Int, fill: Fill) {
    self.chunkBits = chunkBits
    self.fill = fill
  }

  /// The chunk sizes of a /24, a /16, and a /8 and larger pools.
  package static let all = [8, 10, 12].flatMap { bits in
    Fill.all.map { ChunkCell(chunkBits: bits, fill: $0) }
  }

  func freeOrdinals(of chunk: Int) -> [Int] {
    scattered(free, below: capacity, seed: UInt64(chunk))
  }

  /// The limit first, then this library's bitmap and chunk.
  package var contest: [Lap] {
    [
      Chunks<FlatWords>(self).lap("bare loop over flat words"),
      Chunks<BitmapWithCursor>(self).lap("ChunkBitmap"),
      Chunks<WholeChunk>(self).lap("Chunk"),
    ]
  }
}

final class Chunks<Allocator: NextFree> {
  private static var count: Int { 64 }
  private var allocators: [Allocator]
  private let perChunk: Int
  private var taken: [Int]

  init(_ cell: ChunkCell) {
    allocators = (0..<Self.count).map {
      Allocator(capacity: cell.capacity, free: cell.freeOrdinals(of: $0))
    }
    perChunk = min(cell.free, 16)
    taken = [Int](repeating: -1, count: Self.count * perChunk)
  }

  func lap(_ name: String) -> Lap {
    Lap(name) { [self] in
      let time = nanoseconds { Self.acquire(&allocators, perChunk, into: &taken) }
      require(!taken.contains(-1), "\(name) found nothing free")
      Self.release(&allocators, perChunk, taken)
      return time / Double(taken.count)
    }
  }

  @inline(never)
  private static func acquire(
    _ allocators: inout [Allocator], _ perChunk: Int, into taken: inout [Int]
  ) -> UInt64 {
    var next = 0
    for chunk in allocators.indices {
      for _ in 0..<perChunk {
        taken[next] = allocators[chunk].acquire()
        next &+= 1
      }
    }
    return UInt64(truncatingIfNeeded: next)
  }

  private static func release(
    _ allocators: inout [Allocator], _ perChunk: Int, _ taken: [Int]
  ) {
    for (index, ordinal) in taken.enumerated() {
      allocators[index / perChunk].release(ordinal)
    }
  }
}
