// What the runtime writes to standard input: the configuration of the whole network plugin, of
// which `ipam` is ours. It is taken apart in layers, because a DEL must work on a configuration
// whose other parts have become invalid since the ADD:
//
//   NetworkConfiguration      it is JSON and has a valid name              every command
//     storeSettings()         where the leases are kept                    every command
//     poolSettings()          which addresses there are, what goes along   ADD, STATUS, CHECK
//     addressRequests(…)      which of them this attachment asks for       ADD
//     previousAddresses()     which of them it was given                   CHECK
//     validAttachments()      which attachments exist                      GC

internal import JSON

/// A configuration that is JSON and names its network.
public struct NetworkConfiguration: Hashable, Sendable {
  /// The name of the network.
  public let name: String
  let root: ConfigurationSection

  /// Parses standard input. Throws code 6 if it is not an object in JSON, 7 if the name is missing
  /// or has characters that a name must not have. O(bytes).
  public init(parsing bytes: [UInt8]) throws(CNIError) {
    let json: JSONValue
    do {
      json = try JSONValue(parsing: bytes)
    } catch {
      throw CNIError(
        .decoding, "error unmarshall network config: \(error.message)",
        details: error.position < bytes.count ? "at byte \(error.position) of the input" : "")
    }
    root = ConfigurationSection(path: "", json: json)
    switch json {
    case .object, .null: break  // null is an empty one, as in Go
    default:
      throw CNIError(
        .decoding, "error unmarshall network config: it must be an object, not \(json.kind)")
    }
    do {
      name = try root.string("name") ?? ""
    } catch {
      throw CNIError(error.code, "error unmarshall network config: \(error.message)")
    }
    guard !name.isEmpty else { throw CNIError(.configuration, "missing network name") }
    guard isValidName(name) else {
      throw CNIError(
        .configuration, "invalid characters found in network name", details: name)
    }
  }

  /// `cniVersion` as it was given; empty if it was not. Throws code 6.
  public func declaredVersion() throws(CNIError) -> String {
    do {
      return try root.string("cniVersion") ?? ""
    } catch {
      throw CNIError(error.code, "decoding version from network config: \(error.message)")
    }
  }

  func ipam() throws(CNIError) -> ConfigurationSection {
    guard let section = try root.section("ipam") else {
      throw CNIError(.configuration, "IPAM config missing 'ipam' key")
    }
    return section
  }
}
