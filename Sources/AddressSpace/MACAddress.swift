// A 48-bit MAC address (EUI-48), read in the three usual spellings and written in one.

/// A 48-bit MAC address (IEEE EUI-48).
public struct MACAddress: Hashable, Sendable {
  /// The address as a number below 2^48, the first octet highest.
  public let value: UInt64

  /// The address with this number, or `nil` from 2^48 on. O(1).
  public init?(value: UInt64) {
    guard value >> 48 == 0 else { return nil }
    self.value = value
  }
}

extension MACAddress: Comparable {
  /// By number. O(1).
  public static func < (left: MACAddress, right: MACAddress) -> Bool {
    left.value < right.value
  }
}

extension MACAddress: CustomStringConvertible {
  /// The address that `text` names: `aa:bb:cc:dd:ee:ff`, `aa-bb-cc-dd-ee-ff` or `aabb.ccdd.eeff`,
  /// in either case, one separator throughout, every digit present.
  ///
  /// O(1); allocates nothing.
  /// - Throws: `AddressParseError` with the text, the byte where it goes wrong, and the reason.
  public init(parsing text: String) throws(AddressParseError) {
    self.value = try AddressScanner.run(text, MACAddress.scan)
  }

  private static func scan(
    _ bytes: Span<UInt8>, _ stretch: Range<Int>
  ) throws(ParseFailure) -> UInt64 {
    // The third byte tells the spelling: "aa:", "aa-" or a digit of "aabb.".
    let third = stretch.count > 2 ? bytes[2] : 0
    let isPairs = third == UInt8(ascii: ":") || third == UInt8(ascii: "-")
    let separator = isPairs ? third : UInt8(ascii: ".")
    let digitsPerPart = isPairs ? 2 : 4
    var value: UInt64 = 0
    var position = 0
    for digit in 0..<12 {
      if digit > 0, digit % digitsPerPart == 0 {
        guard position < stretch.upperBound else {
          throw ParseFailure(.unexpectedEnd, at: position)
        }
        guard bytes[position] == separator else {
          throw ParseFailure(.unexpectedCharacter, at: position)
        }
        position += 1
      }
      guard position < stretch.upperBound else { throw ParseFailure(.unexpectedEnd, at: position) }
      guard let bits = hexValue(bytes[position]) else {
        throw ParseFailure(.unexpectedCharacter, at: position)
      }
      value = value << 4 | UInt64(bits)
      position += 1
    }
    guard position == stretch.upperBound else { throw ParseFailure(.tooManyParts, at: position) }
    return value
  }

  /// Six pairs of lower-case digits with colons. O(1); allocates nothing but the string.
  public var description: String {
    var text = TextBuffer()
    for shift in stride(from: UInt64(40), through: 0, by: -8) {
      text.append(hexDigit: value >> (shift + 4))
      text.append(hexDigit: value >> shift)
      if shift > 0 { text.append(":") }
    }
    return text.string
  }
}
