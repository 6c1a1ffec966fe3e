// Routes are the configuration's, handed through to the result.

public import AddressSpace

/// A route that the container is to get.
public struct Route: Hashable, Sendable {
  /// `dst`: host bits are kept, as the reference does.
  public let destination: InterfaceAddress
  /// `gw`: the next hop; nil leaves it to the network plugin.
  public let gateway: IPAddress?
  /// `mtu`, `advmss`, `priority`, `table` and `scope` of CNI 1.1.0: integers, as given.
  public let extensions: [JSONValue.Member]

  /// A route to `destination`.
  public init(
    destination: InterfaceAddress, gateway: IPAddress? = nil, extensions: [JSONValue.Member] = []
  ) {
    self.destination = destination
    self.gateway = gateway
    self.extensions = extensions
  }
}

extension Route {
  init(_ section: ConfigurationSection) throws(CNIError) {
    guard let text = try section.string("dst") else {
      throw CNIError(.configuration, "\(section.path) has no \"dst\"")
    }
    guard let destination = try? InterfaceAddress(parsing: text) else {
      throw CNIError(
        .configuration, "invalid CIDR address: \(text)", details: section.pathTo("dst"))
    }
    self.destination = destination
    gateway = try section.string("gw").map { text throws(CNIError) in
      guard let address = try? IPAddress(parsing: text) else {
        throw CNIError(
          .configuration, "invalid IP address: \(text)", details: section.pathTo("gw"))
      }
      return address.ipv4Mapped ?? address
    }
    var extensions: [JSONValue.Member] = []
    for key in ["mtu", "advmss", "priority", "table", "scope"] {
      if let number = try section.integer(key, in: 0...Int(UInt32.max)) {
        extensions.append(.init(key, .number(number)))
      }
    }
    self.extensions = extensions
  }

  /// The route's object; the keys of 1.1.0 only where `isExtended`.
  func json(isExtended: Bool) -> JSONValue {
    var members: [JSONValue.Member] = [.init("dst", .string(destination.description))]
    if let gateway { members.append(.init("gw", .string(gateway.description))) }
    return .object(members + (isExtended ? extensions : []))
  }
}
