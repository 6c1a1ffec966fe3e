import AddressSpace

// host-local's format, byte for byte:
//
//   <dataDir>/<network>/lock                    empty; flock(2) on it orders all processes
//   <dataDir>/<network>/10.1.0.2                "<container>\r\n<interface>": who holds the address
//   <dataDir>/<network>/2001:db8::2             the name is the address in canonical text
//   <dataDir>/<network>/last_reserved_ip.<set>  the address handed out last from a range set

/// The holder of an address, as its file has it.
struct Holder: Hashable, Sendable, CustomStringConvertible {
  /// Longer contents are nobody's that we know. A container ID has no limit in the specification;
  /// runtimes use 64 characters.
  static let longestContent = 4_096

  /// The container.
  let container: String
  /// The interface; empty in files of plugins that knew none.
  let interface: String

  /// A holder, if a file can name it: nothing in it breaks a line, and trimming changes nothing.
  init?(container: String, interface: String) {
    guard container.isPlain, interface.isEmpty || interface.isPlain,
      container.utf8.count + interface.utf8.count + 2 <= Self.longestContent
    else { return nil }
    self.container = container
    self.interface = interface
  }

  /// Reads a file's content as host-local does: white space around it does not count.
  init?(parsing content: [UInt8]) {
    guard content.count <= Self.longestContent,
      let text = String(validating: content[...].trimmed, as: UTF8.self)
    else { return nil }
    // "\r\n" is one character of a string.
    guard let lineBreak = text.firstIndex(of: "\r\n") else {
      self.init(container: text, interface: "")
      return
    }
    let interface = String(text[text.index(after: lineBreak)...])
    guard !interface.isEmpty else { return nil }
    self.init(container: String(text[..<lineBreak]), interface: interface)
  }

  /// `container/interface`, for people.
  var description: String { interface.isEmpty ? container : "\(container)/\(interface)" }

  /// What the file says.
  var content: [UInt8] {
    interface.isEmpty ? Array(container.utf8) : Array("\(container)\r\n\(interface)".utf8)
  }
}

extension String {
  /// Not empty, without control characters, and without white space around it.
  fileprivate var isPlain: Bool {
    guard let first = utf8.first, let last = utf8.last, !first.isSpace, !last.isSpace else {
      return false
    }
    return utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
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
  /// The address that a file is named after; only canonical text names one (Go writes an IPv4 address
  /// that is mapped to IPv6 as IPv4).
  init?(fileName: String) {
    // Most of what else stands in the directory begins with "last_" or ".".
    guard let first = fileName.utf8.first,
      first == UInt8(ascii: ":") || (first | 0x20).isHexDigit,
      let address = try? IPAddress(parsing: fileName), address.description == fileName,
      !address.isIPv4Mapped
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
