import AddressSpace
import BitmapAllocator

// What names of keys, records and bodies are made of. A commit has up to 128 of each, and names of 80
// bytes that are put together from strings cost more than the values below them: so all go into
// bytes, and a name becomes a string at its end.

extension [UInt8] {
  /// Appends a text of the program's.
  mutating func append(_ text: StaticString) {
    append(
      contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }

  /// Appends a number's decimal digits.
  mutating func append(decimal number: UInt64) {
    if number >= 10 { append(decimal: number / 10) }
    append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: number % 10))
  }

  /// Appends a number in lower-case hexadecimal, as many digits as asked for.
  mutating func append(hex number: Offset, digits: Int) {
    let start = count
    append(contentsOf: repeatElement(UInt8(ascii: "0"), count: digits))
    withUnsafeMutableBufferPointer { bytes in
      for digit in 0..<digits {
        let word = digit < 16 ? number.low : number.high
        let value = UInt8(truncatingIfNeeded: word >> UInt64(4 &* (digit & 15)) & 15)
        let base = value < 10 ? UInt8(ascii: "0") : UInt8(ascii: "a") - 10
        bytes[start &+ digits &- 1 &- digit] = base &+ value
      }
    }
  }

  /// Appends an address in hexadecimal of fixed width.
  mutating func append(hex address: IPAddress) {
    append(hex: address.value, digits: address.family.bitWidth / 4)
  }

  /// Appends a part of a key's name. An empty one (the interface of an ancient reservation) is `=`.
  mutating func append(part name: String) {
    name.isEmpty ? append(UInt8(ascii: "=")) : KeyName.escape(name, to: &self)
  }

  /// Appends `<subnet>-<length>-<unit>-<k>`.
  mutating func append(_ pool: PoolGeometry) {
    let subnet = pool.subnet
    append(hex: subnet.address)
    for number in [subnet.length, pool.unitPrefixLength, pool.chunkBits] {
      append(UInt8(ascii: "-"))
      append(decimal: UInt64(number))
    }
  }
}
