import AddressSpace
import BitmapAllocator
import IPAM
import JSON

// The JSON of leases, attachments, hardware addresses and bulk intervals. 64-bit numbers that must
// stay exact are hexadecimal strings: not every reader of Consul's keys keeps them in a JSON number.

/// Translates values that are JSON in Consul.
enum RecordCodec {
  /// The bytes of a value; nil for one that is not JSON there.
  static func encode(_ value: StoreValue) -> [UInt8]? {
    switch value {
    case .lease(let lease): RecordWriter.record(lease.write)
    case .attachment(let attachment): RecordWriter.record(attachment.write)
    case .mac(let owner): RecordWriter.record(owner.write)
    case .bulk(let ranges): JSONValue.array(ranges.map(\.json)).compactBytes
    case .definition(let definition): definition.json.compactBytes
    case .journal(let entry): entry.json.compactBytes
    case .chunk, .cursor, .damaged: nil
    }
  }

  /// The value of a key's bytes; ``StoreValue/damaged(_:)`` if they are not one.
  static func decode(_ bytes: [UInt8], for key: StoreKey) -> StoreValue {
    if case .lease = key, let lease = Lease(plain: bytes) { return .lease(lease) }
    do {
      return try value(try JSONValue(parsing: bytes), for: key)
    } catch let error as JSONSyntaxError {
      return .damaged("not JSON: \(error.message) at byte \(error.position)")
    } catch {
      return .damaged("\(error)")
    }
  }

  private static func value(_ json: JSONValue, for key: StoreKey) throws -> StoreValue {
    switch key {
    case .lease: .lease(try Lease(record: json))
    case .attachment: .attachment(try Attachment(record: json))
    case .mac: .mac(try AttachmentKey(record: json))
    case .bulk: .bulk(try json.asList(OffsetRange.init(record:)))
    case .definition: .definition(try NetworkDefinition(record: json))
    case .journal(let key): .journal(try JournalEntry(record: json, of: key.node))
    case .chunk, .cursor: throw RecordError("not JSON")
    }
  }
}

extension AttachmentKey {
  func write(to record: inout RecordWriter) {
    record.member("node", node)
    record.member("container", container)
    record.member("interface", interface)
  }

  init(record: JSONValue) throws {
    let fields = try RecordFields(record)
    self.init(
      node: try fields.required("node") { try $0.asString() },
      container: try fields.required("container") { try $0.asString() },
      interface: try fields.required("interface") { try $0.asString() })
  }
}

extension Node {
  func write(to record: inout RecordWriter) {
    record.member("name", name)
    record.member("instance", instance.isEmpty ? nil : instance)
    record.member("bootID", bootID.isEmpty ? nil : bootID)
  }

  init(record: JSONValue) throws {
    let fields = try RecordFields(record)
    self.init(
      name: try fields.required("name") { try $0.asString() },
      instance: try fields.optional("instance") { try $0.asString() } ?? "",
      bootID: try fields.optional("bootID") { try $0.asString() } ?? "")
  }
}

extension Workload {
  var json: JSONValue? {
    if labels.isEmpty { return nil }
    return .object(
      labels.sorted { $0.key < $1.key }.map { JSONValue.Member($0.key, .string($0.value)) })
  }

  func write(to record: inout RecordWriter) {
    guard !labels.isEmpty, let labels = json?.compactBytes else { return }
    record.member("workload", json: labels)
  }

  init(record: JSONValue) throws {
    guard case .object(let members) = record else {
      throw RecordError("\(record.kind), not an object")
    }
    self.init(
      Dictionary(try members.map { ($0.key, try $0.value.asString()) }) { _, last in last })
  }
}

extension Lease {
  func write(to record: inout RecordWriter) {
    record.object("attachment", attachment.write)
    record.object("node", node.write)
    record.member("mac", mac?.description)
    workload.write(to: &record)
    record.member("nonce", hex: nonce)
    record.member("createdAt", createdAt)
  }

  init(record: JSONValue) throws {
    let fields = try RecordFields(record)
    self.init(
      attachment: try fields.required("attachment", AttachmentKey.init(record:)),
      node: try fields.required("node", Node.init(record:)),
      mac: try fields.optional("mac") { try MACAddress(parsing: try $0.asString()) },
      workload: try fields.optional("workload", Workload.init(record:)) ?? Workload(),
      nonce: try fields.required("nonce") { try $0.asHexNumber() },
      createdAt: try fields.required("createdAt") { try $0.asSeconds() })
  }
}

extension Attachment {
  func write(to record: inout RecordWriter) {
    record.array("addresses") { record in
      for holding in holdings { record.element(holding.write) }
    }
    record.object("node", node.write)
    record.member("mac", mac?.description)
    workload.write(to: &record)
    record.member("nonce", hex: nonce)
    record.member("createdAt", createdAt)
  }

  init(record: JSONValue) throws {
    let fields = try RecordFields(record)
    self.init(
      holdings: try fields.required("addresses") { try $0.asList(Holding.init(record:)) },
      node: try fields.required("node", Node.init(record:)),
      mac: try fields.optional("mac") { try MACAddress(parsing: try $0.asString()) },
      workload: try fields.optional("workload", Workload.init(record:)) ?? Workload(),
      nonce: try fields.required("nonce") { try $0.asHexNumber() },
      createdAt: try fields.required("createdAt") { try $0.asSeconds() })
  }
}

extension Attachment.Holding {
  func write(to record: inout RecordWriter) {
    record.member("address", address)
    record.member("prefixLength", UInt64(prefixLength))
    record.member("pool", pool)
    record.member("gateway", gateway)
  }

  init(record: JSONValue) throws {
    let fields = try RecordFields(record)
    let address = try fields.required("address") { try $0.asAddress() }
    let poolName = try fields.required("pool") { try $0.asString() }
    guard let pool = KeySchema.pool(poolName) else {
      throw RecordError("\"\(poolName)\" is not a pool")
    }
    guard let ordinal = pool.ordinal(of: address), pool.address(of: ordinal) == address else {
      throw RecordError("\(address) is no unit of \(pool.subnet)")
    }
    self.init(
      address: address, prefixLength: try fields.required("prefixLength") { try $0.asInteger() },
      pool: pool, ordinal: ordinal,
      gateway: try fields.optional("gateway") { try $0.asAddress() })
  }
}

extension OffsetRange {
  fileprivate var json: JSONValue {
    .record([
      ("first", .string(first.hex(digits: 32))), ("last", .string(last.hex(digits: 32))),
    ])
  }

  fileprivate init(record: JSONValue) throws {
    let fields = try RecordFields(record)
    let first = try fields.required("first") { try $0.asString() }
    let last = try fields.required("last") { try $0.asString() }
    guard let low = Offset(hex: first), let high = Offset(hex: last),
      let range = OffsetRange(first: low, last: high)
    else { throw RecordError("\(first)-\(last) is not an interval") }
    self = range
  }
}
