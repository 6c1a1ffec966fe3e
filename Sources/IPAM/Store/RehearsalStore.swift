public import AddressSpace

// "What would happen": the production code runs against the real store, and only its commits stop here,
// after their conditions were found to hold.

/// A store whose commits are judged and not done.
public final class RehearsalStore: AllocationStore {
  private let store: any AllocationStore

  /// A rehearsal on a store.
  public init(on store: any AllocationStore) {
    self.store = store
  }

  /// What the store behind it is like.
  public var traits: StoreTraits { store.traits }

  /// Reads from the store.
  public func read(
    _ keys: Set<StoreKey>, consistency: Consistency, deadline: Deadline
  ) async throws(StoreError) -> [StoreKey: StoreEntry] {
    try await store.read(keys, consistency: consistency, deadline: deadline)
  }

  /// Compares what the operations expect with what is stored; nothing is written.
  public func commit(
    _ operations: [StoreOperation], cursors: [Int: IPAddress], deadline: Deadline
  ) async -> CommitOutcome {
    guard operations.count <= traits.operationLimit else { return .tooLarge }
    do throws(StoreError) {
      let stored = try await store.read(
        Set(operations.map(\.key)), consistency: .consistent, deadline: deadline)
      let failed = operations.indices.filter { index in
        (stored[operations[index].key] ?? .absent).revision != operations[index].expected
      }
      guard failed.isEmpty else { return .conflict(failed) }
      let newest = stored.values.map(\.revision).max() ?? .absent
      return .committed(Revision(newest.number + 1))
    } catch {
      return error.kind == .unavailable ? .unavailable(error.description) : .refused(error)
    }
  }

  /// Lists the store.
  public func list(
    _ kind: StoreListing, deadline: Deadline,
    _ visit: (StoreKey, StoreEntry) throws(StoreError) -> Void
  ) async throws(StoreError) {
    try await store.list(kind, deadline: deadline, visit)
  }

  /// Takes the store's turn.
  public func withTurn<Result: Sendable>(
    deadline: Deadline, _ body: () async throws(AllocationError) -> Result
  ) async throws(AllocationError) -> Result {
    try await store.withTurn(deadline: deadline, body)
  }
}
