import AddressSpace
import IPAM

// The definition's JSON, schema 1; docs/network.schema.json describes it for operators.

/// A network's definition as it stands in its `config` key.
struct DefinitionRecord: Codable {
  struct RangeRecord: Codable {
    var subnet: String
    var rangeStart: String?
    var rangeEnd: String?
    var gateway: String?
  }

  struct CooldownRecord: Codable {
    var seconds: UInt32
    var policy: String
  }

  var schema: Int
  var name: String
  var incarnation: String
  var kind: String
  var ranges: [[RangeRecord]]
  var exclude: [String]?
  var routes: [Route]?
  var dns: DNSRecord?
  var cooldown: CooldownRecord?
  var searchOrder: String?
  var chunkBits: Int?
  var unitPrefixLength: Int?
  var allowSmallSubnets: Bool?

  init(_ definition: NetworkDefinition) {
    schema = 1
    name = definition.name
    incarnation = Offset(definition.incarnation).hex(digits: 16)
    kind = definition.kind.rawValue
    ranges = definition.rangeSets.map { set in
      set.ranges.map { range in
        RangeRecord(
          subnet: range.subnet.description, rangeStart: range.first.description,
          rangeEnd: range.last.description, gateway: range.gateway?.description)
      }
    }
    exclude = definition.exclusions.isEmpty ? nil : definition.exclusions.map(\.description)
    routes = definition.routes.isEmpty ? nil : definition.routes
    dns = definition.dns.isEmpty ? nil : DNSRecord(definition.dns)
    cooldown = CooldownRecord(
      seconds: definition.cooldown.seconds, policy: definition.cooldown.policy.rawValue)
    searchOrder = definition.searchOrder.rawValue
    chunkBits = definition.chunkBits
    unitPrefixLength = definition.unitPrefixLength
    let hasSmall = definition.rangeSets.contains { $0.ranges.contains(where: \.isSmall) }
    allowSmallSubnets = hasSmall ? true : nil
  }

  func definition() throws -> NetworkDefinition {
    guard schema == 1 else {
      throw RecordError("schema \(schema) of the definition is not known here; schema 1 is")
    }
    guard incarnation.utf8.count == 16, let number = Offset(hex: incarnation) else {
      throw RecordError("incarnation \"\(incarnation)\" is not a 64-bit number in hexadecimal")
    }
    let texts = ranges.map { set in
      set.map { range in
        SubnetRange.Text(
          subnet: range.subnet, rangeStart: range.rangeStart, rangeEnd: range.rangeEnd,
          gateway: range.gateway)
      }
    }
    let rules = SubnetRange.Rules(allowsSmallSubnets: allowSmallSubnets ?? false)
    let sets: [RangeSet]
    do {
      sets = try RangeSet.sets(texts, rules: rules)
      try RangeSet.checkDisjoint(sets)
    } catch {
      throw RecordError(error.description)
    }
    return NetworkDefinition(
      name: name, incarnation: number.low, kind: try known(kind, "kind"), rangeSets: sets,
      exclusions: try (exclude ?? []).map { try AddressRange(parsing: $0) },
      routes: routes ?? [], dns: dns?.dns ?? DNS(), cooldown: try cooldownValue(),
      searchOrder: try searchOrder.map { try known($0, "searchOrder") } ?? .homeChunk,
      chunkBits: chunkBits, unitPrefixLength: unitPrefixLength)
  }

  private func cooldownValue() throws -> NetworkDefinition.Cooldown {
    guard let cooldown else { return .none }
    return NetworkDefinition.Cooldown(
      seconds: cooldown.seconds, policy: try known(cooldown.policy, "cooldown policy"))
  }

  private func known<Value: RawRepresentable>(
    _ text: String, _ name: String
  ) throws -> Value where Value.RawValue == String {
    guard let value = Value(rawValue: text) else {
      throw RecordError("\(name) \"\(text)\" is not known here")
    }
    return value
  }
}

/// Name service as a definition writes it, with nothing required.
struct DNSRecord: Codable {
  var nameservers: [String]?
  var domain: String?
  var search: [String]?
  var options: [String]?

  init(_ dns: DNS) {
    nameservers = dns.nameservers
    domain = dns.domain
    search = dns.search
    options = dns.options
  }

  var dns: DNS {
    DNS(
      nameservers: nameservers ?? [], domain: domain, search: search ?? [],
      options: options ?? [])
  }
}
