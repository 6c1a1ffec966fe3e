package import AddressSpace
import Dispatch
package import IPAM
import Synchronization

// What a node keeps of one network beside Consul:
//
//   <stateDir>/<network>-<hash>/copy               recent entries and where the node went last
//                               attachments/<name> what this node's attachments hold, for their DEL
//                               releases/<name>    the same, while a commit removes it, until that is known
//                               pending/<name>     a commit was sent that makes it, and nothing is known yet
//                               journal/<node>     where the node's journal in Consul goes on, if it has one
//                               lock               whose turn it is
//                               next               who comes next
//
// A turn is short, and what need not be in it is not: of the processes that wait only the one that
// comes next opens its connection, meanwhile. All of them at once would be more than an agent accepts
// from one address (200).
//
// The hash tells clusters, datacenters, namespaces, partitions and prefixes apart. Every file may be
// missing, stale, torn or foreign: then a command costs a round trip more, or a conflict. A state
// directory that cannot be written costs the same, each time.

/// A node's memory of one network.
package final class NodeState: LocalState {
  /// A copy older than this is only a hint where to look, in nanoseconds of the boot clock.
  static let freshness: UInt64 = 60_000_000_000
  /// A process waits this long at most for its turn.
  static let longestTurnWait: UInt64 = 1_000_000_000

  private struct State {
    var copy: NodeCopy
    var isLoaded = false
    var isChanged = false
    var lock: Int32?
    /// Why word of a commit could not be left.
    var unwritable: String?
    /// A thread waits for a lock, be it for a turn that went on without it.
    var isWaiting = false
  }

  let folder: String
  private let surroundings: Surroundings
  private let bootID: String
  private let state: Mutex<State>
  /// Where the directory cannot be written.
  let notes = NoteCounts()
  /// Held while the file of a journal's count is changed.
  let counting = Mutex(())

  init(folder: String, bootID: String, surroundings: Surroundings) {
    self.folder = folder
    self.surroundings = surroundings
    self.bootID = bootID
    state = Mutex(State(copy: NodeCopy(bootID: bootID)))
  }

  // MARK: Copies

  package func copy(_ name: String) -> (bytes: [UInt8], revision: UInt64)? {
    state.withLock { state in
      load(&state)
      guard let entry = state.copy.entries[name], isFresh(entry.seenAt) else { return nil }
      return (entry.bytes, entry.revision)
    }
  }

  package func newestRevision(_ name: String) -> UInt64 {
    state.withLock { state in
      load(&state)
      return state.copy.entries[name]?.revision ?? 0
    }
  }

  package var newestRevisions: [String: UInt64] {
    state.withLock { state in
      load(&state)
      return state.copy.entries.mapValues(\.revision)
    }
  }

  package func cursor(_ set: Int) -> IPAddress? {
    state.withLock { state in
      load(&state)
      return state.copy.cursors[set]
    }
  }

  package func update(
    _ written: [(name: String, bytes: [UInt8]?, revision: UInt64)], cursors: [Int: IPAddress]
  ) {
    state.withLock { state in
      load(&state)
      let now = NodeFile.bootClock
      for (name, bytes, revision) in written {
        state.copy.note(name, revision, bytes: bytes, at: now)
      }
      state.copy.cursors.merge(cursors) { _, new in new }
      state.isChanged = true
    }
  }

  package func noteOlderState(_ name: String, seenAt revision: UInt64) {
    state.withLock { state in
      load(&state)
      guard let seen = state.copy.entries[name]?.revision, seen >= revision else { return }
      state.copy.noteOlderState(name)
      state.isChanged = true
    }
  }

  package var hasGoneBack: Bool {
    state.withLock { state in
      load(&state)
      return state.copy.hasGoneBack
    }
  }

  private func isFresh(_ moment: UInt64) -> Bool {
    let now = NodeFile.bootClock
    return moment <= now && now - moment < Self.freshness
  }

  /// Another process may have written the file since the last turn.
  private func load(_ state: inout State) {
    guard !state.isLoaded else { return }
    state.isLoaded = true
    state.copy =
      NodeFile.read(folder + "/copy").flatMap { NodeCopy($0, bootID: bootID) }
      ?? NodeCopy(bootID: bootID)
  }

  /// Writes a file of the folder, made at first use; what cannot be written is done without. Why it
  /// cannot be.
  @discardableResult
  private func write(
    _ name: String, _ bytes: [UInt8],
    by put: (String, [UInt8]) throws(NodeFile.Failure) -> Void = NodeFile.replace
  ) -> NodeFile.Failure? {
    let path = folder + "/" + name
    do throws(NodeFile.Failure) {
      try put(path, bytes)
      return nil
    } catch {}
    let parent = path[..<(path.lastIndex(of: "/") ?? path.startIndex)]
    do throws(NodeFile.Failure) {
      try NodeFile.makeFolder(String(parent))
      try put(path, bytes)
      return nil
    } catch {
      return error
    }
  }

  // MARK: Attachments and commits without an outcome

  package func pending(_ key: AttachmentKey) -> [UInt8]? {
    NodeFile.read(path("pending", key))
  }

  package func setPending(_ key: AttachmentKey, _ bytes: () -> [UInt8]) {
    let failure = write("pending/" + Self.fileName(key), bytes())
    state.withLock { $0.unwritable = failure?.description }
  }

  package var unwritable: String? { state.withLock { $0.unwritable } }

  package func clearPending(_ key: AttachmentKey) {
    NodeFile.remove(path("pending", key))
  }

  package func attachment(
    _ key: AttachmentKey
  ) -> (bytes: [UInt8], revision: UInt64, isFresh: Bool)? {
    guard let file = NodeFile.read(path("attachments", key)),
      let copy = NodeCopy(file, bootID: bootID), let entry = copy.entries["attachment"]
    else { return nil }
    return (entry.bytes, entry.revision, isFresh(entry.seenAt))
  }

  package func setAttachment(_ key: AttachmentKey, _ bytes: [UInt8], revision: UInt64) {
    var copy = NodeCopy(bootID: bootID)
    copy.entries["attachment"] = NodeCopy.Entry(
      revision: revision, seenAt: NodeFile.bootClock, bytes: bytes)
    write("attachments/" + Self.fileName(key), copy.bytes)
  }

  package func clearAttachment(_ key: AttachmentKey) {
    NodeFile.remove(path("attachments", key))
  }

  package func beginRelease(_ key: AttachmentKey) {
    if NodeFile.move(path("attachments", key), to: path("releases", key)) { return }
    write("releases/" + Self.fileName(key), [], by: NodeFile.overwrite)
    clearAttachment(key)
  }

  package func isReleasing(_ key: AttachmentKey) -> Bool {
    NodeFile.exists(path("releases", key)) || !NodeFile.isWritable(folder)
  }

  package func endRelease(_ key: AttachmentKey, isGone: Bool) {
    let word = path("releases", key)
    if isGone || !NodeFile.move(word, to: path("attachments", key)) { NodeFile.remove(word) }
  }

  private func path(_ kind: String, _ key: AttachmentKey) -> String {
    "\(folder)/\(kind)/\(Self.fileName(key))"
  }

  /// Names are escaped as in keys and may be long: those that no file can have are hashed.
  private static func fileName(_ key: AttachmentKey) -> String {
    let (node, container) = (KeyName.escape(key.node), KeyName.escape(key.container))
    return fileName("\(node),\(container),\(KeyName.escape(key.interface))")
  }

  /// The file of an escaped name.
  static func fileName(_ name: String) -> String {
    guard name.utf8.count > 200 else { return name }
    return name.prefix(180) + "+" + Offset(StableHash.of(name.utf8)).hex(digits: 16)
  }

  // MARK: Turns

  /// Waits until no other process of this node works on the network, but not for long: it is only
  /// that two processes of one node would work on the same chunk.
  package func beginTurn(deadline: Deadline, preparing prepare: () -> Void) async {
    state.withLock { $0.isLoaded = false }
    let began = surroundings.monotonic()
    let limit = min(Self.longestTurnWait, surroundings.remaining(until: deadline) / 4)
    guard let lock = openLock("lock") else { return }
    guard let next = openLock("next"), await take(next, nanoseconds: limit) else {
      return NodeFile.closeLock(lock)
    }
    defer { NodeFile.closeLock(next) }
    if !NodeFile.tryLock(lock) {
      prepare()
      // The only one that waits looks again and again for a while: that is quickest.
      if !NodeFile.lockBriefly(lock, tries: 50, microseconds: 50) {
        let waited = surroundings.monotonic() - began
        guard await take(lock, nanoseconds: limit - min(waited, limit)) else { return }
      }
    }
    state.withLock { $0.lock = lock }
  }

  private func take(_ lock: Int32, nanoseconds: UInt64) async -> Bool {
    if NodeFile.tryLock(lock) { return true }
    return await wait(for: lock, nanoseconds: nanoseconds)
  }

  package func endTurn() {
    let lock = state.withLock { state in
      if state.isChanged { write("copy", state.copy.bytes, by: NodeFile.overwrite) }
      state.isChanged = false
      defer { state.lock = nil }
      return state.lock
    }
    if let lock { NodeFile.closeLock(lock) }
  }

  private func openLock(_ name: String) -> Int32? {
    if let lock = NodeFile.openLock("\(folder)/\(name)") { return lock }
    try? NodeFile.makeFolder(folder)
    return NodeFile.openLock("\(folder)/\(name)")
  }

  /// Waits in a thread of its own, because the kernel queues waiting processes fairly and a loop of
  /// tries does not. A lock that comes too late is given up by that thread; until then no other turn
  /// waits: its holder is stopped, and each would leave another thread behind.
  private func wait(for lock: Int32, nanoseconds: UInt64) async -> Bool {
    let race = Race()
    let isAlone = state.withLock { state in
      defer { state.isWaiting = true }
      return !state.isWaiting
    }
    guard isAlone else {
      NodeFile.closeLock(lock)
      return false
    }
    return await withCheckedContinuation { continuation in
      race.begin(continuation)
      // A queue of its own has a thread of its own; one of the shared pool would be missing there.
      DispatchQueue(label: "turn").async { [self] in
        NodeFile.waitForLock(lock)
        state.withLock { $0.isWaiting = false }
        if !race.finish(true) { NodeFile.closeLock(lock) }
      }
      DispatchQueue.global().asyncAfter(deadline: .now() + .nanoseconds(Int(nanoseconds))) {
        race.finish(false)
      }
    }
  }

  /// The first of two outcomes resumes the waiting task.
  private final class Race: Sendable {
    private let waiting = Mutex<CheckedContinuation<Bool, Never>?>(nil)

    func begin(_ continuation: CheckedContinuation<Bool, Never>) {
      waiting.withLock { $0 = continuation }
    }

    @discardableResult
    func finish(_ result: Bool) -> Bool {
      let continuation = waiting.withLock { waiting in
        defer { waiting = nil }
        return waiting
      }
      continuation?.resume(returning: result)
      return continuation != nil
    }
  }
}
