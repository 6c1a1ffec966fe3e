public import IPAM

// A node that is gone leaves its journal behind, and a definition that wants fewer entries leaves those
// behind its new end. Nobody overwrites them any more.

extension ConsulStore {
  /// Removes entries of the journals whose events are all older than a time, and those that cannot be
  /// read; one that is overwritten meanwhile stays.
  ///
  /// - Parameters:
  ///   - time: Seconds since 1970.
  ///   - dryRun: Only count.
  /// - Returns: How many were removed, or would be.
  /// - Throws: ``StoreError``; what was removed until then stays so.
  /// - Complexity: O(n) in the entries; one commit for as many as a transaction may have.
  public func trimJournals(
    olderThan time: UInt64, dryRun: Bool, deadline: Deadline
  ) async throws(StoreError) -> Int {
    var old: [(name: String, index: UInt64)] = []
    try await listInPages(.journal(node: nil), deadline: deadline) { key, stored, _ in
      if case .journal(let entry) = stored.value, entry.events.contains(where: { $0.time >= time })
      {
        return
      }
      if let name = schema.name(key) { old.append((name, stored.revision.number)) }
    }
    return dryRun ? old.count : try await delete(old, deadline)
  }
}
