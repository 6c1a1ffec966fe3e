// Reading a chunk from bytes that anybody may have written.

extension ChunkCodec {
  /// The chunk that `bytes` under `key` are, which must have 2^`chunkBits` ordinals.
  ///
  /// Allocates at most the bitmap and `CoolingBuckets.bucketLimit` more of its size, whatever the
  /// bytes say. O(bytes + words).
  ///
  /// - Throws: `ChunkCodecError`, naming the first thing that does not add up.
  public static func decode(
    _ bytes: [UInt8], key: String, chunkBits: Int
  ) throws(ChunkCodecError) -> Chunk {
    precondition(PoolGeometry.chunkBitsBounds.contains(chunkBits), "k is 6 ... 14")
    guard bytes.count <= sizeLimit(chunkBits: chunkBits) else {
      throw ChunkCodecError(reason: .tooLong, position: 0)
    }
    let end = bytes.count - 4
    guard end >= magic.count + 1 else {
      throw ChunkCodecError(reason: .truncated, position: bytes.count)
    }
    var reader = ByteReader(bytes, from: 0, to: end)
    for expected in magic where try reader.byte() != expected { throw reader.failure(.magic) }
    let found = try reader.byte()
    guard found == version else { throw reader.failure(.version(found)) }
    let stored = bytes[end...].reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    guard stored == checksum(bytes[..<end], key: key) else { throw reader.failure(.checksum) }
    let chunk = try body(&reader, chunkBits: chunkBits)
    guard reader.isAtEnd else { throw reader.failure(.trailingBytes) }
    return chunk
  }

  private static func body(
    _ reader: inout ByteReader, chunkBits: Int
  ) throws(ChunkCodecError) -> Chunk {
    let flags = try reader.byte()
    let writerCount = Int(flags >> 3 & 7)
    guard flags < 1 << 7, writerCount <= Chunk.writerLimit,
      let kind = ContainerKind(rawValue: flags & 7)
    else { throw reader.failure(.flags) }
    let k = Int(try reader.byte())
    guard k == chunkBits else { throw reader.failure(.chunkBits(k)) }
    let incompatible = ChunkFeatures.Incompatible(rawValue: try reader.varint())
    let unknown = incompatible.subtracting(.known)
    guard unknown.isEmpty else {
      throw reader.failure(.incompatibleFeatures(unknown.rawValue))
    }
    let compatible = try reader.varint()
    let incarnation = try reader.fixed64()
    let generation = try reader.varint()
    var writers: [UInt64] = []
    for _ in 0..<writerCount { writers.append(try reader.fixed64()) }
    let cursor = try reader.varint(upTo: 1 << k - 1, or: .cursor)
    let population = try reader.varint(upTo: 1 << k, or: .population)
    let bitmap = try reader.payload(kind, population: population, chunkBits: k)
    return Chunk(
      bitmap: bitmap, incarnation: incarnation, generation: generation, writers: writers,
      isMarked: flags >> 6 & 1 == 1, cursor: cursor, cooling: try cooling(&reader, of: bitmap),
      features: ChunkFeatures(incompatible: incompatible, compatible: compatible))
  }

  private static func cooling(
    _ reader: inout ByteReader, of bitmap: ChunkBitmap
  ) throws(ChunkCodecError) -> CoolingBuckets {
    let count = try reader.varint(upTo: CoolingBuckets.bucketLimit, or: .cooling)
    var buckets: [CoolingBucket] = []
    var since: UInt64 = 0
    for _ in 0..<count {
      let (sum, overflow) = since.addingReportingOverflow(try reader.varint())
      guard !overflow, let kind = ContainerKind(rawValue: try reader.byte()) else {
        throw reader.failure(.cooling)
      }
      let population = try reader.varint(upTo: bitmap.takenCount, or: .cooling)
      let bits = try reader.payload(kind, population: population, chunkBits: bitmap.chunkBits)
      var taken = bits
      taken.formIntersection(bitmap)
      guard taken == bits else { throw reader.failure(.cooling) }
      buckets.append(CoolingBucket(since: sum, bits: bits))
      since = sum
    }
    guard let cooling = CoolingBuckets(buckets) else { throw reader.failure(.cooling) }
    return cooling
  }
}
