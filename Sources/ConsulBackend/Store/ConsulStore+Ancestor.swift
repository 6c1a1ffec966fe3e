import AddressSpace
import IPAM
import JSON
import Synchronization

// The ancestor's data at the root of the key-value store, where a network of that name would begin:
//
//   ADD                           fails, and names the import
//   DEL of what the ancestor has  likewise: answered by "nothing is held" it would be taken over later
//   DEL of anything else          finds nothing, and works

extension ConsulStore {
  /// The ancestor's data stands where this network would begin: two plugins would hand out the same
  /// addresses.
  func refuseAncestorsData(_ deadline: Deadline) async throws(StoreError) {
    func keys(_ beginning: String) async throws(StoreError) -> [String] {
      try await retrying(deadline) { () async throws(ConsulError) in
        try await self.client.keys(
          beginning, separator: "/", consistency: .consistent, deadline: self.instant(deadline))
      }
    }
    let folder = network + "/"
    let found = try await keys(network)
    var isThere = found.contains(network)
    if !isThere, found.contains(folder) {
      // A folder of that name may be anything: a prefix of ours, an application's.
      isThere = try await keys(folder).contains { name in
        (try? IPAddress(parsing: String(name.dropFirst(folder.count)))) != nil
      }
    }
    guard isThere else { return }
    isBesideAncestor.store(true, ordering: .relaxed)
    throw ancestorsData
  }

  private var ancestorsData: StoreError {
    StoreError(
      .refused,
      "key \"\(network)\" holds data of the earlier cni-ipam-consul plugin; import it with: "
        + "ipamctl import cni-ipam-consul \(network.shellWord)\(operatorWords)")
  }

  /// What the ancestor's records say of a container must not be answered by "nothing is held".
  func refuseAncestorsContainer(
    _ container: String, _ deadline: Deadline
  ) async throws(StoreError) {
    let records = try await retrying(deadline) { () async throws(ConsulError) in
      try await self.client.list(
        self.network + "/", consistency: .consistent, deadline: self.instant(deadline))
    }
    let isItsOwn = records.contains { record in
      (try? JSONValue(parsing: record.value))?["id"]?.string == container
    }
    if isItsOwn { throw ancestorsData }
  }
}
