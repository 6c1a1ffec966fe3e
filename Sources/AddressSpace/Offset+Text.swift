// Offsets as text: decimal for people, fixed-width lower-case hexadecimal for store keys, because
// fixed width sorts like the numbers do.

extension Offset: CustomStringConvertible {
  /// The number in decimal: 1 … 39 digits. O(1); allocates nothing but the string.
  public var description: String {
    var text = TextBuffer()
    text.append(decimal: self)
    return text.string
  }

  /// The number in `digits` lower-case hexadecimal digits, zeros in front.
  ///
  /// `digits` must be 1 … 32 and the number must fit. O(`digits`); allocates nothing but the
  /// string.
  public func hex(digits: Int) -> String {
    precondition((1...32).contains(digits), "an offset has 1 to 32 hexadecimal digits")
    precondition(
      128 - leadingZeroBitCount <= 4 * digits, "the offset needs more hexadecimal digits")
    var text = TextBuffer()
    for digit in stride(from: digits - 1, through: 0, by: -1) {
      let word = digit < 16 ? low : high
      text.append(hexDigit: word >> UInt64(4 * (digit & 15)))
    }
    return text.string
  }

  /// The number that 1 … 32 lower-case hexadecimal digits name, or `nil` for any other text.
  ///
  /// O(length), at most 33 bytes are looked at.
  @inlinable
  public init?(hex text: some StringProtocol) { self.init(hex: Substring(text)) }

  /// The number that 1 … 32 lower-case hexadecimal digits name, or `nil` for any other text.
  ///
  /// O(length), at most 33 bytes are looked at.
  public init?(hex text: Substring) {
    var low: UInt64 = 0
    var high: UInt64 = 0
    var count = 0
    for byte in text.utf8 {
      let isUpper = (UInt8(ascii: "A")...UInt8(ascii: "F")).contains(byte)
      guard count < 32, !isUpper, let digit = hexValue(byte) else { return nil }
      high = high << 4 | low >> 60
      low = low << 4 | UInt64(digit)
      count += 1
    }
    guard count > 0 else { return nil }
    self.init(high: high, low: low)
  }
}
