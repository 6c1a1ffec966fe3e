// Parsing proper: one pass over the UTF-8 bytes of a text, no copies, no Foundation. Each function
// reads the stretch `start ..< end` of the text to its end, or throws where and why it stopped.
// Grammar: RFC 4291 section 2.2 for IPv6; for IPv4 a dotted quad without leading zeros.

/// What is wrong and where; the public initializers add the text.
struct ParseFailure: Error {
  let reason: AddressParseError.Reason
  let position: Int

  init(_ reason: AddressParseError.Reason, at position: Int) {
    self.reason = reason
    self.position = position
  }
}

/// The value of a hexadecimal digit of either case, or `nil`.
///
/// By arithmetic: whether a digit is a letter is as good as random, and a processor guesses a branch
/// on it wrong half the time. A byte is a digit if one difference is negative; bit 6 tells letters.
@inline(__always)
func hexValue(_ byte: UInt8) -> UInt8? {
  let digit = Int(byte &- UInt8(ascii: "0")) - 10
  let letter = Int((byte | 0x20) &- UInt8(ascii: "a")) - 6
  guard digit | letter < 0 else { return nil }
  return (byte & 15) &+ 9 &* (byte >> 6)
}

enum AddressScanner {
  /// Runs `parse` on all of `text` and gives its failure the text.
  @inline(__always)
  static func run<Value>(
    _ text: String, _ parse: (Span<UInt8>, Range<Int>) throws(ParseFailure) -> Value
  ) throws(AddressParseError) -> Value {
    let bytes = text.utf8.span
    do throws(ParseFailure) {
      guard !bytes.isEmpty else { throw ParseFailure(.empty, at: 0) }
      return try parse(bytes, 0..<bytes.count)
    } catch {
      throw AddressParseError(text: text, position: error.position, reason: error.reason)
    }
  }

  /// An address of either family: a colon before any dot makes it IPv6.
  static func address(
    _ bytes: Span<UInt8>, _ stretch: Range<Int>
  ) throws(ParseFailure) -> IPAddress {
    for position in stretch {
      if bytes[position] == UInt8(ascii: ".") { break }
      if bytes[position] == UInt8(ascii: ":") {
        return IPAddress(ipv6: try ipv6(bytes, stretch))
      }
    }
    return IPAddress(ipv4: try ipv4(bytes, stretch))
  }

  /// An address and the prefix length behind its slash.
  static func addressWithLength(
    _ bytes: Span<UInt8>, _ stretch: Range<Int>
  ) throws(ParseFailure) -> (address: IPAddress, length: Int) {
    guard let slash = firstIndex(of: "/", bytes, stretch) else {
      _ = try address(bytes, stretch)
      throw ParseFailure(.missingPrefixLength, at: stretch.upperBound)
    }
    let address = try address(bytes, stretch.lowerBound..<slash)
    let length = try decimal(
      bytes, slash + 1..<stretch.upperBound, limit: address.family.bitWidth,
      tooLarge: .prefixLengthTooLarge)
    return (address, length)
  }

  /// The first place of an ASCII character.
  static func firstIndex(
    of character: Unicode.Scalar, _ bytes: Span<UInt8>, _ stretch: Range<Int>
  ) -> Int? {
    let wanted = UInt8(ascii: character)
    for position in stretch where bytes[position] == wanted { return position }
    return nil
  }

  /// A decimal number up to `limit` (at most 999) that fills the stretch.
  private static func decimal(
    _ bytes: Span<UInt8>, _ stretch: Range<Int>, limit: Int, tooLarge: AddressParseError.Reason
  ) throws(ParseFailure) -> Int {
    var position = stretch.lowerBound
    let value = try number(
      bytes, &position, end: stretch.upperBound, limit: limit, tooLarge: tooLarge)
    guard position == stretch.upperBound else {
      throw ParseFailure(.unexpectedCharacter, at: position)
    }
    return value
  }

  /// Reads digits from `position` on and stops behind them.
  @inline(__always)
  private static func number(
    _ bytes: Span<UInt8>, _ position: inout Int, end: Int, limit: Int,
    tooLarge: AddressParseError.Reason
  ) throws(ParseFailure) -> Int {
    let start = position
    var value = 0
    while position < end {
      let digit = bytes[position] &- UInt8(ascii: "0")
      guard digit < 10 else { break }
      if position > start, value == 0 { throw ParseFailure(.leadingZero, at: start) }
      value = value * 10 + Int(digit)
      if value > limit { throw ParseFailure(tooLarge, at: start) }
      position += 1
    }
    if position == start {
      throw ParseFailure(position == end ? .unexpectedEnd : .unexpectedCharacter, at: position)
    }
    return value
  }

