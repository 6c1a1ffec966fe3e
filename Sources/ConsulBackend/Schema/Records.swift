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
    json(value)?.compactBytes
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

  private static func json(_ value: StoreValue) -> JSONValue? {
    switch value {
    case .lease(let lease): lease.json
    case .attachment(let attachment): attachment.json
    case .mac(let owner): owner.json
    case .bulk(let ranges): .array(ranges.map(\.json))
    case .definition(let definition): definition.json
    case .journal(let entry): entry.json
    case .chunk, .cursor, .damaged: nil
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
  var json: JSONValue {
    .record([
      ("node", .string(node)), ("container", .string(container)),
      ("interface", .string(interface)),
    ])
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
  var json: JSONValue {
    .record([
      ("name", .string(name)), ("instance", .string(instance)), ("bootID", .string(bootID)),
    ])
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

  init(record: JSONValue) throws {
    guard case .object(let members) = record else {
      throw RecordError("\(record.kind), not an object")
    }
    self.init(
      Dictionary(try members.map { ($0.key, try $0.value.asString()) }) { _, last in last })
  }
}

extension Lease {
  var json: JSONValue {
    .record([
      ("attachment", attachment.json), ("node", node.json),
      ("mac", mac.map { .string($0.description) }), ("workload", workload.json),
      ("nonce", .hex(nonce)), ("createdAt", .number(Int(createdAt))),
    ])
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
  var json: JSONValue {
    .record([
      ("addresses", .array(holdings.map(\.json))), ("node", node.json),
      ("mac", mac.map { .string($0.description) }), ("workload", workload.json),
      ("nonce", .hex(nonce)), ("createdAt", .number(Int(createdAt))),
    ])
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
  var json: JSONValue {
    .record([
      ("address", .string(address.description)), ("prefixLength", .number(prefixLength)),
      ("pool", .string(KeySchema.name(of: pool))),
      ("ordinal", .string(ordinal.offset.hex(digits: 32))),
      ("gateway", gateway.map { .string($0.description) }),
    ])
  }

  init(record: JSONValue) throws {
    let fields = try RecordFields(record)
    let address = try fields.required("address") { try $0.asAddress() }
    let poolName = try fields.required("pool") { try $0.asString() }
    guard let pool = KeySchema.pool(poolName) else {
      throw RecordError("\"\(poolName)\" is not a pool")
    }
    let digits = try fields.required("ordinal") { try $0.asString() }
    guard let offset = Offset(hex: digits), offset <= pool.lastOrdinal.offset,
      pool.address(of: Ordinal(offset)) == address
    else { throw RecordError("ordinal \(digits) of \(pool.subnet) is not \(address)") }
    self.init(
      address: address, prefixLength: try fields.required("prefixLength") { try $0.asInteger() },
      pool: pool, ordinal: Ordinal(offset),
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
