// What a node's journal in a shared store has of one commit. It goes into the commit itself, as a write
// that depends on nothing, so that it costs neither a round trip nor a race:
//
//   position    n−3   n−2   n−1    n            the node's commits, counted
//   slot      … 253   254   255    0    1 …     position modulo the definition's `journal`
//                                  ▲    ▲
//                             newest    oldest, overwritten by the next

/// The events of one commit, and what the node that made it had counted until then.
public struct JournalEntry: Hashable, Sendable {
  /// Whose journal it stands in: the node that committed; empty for an operator's command.
  public var node: String
  /// What the commit did, releases first.
  public var events: [JournalEvent]
  /// Events that were left out because a value of the store would have become too large.
  public var leftOut = 0
  /// The number of this commit among the node's, as far as the node knows; given by the store.
  public var position: UInt64 = 0
  /// Commits of the node that had lost a race until then; given by the store.
  public var lost: UInt64 = 0

  /// An entry as it is handed to a store.
  public init(node: String, events: [JournalEvent]) {
    self.node = node
    self.events = events
  }

  /// Names an entry in a store.
  public struct Key: Hashable, Sendable {
    /// Whose journal.
    public let node: String
    /// Which of its slots.
    public let slot: Int

    /// A name.
    public init(node: String, slot: Int) {
      self.node = node
      self.slot = slot
    }
  }
}
