import AddressSpace
import IPAM
import JSON

// The definition's JSON, schema 1, as it stands in its `config` key; docs/network.schema.json
// describes it for operators.

extension NetworkDefinition {
  var json: JSONValue {
    let hasSmall = rangeSets.contains { $0.ranges.contains(where: \.isSmall) }
    return .record([
      ("schema", .number(1)), ("name", .string(name)), ("incarnation", .hex(incarnation)),
      ("kind", .string(kind.rawValue)),
      ("ranges", .array(rangeSets.map { .array($0.ranges.map(\.json)) })),
      ("exclude", list(exclusions.map { .string($0.description) })),
      ("routes", list(routes.map(\.json))), ("dns", dns.isEmpty ? nil : dns.json),
      (
        "cooldown",
        .record([
          ("seconds", .number(Int(cooldown.seconds))),
          ("policy", .string(cooldown.policy.rawValue)),
        ])
      ),
      ("searchOrder", .string(searchOrder.rawValue)),
      ("chunkBits", chunkBits.map { .number($0) }),
      ("unitPrefixLength", unitPrefixLength.map { .number($0) }),
      ("journal", journal > 0 ? .number(journal) : nil),
      ("allowSmallSubnets", hasSmall ? .bool(true) : nil),
    ])
  }

  init(record: JSONValue) throws {
    let fields = try RecordFields(record)
    let schema = try fields.required("schema") { try $0.asInteger() }
    guard schema == 1 else {
      throw RecordError("schema \(schema) of the definition is not known here; schema 1 is")
    }
    let texts = try fields.required("ranges") { try $0.asList { try $0.asList(text) } }
    let rules = SubnetRange.Rules(
      allowsSmallSubnets: try fields.optional("allowSmallSubnets") { try $0.asBool() } ?? false)
    let sets = try RangeSet.sets(texts, rules: rules)
    try RangeSet.checkDisjoint(sets)
    self.init(
      name: try fields.required("name") { try $0.asString() },
      incarnation: try fields.required("incarnation") { try $0.asHexNumber() },
      kind: try fields.required("kind") { try $0.asCase() }, rangeSets: sets,
      exclusions: try fields.optional("exclude") {
        try $0.asList { try AddressRange(parsing: try $0.asString()) }
      } ?? [],
      routes: try fields.optional("routes") { try $0.asList(Route.init(record:)) } ?? [],
      dns: try fields.optional("dns", DNS.init(record:)) ?? DNS(),
      cooldown: try fields.optional("cooldown", Cooldown.init(record:)) ?? .none,
      searchOrder: try fields.optional("searchOrder") { try $0.asCase() } ?? .homeChunk,
      chunkBits: try fields.optional("chunkBits") { try $0.asInteger() },
      unitPrefixLength: try fields.optional("unitPrefixLength") { try $0.asInteger() },
      journal: try fields.optional("journal") { value in
        let slots = try value.asInteger()
        guard Self.journalSizes.contains(slots) else {
          throw RecordError("\(slots) is not from 0 to \(Self.journalSizes.upperBound)")
        }
        return slots
      } ?? 0)
  }
}

private func list(_ elements: [JSONValue]) -> JSONValue? {
  elements.isEmpty ? nil : .array(elements)
}

private func text(_ record: JSONValue) throws -> SubnetRange.Text {
  let fields = try RecordFields(record)
  return SubnetRange.Text(
    subnet: try fields.required("subnet") { try $0.asString() },
    rangeStart: try fields.optional("rangeStart") { try $0.asString() },
    rangeEnd: try fields.optional("rangeEnd") { try $0.asString() },
    gateway: try fields.optional("gateway") { try $0.asString() })
}

extension SubnetRange {
  fileprivate var json: JSONValue {
    .record([
      ("subnet", .string(subnet.description)), ("rangeStart", .string(first.description)),
      ("rangeEnd", .string(last.description)),
      ("gateway", gateway.map { .string($0.description) }),
    ])
  }
}

extension NetworkDefinition.Cooldown {
  fileprivate init(record: JSONValue) throws {
    let fields = try RecordFields(record)
    let seconds = try fields.required("seconds") { try $0.asSeconds() }
    guard let seconds = UInt32(exactly: seconds) else {
      throw RecordError("\(seconds) seconds are too many")
    }
    self.init(
      seconds: seconds, policy: try fields.optional("policy") { try $0.asCase() } ?? .borrow)
  }
}

extension Route {
  fileprivate var json: JSONValue {
    .record([
      ("dst", .string(dst)), ("gw", gw.map { .string($0) }), ("mtu", mtu.map { .number($0) }),
      ("advmss", advmss.map { .number($0) }), ("priority", priority.map { .number($0) }),
      ("table", table.map { .number($0) }), ("scope", scope.map { .number($0) }),
    ])
  }

  fileprivate init(record: JSONValue) throws {
    let fields = try RecordFields(record)
    func number(_ name: String) throws -> Int? {
      try fields.optional(name) { value in
        let number = try value.asInteger()
        // The kernel's attributes have 32 bits.
        guard UInt32(exactly: number) != nil else {
          throw RecordError("\(number) is not from 0 to \(UInt32.max)")
        }
        return number
      }
    }
    // Kept as text, and yet checked: a result that cannot be made is an ADD that fails too late.
    self.init(
      dst: try fields.required("dst") { value in
        let text = try value.asString()
        _ = try InterfaceAddress(parsing: text)
        return text
      },
      gw: try fields.optional("gw") { value in
        _ = try value.asAddress()
        return try value.asString()
      },
      mtu: try number("mtu"), advmss: try number("advmss"), priority: try number("priority"),
      table: try number("table"), scope: try number("scope"))
  }
}

extension DNS {
  fileprivate var json: JSONValue {
    .record([
      ("nameservers", list(nameservers.map { .string($0) })),
      ("domain", domain.map { .string($0) }), ("search", list(search.map { .string($0) })),
      ("options", list(options.map { .string($0) })),
    ])
  }

  fileprivate init(record: JSONValue) throws {
    let fields = try RecordFields(record)
    func texts(_ name: String) throws -> [String] {
      try fields.optional(name) { try $0.asList { try $0.asString() } } ?? []
    }
    self.init(
      nameservers: try texts("nameservers"),
      domain: try fields.optional("domain") { try $0.asString() }, search: try texts("search"),
      options: try texts("options"))
  }
}
