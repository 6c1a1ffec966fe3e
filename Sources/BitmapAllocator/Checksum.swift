// CRC-32C (Castagnoli, RFC 3720 appendix B.4), reflected polynomial 0x82F63B78, eight bytes a step:
// table[j][b] is the remainder of byte b followed by j zero bytes.

/// The CRC-32C of a run of bytes, fed piece by piece.
struct Checksum {
  private var state: UInt32 = ~0

  /// The checksum of everything fed so far.
  var value: UInt32 { ~state }

  /// Feeds `bytes`. O(bytes).
  mutating func feed(_ bytes: some Sequence<UInt8>) {
    let fed: Void? = bytes.withContiguousStorageIfAvailable { feed($0) }
    if fed == nil { for byte in bytes { feed(byte) } }
  }

  private mutating func feed(_ byte: UInt8) {
    state = Self.table[Int(UInt8(truncatingIfNeeded: state) ^ byte)] ^ state >> 8
  }

  private mutating func feed(_ bytes: UnsafeBufferPointer<UInt8>) {
    let raw = UnsafeRawBufferPointer(bytes)
    let whole = raw.count & ~7
    Self.table.withUnsafeBufferPointer { table in
      var state = state
      for offset in stride(from: 0, to: whole, by: 8) {
        var eight = raw.loadUnaligned(fromByteOffset: offset, as: UInt64.self).littleEndian
        eight ^= UInt64(state)
        state = 0
        for slice in 0..<8 {
          let byte = Int(UInt8(truncatingIfNeeded: eight >> UInt64(slice * 8)))
          state ^= table[(7 - slice) * 256 + byte]
        }
      }
      self.state = state
    }
    for byte in bytes[whole...] { feed(byte) }
  }

  private static let table: [UInt32] = {
    var table = [UInt32](repeating: 0, count: 8 * 256)
    for byte in 0..<256 {
      var remainder = UInt32(byte)
      for _ in 0..<8 {
        remainder = remainder & 1 == 0 ? remainder >> 1 : remainder >> 1 ^ 0x82F6_3B78
      }
      table[byte] = remainder
    }
    for index in 256..<table.count {
      let before = table[index - 256]
      table[index] = table[Int(before & 0xFF)] ^ before >> 8
    }
    return table
  }()
}
