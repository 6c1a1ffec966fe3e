public import AddressSpace

// "What would happen": the production code runs against the real store, and only its commits stop here,
// after their conditions were found to hold.

/// A store whose commits are judged and not done.
public final class RehearsalStore: StoreWrapper {
  /// The store that is rehearsed on.
  public let wrapped: any AllocationStore

  /// A rehearsal on a store.
  public init(on store: any AllocationStore) {
    wrapped = store
  }

  /// Compares what the operations expect with what is stored; nothing is written.
  public func commit(
    _ operations: [StoreOperation], cursors: [Int: IPAddress], deadline: Deadline
  ) async -> CommitOutcome {
    guard operations.count <= traits.operationLimit else { return .tooLarge }
    do throws(StoreError) {
      let stored = try await wrapped.read(
        Set(operations.filter(\.isConditional).map(\.key)), consistency: .consistent,
        deadline: deadline)
      let failed = operations.indices.filter { index in
        operations[index].isConditional
          && (stored[operations[index].key] ?? .absent).revision != operations[index].expected
      }
      guard failed.isEmpty else { return .conflict(failed) }
      let newest = stored.values.map(\.revision).max() ?? .absent
      return .committed(Revision(newest.number + 1))
    } catch {
      return error.kind == .unavailable ? .unavailable(error.description) : .refused(error)
    }
  }
}
