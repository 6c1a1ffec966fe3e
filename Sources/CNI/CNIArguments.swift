// CNI_ARGS: `KEY=value` pairs between semicolons. A convention rather than a specification; read
// with the reference's strictness and words, but for DEL, which nothing here may keep from
// releasing.

public import AddressSpace
internal import JSON

/// What CNI_ARGS says, as far as it concerns an IPAM plugin.
public struct CNIArguments: Hashable, Sendable {
  /// `IP`: the address asked for, its prefix length ignored; nil if there is none.
  public private(set) var address: IPAddress?
  /// `MAC`: the container's MAC address; nil if there is none.
  public private(set) var mac: MACAddress?
  /// Whose attachment this is: the pairs whose keys begin with `K8S_POD_` or `NOMAD_`, empty values
  /// left out.
  public private(set) var identity: [String: String] = [:]
  private var ignoresUnknown = false
  private var unknownPairs: [String] = []

  /// Nothing said.
  public init() {}

  /// Parses the variable strictly. Throws code 4. O(length).
  public init(parsing text: String) throws(CNIError) {
    self.init()
    for pair in pairs(text) { try take(pair) }
    guard unknownPairs.isEmpty || ignoresUnknown else {
      throw refused("unknown args \(goQuoted(unknownPairs))")
    }
  }

  /// What can be understood of the variable; for DEL, which never fails because of it. O(length).
  public init(lenient text: String) {
    self.init()
    for pair in pairs(text) { try? take(pair) }
  }

  private mutating func take(_ pair: String) throws(CNIError) {
    let parts = pair.split(separator: "=", omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 2 else { throw refused("invalid pair \(goQuoted(pair))") }
    let (key, value) = (parts[0], parts[1])
    func wrong(_ reason: String) -> CNIError {
      refused("error parsing value of pair \(goQuoted(pair)): \(reason)")
    }
    switch key {
    case "IP":
      guard !value.isEmpty else { return address = nil }
      guard let parsed = try? requestedAddress(value) else {
        throw wrong("invalid IP address \(value)")
      }
      address = parsed
    case "MAC":
      guard !value.isEmpty else { return mac = nil }
      guard let parsed = try? MACAddress(parsing: value) else {
        throw wrong("invalid MAC address \(value)")
      }
      mac = parsed
    case "IgnoreUnknown":
      switch value.lowercased() {
      case "1", "true": ignoresUnknown = true
      case "0", "false": ignoresUnknown = false
      default: throw wrong("boolean unmarshal error: invalid input \(value)")
      }
    case _ where key.hasPrefix("K8S_POD_") || key.hasPrefix("NOMAD_"):
      identity[key] = value.isEmpty ? nil : value
    default: unknownPairs.append(pair)
    }
  }
}

private func pairs(_ text: String) -> [String] {
  text.isEmpty
    ? [] : text.split(separator: ";", omittingEmptySubsequences: false).map(String.init)
}

private func refused(_ reason: String) -> CNIError {
  CNIError(.environment, "ARGS: \(reason)", details: "in CNI_ARGS")
}
