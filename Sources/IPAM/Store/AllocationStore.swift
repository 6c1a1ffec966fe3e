public import AddressSpace

// The only door to the outside. Memory, directory and Consul stand behind it and pass one conformance
// suite; all that they share is: named values with revisions, and commits that happen whole or not.

/// One part of a commit.
public enum StoreOperation: Hashable, Sendable {
  /// The key still has this revision.
  case check(StoreKey, Revision)
  /// Write the value if the key has this revision; ``Revision/absent`` creates only.
  case put(StoreKey, StoreValue, expected: Revision)
  /// Delete the key if it has this revision. A key that is gone already may count as deleted: what
  /// must not happen twice hangs on the chunk that is written beside it.
  case delete(StoreKey, expected: Revision)
  /// If the commit happens, write the entry into its node's journal, over the oldest of so many. It
  /// depends on nothing; a store that keeps no journal passes it by.
  case note(JournalEntry, slots: Int)

  /// The key it is about; of a note the first slot stands for the one that the store chooses.
  public var key: StoreKey {
    switch self {
    case .check(let key, _), .put(let key, _, _), .delete(let key, _): key
    case .note(let entry, _): .journal(JournalEntry.Key(node: entry.node, slot: 0))
    }
  }

  /// The revision it depends on; a note depends on none, its key counts as absent.
  public var expected: Revision {
    switch self {
    case .check(_, let revision), .put(_, _, let revision), .delete(_, let revision): revision
    case .note: .absent
    }
  }

  /// Whether it can lose a race; all but notes can.
  package var isConditional: Bool {
    if case .note = self { false } else { true }
  }

  /// Whether it depends on the definition, and so on the network that it was planned for.
  package var checksDefinition: Bool {
    if case .check(.definition, _) = self { true } else { false }
  }

  /// Whether its key, once it has another revision than expected, never has the expected one again.
  /// Chunks stay; other keys come and go.
  package var movesForGood: Bool {
    if case .chunk = key { true } else { expected != .absent }
  }
}

/// How fresh an answer has to be.
public enum Consistency: Hashable, Sendable {
  /// Only what the node has at hand without asking anybody; other keys are left out of the answer.
  case copies
  /// The node's own copy will do: a commit will tell if it was stale.
  case cached
  /// What the store holds, as cheaply as it can say.
  case stored
  /// Nothing that was committed before the call is missing.
  case consistent
  /// Consistent, and all keys from one moment.
  case snapshot
}

/// How a commit ended. Losing a race is a result, not an error.
public enum CommitOutcome: Hashable, Sendable {
  /// All operations happened; every key written has this revision.
  case committed(Revision)
  /// None happened. The operations, by index, whose keys had another revision; never empty.
  case conflict([Int])
  /// None happened and the same commit may be tried again later; the text says why.
  case unavailable(String)
  /// None happened because a commit may have no more than ``StoreTraits/operationLimit`` operations,
  /// which the store has just found out.
  case tooLarge
  /// None happened and none ever will this way.
  case refused(StoreError)
  /// It may have happened, or may happen yet; the text says why nothing is known.
  case unknown(String)
}

/// What a store is like; what the decisions need to know of it.
public struct StoreTraits: Hashable, Sendable {
  /// The definition is a key of the store and rules there.
  public var keepsDefinition: Bool
  /// Attachments belong to nodes that share the store.
  public var isShared: Bool
  /// Operations that one commit may have.
  public var operationLimit: Int
  /// A read costs no round trip, so a decision need not spare it.
  public var isLocal: Bool
  /// Leases (an address and its attachment's name) and cursors are all that is kept, as in a
  /// directory of host-local's. Chunks and attachments are derived from them: what a commit writes
  /// or deletes under their keys counts as a check, and their revisions may grow without a write of
  /// them. Definitions, hardware addresses, workloads and nonces are not kept.
  public var keepsOnlyLeases: Bool
  /// Notes of commits are kept and can be listed.
  public var keepsJournal: Bool
  /// The store was seen in an older state than before (a restored snapshot): what it says is free may
  /// be in use, so nothing is acquired until it was repaired.
  public var hasGoneBack = false

  /// Traits.
  public init(
    keepsDefinition: Bool, isShared: Bool, operationLimit: Int, isLocal: Bool,
    keepsOnlyLeases: Bool = false, keepsJournal: Bool = false
  ) {
    self.keepsDefinition = keepsDefinition
    self.isShared = isShared
    self.operationLimit = operationLimit
    self.isLocal = isLocal
    self.keepsOnlyLeases = keepsOnlyLeases
    self.keepsJournal = keepsJournal
  }
}

/// Where one network's allocation lives.
///
/// A store promises: a commit is all or nothing; it happens only if every operation finds the revision
/// it expects; a key's revision only grows, and keys written by one commit share theirs.
public protocol AllocationStore: Sendable {
  /// What it is like now (the operation limit may be found out while it runs).
  var traits: StoreTraits { get }

  /// Reads keys; the answer has an entry for every key asked for (with ``Consistency/copies`` only
  /// for those at hand), and may have more.
  ///
  /// - Throws: ``StoreError`` if the store cannot answer by the deadline.
  func read(
    _ keys: Set<StoreKey>, consistency: Consistency, deadline: Deadline
  ) async throws(StoreError) -> [StoreKey: StoreEntry]

  /// Commits operations, at most ``StoreTraits/operationLimit``, each on a key of its own.
  ///
  /// - Parameters:
  ///   - operations: What has to happen, all or nothing.
  ///   - cursors: The address handed out last from each range set; a hint that is kept beside the
  ///     commit if it happens, and read back under ``StoreKey/cursor(set:)``.
  ///   - deadline: When to give up waiting for the outcome.
  func commit(
    _ operations: [StoreOperation], cursors: [Int: IPAddress], deadline: Deadline
  ) async -> CommitOutcome

  /// Visits all entries of a kind, in no particular order, as of some moment during the call.
  ///
  /// - Complexity: O(n) in the entries of that kind; for reports, checks and collection only (I7).
  func list(
    _ kind: StoreListing, deadline: Deadline,
    _ visit: (StoreKey, StoreEntry) throws(StoreError) -> Void
  ) async throws(StoreError)

  /// Runs the body while other processes of this node wait, as far as the store has such turns.
  ///
  /// A matter of speed on a shared store (the wait is bounded, then the body runs anyway); of
  /// exclusion on a directory.
  func withTurn<Result: Sendable>(
    deadline: Deadline, _ body: () async throws(AllocationError) -> Result
  ) async throws(AllocationError) -> Result
}

/// What to list.
public enum StoreListing: Hashable, Sendable {
  case chunks
  case leases
  case macs
  /// The attachments of one node, or of all.
  case attachments(node: String?)
  /// The journal of one node, or of all.
  case journal(node: String?)
}

/// A store could not answer.
public struct StoreError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What kind of failure; decides the error code that a runtime sees.
  public enum Kind: Hashable, Sendable {
    /// The store cannot be reached or did not answer in time: try again later.
    case unavailable
    /// Reading or writing failed: permissions, disk full.
    case io
    /// The store refuses: access, limits, a request it does not understand.
    case refused
    /// What is stored cannot be understood.
    case damaged
  }

  /// What kind.
  public let kind: Kind
  /// What happened, where, and what to do.
  public let description: String

  /// An error.
  public init(_ kind: Kind, _ description: String) {
    self.kind = kind
    self.description = description
  }
}
