public import AddressSpace

// For stores that stand in front of another one: to count, to watch, to rehearse, to fail in tests. Each
// says only what it does otherwise.

/// A store that passes on to another what it does not do itself.
public protocol StoreWrapper: AllocationStore {
  /// The store behind it.
  var wrapped: any AllocationStore { get }
}

extension StoreWrapper {
  /// The traits of the store behind it.
  public var traits: StoreTraits { wrapped.traits }

  /// Reads from the store behind it.
  public func read(
    _ keys: Set<StoreKey>, consistency: Consistency, deadline: Deadline
  ) async throws(StoreError) -> [StoreKey: StoreEntry] {
    try await wrapped.read(keys, consistency: consistency, deadline: deadline)
  }

  /// Commits to the store behind it.
  public func commit(
    _ operations: [StoreOperation], cursors: [Int: IPAddress], deadline: Deadline
  ) async -> CommitOutcome {
    await wrapped.commit(operations, cursors: cursors, deadline: deadline)
  }

  /// Lists the store behind it.
  public func list(
    _ kind: StoreListing, deadline: Deadline,
    _ visit: (StoreKey, StoreEntry) throws(StoreError) -> Void
  ) async throws(StoreError) {
    try await wrapped.list(kind, deadline: deadline, visit)
  }

  /// Takes the turn of the store behind it.
  public func withTurn<Result: Sendable>(
    deadline: Deadline, _ body: () async throws(AllocationError) -> Result
  ) async throws(AllocationError) -> Result {
    try await wrapped.withTurn(deadline: deadline, body)
  }
}
