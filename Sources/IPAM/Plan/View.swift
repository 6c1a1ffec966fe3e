import AddressSpace

// What the planner knows of the store. A commit is conditional on the revisions seen here, so that an
// old view costs a conflict and never gives a wrong answer; only answers that no commit protects
// (taken, exhausted, nothing held) ask whether an entry was confirmed in this round.

/// Entries of the store as last seen, and which of them are known to be current.
struct View: Sendable {
  /// Entries that are kept between rounds; beyond that the chunks that the next round does not
  /// need are forgotten. 1,024 chunks of 512 bytes are half a mebibyte.
  static let retainedEntries = 1_024

  /// Chunks and cursors.
  private var entries: [StoreKey: StoreEntry] = [:]
  /// Each decision looks at it, so it is not looked up.
  private var definition: StoreEntry? {
    didSet {
      guard case .definition(let definition)? = definition?.value else { return terms = nil }
      terms = Terms(definition)
    }
  }
  private(set) var terms: Terms?
  /// Leases, attachments and hardware addresses: kept for one round, nothing decides by an old one.
  private var passing: [StoreKey: StoreEntry] = [:]
  private var confirmed: Set<StoreKey> = []
  private var snapshot: Set<StoreKey> = []

  private(set) subscript(key: StoreKey) -> StoreEntry? {
    get {
      switch key {
      case .definition: definition
      case .chunk, .cursor: entries[key]
      case .lease, .attachment, .mac, .bulk, .journal: passing.isEmpty ? nil : passing[key]
      }
    }
    set {
      switch key {
      case .definition: definition = newValue
      case .chunk, .cursor: entries[key] = newValue
      case .lease, .attachment, .mac, .bulk, .journal:
        if newValue != nil || !passing.isEmpty { passing[key] = newValue }
      }
    }
  }

  /// Whether the entry was read consistently since the round began.
  func isConfirmed(_ key: StoreKey) -> Bool { confirmed.contains(key) }

  mutating func beginRound() {
    confirmed.removeAll(keepingCapacity: true)
    snapshot.removeAll(keepingCapacity: true)
    passing.removeAll(keepingCapacity: true)
    if entries.count > Self.retainedEntries { entries = [:] }
  }

  mutating func learn(_ answer: [StoreKey: StoreEntry], consistency: Consistency) {
    if consistency < .consistent {
      // An old copy is no news of what was confirmed.
      for (key, entry) in answer where !confirmed.contains(key) { self[key] = entry }
      return
    }
    for (key, entry) in answer { self[key] = entry }
    confirmed.formUnion(answer.keys)
    if consistency == .snapshot { snapshot = Set(answer.keys) }
  }

  mutating func forget(_ key: StoreKey) {
    self[key] = nil
    unconfirm(key)
  }

  private mutating func unconfirm(_ key: StoreKey) {
    if !confirmed.isEmpty { confirmed.remove(key) }
    if !snapshot.isEmpty { snapshot.remove(key) }
  }

  /// Takes over what a commit wrote. Leases, attachments and hardware addresses are forgotten at
  /// once: another process may release them, and nothing decides by an old one.
  mutating func apply(_ operations: [StoreOperation], _ revision: Revision) {
    for operation in operations {
      switch operation {
      case .check, .note: continue
      case .put(let key, let value, _):
        switch key {
        case .chunk, .definition: self[key] = StoreEntry(value, revision)
        default: self[key] = nil
        }
        unconfirm(key)
      case .delete(let key, _): forget(key)
      }
    }
  }

  mutating func apply(cursors: [Int: IPAddress]) {
    for (set, address) in cursors {
      entries[.cursor(set: set)] = StoreEntry(.cursor(address), .absent)
    }
  }

  /// Nothing is current any more, though still a good guess.
  mutating func forgetConfirmations() {
    confirmed.removeAll(keepingCapacity: true)
    snapshot.removeAll(keepingCapacity: true)
  }

  /// Whether all keys were read together, from one moment, and nothing happened since.
  func isSnapshot(of keys: Set<StoreKey>) -> Bool { keys.isSubset(of: snapshot) }
}
