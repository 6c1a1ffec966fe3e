// What an attachment asks for: in CNI_ARGS, in `args.cni` and in `runtimeConfig`. As with the
// reference, all requested addresses are honoured together; of the MAC addresses the most
// specific speaks.

public import AddressSpace
internal import JSON

/// The addresses and the MAC address that an attachment asks for.
public struct AddressRequests: Hashable, Sendable {
  /// The requested addresses, each once: CNI_ARGS, `args.cni.ips`, `runtimeConfig.ips`.
  public let addresses: [IPAddress]
  /// `runtimeConfig.mac`, else `args.cni.mac`, else that of CNI_ARGS.
  public let mac: MACAddress?
}

extension NetworkConfiguration {
  /// What this attachment asks for. Throws code 6 for a value of the wrong type, 7 for one that is
  /// no address. O(size).
  public func addressRequests(arguments: CNIArguments) throws(CNIError) -> AddressRequests {
    let conventional = try root.section("args")?.section("cni")
    let runtime = try root.section("runtimeConfig")
    let runtimeMAC = try runtime?.mac("mac")
    let conventionalMAC = try conventional?.mac("mac")
    var addresses = arguments.address.map { [$0] } ?? []
    for section in [conventional, runtime] {
      for address in try section?.requestedAddresses("ips") ?? []
      where !addresses.contains(address) {
        addresses.append(address)
      }
    }
    return AddressRequests(
      addresses: addresses, mac: runtimeMAC ?? conventionalMAC ?? arguments.mac)
  }
}

/// An address, with or without a prefix length, which is ignored. An IPv4-mapped one is the IPv4
/// address.
func requestedAddress(_ text: String) throws(AddressParseError) -> IPAddress {
  let address =
    text.utf8.contains(UInt8(ascii: "/"))
    ? try InterfaceAddress(parsing: text).address : try IPAddress(parsing: text)
  return address.ipv4Mapped ?? address
}

extension ConfigurationSection {
  fileprivate func requestedAddresses(_ key: String) throws(CNIError) -> [IPAddress] {
    try (list(key) ?? []).map { element throws(CNIError) in try element.requestedAddress() }
  }

  fileprivate func mac(_ key: String) throws(CNIError) -> MACAddress? {
    try string(key).map { text throws(CNIError) in
      guard let mac = try? MACAddress(parsing: text) else {
        throw CNIError(.configuration, "invalid MAC address \(text)", details: pathTo(key))
      }
      return mac
    }
  }
}

extension ConfigurationElement {
  func requestedAddress() throws(CNIError) -> IPAddress {
    let text = try string()
    guard let address = try? CNI.requestedAddress(text) else {
      let message =
        text.isEmpty
        ? "cannot understand ip: IP <nil> not v4 nor v6" : "invalid IP address \(text)"
      throw CNIError(.configuration, message, details: path)
    }
    return address
  }
}
