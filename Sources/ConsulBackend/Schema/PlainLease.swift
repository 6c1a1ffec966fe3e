import AddressSpace
import IPAM

// A listing reads leases by the hundred thousand, and all of them look as we wrote them. So they are
// read straight from the bytes, without a tree; whatever is odd about one (null, an unknown member,
// a number that is none) is left to the reader that can say what is wrong.

extension Lease {
  /// Reads a lease of known members; nil if anything is odd about it.
  ///
  /// - Complexity: O(bytes).
  init?(plain bytes: [UInt8]) {
    var attachment: AttachmentKey?
    var node: Node?
    var mac: MACAddress?
    var workload = Workload()
    var nonce: UInt64?
    var createdAt: UInt64?
    var reader = JSONReader(bytes)
    do throws(JSONError) {
      try reader.object { (reader, name) throws(JSONError) in
        switch name {
        case "attachment": attachment = try AttachmentKey(plain: &reader)
        case "node": node = try Node(plain: &reader)
        case "mac":
          guard let address = try? MACAddress(parsing: try reader.string()) else { throw .odd }
          mac = address
        case "workload": workload = try Workload(plain: &reader)
        case "nonce":
          let text = try reader.string()
          guard text.utf8.count == 16, let number = Offset(hex: text) else { throw .odd }
          nonce = number.low
        case "createdAt":
          createdAt = try reader.unsigned()
          if Int(exactly: createdAt ?? 0) == nil { throw .odd }
        default: throw .odd
        }
      }
      try reader.finish()
    } catch {
      return nil
    }
    guard let attachment, let node, let nonce, let createdAt else { return nil }
    self.init(
      attachment: attachment, node: node, mac: mac, workload: workload, nonce: nonce,
      createdAt: createdAt)
  }
}

extension JSONError {
  /// Left to the other reader, whose error is the one that is shown.
  fileprivate static let odd = JSONError(position: 0, expected: "a record as it is written")
}

extension AttachmentKey {
  fileprivate init(plain reader: inout JSONReader) throws(JSONError) {
    var names: (node: String?, container: String?, interface: String?)
    try reader.object { (reader, name) throws(JSONError) in
      switch name {
      case "node": names.node = try reader.string()
      case "container": names.container = try reader.string()
      case "interface": names.interface = try reader.string()
      default: throw .odd
      }
    }
    guard let node = names.node, let container = names.container, let interface = names.interface
    else { throw .odd }
    self.init(node: node, container: container, interface: interface)
  }
}

extension Node {
  fileprivate init(plain reader: inout JSONReader) throws(JSONError) {
    var found: (name: String?, instance: String, bootID: String) = (nil, "", "")
    try reader.object { (reader, name) throws(JSONError) in
      switch name {
      case "name": found.name = try reader.string()
      case "instance": found.instance = try reader.string()
      case "bootID": found.bootID = try reader.string()
      default: throw .odd
      }
    }
    guard let name = found.name else { throw .odd }
    self.init(name: name, instance: found.instance, bootID: found.bootID)
  }
}

extension Workload {
  fileprivate init(plain reader: inout JSONReader) throws(JSONError) {
    var labels: [String: String] = [:]
    try reader.object { (reader, name) throws(JSONError) in labels[name] = try reader.string() }
    self.init(labels)
  }
}
