import AddressSpace
import BitmapAllocator

// A commit names up to 128 keys, and names of 80 bytes that are put together from strings cost more
// than the values below them. So a name is written once, as bytes, and becomes a string at its end.

/// The name of a key under construction.
struct NameText {
  private var bytes: [UInt8]

  /// A name that begins with `start`.
  init(_ start: String) {
    bytes = []
    bytes.reserveCapacity(160)
    bytes.append(contentsOf: start.utf8)
  }

  var string: String { String(decoding: bytes, as: UTF8.self) }

  mutating func append(_ text: StaticString) {
    bytes.append(text)
  }

  /// A part of its own. An empty name (the interface of an ancient reservation) is `=`.
  mutating func append(part name: String) {
    name.isEmpty ? append("=") : KeyName.escape(name, to: &bytes)
  }

  mutating func append(decimal number: Int) {
    bytes += String(number).utf8
  }

  /// `number` in lower-case hexadecimal, as many digits as asked for.
  mutating func append(hex number: Offset, digits: Int) {
    for digit in stride(from: digits - 1, through: 0, by: -1) {
      let word = digit < 16 ? number.low : number.high
      let value = UInt8(truncatingIfNeeded: word >> UInt64(4 * (digit & 15)) & 15)
      bytes.append(value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10)
    }
  }

  mutating func append(hex address: IPAddress) {
    append(hex: address.value, digits: address.family.bitWidth / 4)
  }

  /// `<subnet>-<length>-<unit>-<k>`.
  mutating func append(_ pool: PoolGeometry) {
    append(hex: pool.subnet.address)
    append("-")
    append(decimal: pool.subnet.length)
    append("-")
    append(decimal: pool.unitPrefixLength)
    append("-")
    append(decimal: pool.chunkBits)
  }
}
