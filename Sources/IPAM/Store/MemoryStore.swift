public import AddressSpace
import Synchronization

// The reference store: a dictionary and a counter. What it does is what a store has to do.

/// A store in memory, for tests and for embedders that keep their own snapshots.
public final class MemoryStore: AllocationStore {
  private struct State {
    var entries: [StoreKey: StoreEntry] = [:]
    var lastRevision: UInt64 = 0
    var counts = Counts()
    /// Commits of each node that were noted.
    var noted: [String: UInt64] = [:]
  }

  /// How often the store was used; tests hold protocols to these figures.
  public struct Counts: Hashable, Sendable {
    /// Calls of read.
    public var reads = 0
    /// Commits that happened.
    public var commits = 0
    /// Commits that lost a race.
    public var conflicts = 0
  }

  /// What it is like.
  public let traits: StoreTraits
  private let state = Mutex(State())

  /// An empty store.
  public init(
    traits: StoreTraits = StoreTraits(
      keepsDefinition: true, isShared: true, operationLimit: 64, isLocal: false,
      keepsJournal: true)
  ) {
    self.traits = traits
  }

  /// How often it was used so far.
  public var counts: Counts { state.withLock { $0.counts } }

  /// A copy of all entries, for audits.
  public var entries: [StoreKey: StoreEntry] { state.withLock { $0.entries } }

  /// Puts a value in place regardless of its revision: what a fault or a foreign hand does in tests.
  public func overwrite(_ key: StoreKey, _ value: StoreValue?) {
    state.withLock { state in
      state.lastRevision += 1
      state.entries[key] = value.map { StoreEntry($0, Revision(state.lastRevision)) }
    }
  }

  /// Reads from the dictionary; never throws.
  public func read(
    _ keys: Set<StoreKey>, consistency: Consistency, deadline: Deadline
  ) async throws(StoreError) -> [StoreKey: StoreEntry] {
    // Nobody keeps copies of what is in memory.
    consistency == .copies ? [:] : readNow(keys)
  }

  /// What a read finds at this moment.
  package func readNow(_ keys: Set<StoreKey>) -> [StoreKey: StoreEntry] {
    state.withLock { state in
      state.counts.reads += 1
      var answer: [StoreKey: StoreEntry] = [:]
      for key in keys { answer[key] = state.entries[key] ?? .absent }
      return answer
    }
  }

  /// Commits to the dictionary; never unknown.
  public func commit(
    _ operations: [StoreOperation], cursors: [Int: IPAddress], deadline: Deadline
  ) async -> CommitOutcome {
    commitNow(operations, cursors: cursors)
  }

  /// What a commit does at this moment.
  package func commitNow(
    _ operations: [StoreOperation], cursors: [Int: IPAddress]
  ) -> CommitOutcome {
    guard operations.count <= traits.operationLimit else {
      return .refused(
        StoreError(
          .refused, "\(operations.count) operations, a commit may have \(traits.operationLimit)"))
    }
    return state.withLock { state in
      let failed = operations.indices.filter { index in
        let operation = operations[index]
        return operation.isConditional
          && (state.entries[operation.key] ?? .absent).revision != operation.expected
      }
      guard failed.isEmpty else {
        state.counts.conflicts += 1
        return .conflict(failed)
      }
      state.counts.commits += 1
      state.lastRevision += 1
      let revision = Revision(state.lastRevision)
      for operation in operations {
        switch operation {
        case .check: break
        case .put(let key, let value, _): state.entries[key] = StoreEntry(value, revision)
        case .delete(let key, _): state.entries[key] = nil
        case .note(let entry, let slots):
          if traits.keepsJournal { Self.note(entry, slots, revision, in: &state) }
        }
      }
      for (set, address) in cursors {
        state.entries[.cursor(set: set)] = StoreEntry(.cursor(address), revision)
      }
      return .committed(revision)
    }
  }

  private static func note(
    _ entry: JournalEntry, _ slots: Int, _ revision: Revision, in state: inout State
  ) {
    var entry = entry
    entry.position = state.noted[entry.node, default: 0]
    entry.lost = UInt64(state.counts.conflicts)
    state.noted[entry.node] = entry.position + 1
    let key = JournalEntry.Key(node: entry.node, slot: Int(entry.position % UInt64(max(1, slots))))
    state.entries[.journal(key)] = StoreEntry(.journal(entry), revision)
  }

  /// Visits a copy of the dictionary.
  public func list(
    _ kind: StoreListing, deadline: Deadline,
    _ visit: (StoreKey, StoreEntry) throws(StoreError) -> Void
  ) async throws(StoreError) {
    for (key, entry) in entries where kind.includes(key) { try visit(key, entry) }
  }

  /// Runs the body at once: there are no other processes.
  public func withTurn<Result: Sendable>(
    deadline: Deadline, _ body: () async throws(AllocationError) -> Result
  ) async throws(AllocationError) -> Result {
    try await body()
  }
}

extension StoreListing {
  /// Whether a key belongs to the listing.
  public func includes(_ key: StoreKey) -> Bool {
    switch (self, key) {
    case (.chunks, .chunk), (.leases, .lease), (.macs, .mac): true
    case (.attachments(let node), .attachment(let key)): node == nil || node == key.node
    case (.journal(let node), .journal(let key)): node == nil || node == key.node
    default: false
    }
  }
}
