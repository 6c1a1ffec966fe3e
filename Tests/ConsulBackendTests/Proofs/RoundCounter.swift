import AddressSpace
import IPAM
import TestSupport

@testable import ConsulBackend

/// Counts the calls of a store that had to ask the server.
final class RoundCounter: StoreWrapper {
  private let base: ConsulStore
  private let rounds = Counter()

  init(_ base: ConsulStore) { self.base = base }

  var count: Int { rounds.value }
  var wrapped: any AllocationStore { base }

  private func counting<Value, Failure: Error>(
    _ body: () async throws(Failure) -> Value
  ) async throws(Failure) -> Value {
    let before = base.client.counters.requests
    let value = try await body()
    if base.client.counters.requests > before { rounds.add() }
    return value
  }

  func read(
    _ keys: Set<StoreKey>, consistency: Consistency, deadline: Deadline
  ) async throws(StoreError) -> [StoreKey: StoreEntry] {
    try await counting { () async throws(StoreError) in
      try await base.read(keys, consistency: consistency, deadline: deadline)
    }
  }

  func commit(
    _ operations: [StoreOperation], cursors: [Int: IPAddress], deadline: Deadline
  ) async -> CommitOutcome {
    await counting { await base.commit(operations, cursors: cursors, deadline: deadline) }
  }
}
