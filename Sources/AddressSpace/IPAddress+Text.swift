// Addresses as text: dotted quad, RFC 5952, and the fixed-width hexadecimal of store keys.

extension IPAddress {
  /// The address that `text` names: a dotted quad without leading zeros, or any form of RFC 4291
  /// section 2.2. A zone is refused. `::ffff:10.0.0.1` stays an IPv6 address.
  ///
  /// O(length); stops at the first mistake and allocates nothing.
  /// - Throws: `AddressParseError` with the text, the byte where it goes wrong, and the reason.
  public init(parsing text: String) throws(AddressParseError) {
    self = try AddressScanner.run(text, AddressScanner.address)
  }

  /// Exactly 8 (IPv4) or 32 (IPv6) lower-case hexadecimal digits: the form of store keys, whose
  /// order is that of the addresses. O(1).
  public var fixedWidthHex: String { value.hex(digits: family.bitWidth / 4) }

  /// The address whose ``fixedWidthHex`` is `text`, or `nil`. O(1).
  @inlinable
  public init?(fixedWidthHex text: some StringProtocol) {
    self.init(fixedWidthHex: Substring(text))
  }

  /// The address whose ``fixedWidthHex`` is `text`, or `nil`. O(1).
  public init?(fixedWidthHex text: Substring) {
    guard let value = Offset(hex: text) else { return nil }
    switch text.utf8.count {
    case 8: self.init(family: .ipv4, value: value)
    case 32: self.init(ipv6: value)
    default: return nil
    }
  }
}

extension IPAddress: CustomStringConvertible {
  /// A dotted quad; for IPv6 the form of RFC 5952: lower case, the longest run of two or more zero
  /// groups as `::` (the first of equals), an IPv4-mapped address ending in a dotted quad.
  ///
  /// O(1); allocates nothing but the string.
  public var description: String {
    var text = TextBuffer()
    text.append(self)
    return text.string
  }
}

extension TextBuffer {
  mutating func append(_ address: IPAddress) {
    if address.family == .ipv4 {
      append(quad: address.value.low)
    } else if address.isIPv4Mapped {
      append(":")
      append(":")
      for _ in 0..<4 { append("f") }
      append(":")
      append(quad: address.value.low)
    } else {
      append(groups: address.value)
    }
  }

  /// The lowest 32 bits as a dotted quad.
  private mutating func append(quad value: UInt64) {
    for shift: UInt64 in [24, 16, 8, 0] {
      append(decimal: value >> shift & 0xff)
      if shift > 0 { append(".") }
    }
  }

  private mutating func append(groups value: Offset) {
    let run = longestZeroRun(value)
    var index = 0
    while index < 8 {
      if index == run.lowerBound, !run.isEmpty {
        append(":")
        append(":")
        index = run.upperBound
        continue
      }
      if index > 0, index != run.upperBound || run.isEmpty { append(":") }
      append(hex: group(index, of: value))
      index += 1
    }
  }

  private func group(_ index: Int, of value: Offset) -> UInt16 {
    let word = index < 4 ? value.high : value.low
    return UInt16(truncatingIfNeeded: word >> UInt64(48 - 16 * (index & 3)))
  }

  /// The groups that `::` stands for: the first longest run of at least two, else none.
  private func longestZeroRun(_ value: Offset) -> Range<Int> {
    var best = 0..<0
    var start = 0
    for index in 0..<8 {
      if group(index, of: value) != 0 {
        start = index + 1
      } else if index + 1 - start > max(best.count, 1) {
        best = start..<index + 1
      }
    }
    return best
  }
}
