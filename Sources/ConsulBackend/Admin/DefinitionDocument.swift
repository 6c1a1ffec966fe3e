package import IPAM
package import JSON

// A definition as operators write and read it: the JSON of its key, but for what a program adds.
// What they leave out gets its default here, what nobody knows is refused with its name, because a
// misspelt key that is ignored is a setting that is not made.

extension NetworkDefinition {
  /// Seconds of cool-down unless a definition says otherwise, as with the first ADD.
  package static let defaultCooldown: UInt32 = 60

  /// The definition of an operator's document.
  ///
  /// - Parameters:
  ///   - document: An object; docs/network.schema.json describes it.
  ///   - name: The network's name, which a document need not repeat.
  /// - Throws: An error whose text names the member and what is wrong with it.
  package init(document: JSONValue, name: String) throws(NetworkDefinitionError) {
    guard case .object(let members) = document else {
      throw NetworkDefinitionError("an object was expected, not \(document.kind)")
    }
    try Self.checkMembers(document)
    var record: [JSONValue.Member] = []
    func add(_ key: String, _ value: JSONValue) {
      if !members.contains(where: { $0.key == key }) { record.append(.init(key, value)) }
    }
    add("schema", .number(1))
    add("name", .string(name))
    add("incarnation", .hex(0))
    add("kind", .string(Kind.leased.rawValue))
    add("cooldown", ["seconds": .number(Int(Self.defaultCooldown))])
    do {
      try self.init(record: .object(members + record))
    } catch {
      throw NetworkDefinitionError("\(error)")
    }
    guard self.name == name else {
      throw NetworkDefinitionError("name: \"\(self.name)\" is not \"\(name)\"")
    }
    try checkPoolsDisjoint()
    if kind == .leased { try checkOneCommit(limit: Self.commitLimits.upperBound) }
  }

  /// The definition as a document; what was left to defaults is written out.
  package var document: JSONValue { json }

  private static let members: Set<String> = [
    "schema", "name", "incarnation", "kind", "ranges", "exclude", "routes", "dns", "cooldown",
    "searchOrder", "chunkBits", "unitPrefixLength", "allowSmallSubnets", "journal",
  ]

  private static func checkMembers(_ document: JSONValue) throws(NetworkDefinitionError) {
    try check(document, members, at: "")
    for set in document["ranges"]?.elements ?? [] {
      for range in set.elements ?? [] {
        try check(range, ["subnet", "rangeStart", "rangeEnd", "gateway"], at: "ranges: ")
      }
    }
    for route in document["routes"]?.elements ?? [] {
      try check(
        route, ["dst", "gw", "mtu", "advmss", "priority", "table", "scope"], at: "routes: ")
    }
    if let dns = document["dns"] {
      try check(dns, ["nameservers", "domain", "search", "options"], at: "dns: ")
    }
    if let cooldown = document["cooldown"] {
      try check(cooldown, ["seconds", "policy"], at: "cooldown: ")
    }
  }

  private static func check(
    _ value: JSONValue, _ known: Set<String>, at place: String
  ) throws(NetworkDefinitionError) {
    guard case .object(let members) = value else { return }
    var seen: Set<String> = []
    for member in members {
      guard known.contains(member.key) else {
        throw NetworkDefinitionError("\(place)\"\(member.key)\" is not known here")
      }
      guard seen.insert(member.key).inserted else {
        throw NetworkDefinitionError("\(place)\"\(member.key)\" is there twice")
      }
    }
  }
}
