// What a chunk costs in a store. The payload is what its ordinals take; the rest is header and
// trailer, which a chunk without ordinals has too.

internal import AddressSpace
internal import BitmapAllocator
internal import CRoaring

/// The encoded form of one chunk.
package struct EncodedBytes {
  package let payload: Int
  package let around: Int
  /// CRoaring's containers for the same set; `nil` if it is not there.
  package let roaring: Int?
  package let dense: Int

  /// Of the chunk of 2^`chunkBits` ordinals of which `taken` are.
  init(chunkBits: Int, taken: [Int]) {
    let chunk = stampedChunk(chunkBits: chunkBits, taken: taken)
    let empty = ChunkCodec.encode(stampedChunk(chunkBits: chunkBits, taken: []), key: "key").count
    // The population is a varint: a byte for each seven bits.
    let population = max(1, (Int.bitWidth - taken.count.leadingZeroBitCount + 6) / 7)
    around = empty + population - 1
    payload = ChunkCodec.encode(chunk, key: "key").count - around
    dense = (1 << chunkBits) / 8
    roaring = croaring_is_there() ? roaringBytes(taken) : nil
  }

  /// Chunks of every size and density, scattered and in runs.
  package static var samples: [EncodedBytes] {
    (6...14).flatMap { bits in
      let capacity = 1 << bits
      return (0...64).flatMap { step in
        let count = capacity * step / 64
        return [
          scattered(count, below: capacity, seed: UInt64(step)), Array(0..<count),
          Array(capacity - count..<capacity), (0..<capacity).filter { $0 % 64 < step },
        ].map { EncodedBytes(chunkBits: bits, taken: $0) }
      }
        + [1, 2, 3, 7].flatMap { few in
          [few, capacity - few].map {
            EncodedBytes(chunkBits: bits, taken: scattered($0, below: capacity, seed: UInt64(few)))
          }
        }
    }
  }

  /// The encoded size of a chunk at a fill.
  package static func total(_ cell: ChunkCell) -> Int {
    let taken = scattered(cell.capacity - cell.free, below: cell.capacity, seed: 5)
    let bytes = EncodedBytes(chunkBits: cell.chunkBits, taken: taken)
    return bytes.payload + bytes.around
  }

  /// All chunks of a /8 together from which `count` addresses were taken in order, each chunk with
  /// the tokens of four writers.
  package static func inOrder(_ count: Int) -> Int {
    let pool = AddressPool(subnet: PoolSize.slash8.prefix)
    guard var pool else { return .max }
    require(pool.acquire(count: count).count == count, "a /8 has \(count)")
    return pool.snapshot().chunks.values.reduce(0) { $0 + $1.count + 8 * Chunk.writerLimit }
  }
}

/// A chunk with everything in its header that a long life leaves there.
func stampedChunk(chunkBits: Int, taken: [Int]) -> Chunk {
  var chunk = Chunk(chunkBits: chunkBits, incarnation: .max)
  chunk.generation = 1 << 48
  for writer in 0..<Chunk.writerLimit { chunk.stamp(writer: .max - UInt64(writer)) }
  for ordinal in taken { chunk.bitmap.take(ordinal) }
  return chunk
}

private func roaringBytes(_ taken: [Int]) -> Int {
  guard let set = croaring_create() else { return .max }
  defer { croaring_free(set) }
  for ordinal in taken { croaring_add(set, UInt32(ordinal)) }
  return Int(croaring_payload_bytes(set))
}
