package import AddressSpace
package import IPAM

/// What a node keeps on its own disk beside Consul: copies of entries, where it went last, and a lock
/// by which its processes take turns. All of it is a matter of speed.
package protocol LocalState: Sendable {
  /// The node's copy, if it is recent enough to be worth a commit.
  func entry(_ key: StoreKey) -> StoreEntry?
  /// The address handed out last from a range set.
  func cursor(_ set: Int) -> IPAddress?
  /// Entries that were read from the server.
  ///
  /// - Throws: ``StoreError`` if they show that the store went back in time.
  func learned(_ entries: [StoreKey: StoreEntry]) throws(StoreError)
  /// A commit happened.
  func committed(_ operations: [StoreOperation], cursors: [Int: IPAddress], _ revision: Revision)
  /// A commit failed because these keys had moved.
  func conflicted(_ keys: [StoreKey])
  /// Waits for the other processes of the node, for a bounded time.
  func beginTurn(deadline: Deadline) async
  /// Lets the next process go on.
  func endTurn()
}

/// A node that keeps nothing: a library's user, or a state directory that cannot be written.
package struct NoLocalState: LocalState {
  package init() {}
  package func entry(_ key: StoreKey) -> StoreEntry? { nil }
  package func cursor(_ set: Int) -> IPAddress? { nil }
  package func learned(_ entries: [StoreKey: StoreEntry]) throws(StoreError) {}
  package func committed(
    _ operations: [StoreOperation], cursors: [Int: IPAddress], _ revision: Revision
  ) {}
  package func conflicted(_ keys: [StoreKey]) {}
  package func beginTurn(deadline: Deadline) async {}
  package func endTurn() {}
}
