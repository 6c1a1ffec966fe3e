public import AddressSpace

// A range as an operator writes it, made whole the way `host-local` does it: what is left out gets
// its default, what contradicts the subnet is refused, and the order of the checks is host-local's,
// because it decides which of several errors the operator reads.

/// An inclusive range of one subnet, with the gateway that is never handed out.
public struct SubnetRange: Hashable, Sendable {
  /// The subnet that the range lies in.
  public let subnet: Prefix
  /// The first address that may be handed out.
  public let first: IPAddress
  /// The last address that may be handed out.
  public let last: IPAddress
  /// The gateway that a result names; it may lie outside the subnet.
  public let gateway: IPAddress?

  /// The range as written, before defaults and checks.
  public struct Text: Hashable, Sendable {
    /// The subnet in CIDR notation.
    public var subnet: String?
    /// The first address, or nothing for the default.
    public var rangeStart: String?
    /// The last address, or nothing for the default.
    public var rangeEnd: String?
    /// The gateway, or nothing for the subnet's first address.
    public var gateway: String?

    /// A range as written.
    public init(
      subnet: String?, rangeStart: String? = nil, rangeEnd: String? = nil, gateway: String? = nil
    ) {
      self.subnet = subnet
      self.rangeStart = rangeStart
      self.rangeEnd = rangeEnd
      self.gateway = gateway
    }
  }

  /// What a range may be.
  public struct Rules: Hashable, Sendable {
    /// Mask host bits in the subnet instead of refusing them, as the ancestor did.
    public var masksHostBits: Bool
    /// Accept subnets of one or two addresses (RFC 3021, RFC 6164).
    public var allowsSmallSubnets: Bool

    /// Rules; the defaults are host-local's.
    public init(masksHostBits: Bool = false, allowsSmallSubnets: Bool = false) {
      self.masksHostBits = masksHostBits
      self.allowsSmallSubnets = allowsSmallSubnets
    }
  }

  /// The range's addresses.
  public var addresses: AddressRange {
    guard let range = AddressRange(first: first, last: last) else {
      preconditionFailure("a subnet range has first <= last")
    }
    return range
  }

  /// Whether the subnet has one or two addresses, so that all of them are usable.
  public var isSmall: Bool { subnet.length > subnet.family.bitWidth - 2 }

  /// Makes a range whole.
  ///
  /// - Parameters:
  ///   - text: The range as written; an empty string means the default.
  ///   - rules: What to accept beyond what host-local accepts.
  /// - Throws: ``NetworkDefinitionError`` with host-local's wording.
  /// - Complexity: O(length of the texts).
  public init(_ text: Text, rules: Rules = Rules()) throws(NetworkDefinitionError) {
    guard let written = text.subnet else {
      throw NetworkDefinitionError("IP <nil> not v4 nor v6")
    }
    let interface = try Self.parseSubnet(written)
    let width = interface.address.family.bitWidth
    guard interface.prefixLength <= width - 2 || rules.allowsSmallSubnets else {
      throw NetworkDefinitionError("Network \(interface) too small to allocate from")
    }
    if interface.address.isIPv4Mapped && interface.prefixLength >= 96 {
      throw NetworkDefinitionError("IPNet IP and Mask version mismatch")
    }
    let subnet = interface.prefix
    guard interface.address == subnet.address || rules.masksHostBits else {
      throw NetworkDefinitionError(
        "Network has host bits set. For a subnet mask of length \(subnet.length) "
          + "the network address is \(subnet.address)")
    }
    let isSmall = subnet.length > width - 2
    let second = isSmall ? subnet.first : (subnet.first.advanced(by: .one) ?? subnet.first)
    let gateway = try Self.parseAddress(text.gateway) ?? (isSmall ? nil : second)

    let end = try Self.parseAddress(text.rangeEnd)
    let start = try Self.parseAddress(text.rangeStart)
    if let start, !subnet.contains(start) || end.map({ $0 < start }) == true {
      throw NetworkDefinitionError("RangeStart \(start) not in network \(subnet)")
    }
    let first = start ?? second
    if let end, !subnet.contains(end) || end < first {
      throw NetworkDefinitionError("RangeEnd \(end) not in network \(subnet)")
    }
    let last = end ?? Self.defaultLast(of: subnet, isSmall: isSmall)
    guard first <= last else {
      throw NetworkDefinitionError("RangeStart \(first) not in network \(subnet)")
    }
    self.subnet = subnet
    self.first = first
    self.last = last
    self.gateway = gateway
  }

  /// The addresses of the subnet that are never handed out: network, broadcast (IPv4), subnet-router
  /// anycast (RFC 4291 section 2.6.1) and the gateway, as far as they lie in it.
  public var reserved: [IPAddress] {
    var reserved: [IPAddress] = []
    if !isSmall {
      reserved.append(subnet.first)
      if subnet.family == .ipv4 { reserved.append(subnet.last) }
    }
    if let gateway, subnet.contains(gateway) { reserved.append(gateway) }
    return reserved
  }

  /// The range with the defaults of single addresses (network + 1, broadcast - 1) taken back to the
  /// subnet's ends: what a pool that delegates prefixes means by them.
  var widenedToSubnet: AddressRange {
    let low = first == subnet.first.advanced(by: .one) ? subnet.first : first
    let high = last == Self.defaultLast(of: subnet, isSmall: isSmall) ? subnet.last : last
    return AddressRange(first: low, last: high) ?? addresses
  }

  /// Refuses texts that are no addresses, whatever they would mean together.
  public static func checkSyntax(_ text: Text) throws(NetworkDefinitionError) {
    if let subnet = text.subnet { _ = try parseSubnet(subnet) }
    for address in [text.rangeStart, text.rangeEnd, text.gateway] { _ = try parseAddress(address) }
  }

  private static func parseSubnet(
    _ text: String
  ) throws(NetworkDefinitionError) -> InterfaceAddress {
    do {
      return try InterfaceAddress(parsing: text)
    } catch {
      throw NetworkDefinitionError("invalid CIDR address: \(text)")
    }
  }

  private static func parseAddress(
    _ text: String?
  ) throws(NetworkDefinitionError) -> IPAddress? {
    guard let text, !text.isEmpty else { return nil }
    do {
      let address = try IPAddress(parsing: text)
      return address.ipv4Mapped ?? address
    } catch {
      throw NetworkDefinitionError("invalid IP address: \(text)")
    }
  }

  private static func defaultLast(of subnet: Prefix, isSmall: Bool) -> IPAddress {
    guard subnet.family == .ipv4, !isSmall else { return subnet.last }
    return IPAddress(ipv4: UInt32(truncatingIfNeeded: subnet.last.value.low) &- 1)
  }
}

extension SubnetRange: CustomStringConvertible {
  /// `first-last`, as host-local prints it.
  public var description: String { "\(first)-\(last)" }
}

/// A network's definition cannot be used; the text names the value and what is wrong with it.
public struct NetworkDefinitionError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What is wrong.
  public let description: String

  /// An error with its text.
  public init(_ description: String) {
    self.description = description
  }
}
