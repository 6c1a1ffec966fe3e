// What an interface is configured with: an address, and the length of the prefix it is on.

/// An address with the length of its network's prefix, such as `10.0.0.2/24`: host bits are kept.
public struct InterfaceAddress: Hashable, Sendable {
  /// The address, host bits and all.
  public let address: IPAddress
  /// The number of leading bits that name the network: 0 … 32 or 0 … 128.
  public let prefixLength: Int

  /// `address` in a network of this prefix length; `nil` if the length is out of range. O(1).
  public init?(address: IPAddress, prefixLength: Int) {
    guard (0...address.family.bitWidth).contains(prefixLength) else { return nil }
    self.init(unchecked: address, prefixLength)
  }

  private init(unchecked address: IPAddress, _ prefixLength: Int) {
    self.address = address
    self.prefixLength = prefixLength
  }

  /// The network that the address is on. O(1).
  public var prefix: Prefix { Prefix(unchecked: address, prefixLength) }
}

extension InterfaceAddress: CustomStringConvertible {
  /// The interface address that `text` names: an address, a slash, and the prefix length.
  ///
  /// O(length); allocates nothing.
  /// - Throws: `AddressParseError` with the text, the byte where it goes wrong, and the reason.
  public init(parsing text: String) throws(AddressParseError) {
    let parsed = try AddressScanner.run(text, AddressScanner.addressWithLength)
    self.init(unchecked: parsed.address, parsed.length)
  }

  /// The address, a slash, and the prefix length. O(1); allocates nothing but the string.
  public var description: String {
    var text = TextBuffer()
    text.append(address)
    text.append("/")
    text.append(decimal: UInt64(prefixLength))
    return text.string
  }
}
