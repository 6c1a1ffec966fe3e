// Where a value is written before it becomes a string: a fixed array on the stack, so that the
// string is the only allocation (none at all up to 15 bytes).

/// A text of at most 80 bytes of ASCII under construction: two full IPv6 addresses and a dash.
struct TextBuffer: ~Copyable {
  private var bytes = InlineArray<80, UInt8>(repeating: 0)
  private var count = 0

  mutating func append(_ byte: UInt8) {
    bytes[count] = byte
    count += 1
  }

  mutating func append(_ character: Unicode.Scalar) {
    append(UInt8(ascii: character))
  }

  /// The lowest four bits of `value` as one lower-case digit.
  mutating func append(hexDigit value: UInt64) {
    let digit = UInt8(truncatingIfNeeded: value & 15)
    // 39 lies between "9" and "a"; the borrow of 9 - digit chooses it without a branch.
    let gap = (9 &- digit) >> 7 &* 39
    append(UInt8(ascii: "0") &+ digit &+ gap)
  }

  /// `value` in hexadecimal without leading zeros.
  mutating func append(hex value: UInt16) {
    var shift = value >= 0x1000 ? 12 : value >= 0x100 ? 8 : value >= 0x10 ? 4 : 0
    while shift >= 0 {
      append(hexDigit: UInt64(value >> UInt16(shift)))
      shift -= 4
    }
  }

  /// `value` in decimal without leading zeros.
  mutating func append(decimal value: UInt64) {
    var width = 1
    var rest = value
    while rest >= 10 {
      rest /= 10
      width += 1
    }
    append(decimal: value, width: width)
  }

  /// `value` in decimal, `width` digits.
  private mutating func append(decimal value: UInt64, width: Int) {
    var rest = value
    for index in stride(from: count + width - 1, through: count, by: -1) {
      bytes[index] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
      rest /= 10
    }
    count += width
  }

  /// `value` in decimal: cut into pieces of 19 digits, the most that 64 bits hold.
  mutating func append(decimal value: Offset) {
    let piece = Offset(10_000_000_000_000_000_000 as UInt64)
    let (upper, lowest) = value.quotientAndRemainder(dividingBy: piece)
    if upper == .zero { return append(decimal: lowest.low) }
    let (top, middle) = upper.quotientAndRemainder(dividingBy: piece)
    if top == .zero {
      append(decimal: middle.low)
    } else {
      append(decimal: top.low)
      append(decimal: middle.low, width: 19)
    }
    append(decimal: lowest.low, width: 19)
  }

  var string: String {
    String(unsafeUninitializedCapacity: count) { target in
      bytes.span.extracting(..<count).withUnsafeBufferPointer { source in
        target.initialize(fromContentsOf: source)
      }
    }
  }
}