  /// A dotted quad.
  static func ipv4(_ bytes: Span<UInt8>, _ stretch: Range<Int>) throws(ParseFailure) -> UInt32 {
    let end = stretch.upperBound
    var position = stretch.lowerBound
    var value: UInt32 = 0
    for octet in 0..<4 {
      if octet > 0 {
        guard position < end else { throw ParseFailure(.tooFewParts, at: position) }
        guard bytes[position] == UInt8(ascii: ".") else {
          throw ParseFailure(.unexpectedCharacter, at: position)
        }
        position += 1
      }
      let part = try number(bytes, &position, end: end, limit: 255, tooLarge: .octetTooLarge)
      value = value << 8 | UInt32(part)
    }
    if position < end {
      let isPart = bytes[position] == UInt8(ascii: ".")
      throw ParseFailure(isPart ? .tooManyParts : .unexpectedCharacter, at: position)
    }
    return value
  }

  /// Eight groups, fewer with one `::`, the last two perhaps a dotted quad.
  static func ipv6(_ bytes: Span<UInt8>, _ stretch: Range<Int>) throws(ParseFailure) -> Offset {
    let end = stretch.upperBound
    var position = stretch.lowerBound
    var groups = Groups()
    if bytes[position] == UInt8(ascii: ":") {
      guard position + 1 < end else { throw ParseFailure(.unexpectedEnd, at: end) }
      position += 1
      guard bytes[position] == UInt8(ascii: ":") else {
        throw ParseFailure(.unexpectedCharacter, at: position - 1)
      }
      position += 1
      groups.compress()
    }
    while position < end {
      let start = position
      let group = try hexGroup(bytes, &position, end: end)
      if position < end, bytes[position] == UInt8(ascii: ".") {
        let quad = try ipv4(bytes, start..<end)
        guard groups.count <= 6 else { throw ParseFailure(.tooManyParts, at: start) }
        groups.append(UInt16(quad >> 16))
        groups.append(UInt16(quad & 0xffff))
        break
      }
      guard groups.count < 8 else { throw ParseFailure(.tooManyParts, at: start) }
      groups.append(group)
      if position == end { break }
      guard bytes[position] == UInt8(ascii: ":") else {
        let isZone = bytes[position] == UInt8(ascii: "%")
        throw ParseFailure(isZone ? .zone : .unexpectedCharacter, at: position)
      }
      position += 1
      guard position < end else { throw ParseFailure(.unexpectedEnd, at: end) }
      if bytes[position] == UInt8(ascii: ":") {
        guard !groups.isCompressed else { throw ParseFailure(.secondCompression, at: position - 1) }
        groups.compress()
        position += 1
      }
    }
    // "::" stands for one group at least (RFC 4291 section 2.2).
    if groups.isCompressed, groups.count == 8 { throw ParseFailure(.tooManyParts, at: end) }
    if !groups.isCompressed, groups.count < 8 { throw ParseFailure(.tooFewParts, at: end) }
    return groups.value
  }

  /// One to four hexadecimal digits.
  @inline(__always)
  private static func hexGroup(
    _ bytes: Span<UInt8>, _ position: inout Int, end: Int
  ) throws(ParseFailure) -> UInt16 {
    let start = position
    var value: UInt16 = 0
    while position < end, let digit = hexValue(bytes[position]) {
      if position - start == 4 { throw ParseFailure(.groupTooLong, at: start) }
      value = value << 4 | UInt16(digit)
      position += 1
    }
    if position == start {
      let isZone = position < end && bytes[position] == UInt8(ascii: "%")
      throw ParseFailure(isZone ? .zone : .unexpectedCharacter, at: position)
    }
    return value
  }
}

/// The groups read so far, shifted in from the right; at `::` those before it move to the left.
private struct Groups {
  private var high: UInt64 = 0
  private var low: UInt64 = 0
  private var head = Offset.zero
  private(set) var count = 0
  private(set) var isCompressed = false

  mutating func append(_ group: UInt16) {
    high = high << 16 | low >> 48
    low = low << 16 | UInt64(group)
    count += 1
  }

  mutating func compress() {
    head = Offset(high: high, low: low) << (16 * (8 - count))
    (high, low) = (0, 0)
    isCompressed = true
  }

  var value: Offset { head | Offset(high: high, low: low) }
}
