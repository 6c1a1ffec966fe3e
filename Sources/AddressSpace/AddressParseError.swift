// Every parser of this module throws this one error: which text, where in it, and what is wrong.

/// Why a text is not an address, prefix, range, interface address or MAC address.
public struct AddressParseError: Error, Hashable, Sendable {
  /// What is wrong, a closed set.
  public enum Reason: String, Hashable, Sendable, CaseIterable {
    /// There is no text at all.
    case empty = "empty text"
    /// The text ends where more was needed.
    case unexpectedEnd = "ends too early"
    /// A character that cannot stand here.
    case unexpectedCharacter = "unexpected character"
    /// A decimal number with a zero in front of it.
    case leadingZero = "leading zero"
    /// An octet of an IPv4 address above 255.
    case octetTooLarge = "octet above 255"
    /// A group of an IPv6 address with more than four digits.
    case groupTooLong = "group of more than four digits"
    /// More than four octets or eight groups.
    case tooManyParts = "too many parts"
    /// Fewer than eight groups, and no `::` to stand for the others.
    case tooFewParts = "too few parts"
    /// A second `::`.
    case secondCompression = "second '::'"
    /// A zone (`%eth0`), which names a link and not an address.
    case zone = "a zone is not allowed"
    /// No `/` and length after the address.
    case missingPrefixLength = "prefix length missing"
    /// A length above 32 or 128.
    case prefixLengthTooLarge = "prefix length too large"
    /// Bits set after the prefix.
    case hostBits = "bits set after the prefix"
    /// A range whose ends are of two families.
    case mixedFamilies = "ends of different families"
    /// A range whose last address lies before its first.
    case reversed = "last address lies before the first"
  }

  /// The text as it was given, whole.
  public let text: String
  /// Where in `text`, in bytes of UTF-8 from 0; its length if the text ended too early.
  public let position: Int
  /// What is wrong there.
  public let reason: Reason

  /// An error about `text` at byte `position`. O(1).
  public init(text: String, position: Int, reason: Reason) {
    self.text = text
    self.position = position
    self.reason = reason
  }
}

extension AddressParseError: CustomStringConvertible {
  /// For example `"10.0.0.256": octet above 255 at position 7`. At most 64 characters of the text
  /// are shown, and all but printable ASCII is escaped. O(1), however long the text is.
  public var description: String {
    let shown = text.unicodeScalars.prefix(64)
    let escaped = shown.map { $0.escaped(asASCII: true) }.joined()
    let rest = shown.endIndex == text.endIndex ? "" : "..."
    return "\"\(escaped)\"\(rest): \(reason.rawValue) at position \(position)"
  }
}
