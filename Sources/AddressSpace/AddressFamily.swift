/// The version of the Internet Protocol that an address belongs to.
@frozen
public enum AddressFamily: UInt8, Hashable, Sendable {
  /// IPv4, 32-bit addresses (RFC 791).
  case ipv4 = 4
  /// IPv6, 128-bit addresses (RFC 4291).
  case ipv6 = 6

  /// The number of bits of an address: 32 or 128. O(1).
  @inlinable
  public var bitWidth: Int { self == .ipv4 ? 32 : 128 }

  /// The highest address as a number: 2^32 − 1 or 2^128 − 1. O(1).
  @inlinable
  public var lastValue: Offset { self == .ipv4 ? Offset(UInt64(UInt32.max)) : .max }
}
