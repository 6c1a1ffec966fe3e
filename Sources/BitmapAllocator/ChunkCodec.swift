// A chunk as bytes, at most 73 of them around the bitmap and 4 for each cooling bucket:
//
//   4   magic "CIPB"                          1   version, 1
//   1   container | writers << 3 | marked << 6 1  k
//   1+  incompatible features   varint        1+  compatible features   varint
//   8   incarnation                           1+  generation            varint
//   8n  writers' tokens, newest first         1+  cursor                varint
//   1+  population              varint        …   payload (see Container.swift)
//   1+  number of buckets       varint        …   buckets, oldest first
//   4   CRC-32C of all of this and of the key's name
//
//   bucket: since (the first absolute, then the difference), container, population, payload
//
// Fixed numbers are little-endian. A reader refuses whatever does not add up.

/// Writes chunks as bytes and reads untrusted bytes as chunks.
public enum ChunkCodec {
  static let magic: [UInt8] = Array("CIPB".utf8)
  static let version: UInt8 = 1

  /// More bytes than this are no chunk of 2^`chunkBits` ordinals: the dense bitmap, the buckets,
  /// each at most dense, and the rest. O(1).
  public static func sizeLimit(chunkBits: Int) -> Int {
    let dense = 1 << (chunkBits - 3)
    return 96 + dense + CoolingBuckets.bucketLimit * (dense + 16)
  }

  /// The bytes of `chunk` under `key`, its name in the store. O(words + payload).
  public static func encode(_ chunk: Chunk, key: String) -> [UInt8] {
    let kind = chunk.bitmap.smallestContainer()
    var bytes: [UInt8] = []
    bytes.reserveCapacity(96 + (kind == .dense ? chunk.bitmap.capacity / 8 : 64))
    bytes.append(contentsOf: magic)
    bytes.append(version)
    let marked: UInt8 = chunk.isMarked ? 1 << 6 : 0
    bytes.append(kind.rawValue | UInt8(chunk.writers.count) << 3 | marked)
    bytes.append(UInt8(chunk.chunkBits))
    bytes.append(varint: chunk.features.incompatible.rawValue)
    bytes.append(varint: chunk.features.compatible)
    bytes.append(fixed: chunk.incarnation)
    bytes.append(varint: chunk.generation)
    for token in chunk.writers { bytes.append(fixed: token) }
    bytes.append(varint: chunk.cursor)
    bytes.append(varint: chunk.bitmap.takenCount)
    bytes.append(payload: chunk.bitmap, as: kind)
    bytes.append(varint: chunk.cooling.buckets.count)
    var before: UInt64 = 0
    for bucket in chunk.cooling.buckets {
      let kind = bucket.bits.smallestContainer()
      bytes.append(varint: bucket.since - before)
      bytes.append(kind.rawValue)
      bytes.append(varint: bucket.bits.takenCount)
      bytes.append(payload: bucket.bits, as: kind)
      before = bucket.since
    }
    bytes.append(fixed: checksum(bytes, key: key))
    return bytes
  }

  /// The CRC-32C of `bytes` followed by the name `key`. O(bytes).
  static func checksum(_ bytes: some Sequence<UInt8>, key: String) -> UInt32 {
    var checksum = Checksum()
    checksum.feed(bytes)
    checksum.feed(key.utf8)
    return checksum.value
  }
}

/// Why bytes are not a chunk, and where that showed.
public struct ChunkCodecError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What does not add up.
  public enum Reason: Hashable, Sendable {
    /// The bytes end too early.
    case truncated
    /// The bytes are more than a chunk of this size can have.
    case tooLong
    /// The bytes go on after the end.
    case trailingBytes
    /// The first four bytes are not a chunk's.
    case magic
    /// The version is not one that this library reads.
    case version(UInt8)
    /// The checksum does not match: damaged, or the value of another key.
    case checksum
    /// Features that this library does not know and must not ignore.
    case incompatibleFeatures(UInt64)
    /// The chunk size is not the one expected.
    case chunkBits(Int)
    /// A number is too large or longer than it has to be.
    case number
    /// Flags, container kind or number of writers that do not exist.
    case flags
    /// The cursor is outside the chunk.
    case cursor
    /// The population contradicts the container.
    case population
    /// A list or run leaves the chunk.
    case container
    /// A snapshot's subnet, unit or chunk size that do not go together.
    case geometry
    /// A snapshot's chunk that does not exist in its pool, or comes twice, or contradicts others.
    case node
    /// Cooling buckets that are too many, empty, unordered, overlapping or free.
    case cooling
  }

  /// What does not add up.
  public let reason: Reason
  /// The number of bytes read when it showed.
  public let position: Int

  /// For an operator: what is wrong and where.
  public var description: String { "not a chunk: \(reason) at byte \(position)" }
}
