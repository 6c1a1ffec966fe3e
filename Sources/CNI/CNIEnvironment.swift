// The environment variables in which a runtime says what it wants. They are checked in the order,
// and refused with the words, of the reference's skeleton: an invalid value at once, missing ones
// all together, and each only for the commands that need it. The command itself may still be an
// unknown one: that is said only after the configuration has been read.

/// The validated `CNI_*` variables.
public struct CNIEnvironment: Hashable, Sendable {
  /// `CNI_COMMAND` as it was given.
  public let commandName: String
  /// `CNI_CONTAINERID`.
  public let containerID: String
  /// `CNI_NETNS`; may be empty on DEL.
  public let networkNamespace: String
  /// `CNI_IFNAME`: at most 15 bytes.
  public let interfaceName: String
  /// `CNI_ARGS`, not parsed (see `CNIArguments`).
  public let arguments: String
  /// `CNI_PATH`.
  public let path: String

  /// The command; nil if the plugin does not know it.
  public var command: CNICommand? { CNICommand(rawValue: commandName) }

  /// Reads and checks the variables. An empty one counts as missing. Throws code 4. O(length).
  public init(_ variables: [String: String]) throws(CNIError) {
    func value(_ name: String) -> String { variables[name] ?? "" }
    commandName = value("CNI_COMMAND")
    containerID = value("CNI_CONTAINERID")
    networkNamespace = value("CNI_NETNS")
    interfaceName = value("CNI_IFNAME")
    arguments = value("CNI_ARGS")
    path = value("CNI_PATH")

    let command = CNICommand(rawValue: commandName)
    let hasAttachment = command == .add || command == .del || command == .check
    var missing = commandName.isEmpty ? ["CNI_COMMAND"] : []
    if hasAttachment {
      if containerID.isEmpty {
        missing.append("CNI_CONTAINERID")
      } else if !isValidName(containerID) {
        throw CNIError(.environment, "invalid characters in containerID", details: containerID)
      }
      if networkNamespace.isEmpty && command != .del { missing.append("CNI_NETNS") }
      if interfaceName.isEmpty {
        missing.append("CNI_IFNAME")
      } else {
        try validate(interfaceName: interfaceName)
      }
    }
    if path.isEmpty && (hasAttachment || command == .gc || command == .status) {
      missing.append("CNI_PATH")
    }
    guard missing.isEmpty else {
      let names = missing.joined(separator: ",")
      throw CNIError(.environment, "required env variables [\(names)] missing")
    }
  }
}

/// Whether a container ID or network name is `[a-zA-Z0-9][a-zA-Z0-9_.-]*`, byte by byte.
func isValidName(_ name: String) -> Bool {
  func isAlphanumeric(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
  }
  guard let first = name.utf8.first, isAlphanumeric(first) else { return false }
  return name.utf8.allSatisfy { isAlphanumeric($0) || $0 == 0x5f || $0 == 0x2e || $0 == 0x2d }
}

private func validate(interfaceName name: String) throws(CNIError) {
  guard name.utf8.count <= 15 else {
    throw CNIError(
      .environment, "interface name is too long",
      details: "interface name should be less than 16 characters")
  }
  guard name != "." && name != ".." else {
    throw CNIError(.environment, "interface name is . or ..")
  }
  let isForbidden = { (scalar: Unicode.Scalar) in
    scalar == "/" || scalar == ":" || scalar.properties.isWhitespace
  }
  guard !name.unicodeScalars.contains(where: isForbidden) else {
    throw CNIError(
      .environment, "interface name contains / or : or whitespace characters")
  }
}
