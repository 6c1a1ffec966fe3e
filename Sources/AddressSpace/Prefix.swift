// A prefix is a network address and a length: all the addresses that share its first bits.

/// An address prefix such as `10.1.0.0/16` (RFC 4632) or `2001:db8::/32` (RFC 4291 section 2.3).
///
/// The order is by network address, then the shorter (larger) prefix first. Every operation takes
/// constant time.
public struct Prefix: Hashable, Sendable {
  /// The network address: the first address; no bit is set after the prefix.
  public let address: IPAddress
  /// The number of leading bits that are fixed: 0 … 32 or 0 … 128.
  public let length: Int

  /// What to do with bits set after the prefix.
  public enum HostBits: Hashable, Sendable {
    /// They are a mistake.
    case refuse
    /// They are cleared.
    case mask
  }

  /// The prefix of this length around `address`, whose other bits are cleared; `nil` if the length
  /// is not 0 … 32 or 0 … 128. O(1).
  public init?(address: IPAddress, length: Int) {
    guard (0...address.family.bitWidth).contains(length) else { return nil }
    self.init(unchecked: address, length)
  }

  /// Clears the bits after the prefix. The length must be in range.
  init(unchecked address: IPAddress, _ length: Int) {
    let mask = Prefix.hostMask(address.family, length)
    self.address = IPAddress(unchecked: address.family, address.value & ~mask)
    self.length = length
  }

  /// The bits after the prefix.
  static func hostMask(_ family: AddressFamily, _ length: Int) -> Offset {
    Offset.max >> (128 - family.bitWidth + length)
  }

  /// IPv4 or IPv6. O(1).
  public var family: AddressFamily { address.family }
  /// The network address. O(1).
  public var first: IPAddress { address }
  /// The last address (of IPv4 the broadcast address). O(1).
  public var last: IPAddress {
    IPAddress(unchecked: family, address.value | Prefix.hostMask(family, length))
  }
  /// The addresses as a range. O(1).
  public var range: AddressRange { AddressRange(unchecked: first, last) }
  /// The number of addresses, exact: 2^(width − length), 2^128 for `::/0`. O(1).
  public var count: ExactCount { .powerOfTwo(family.bitWidth - length) }

  /// Whether the address lies in the prefix; of the other family it never does. O(1).
  public func contains(_ other: IPAddress) -> Bool {
    other.family == family
      && other.value & ~Prefix.hostMask(family, length) == address.value
  }

  /// Whether every address of `other` lies in this prefix. O(1).
  public func contains(_ other: Prefix) -> Bool {
    other.length >= length && contains(other.address)
  }

  /// Whether there is an address that lies in both; then one contains the other. O(1).
  public func overlaps(_ other: Prefix) -> Bool {
    contains(other) || other.contains(self)
  }
}

extension Prefix: Comparable {
  /// By network address, then the shorter prefix first. O(1).
  public static func < (left: Prefix, right: Prefix) -> Bool {
    left.address == right.address ? left.length < right.length : left.address < right.address
  }
}

extension Prefix: CustomStringConvertible {
  /// The prefix that `text` names: an address, a slash, and the length in decimal.
  ///
  /// Bits set after the prefix are refused unless `hostBits` is `.mask`. O(length); allocates
  /// nothing.
  /// - Throws: `AddressParseError` with the text, the byte where it goes wrong, and the reason.
  public init(parsing text: String, hostBits: HostBits = .refuse) throws(AddressParseError) {
    self = try AddressScanner.run(text) { bytes, stretch throws(ParseFailure) in
      try Prefix(bytes, stretch, hostBits)
    }
  }

  init(
    _ bytes: Span<UInt8>, _ stretch: Range<Int>, _ hostBits: HostBits
  ) throws(ParseFailure) {
    let (address, length) = try AddressScanner.addressWithLength(bytes, stretch)
    self.init(unchecked: address, length)
    if hostBits == .refuse, address != self.address {
      throw ParseFailure(.hostBits, at: stretch.lowerBound)
    }
  }

  /// The network address as ``IPAddress`` prints it, a slash, and the length. O(1); allocates
  /// nothing but the string.
  public var description: String {
    var text = TextBuffer()
    text.append(address)
    text.append("/")
    text.append(decimal: UInt64(length))
    return text.string
  }
}
