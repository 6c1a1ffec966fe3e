internal import AddressSpace
package import IPAM
package import JSON

// The ancestor's keys, at the root of the key-value store:
//
//   <name>              {"gw", "net", "start", "end", "routes"}
//   <name>/<address>    {"ip", "mac", "id"}
//
// They are read and nothing else.

extension ConsulNetworks {
  /// What the ancestor left of a network, as JSON by key: its settings (nil if there are none) and
  /// one record for each address. What is no JSON is null.
  ///
  /// - Complexity: two round trips, O(n) in the records.
  package func ancestorData(
    of network: String, deadline: Deadline
  ) async throws(StoreError) -> (settings: JSONValue?, records: [(name: String, JSONValue)]) {
    let helper = store(network)
    let settings = try await helper.retrying(deadline) { () async throws(ConsulError) in
      try await client.get(network, consistency: .consistent, deadline: helper.instant(deadline))
    }
    let base = network + "/"
    let entries = try await helper.retrying(deadline) { () async throws(ConsulError) in
      try await client.list(base, consistency: .consistent, deadline: helper.instant(deadline))
    }
    func json(_ entry: KVEntry) -> JSONValue { (try? JSONValue(parsing: entry.value)) ?? .null }
    return (
      settings.map(json),
      entries.filter { !$0.key.dropFirst(base.count).contains("/") && $0.key != base }
        .map { (String($0.key.dropFirst(base.count)), json($0)) }
    )
  }
}
