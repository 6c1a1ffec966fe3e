package import AddressSpace
package import IPAM
import Synchronization

/// What a node keeps on its own disk beside Consul: copies of entries, where it went last, commits
/// without an outcome, and a lock by which its processes take turns. All of it but the words of commits
/// without an outcome is a matter of speed.
package protocol LocalState: Sendable {
  /// The node's copy of a key, by its name below the network, if it is recent enough for a commit.
  func copy(_ name: String) -> (bytes: [UInt8], revision: UInt64)?
  /// The newest revision of a key that this node has seen, however long ago; 0 for none.
  func newestRevision(_ name: String) -> UInt64
  /// The newest revisions of all keys that this node remembers, by name.
  var newestRevisions: [String: UInt64] { get }
  /// The address handed out last from a range set.
  func cursor(_ set: Int) -> IPAddress?
  /// Takes over what was read or committed (no bytes: the copy is of no use any more).
  func update(
    _ written: [(name: String, bytes: [UInt8]?, revision: UInt64)], cursors: [Int: IPAddress])

  /// Whether what was read showed that the store went back to an older state.
  var hasGoneBack: Bool { get }
  /// A consistent read that began after a key was seen at a revision brought an older one, or none. It
  /// means nothing if the network was found to be made anew meanwhile.
  func noteOlderState(_ name: String, seenAt revision: UInt64)

  /// What this node committed for an attachment.
  func attachment(_ key: AttachmentKey) -> (bytes: [UInt8], revision: UInt64, isFresh: Bool)?
  func setAttachment(_ key: AttachmentKey, _ bytes: [UInt8], revision: UInt64)
  func clearAttachment(_ key: AttachmentKey)

  /// A commit is about to be sent that removes the attachment; what is known of it is not used meanwhile.
  func beginRelease(_ key: AttachmentKey)
  /// Such a commit was sent, and its outcome was never learned; or word of one could not be left.
  func isReleasing(_ key: AttachmentKey) -> Bool
  /// No copy of such a commit can happen any more; what was known holds again, unless it is gone.
  func endRelease(_ key: AttachmentKey, isGone: Bool)

  /// What a commit depends on that was sent for an attachment and whose outcome was never learned.
  func pending(_ key: AttachmentKey) -> [UInt8]?
  func setPending(_ key: AttachmentKey, _ bytes: () -> [UInt8])
  func clearPending(_ key: AttachmentKey)
  /// Why word of the last such commit could not be left; nil if it was, or if none is ever.
  var unwritable: String? { get }

  /// Gives a commit its place in a journal; nil if this node does not know where that one ends.
  func nextNote(in journal: String) -> NoteCount?
  /// Says where a journal goes on, as it was found in the store; what is known already stays.
  func beginNotes(in journal: String, at count: NoteCount)
  /// A commit did not happen; if it was the last to get a place, the next one gets that.
  func returnNote(_ position: UInt64, in journal: String, isLost: Bool)

  /// Waits for the other processes of the node, for a bounded time.
  ///
  /// - Parameter prepare: Done while it waits, once it is the next: what the turn need not last for.
  func beginTurn(deadline: Deadline, preparing prepare: () -> Void) async
  /// Lets the next process go on.
  func endTurn()
}

/// What a node counts for one of its journals in the store.
package struct NoteCount: Hashable, Sendable {
  /// The number of the next commit.
  package var position: UInt64
  /// Commits that lost a race.
  package var lost: UInt64

  package init(position: UInt64, lost: UInt64) {
    self.position = position
    self.lost = lost
  }

  /// The count for a commit, and one more for the next.
  mutating func take() -> NoteCount {
    defer { position &+= 1 }
    return self
  }

  mutating func giveBack(_ given: UInt64, isLost: Bool) {
    if position == given &+ 1 { position = given }
    if isLost { lost &+= 1 }
  }
}

/// The counts of a process, where no file keeps them.
struct NoteCounts: ~Copyable, Sendable {
  private let counts = Mutex<[String: NoteCount]>([:])

  func change<Result: Sendable>(
    _ journal: String, _ body: (inout NoteCount?) -> Result
  ) -> Result {
    counts.withLock { body(&$0[journal]) }
  }
}

/// A node that keeps nothing on disk, as a library's user has it: only where it went last.
package final class NoLocalState: LocalState {
  private let cursors = Mutex<[Int: IPAddress]>([:])
  private let notes = NoteCounts()

  package init() {}
  package var hasGoneBack: Bool { false }
  package func noteOlderState(_ name: String, seenAt revision: UInt64) {}
  package func newestRevision(_ name: String) -> UInt64 { 0 }
  package var newestRevisions: [String: UInt64] { [:] }
  package func copy(_ name: String) -> (bytes: [UInt8], revision: UInt64)? { nil }
  package func cursor(_ set: Int) -> IPAddress? { cursors.withLock { $0[set] } }
  package func update(
    _ written: [(name: String, bytes: [UInt8]?, revision: UInt64)], cursors: [Int: IPAddress]
  ) {
    self.cursors.withLock { $0.merge(cursors) { _, new in new } }
  }
  package func attachment(
    _ key: AttachmentKey
  ) -> (bytes: [UInt8], revision: UInt64, isFresh: Bool)? { nil }
  package func setAttachment(_ key: AttachmentKey, _ bytes: [UInt8], revision: UInt64) {}
  package func clearAttachment(_ key: AttachmentKey) {}
  package func beginRelease(_ key: AttachmentKey) {}
  package func isReleasing(_ key: AttachmentKey) -> Bool { false }
  package func endRelease(_ key: AttachmentKey, isGone: Bool) {}
  package func pending(_ key: AttachmentKey) -> [UInt8]? { nil }
  package func setPending(_ key: AttachmentKey, _ bytes: () -> [UInt8]) {}
  package func clearPending(_ key: AttachmentKey) {}
  package var unwritable: String? { nil }
  package func nextNote(in journal: String) -> NoteCount? {
    notes.change(journal) { $0?.take() }
  }
  package func beginNotes(in journal: String, at count: NoteCount) {
    notes.change(journal) { $0 = $0 ?? count }
  }
  package func returnNote(_ position: UInt64, in journal: String, isLost: Bool) {
    notes.change(journal) { $0?.giveBack(position, isLost: isLost) }
  }
  package func beginTurn(deadline: Deadline, preparing prepare: () -> Void) async {}
  package func endTurn() {}
}
