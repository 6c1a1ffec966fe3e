// What CHECK is told about the past, and GC about the present.

public import AddressSpace
internal import JSON

/// What the runtime connects to a network: an interface of a container.
public struct CNIAttachment: Hashable, Sendable {
  /// The container's ID.
  public let containerID: String
  /// The interface's name inside the container.
  public let interfaceName: String

  /// The interface of the container.
  public init(containerID: String, interfaceName: String) {
    self.containerID = containerID
    self.interfaceName = interfaceName
  }
}

extension NetworkConfiguration {
  /// The addresses of `prevResult`, in any version's form; those of other plugins of the chain may
  /// be among them. Nil if there is no `prevResult`. Throws code 6 for a value of the wrong type, 7
  /// for one that is no address. O(size).
  public func previousAddresses() throws(CNIError) -> [InterfaceAddress]? {
    guard let result = try root.section("prevResult") else { return nil }
    var addresses: [InterfaceAddress] = []
    for key in ["ip4", "ip6"] {
      if let address = try result.section(key)?.interfaceAddress("ip") { addresses.append(address) }
    }
    for element in try result.list("ips") ?? [] {
      if let address = try element.section().interfaceAddress("address") {
        addresses.append(address)
      }
    }
    return addresses
  }

  /// The attachments that exist, for GC: `cni.dev/valid-attachments`, or `cni.dev/attachments` if
  /// that is absent. Throws code 7 if there is neither, or it is `null` or incomplete, 6 for a
  /// value of the wrong type: then nothing may be released. An empty list means that none exists.
  /// O(size).
  public func validAttachments() throws(CNIError) -> [CNIAttachment] {
    let keys = ["cni.dev/valid-attachments", "cni.dev/attachments"]
    guard let key = keys.first(where: { root.json[$0] != nil }) else {
      throw CNIError(
        .configuration, "GC needs the list \(keys[0])",
        details: "without it nothing is released; an empty list releases all of this node")
    }
    guard let list = try root.list(key) else {
      throw CNIError(
        .configuration, "\(key) is null",
        details: "nothing is released; an empty list releases all of this node")
    }
    return try list.map { element throws(CNIError) in
      let section = try element.section()
      guard let containerID = try section.string("containerID"),
        let interfaceName = try section.string("ifname")
      else {
        throw CNIError(
          .configuration, "\(element.path) needs containerID and ifname",
          details: "nothing is released")
      }
      return CNIAttachment(containerID: containerID, interfaceName: interfaceName)
    }
  }
}

extension ConfigurationSection {
  fileprivate func interfaceAddress(_ key: String) throws(CNIError) -> InterfaceAddress? {
    try string(key).map { text throws(CNIError) in
      guard let address = try? InterfaceAddress(parsing: text) else {
        throw CNIError(
          .configuration, "invalid CIDR address: \(text)", details: pathTo(key))
      }
      return address
    }
  }
}
