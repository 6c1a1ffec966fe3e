// A store that counts what goes through it. The figures do not depend on the machine, and they come
// from outside the allocator: it cannot flatter itself.

import AddressSpace
import ConsulBackend
import IPAM
import Synchronization

/// How often a store was used.
struct StoreCounts: Codable, Hashable, Sendable {
  /// Reads that left the process; several keys at once are one.
  var reads = 0
  /// Commits that were sent.
  var commits = 0
  /// Of those, the ones that lost a race, or came to nothing for another reason.
  var wasted = 0

  /// Reads and commits: each is a round trip.
  var roundTrips: Int { reads + commits }

  static func + (left: StoreCounts, right: StoreCounts) -> StoreCounts {
    StoreCounts(
      reads: left.reads + right.reads, commits: left.commits + right.commits,
      wasted: left.wasted + right.wasted)
  }
}

/// Passes everything on to another store.
final class CountingStore: StoreWrapper {
  private let base: any AllocationStore
  private let state = Mutex(StoreCounts())

  init(_ base: any AllocationStore) { self.base = base }

  var counts: StoreCounts { state.withLock { $0 } }

  var wrapped: any AllocationStore { base }

  /// Where its callers run best: on the thread that the connections are on.
  var executor: (any TaskExecutor)? { (base as? ConsulStore)?.executor }

  func read(
    _ keys: Set<StoreKey>, consistency: Consistency, deadline: Deadline
  ) async throws(StoreError) -> [StoreKey: StoreEntry] {
    // Copies are what the node has at hand.
    if consistency != .copies { state.withLock { $0.reads += 1 } }
    return try await base.read(keys, consistency: consistency, deadline: deadline)
  }

  func commit(
    _ operations: [StoreOperation], cursors: [Int: IPAddress], deadline: Deadline
  ) async -> CommitOutcome {
    let outcome = await base.commit(operations, cursors: cursors, deadline: deadline)
    state.withLock { counts in
      counts.commits += 1
      if case .committed = outcome { return }
      counts.wasted += 1
    }
    return outcome
  }
}
