import AddressSpace
import IPAM
import TestSupport

@testable import ConsulBackend

/// Counts the calls of a store that had to ask the server.
final class RoundCounter: AllocationStore {
  private let base: ConsulStore
  private let rounds = Counter()

  init(_ base: ConsulStore) { self.base = base }

  var count: Int { rounds.value }
  var traits: StoreTraits { base.traits }

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

  func list(
    _ kind: StoreListing, deadline: Deadline,
    _ visit: (StoreKey, StoreEntry) throws(StoreError) -> Void
  ) async throws(StoreError) {
    try await base.list(kind, deadline: deadline, visit)
  }

  func withTurn<Result: Sendable>(
    deadline: Deadline, _ body: () async throws(AllocationError) -> Result
  ) async throws(AllocationError) -> Result {
    try await base.withTurn(deadline: deadline, body)
  }
}
