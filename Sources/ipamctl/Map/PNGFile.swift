// PNG (W3C PNG, second edition): a palette image of 4 bits a pixel. Each row is stored as its
// difference from the row above, which makes a map nearly all zeros, and the zeros as runs: repeats of
// the byte before, in the fixed code of DEFLATE (RFC 1951, section 3.2.6). That is all of zlib that
// such pictures need; docs/decisions/0008 has the sizes.

enum PNGFile {
  /// The file of a canvas.
  static func bytes(_ canvas: RasterCanvas, theme: Theme) -> [UInt8] {
    var file: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]
    // 4 bits a pixel, palette, and the only methods there are; not interlaced.
    let header =
      bigEndian(UInt32(canvas.width)) + bigEndian(UInt32(canvas.height)) + [4, 3, 0, 0, 0]
    append("IHDR", header, to: &file)
    append("PLTE", Ink.allCases.flatMap { bigEndian(theme.colour($0)).dropFirst() }, to: &file)
    append("IDAT", compressed(rows(canvas)), to: &file)
    append("IEND", [], to: &file)
    return file
  }

  /// The rows as they are compressed: the filter's number, then two pixels a byte less those above.
  private static func rows(_ canvas: RasterCanvas) -> [UInt8] {
    let rowBytes = (canvas.width + 1) / 2
    var above = [UInt8](repeating: 0, count: rowBytes)
    var rows: [UInt8] = []
    rows.reserveCapacity((rowBytes + 1) * canvas.height)
    for y in 0..<canvas.height {
      rows.append(2)
      let row = canvas.pixels[(y * canvas.width)..<((y + 1) * canvas.width)]
      for index in 0..<rowBytes {
        let left = row.startIndex + index * 2
        let packed = row[left] << 4 | (left + 1 < row.endIndex ? row[left + 1] : 0)
        rows.append(packed &- above[index])
        above[index] = packed
      }
    }
    return rows
  }

  /// A zlib stream (RFC 1950) of one block.
  private static func compressed(_ bytes: [UInt8]) -> [UInt8] {
    var stream = BitStream(bytes: [0x78, 0x01])
    stream.append(0b011, count: 3)
    var index = 0
    while index < bytes.count {
      stream.appendLiteral(bytes[index])
      var run = 0
      while index + run + 1 < bytes.count, bytes[index + run + 1] == bytes[index] { run += 1 }
      index += run + 1
      while run >= 3 {
        let length = min(run, 258)
        stream.appendRepeat(length)
        run -= length
      }
      index -= run
    }
    stream.appendCode(0, count: 7)
    return stream.finished() + bigEndian(adler32(bytes))
  }

  private static func append(_ type: String, _ data: [UInt8], to file: inout [UInt8]) {
    let body = Array(type.utf8) + data
    file += bigEndian(UInt32(data.count)) + body + bigEndian(crc32(body))
  }

  private static func bigEndian(_ value: UInt32) -> [UInt8] {
    withUnsafeBytes(of: value.bigEndian, Array.init)
  }

  private static func adler32(_ bytes: [UInt8]) -> UInt32 {
    var (low, high): (UInt32, UInt32) = (1, 0)
    for byte in bytes {
      low = (low + UInt32(byte)) % 65521
      high = (high + low) % 65521
    }
    return high << 16 | low
  }

  private static func crc32(_ bytes: [UInt8]) -> UInt32 {
    var crc = UInt32.max
    for byte in bytes {
      crc ^= UInt32(byte)
      for _ in 0..<8 { crc = crc >> 1 ^ (crc & 1 == 1 ? 0xEDB8_8320 : 0) }
    }
    return ~crc
  }
}

/// Bits packed into bytes from the lowest up, as DEFLATE has it.
private struct BitStream {
  var bytes: [UInt8]
  private var pending: UInt64 = 0
  private var pendingCount = 0

  init(bytes: [UInt8]) {
    self.bytes = bytes
  }

  /// Numbers go in from their lowest bit.
  mutating func append(_ value: Int, count: Int) {
    pending |= UInt64(value) << UInt64(pendingCount)
    pendingCount += count
    while pendingCount >= 8 {
      bytes.append(UInt8(truncatingIfNeeded: pending))
      pending >>= 8
      pendingCount -= 8
    }
  }

  /// Huffman codes go in from their highest bit.
  mutating func appendCode(_ code: Int, count: Int) {
    for bit in (0..<count).reversed() { append((code >> bit) & 1, count: 1) }
  }

  mutating func appendLiteral(_ byte: UInt8) {
    if byte < 144 {
      appendCode(0x30 + Int(byte), count: 8)
    } else {
      appendCode(0x190 + Int(byte) - 144, count: 9)
    }
  }

  /// The byte before, 3 to 258 times more: a match at distance 1, whose code is five zeros.
  mutating func appendRepeat(_ length: Int) {
    let rest = length - 3
    var (symbol, extraBits) = (257 + rest, 0)
    if length == 258 {
      symbol = 285
    } else if rest >= 8 {
      extraBits = Int.bitWidth - 1 - rest.leadingZeroBitCount - 2
      symbol = 257 + extraBits * 4 + (rest >> extraBits)
    }
    if symbol < 280 {
      appendCode(symbol - 256, count: 7)
    } else {
      appendCode(0xC0 + symbol - 280, count: 8)
    }
    append(rest & ((1 << extraBits) - 1), count: extraBits)
    appendCode(0, count: 5)
  }

  /// All bytes, the last filled up with zeros.
  mutating func finished() -> [UInt8] {
    if pendingCount > 0 { append(0, count: 8 - pendingCount) }
    return bytes
  }
}
