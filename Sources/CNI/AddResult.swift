// The answer to an ADD, and its form in each version of the specification:
//
//   0.1.0, 0.2.0          ip4 and ip6, one address each, with the routes of that family inside
//   0.3.0, 0.3.1, 0.4.0   ips, each with "version": "4" or "6"; routes beside them
//   1.0.0                 ips without that
//   1.1.0                 routes with mtu and others; no empty dns

public import AddressSpace
public import JSON

/// What an attachment got.
public struct AddResult: Hashable, Sendable {
  /// An address as its container is to configure it.
  public struct Address: Hashable, Sendable {
    /// The address, with the prefix length of its subnet.
    public let address: InterfaceAddress
    /// The subnet's gateway; nil if it has none.
    public let gateway: IPAddress?

    /// An address and its gateway.
    public init(_ address: InterfaceAddress, gateway: IPAddress?) {
      self.address = address
      self.gateway = gateway
    }
  }

  /// The addresses, in the order of the range sets.
  public let addresses: [Address]
  /// The routes of the configuration.
  public let routes: [Route]
  /// The name resolution of the configuration.
  public let dns: DNS

  /// A result.
  public init(addresses: [Address], routes: [Route] = [], dns: DNS = DNS()) {
    self.addresses = addresses
    self.routes = routes
    self.dns = dns
  }

  /// The result object in the form of `version`. Before 0.3.0 it holds the first address of each
  /// family; it throws code 999 if there is none at all. O(size).
  public func json(version: CNISpecVersion) throws(CNIError) -> JSONValue {
    var members: [JSONValue.Member] = [.init("cniVersion", .string(version.rawValue))]
    if version < .v030 {
      members += try familyMembers()
    } else {
      members.append(.init("ips", .array(addresses.map { element($0, version: version) })))
      if !routes.isEmpty {
        let isExtended = version >= .v110
        members.append(
          .init("routes", .array(routes.map { $0.json(isExtended: isExtended) })))
      }
    }
    if dns != DNS() || version < .v110 { members.append(.init("dns", dns.json)) }
    return .object(members)
  }

  private func element(_ address: Address, version: CNISpecVersion) -> JSONValue {
    var members: [JSONValue.Member] = []
    if version < .v100 {
      let family = address.address.address.family
      members.append(.init("version", .string(family == .ipv4 ? "4" : "6")))
    }
    members.append(.init("address", .string(address.address.description)))
    if let gateway = address.gateway {
      members.append(.init("gateway", .string(gateway.description)))
    }
    return .object(members)
  }

  /// `ip4` and `ip6`. A route goes to the family of its destination, and is dropped with it.
  private func familyMembers() throws(CNIError) -> [JSONValue.Member] {
    var members: [JSONValue.Member] = []
    for (key, family) in [("ip4", AddressFamily.ipv4), ("ip6", .ipv6)] {
      guard let first = addresses.first(where: { $0.address.address.family == family })
      else { continue }
      var address: [JSONValue.Member] = [.init("ip", .string(first.address.description))]
      if let gateway = first.gateway {
        address.append(.init("gateway", .string(gateway.description)))
      }
      let own = routes.filter { $0.destination.address.family == family }
      if !own.isEmpty {
        address.append(.init("routes", .array(own.map { $0.json(isExtended: false) })))
      }
      members.append(.init(key, .object(address)))
    }
    guard !members.isEmpty else {
      throw CNIError(.internalFailure, "cannot convert: no valid IP addresses")
    }
    return members
  }
}
