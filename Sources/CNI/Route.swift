// Routes are the configuration's, handed through to the result.

public import AddressSpace
internal import JSON

/// A route that the container is to get.
public struct Route: Hashable, Sendable {
  /// `dst`: host bits are kept, as the reference does.
  public var destination: InterfaceAddress
  /// `gw`: the next hop; nil leaves it to the network plugin.
  public var gateway: IPAddress?
  /// `mtu` (CNI 1.1.0, as are all below): in bytes.
  public var mtu: Int?
  /// `advmss`: the segment size to advertise, in bytes.
  public var advmss: Int?
  /// `priority`: the lower one wins.
  public var priority: Int?
  /// `table`: the routing table.
  public var table: Int?
  /// `scope`: the scope of the destination.
  public var scope: Int?

  /// A route to `destination`.
  public init(destination: InterfaceAddress, gateway: IPAddress? = nil) {
    self.destination = destination
    self.gateway = gateway
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
    self.init(destination: destination)
    if let text = try section.string("gw") {
      guard let address = try? IPAddress(parsing: text) else {
        throw CNIError(
          .configuration, "invalid IP address: \(text)", details: section.pathTo("gw"))
      }
      gateway = address.ipv4Mapped ?? address
    }
    let numbers = 0...Int(UInt32.max)  // the kernel's attributes have 32 bits
    mtu = try section.integer("mtu", in: numbers)
    advmss = try section.integer("advmss", in: numbers)
    priority = try section.integer("priority", in: numbers)
    table = try section.integer("table", in: numbers)
    scope = try section.integer("scope", in: numbers)
  }

  /// The route's object; the keys of 1.1.0 only where `isExtended`.
  func json(isExtended: Bool) -> JSONValue {
    var members: [JSONValue.Member] = [.init("dst", .string(destination.description))]
    if let gateway { members.append(.init("gw", .string(gateway.description))) }
    if isExtended {
      let numbers = [
        ("mtu", mtu), ("advmss", advmss), ("priority", priority), ("table", table),
        ("scope", scope),
      ]
      for case (let key, let number?) in numbers { members.append(.init(key, .number(number))) }
    }
    return .object(members)
  }
}
