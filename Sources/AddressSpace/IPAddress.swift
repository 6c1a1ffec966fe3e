// An address is a family and a number. Arithmetic on it never leaves the family.

/// An IPv4 (RFC 791) or IPv6 (RFC 4291) address without a zone.
///
/// The order is by family, IPv4 first, then by number. Every operation takes constant time.
public struct IPAddress: Hashable, Sendable {
  /// IPv4 or IPv6.
  public let family: AddressFamily
  /// The address as a number in network order; below 2^32 for IPv4.
  public let value: Offset

  /// The address with this number, which is known to be one of the family. O(1).
  @inlinable
  package init(unchecked family: AddressFamily, _ value: Offset) {
    self.family = family
    self.value = value
  }

  /// The IPv4 address with this number: `0x0a000001` is 10.0.0.1. O(1).
  @inlinable
  public init(ipv4 value: UInt32) {
    self.init(unchecked: .ipv4, Offset(UInt64(value)))
  }

  /// The IPv6 address with this number. O(1).
  @inlinable
  public init(ipv6 value: Offset) {
    self.init(unchecked: .ipv6, value)
  }

  /// The address with this number, or `nil` if an IPv4 number passes 2^32 − 1. O(1).
  @inlinable
  public init?(family: AddressFamily, value: Offset) {
    guard value <= family.lastValue else { return nil }
    self.init(unchecked: family, value)
  }

  /// The address `offset` further on, or `nil` past the end of the family. O(1).
  public func advanced(by offset: Offset) -> IPAddress? {
    let (sum, overflow) = value.addingReportingOverflow(offset)
    return overflow ? nil : IPAddress(family: family, value: sum)
  }

  /// How far on `other` lies, or `nil` if it lies before this address or in the other family. O(1).
  public func distance(to other: IPAddress) -> Offset? {
    guard family == other.family else { return nil }
    let (difference, overflow) = other.value.subtractingReportingOverflow(value)
    return overflow ? nil : difference
  }

  /// Whether this is an IPv6 address of `::ffff:0:0/96` (RFC 4291 section 2.5.5.2). O(1).
  public var isIPv4Mapped: Bool {
    family == .ipv6 && value.high == 0 && value.low >> 32 == 0xffff
  }

  /// The IPv4 address within an IPv4-mapped one: 10.0.0.1 for `::ffff:10.0.0.1`; else `nil`. O(1).
  public var ipv4Mapped: IPAddress? {
    isIPv4Mapped ? IPAddress(ipv4: UInt32(truncatingIfNeeded: value.low)) : nil
  }
}

extension IPAddress: Comparable {
  /// IPv4 before IPv6, then by number. O(1).
  @inlinable
  public static func < (left: IPAddress, right: IPAddress) -> Bool {
    left.family == right.family
      ? left.value < right.value : left.family.rawValue < right.family.rawValue
  }
}
