import AddressSpace
import ConsulBackend
import IPAM
import JSON

// The lines of an export, version 1, each a JSON object with one member that says what it is:
//
//   {"header":     {"format":"cni-ipam-consul","version":1,"network":…,"id":…,"exportedAt":…}}
//   {"definition": …}                            as `ipamctl network show` has it; not of a directory
//   {"attachment": {"node":…,"container":…,"interface":…,"addresses":[…], …}}    with its leases
//   {"cooling":    {"address":…,"since":…}}
//   {"taken":      {"first":…,"last":…}}         of a network without leases
//   {"end":        {"attachments":…,"cooling":…,"taken":…}}       a file without it was cut off

/// One line of an export.
enum ExportRecord {
  case header(ExportHeader)
  case definition(JSONValue)
  case attachment(AdoptedAttachment)
  case mark(RestoredMark)
  case end(ExportCounts)

  /// What is wrong with a line.
  struct Malformed: Error, CustomStringConvertible {
    let description: String
  }
}

struct ExportHeader: Equatable {
  static let format = "cni-ipam-consul"
  static let version = 1

  var network: String
  /// A random number that tells this export from every other.
  var id: UInt64
  /// Seconds since 1970.
  var exportedAt: UInt64
}

struct ExportCounts: Equatable {
  var attachments = 0
  var cooling = 0
  var taken = 0

  mutating func count(_ record: ExportRecord) {
    switch record {
    case .attachment: attachments += 1
    case .mark(.cooling): cooling += 1
    case .mark(.taken): taken += 1
    case .header, .definition, .end: return
    }
  }

  /// For people.
  var text: String {
    attachments.counted("attachment")
      + (cooling > 0 ? ", " + cooling.counted("cooling address", "cooling addresses") : "")
      + (taken > 0 ? ", " + taken.counted("run") + " of taken addresses" : "")
  }
}

// MARK: - Writing

extension ExportRecord {
  /// The line, with its end.
  var line: [UInt8] { JSONValue.object([member]).compactBytes + [UInt8(ascii: "\n")] }

  private var member: JSONValue.Member {
    switch self {
    case .header(let header):
      .init(
        "header",
        [
          "format": .string(ExportHeader.format), "version": .number(ExportHeader.version),
          "network": .string(header.network), "id": .hex16(header.id),
          "exportedAt": .string(utc(header.exportedAt)),
        ])
    case .definition(let document): .init("definition", document)
    case .attachment(let attachment): .init("attachment", attachment.document)
    case .mark(.cooling(let address, let since)):
      .init(
        "cooling",
        ["address": .string(address.description), "since": .number(Int(clamping: since))])
    case .mark(.taken(let range)):
      .init(
        "taken",
        ["first": .string(range.first.description), "last": .string(range.last.description)])
    case .end(let counts):
      .init(
        "end",
        [
          "attachments": .number(counts.attachments), "cooling": .number(counts.cooling),
          "taken": .number(counts.taken),
        ])
    }
  }
}

extension AdoptedAttachment {
  fileprivate var document: JSONValue {
    var members: [JSONValue.Member] = [
      .init("node", .string(key.node)), .init("container", .string(key.container)),
      .init("interface", .string(key.interface)),
      .init("addresses", .array(addresses.map { .string($0.description) })),
    ]
    if let mac { members.append(.init("mac", .string(mac.description))) }
    if !workload.labels.isEmpty {
      let labels = workload.labels.sorted { $0.key < $1.key }
      members.append(
        .init("workload", .object(labels.map { .init($0.key, .string($0.value)) })))
    }
    if let origin {
      members += [
        .init("madeBy", .string(origin.node.name)),
        .init("instance", .string(origin.node.instance)),
        .init("bootID", .string(origin.node.bootID)), .init("nonce", .hex16(origin.nonce)),
        .init("createdAt", .number(Int(clamping: origin.createdAt))),
      ]
    }
    return .object(members)
  }
}

// MARK: - Reading

