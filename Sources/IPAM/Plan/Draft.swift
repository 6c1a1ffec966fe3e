package import AddressSpace
import BitmapAllocator

// A commit in the making. Wishes add to it until the server's limit of operations is reached; each
// chunk key occurs once, whatever number of wishes touch it. Releases take effect only when the draft
// is sealed, so that no ordinal is freed and taken again in one commit.

/// A commit as the loop sends it.
package struct Commit: Sendable {
  package let operations: [StoreOperation]
  /// Where sequential searches go on, by range set; a hint beside the commit.
  package let cursors: [Int: IPAddress]
  /// The token that the commit left in every chunk it wrote.
  let token: UInt64

  /// Whether it has happened, by what its keys hold now that no copy of it can happen any more; nil where
  /// others have written its chunks too often since to tell. O(operations).
  func hasHappened(_ now: (StoreKey) -> StoreEntry?) -> Bool? {
    var isCertain = false
    for operation in operations {
      guard let entry = now(operation.key) else { continue }
      switch operation {
      case .check, .note: continue
      case .put(_, _, let expected), .delete(_, let expected):
        if expected != .absent, entry.revision == expected { isCertain = true }
      }
      guard case .put(_, let value, _) = operation else { continue }
      switch (value, entry.value) {
      case (.attachment(let ours), .attachment(let theirs)) where ours.nonce == theirs.nonce:
        return true
      case (.chunk(let ours), .chunk(let chunk)):
        if chunk.wasWritten(by: token) { return true }
        // Ours would have had this generation; fewer than all writers that it names came after it.
        let limit = ours.generation &+ UInt64(Chunk.writerLimit)
        if chunk.incarnation == ours.incarnation, chunk.generation < limit { isCertain = true }
      default: continue
      }
    }
    return isCertain ? false : nil
  }

  /// A commit after which no copy of this one can happen, and that changes nothing but the generation of
  /// one of its chunks; by the same definition, so that nothing is written into a network made anew
  /// under its name. Nil if none of its chunks is seen as this one expects it. O(operations).
  func fence(token: UInt64, _ seen: (StoreKey) -> StoreEntry?) -> Commit? {
    for case .put(let key, .chunk(let written), let expected) in operations {
      var chunk = Chunk(
        chunkBits: written.chunkBits, incarnation: written.incarnation, features: written.features)
      if let entry = seen(key), entry.revision == expected, let known = entry.chunk {
        chunk = known
      } else if expected != .absent {
        continue
      }
      chunk.stamp(writer: token)
      return Commit(
        operations: [.put(key, .chunk(chunk), expected: expected)]
          + operations.filter(\.checksDefinition),
        cursors: [:], token: token)
    }
    return nil
  }
}

/// What wishes want to have committed together.
struct Draft {
  /// What a wish gets if the commit happens.
  struct Grant {
    var wish: Wish
    let fulfilment: Fulfilment
    /// The chunks that it changes.
    var chunks: [ChunkKey] = []
    /// Its leases, attachment and hardware address.
    var holdings: [StoreKey] = []

    mutating func touch(_ key: ChunkKey) { if !chunks.contains(key) { chunks.append(key) } }

    /// The key of its attachment.
    var attachment: StoreKey? {
      holdings.first { if case .attachment = $0 { true } else { false } }
    }
  }

  /// A chunk as it will be, without what is released, and as the store was seen to have it.
  private struct Drafted {
    var chunk: Chunk
    let seen: Revision
  }

  private var chunks: [ChunkKey: Drafted] = [:]
  private(set) var operations: [StoreOperation] = []
  private var keys: Set<StoreKey> = []
  private var releases: [(key: ChunkKey, bit: Int)] = []
  private(set) var cursors: [Int: IPAddress] = [:]
  var grants: [Grant] = []
  /// What an operator should know, if the commit is sent.
  private(set) var remarks: [String] = []
  /// What the wish at hand replaced, newest last: a wish is taken back as cheaply as it was drafted.
  private var replacedChunks: [(key: ChunkKey, before: Drafted?)] = []
  private var replacedCursors: [(set: Int, address: IPAddress?)] = []
  /// Where the searches of the wish before ended: the next one's begin there.
  private var lastPlaces: [Place] = []

  /// A drafted chunk and the bits of it that a range set may hand out.
  struct Place {
    let set: Int
    let key: ChunkKey
    let usable: [ClosedRange<Int>]
  }

  init() {
    operations.reserveCapacity(8)
    keys.reserveCapacity(8)
  }

  var isEmpty: Bool { grants.isEmpty }

  /// Where the last search of a range set ended.
  func lastPlace(of set: Int) -> Place? { lastPlaces.first { $0.set == set } }

