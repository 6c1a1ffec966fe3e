public import IPAM

/// What stands behind a simulated server: all that happens there happens at one moment.
public protocol SimulatedStore: AnyObject {
  /// What it is like.
  var traits: StoreTraits { get }

  /// What a read finds: an entry for each key.
  func found(_ keys: Set<StoreKey>) -> [StoreKey: StoreEntry]

  /// What becomes of a commit: all of it happens, or none.
  func outcome(of operations: [StoreOperation]) -> CommitOutcome
}

extension MemoryStore: SimulatedStore {
  /// What is in the dictionary.
  public func found(_ keys: Set<StoreKey>) -> [StoreKey: StoreEntry] { readNow(keys) }

  /// Commits to the dictionary; cursors are a node's own.
  public func outcome(of operations: [StoreOperation]) -> CommitOutcome {
    commitNow(operations, cursors: [:])
  }
}
