internal import AddressSpace
public import IPAM
import JSON

// What an operator does to whole networks. The keys below a prefix are the list of networks:
//
//   <prefix>/<network>/…     one network; without `config` it is what an interrupted removal left
//   <network>, <network>/…   at the root: the ancestor's, which is read and never written
//
// Nothing here is on the way of an ADD or DEL.

/// The networks below one prefix of one Consul.
public struct ConsulNetworks: Sendable {
  /// Which Consul.
  public let configuration: ConsulConfiguration
  let prefix: String
  let client: ConsulClient
  let surroundings: Surroundings

  /// The networks of a Consul; nothing is opened before the first use.
  public init(
    _ configuration: ConsulConfiguration, prefix: String = ConsulStore.defaultPrefix,
    surroundings: Surroundings
  ) {
    self.configuration = configuration
    self.prefix = prefix
    self.surroundings = surroundings
    client = ConsulClient(configuration)
  }

  /// The names of all networks, sorted; also of those that have keys and no definition.
  ///
  /// - Throws: ``StoreError``; also where there seem to be none because the token may not see any.
  /// - Complexity: one round trip, two if there are none; O(n) in the networks.
  public func names(deadline: Deadline) async throws(StoreError) -> [String] {
    let path = prefix.split(separator: "/").map { KeyName.escape(String($0)) + "/" }.joined()
    let helper = store("")
    let keys = try await helper.retrying(deadline) { () async throws(ConsulError) in
      try await client.keys(
        path, separator: "/", consistency: .consistent, deadline: helper.instant(deadline))
    }
    if keys.isEmpty, !path.isEmpty {
      // What a token may not read is missing from a listing, but refused by its name.
      _ = try await helper.retrying(deadline) { () async throws(ConsulError) in
        try await client.get(path, consistency: .consistent, deadline: helper.instant(deadline))
      }
    }
    return keys.filter { $0.hasSuffix("/") }
      .compactMap { KeyName.unescape($0.dropFirst(path.count).dropLast()) }
      .filter { !$0.isEmpty }.sorted()
  }

  /// The store of one network, over the same connections; it keeps no copies.
  public func store(_ network: String) -> ConsulStore {
    ConsulStore(
      client: client, prefix: prefix, network: network, local: NoLocalState(),
      surroundings: surroundings)
  }
}

extension ConsulStore {
  /// The definition as it stands, also where the ancestor's data would make a read refuse.
  ///
  /// - Complexity: one round trip.
  public func storedDefinition(deadline: Deadline) async throws(StoreError) -> StoreEntry {
    guard let name = schema.name(.definition) else { return .absent }
    let entry = try await retrying(deadline) { () async throws(ConsulError) in
      try await client.get(name, consistency: .consistent, deadline: instant(deadline))
    }
    guard let entry else { return .absent }
    keep(entry, for: .definition)
    return decode(entry.value, Revision(entry.modifyIndex), for: .definition)
  }

  /// How many leases the network has, by the names of their keys alone.
  ///
  /// - Complexity: one round trip, O(n) in the leases.
  public func leaseCount(deadline: Deadline) async throws(StoreError) -> Int {
    try await retrying(deadline) { () async throws(ConsulError) in
      try await client.keys(
        schema.prefix(of: .leases), consistency: .consistent, deadline: instant(deadline))
    }.count
  }

  /// Whether a chunk stands at an older revision than this node has seen, or is gone: the store was
  /// restored to an older state. Needs the node's copies (a state directory).
  ///
  /// - Complexity: one listing of the chunks, and a round trip for each that is missing.
  public func findOutWhetherItWentBack(deadline: Deadline) async throws(StoreError) -> Bool {
    if local.hasGoneBack { return true }
    let entries = try await retrying(deadline) { () async throws(ConsulError) in
      try await client.list(
        schema.prefix(of: .chunks), consistency: .consistent, deadline: instant(deadline))
    }
    let isOlder = entries.contains { entry in
      schema.key(entry.key).map { entry.modifyIndex < newestSeen($0) } ?? false
    }
    if isOlder { return true }
    let present = Set(entries.map(\.key))
    for (name, seen) in local.newestRevisions where !present.contains(schema.base + name) {
      guard case .chunk(let chunk)? = schema.key(schema.base + name) else { continue }
      if try await isLost(chunk, seenAt: seen, deadline) { return true }
    }
    return false
  }

  /// The name that a key has in Consul; nil for what is not kept there.
  public func nameInConsul(_ key: StoreKey) -> String? { schema.name(key) }
}
