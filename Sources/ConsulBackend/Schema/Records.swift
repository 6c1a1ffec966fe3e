import AddressSpace
import BitmapAllocator
internal import FoundationEssentials
import IPAM

// The JSON of leases, attachments, hardware addresses and bulk intervals. 64-bit numbers that must
// stay exact are hexadecimal strings: not every reader of Consul's keys keeps them in a JSON number.

/// Translates values that are JSON in Consul.
enum RecordCodec {
  static func encode(_ value: StoreValue) throws -> [UInt8]? {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    switch value {
    case .lease(let lease): return Array(try encoder.encode(LeaseRecord(lease)))
    case .attachment(let attachment):
      return Array(try encoder.encode(AttachmentRecord(attachment)))
    case .mac(let owner): return Array(try encoder.encode(OwnerRecord(owner)))
    case .bulk(let ranges): return Array(try encoder.encode(ranges.map(RangeRecord.init)))
    case .definition(let definition):
      return Array(try encoder.encode(DefinitionRecord(definition)))
    case .chunk, .cursor, .damaged: return nil
    }
  }

  /// The value of a key's bytes; ``StoreValue/damaged(_:)`` if they are not one.
  static func decode(_ bytes: [UInt8], for key: StoreKey) -> StoreValue {
    do {
      return try decodeOrThrow(bytes, for: key)
    } catch let error as RecordError {
      return .damaged(error.description)
    } catch {
      return .damaged("not the JSON that belongs here")
    }
  }

  private static func decodeOrThrow(_ bytes: [UInt8], for key: StoreKey) throws -> StoreValue {
    let decoder = JSONDecoder()
    let data = Data(bytes)
    switch key {
    case .lease: return .lease(try decoder.decode(LeaseRecord.self, from: data).lease())
    case .attachment:
      return .attachment(try decoder.decode(AttachmentRecord.self, from: data).attachment())
    case .mac: return .mac(try decoder.decode(OwnerRecord.self, from: data).key)
    case .bulk:
      return .bulk(try decoder.decode([RangeRecord].self, from: data).map { try $0.range() })
    case .definition:
      return .definition(try decoder.decode(DefinitionRecord.self, from: data).definition())
    case .chunk, .cursor: throw RecordError("not JSON")
    }
  }
}

/// A record says something impossible.
struct RecordError: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) {
    self.description = description
  }
}

private struct NodeRecord: Codable {
  var name: String
  var instance: String
  var bootID: String

  init(_ node: Node) {
    (name, instance, bootID) = (node.name, node.instance, node.bootID)
  }

  var node: Node { Node(name: name, instance: instance, bootID: bootID) }
}

private struct OwnerRecord: Codable {
  var node: String
  var container: String
  var interface: String

  init(_ key: AttachmentKey) {
    (node, container, interface) = (key.node, key.container, key.interface)
  }

  var key: AttachmentKey {
    AttachmentKey(node: node, container: container, interface: interface)
  }
}

private struct LeaseRecord: Codable {
  var attachment: OwnerRecord
  var node: NodeRecord
  var mac: String?
  var workload: [String: String]
  var nonce: String
  var createdAt: UInt64

  init(_ lease: Lease) {
    attachment = OwnerRecord(lease.attachment)
    node = NodeRecord(lease.node)
    mac = lease.mac?.description
    workload = lease.workload.labels
    nonce = Offset(lease.nonce).hex(digits: 16)
    createdAt = lease.createdAt
  }

  func lease() throws -> Lease {
    Lease(
      attachment: attachment.key, node: node.node,
      mac: try mac.map { try MACAddress(parsing: $0) }, workload: Workload(workload),
      nonce: try hexNumber(nonce, "nonce"), createdAt: createdAt)
  }
}

private struct AttachmentRecord: Codable {
  struct HoldingRecord: Codable {
    var address: String
    var prefixLength: Int
    var pool: String
    var ordinal: String
    var gateway: String?
  }

  var addresses: [HoldingRecord]
  var node: NodeRecord
  var mac: String?
  var workload: [String: String]
  var nonce: String
  var createdAt: UInt64

  init(_ attachment: Attachment) {
    addresses = attachment.holdings.map { holding in
      HoldingRecord(
        address: holding.address.description, prefixLength: holding.prefixLength,
        pool: KeySchema.name(of: holding.pool), ordinal: holding.ordinal.offset.hex(digits: 32),
        gateway: holding.gateway?.description)
    }
    node = NodeRecord(attachment.node)
    mac = attachment.mac?.description
    workload = attachment.workload.labels
    nonce = Offset(attachment.nonce).hex(digits: 16)
    createdAt = attachment.createdAt
  }

  func attachment() throws -> Attachment {
    Attachment(
      holdings: try addresses.map(Self.holding), node: node.node,
      mac: try mac.map { try MACAddress(parsing: $0) }, workload: Workload(workload),
      nonce: try hexNumber(nonce, "nonce"), createdAt: createdAt)
  }

  private static func holding(_ record: HoldingRecord) throws -> Attachment.Holding {
    guard let pool = KeySchema.pool(record.pool) else {
      throw RecordError("\"\(record.pool)\" is not a pool")
    }
    let address = try IPAddress(parsing: record.address)
    guard let offset = Offset(hex: record.ordinal), offset <= pool.lastOrdinal.offset,
      pool.address(of: Ordinal(offset)) == address
    else {
      throw RecordError("ordinal \(record.ordinal) of \(pool.subnet) is not \(address)")
    }
    return Attachment.Holding(
      address: address, prefixLength: record.prefixLength, pool: pool, ordinal: Ordinal(offset),
      gateway: try record.gateway.map { try IPAddress(parsing: $0) })
  }
}

private struct RangeRecord: Codable {
  var first: String
  var last: String

  init(_ range: OffsetRange) {
    (first, last) = (range.first.hex(digits: 32), range.last.hex(digits: 32))
  }

  func range() throws -> OffsetRange {
    guard let first = Offset(hex: first), let last = Offset(hex: last),
      let range = OffsetRange(first: first, last: last)
    else { throw RecordError("\(first)-\(last) is not an interval") }
    return range
  }
}

private func hexNumber(_ text: String, _ name: String) throws -> UInt64 {
  guard text.utf8.count == 16, let number = Offset(hex: text) else {
    throw RecordError("\(name) \"\(text)\" is not a 64-bit number in hexadecimal")
  }
  return number.low
}
