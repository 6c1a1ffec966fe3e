// Bytes out and in: little-endian fixed numbers, and varints of seven bits a byte, lowest first.
// Every number has exactly one encoding: the reader refuses a varint that could be shorter.

extension [UInt8] {
  mutating func append(fixed value: some FixedWidthInteger) {
    Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) }
  }

  mutating func append(varint value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    append(UInt8(truncatingIfNeeded: rest))
  }

  mutating func append(varint value: Int) { append(varint: UInt64(value)) }
}

/// The number of bytes of a varint below 2^14, which covers every number about one chunk's bits.
func varintLength(_ value: Int) -> Int { value < 0x80 ? 1 : value < 0x4000 ? 2 : 3 }

/// Reads untrusted bytes from the front; never past `end`.
struct ByteReader {
  private let bytes: [UInt8]
  private(set) var position: Int
  private let end: Int

  init(_ bytes: [UInt8], from position: Int, to end: Int) {
    self.bytes = bytes
    self.position = position
    self.end = end
  }

  var isAtEnd: Bool { position == end }
  var remaining: Int { end - position }

  mutating func byte() throws(ChunkCodecError) -> UInt8 {
    guard position < end else { throw failure(.truncated) }
    position += 1
    return bytes[position - 1]
  }

  mutating func fixed64() throws(ChunkCodecError) -> UInt64 {
    guard remaining >= 8 else { throw failure(.truncated) }
    position += 8
    return bytes.withUnsafeBytes {
      UInt64(littleEndian: $0.loadUnaligned(fromByteOffset: position - 8, as: UInt64.self))
    }
  }

  mutating func bytes(_ count: Int) throws(ChunkCodecError) -> [UInt8] {
    guard count <= remaining else { throw failure(.truncated) }
    position += count
    return Array(bytes[position - count..<position])
  }

  mutating func varint() throws(ChunkCodecError) -> UInt64 {
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 70, by: 7) {
      let byte = try byte()
      if shift == 63, byte > 1 { throw failure(.number) }
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 {
        if byte == 0, shift > 0 { throw failure(.number) }
        return value
      }
    }
    throw failure(.number)
  }

  /// A varint that must not exceed `limit`; what exceeds it is reported as `reason`.
  mutating func varint(
    upTo limit: Int, or reason: ChunkCodecError.Reason
  ) throws(ChunkCodecError) -> Int {
    let value = try varint()
    guard value <= UInt64(limit) else { throw failure(reason) }
    return Int(value)
  }

  func failure(_ reason: ChunkCodecError.Reason) -> ChunkCodecError {
    ChunkCodecError(reason: reason, position: position)
  }
}