extension ExportRecord {
  /// The record of a line.
  init(line: [UInt8]) throws(Malformed) {
    let value: JSONValue
    do {
      value = try JSONValue(parsing: line)
    } catch {
      throw Malformed(description: "\(error.message) at byte \(error.position)")
    }
    guard case .object(let members) = value, let member = members.first, members.count == 1 else {
      throw Malformed(description: "not an object with one member")
    }
    let fields = member.value
    switch member.key {
    case "header": self = .header(try ExportHeader(fields))
    case "definition": self = .definition(fields)
    case "attachment": self = .attachment(try AdoptedAttachment(document: fields))
    case "cooling":
      self = .mark(.cooling(try fields.address("address"), since: try fields.count("since")))
    case "taken":
      guard
        let range = AddressRange(
          first: try fields.address("first"), last: try fields.address("last"))
      else { throw Malformed(description: "first and last make no range") }
      self = .mark(.taken(range))
    case "end":
      self = .end(
        ExportCounts(
          attachments: Int(try fields.count("attachments")),
          cooling: Int(try fields.count("cooling")), taken: Int(try fields.count("taken"))))
    default: throw Malformed(description: "\"\(member.key)\" is not known here")
    }
  }
}

extension ExportHeader {
  fileprivate init(_ fields: JSONValue) throws(ExportRecord.Malformed) {
    guard fields["format"]?.string == Self.format else {
      throw .init(description: "not an export of ipamctl")
    }
    guard fields["version"]?.integer == Self.version else {
      throw .init(
        description: "version \(fields["version"]?.compact ?? "unknown") of the format; this "
          + "ipamctl reads version \(Self.version)")
    }
    self.init(
      network: try fields.text("network"), id: try fields.hex16("id"), exportedAt: 0)
  }
}

extension AdoptedAttachment {
  fileprivate init(document: JSONValue) throws(ExportRecord.Malformed) {
    var addresses: [IPAddress] = []
    for element in document["addresses"]?.elements ?? [] {
      addresses.append(try element.asAddress("addresses"))
    }
    guard !addresses.isEmpty else { throw .init(description: "addresses: there are none") }
    self.init(
      key: AttachmentKey(
        node: try document.text("node"), container: try document.text("container"),
        interface: try document.text("interface")),
      addresses: addresses)
    if let text = document["mac"] {
      guard let mac = try? MACAddress(parsing: text.string ?? "") else {
        throw .init(description: "mac: \(text.compact) is not a MAC address")
      }
      self.mac = mac
    }
    if case .object(let members) = document["workload"] {
      for member in members {
        guard let value = member.value.string else {
          throw .init(description: "workload: \(member.key) is not a string")
        }
        workload.labels[member.key] = value
      }
    }
    if document["nonce"] != nil {
      origin = Origin(
        node: Node(
          name: try document.text("madeBy"), instance: try document.text("instance"),
          bootID: try document.text("bootID")),
        nonce: try document.hex16("nonce"), createdAt: try document.count("createdAt"))
    }
  }
}

extension JSONValue {
  fileprivate static func hex16(_ number: UInt64) -> JSONValue {
    .string(Offset(number).hex(digits: 16))
  }

  fileprivate func text(_ key: String) throws(ExportRecord.Malformed) -> String {
    guard let text = self[key]?.string else { throw .init(description: "\(key): no string") }
    return text
  }

  fileprivate func count(_ key: String) throws(ExportRecord.Malformed) -> UInt64 {
    guard let number = self[key]?.integer, let count = UInt64(exactly: number) else {
      throw .init(description: "\(key): no whole number from 0")
    }
    return count
  }

  fileprivate func hex16(_ key: String) throws(ExportRecord.Malformed) -> UInt64 {
    guard let text = self[key]?.string, text.utf8.count == 16, let number = Offset(hex: text)
    else { throw .init(description: "\(key): no 16 hexadecimal digits") }
    return number.low
  }

  fileprivate func address(_ key: String) throws(ExportRecord.Malformed) -> IPAddress {
    guard let value = self[key] else { throw .init(description: "\(key) is missing") }
    return try value.asAddress(key)
  }

  fileprivate func asAddress(_ key: String) throws(ExportRecord.Malformed) -> IPAddress {
    guard let text = string, let address = try? IPAddress(parsing: text) else {
      throw .init(description: "\(key): \(compact) is not an address")
    }
    return address
  }
}