  mutating func setLastPlace(_ place: Place) {
    lastPlaces.removeAll { $0.set == place.set }
    lastPlaces.append(place)
  }

  /// Operations that the sealed commit will have.
  var count: Int { operations.count + chunks.count }

  /// The chunk as it will be, if the draft changes it.
  func chunk(_ key: ChunkKey) -> Chunk? { chunks[key]?.chunk }

  /// Whether an operation on the key is drafted already.
  func touches(_ key: StoreKey) -> Bool {
    if case .chunk(let chunk) = key { return chunks[chunk] != nil || keys.contains(key) }
    return keys.contains(key)
  }

  /// Whether an operation on the key is drafted for a wish before the one at hand.
  func touchedBefore(_ key: StoreKey) -> Bool {
    guard touches(key), case .chunk(let chunk) = key, !keys.contains(key),
      let first = replacedChunks.first(where: { $0.key == chunk })
    else { return touches(key) }
    return first.before != nil
  }

  /// Makes a chunk part of the commit.
  mutating func put(_ chunk: Chunk, at key: ChunkKey, seen revision: Revision) {
    let before = chunks[key]
    chunks[key] = Drafted(chunk: chunk, seen: before?.seen ?? revision)
    replacedChunks.append((key, before))
  }

  /// Makes an operation part of the commit; its key must not be part of it yet.
  mutating func add(_ operation: StoreOperation) {
    let isNew = addIfNew(operation)
    precondition(isNew, "a key occurs once in a commit")
  }

  /// Makes an operation part of the commit; whether its key was not part of it yet.
  mutating func addIfNew(_ operation: StoreOperation) -> Bool {
    guard keys.insert(operation.key).inserted else { return false }
    operations.append(operation)
    return true
  }

  /// Marks a bit of a drafted chunk for release.
  mutating func release(_ bit: Int, of key: ChunkKey) {
    precondition(chunks[key] != nil, "a release belongs to a drafted chunk")
    releases.append((key, bit))
  }

  /// Notes where the searches of a range set went last.
  mutating func setCursor(_ set: Int, _ address: IPAddress) {
    replacedCursors.append((set, cursors.updateValue(address, forKey: set)))
  }

  /// Adds what an operator should know.
  mutating func remark(_ text: String) {
    if !remarks.contains(text) { remarks.append(text) }
  }

  /// A moment to which the draft can be taken back.
  struct Mark {
    fileprivate let operations, releases, grants, remarks: Int
  }

  /// Begins a wish.
  mutating func mark() -> Mark {
    replacedChunks.removeAll(keepingCapacity: true)
    replacedCursors.removeAll(keepingCapacity: true)
    return Mark(
      operations: operations.count, releases: releases.count, grants: grants.count,
      remarks: remarks.count)
  }

  /// Takes back what the wish since the last mark has drafted.
  mutating func rewind(to mark: Mark) {
    for operation in operations[mark.operations...] { keys.remove(operation.key) }
    operations.removeSubrange(mark.operations...)
    releases.removeSubrange(mark.releases...)
    grants.removeSubrange(mark.grants...)
    remarks.removeSubrange(mark.remarks...)
    for (key, before) in replacedChunks.reversed() { chunks[key] = before }
    for (set, address) in replacedCursors.reversed() { cursors[set] = address }
    replacedChunks.removeAll()
    replacedCursors.removeAll()
    lastPlaces.removeAll()
  }

  /// Turns the draft into a commit.
  ///
  /// - Complexity: O(operations + words of the changed chunks).
  func sealed(
    token: UInt64, now: UInt64, cooldown: NetworkDefinition.Cooldown, note: StoreOperation? = nil
  ) -> Commit {
    var sealed = chunks
    for (key, bit) in releases {
      sealed[key]?.chunk.release(bit, now: now, cooldown: UInt64(cooldown.seconds))
      Self.unmark(key, in: &sealed)
    }
    var all: [StoreOperation] = []
    all.reserveCapacity(operations.count + sealed.count + 1)
    all += operations
    for (key, var drafted) in sealed {
      drafted.chunk.stamp(writer: token)
      all.append(.put(.chunk(key), .chunk(drafted.chunk), expected: drafted.seen))
    }
    if let note { all.append(note) }
    return Commit(operations: all, cursors: cursors, token: token)
  }

  /// A release from a marked chunk takes back what the parents say of it.
  private static func unmark(_ key: ChunkKey, in chunks: inout [ChunkKey: Drafted]) {
    var child = key
    while chunks[child]?.chunk.isMarked == true, let up = key.pool.parent(of: child.node) {
      let parent = ChunkKey(pool: key.pool, node: up.node)
      chunks[child]?.chunk.isMarked = false
      chunks[parent]?.chunk.bitmap.free(up.bit)
      child = parent
    }
  }
}
