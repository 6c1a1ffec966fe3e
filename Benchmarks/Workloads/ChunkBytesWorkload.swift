// A chunk written and read.

internal import BitmapAllocator

/// A chunk at a fill, and its encoded form.
package final class ChunkBytesWorkload {
  private let chunk: Chunk
  private let bytes: [UInt8]
  private let key = "network/pools/0a000000-8-32-12/0/00000a5a"

  package init(_ cell: ChunkCell) {
    let taken = scattered(cell.capacity - cell.free, below: cell.capacity, seed: 5)
    chunk = stampedChunk(chunkBits: cell.chunkBits, taken: taken)
    bytes = ChunkCodec.encode(chunk, key: key)
  }

  package func encode(_ count: Int) -> UInt64 {
    var sum: UInt64 = 0
    for _ in 0..<count { sum &+= UInt64(ChunkCodec.encode(chunk, key: key).count) }
    return sum
  }

  package func decode(_ count: Int) -> UInt64 {
    var sum: UInt64 = 0
    for _ in 0..<count {
      guard let read = try? ChunkCodec.decode(bytes, key: key, chunkBits: chunk.chunkBits) else {
        require(false, "a chunk does not decode")
        return 0
      }
      sum &+= UInt64(read.bitmap.takenCount)
    }
    return sum
  }
}
