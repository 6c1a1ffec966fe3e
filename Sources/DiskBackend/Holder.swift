import AddressSpace

// host-local's format, byte for byte:
//
//   <dataDir>/<network>/lock                    empty; flock(2) on it orders all processes
//   <dataDir>/<network>/10.1.0.2                "<container>\r\n<interface>": who holds the address
//   <dataDir>/<network>/2001:db8::2             the name is the address in canonical text
//   <dataDir>/<network>/last_reserved_ip.<set>  the address handed out last from a range set

/// The holder of an address, as its file has it.
struct Holder: Hashable, Sendable {
  /// Longer contents are nobody's that we know. A container ID has no limit in the specification;
  /// runtimes use 64 characters.
  static let longestContent = 4_096

  /// The container.
  let container: String
  /// The interface; empty in files of plugins that knew none.
  let interface: String

  /// A holder, if a file can name it: no line breaks, nothing that trimming would change.
  init?(container: String, interface: String) {
    self.container = container
    self.interface = interface
    guard Holder(parsing: content) == self else { return nil }
  }

  /// Reads a file's content as host-local does: white space around it does not count.
  init?(parsing content: [UInt8]) {
    guard content.count <= Self.longestContent else { return nil }
    let trimmed = content[...].trimmed
    guard !trimmed.isEmpty else { return nil }
    let lines = trimmed.split(
      separator: UInt8(ascii: "\r"), maxSplits: 1, omittingEmptySubsequences: false)
    guard let container = String(validating: lines[0], as: UTF8.self), !container.isEmpty,
      !lines[0].contains(UInt8(ascii: "\n"))
    else { return nil }
    self.container = container
    guard lines.count == 2 else {
      interface = ""
      return
    }
    guard lines[1].first == UInt8(ascii: "\n"), lines[1].count > 1,
      let interface = String(validating: lines[1].dropFirst(), as: UTF8.self),
      !interface.utf8.contains(where: { $0 == UInt8(ascii: "\r") || $0 == UInt8(ascii: "\n") })
    else { return nil }
    self.interface = interface
  }

  /// What the file says.
  var content: [UInt8] {
    interface.isEmpty ? Array(container.utf8) : Array("\(container)\r\n\(interface)".utf8)
  }
}

extension ArraySlice<UInt8> {
  /// Without the white space around it.
  fileprivate var trimmed: ArraySlice<UInt8> {
    var rest = self
    while let first = rest.first, first.isSpace { rest.removeFirst() }
    while let last = rest.last, last.isSpace { rest.removeLast() }
    return rest
  }
}

extension UInt8 {
  /// Space, tab, line feed, vertical tab, form feed, carriage return.
  fileprivate var isSpace: Bool { self == 0x20 || (0x09...0x0D).contains(self) }
}

extension IPAddress {
  /// The address that a file is named after; only canonical text names one.
  init?(fileName: String) {
    // Most of what else stands in the directory begins with "last_" or ".".
    guard let first = fileName.utf8.first,
      first == UInt8(ascii: ":") || (first | 0x20).isHexDigit,
      let address = try? IPAddress(parsing: fileName), address.description == fileName
    else { return nil }
    self = address
  }

  /// The name of its file.
  var fileName: String { description }
}

extension UInt8 {
  fileprivate var isHexDigit: Bool {
    (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self)
      || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(self)
  }
}
