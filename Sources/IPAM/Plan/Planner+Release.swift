import AddressSpace
import BitmapAllocator

// A release: attachment, leases, hardware address and bits in one commit, each at the revision that
// was read. It never depends on the definition. Keys that one commit wrote share their revision, so
// that the attachment's is the leases' too and they need not be read.

extension Planner {
  mutating func planRelease(
    _ keys: [AttachmentKey], only stamp: AttachmentStamp? = nil, wish: Wish, _ draft: inout Draft
  ) -> Verdict {
    let stored = Set(keys.map(StoreKey.attachment))
    guard busy.isDisjoint(with: stored) else { return .deferred }
    guard stored.allSatisfy({ wish.needsAttachments ? view.isConfirmed($0) : view[$0] != nil })
    else {
      // The definition says how long to cool down; a release goes on without it. The home chunk is
      // read along because most bits are there.
      let more = wish.goesWithoutDefinition ? [] : homeReads(withChunks: !traits.isLocal)
      return .needs(
        stored.union(more),
        wish.needsAttachments ? .consistent : .cached)
    }
    let found = keys.first { view[.attachment($0)] != .absent }
    guard let key = found, let entry = view[.attachment(key)] else {
      // "Nothing is held" is an answer that no commit protects.
      guard stored.allSatisfy(view.isConfirmed) else { return .needs(stored, .consistent) }
      return .resolved(.success(.released(nil)))
    }
    if draft.touches(.attachment(key)) { return .deferred }
    if let stamp, !entry.isAttachment(stamp) {
      // Made anew, or unreadable and so in use: an answer that no commit protects either.
      guard view.isConfirmed(.attachment(key)) else {
        return .needs([.attachment(key)], .consistent)
      }
      return .resolved(.success(.released(nil)))
    }
    guard case .attachment(let attachment) = entry.value else {
      return planReleaseOfDamaged(key, entry, wish: wish, &draft)
    }
    // What is taken in this draft is not this one's, though an old copy may say so: the bit there is
    // that of whoever takes it.
    if attachment.holdings.contains(where: { draft.touches(.lease($0.address)) }) {
      return view.isConfirmed(.attachment(key))
        ? .deferred : .needs([.attachment(key)], .consistent)
    }
    var needed: Set<StoreKey> = []
    for holding in attachment.holdings {
      let reads = chunksToRelease(holding, draft)
      guard let reads else { return .deferred }
      needed.formUnion(reads)
    }
    if wish.needsAttachments {
      needed.formUnion(attachment.ownedKeys.filter { !view.isConfirmed($0) })
    }
    guard needed.isEmpty else {
      return .needs(needed, wish.needsAttachments ? .consistent : .cached)
    }

    // A store may count a delete of what is gone as done. Where no bit moves with it, nothing but a
    // look tells whether this is held or an old copy.
    if !view.isConfirmed(.attachment(key)),
      attachment.holdings.contains(where: { takenChunk($0, draft) == nil })
    {
      return .needs([.attachment(key)], .consistent)
    }

    var grant = Draft.Grant(wish: wish, fulfilment: .released(attachment))
    grant.holdings.append(.attachment(key))
    draft.add(.delete(.attachment(key), expected: entry.revision))
    for holding in attachment.holdings where !isForeign(.lease(holding.address), to: key) {
      release(holding, &draft, &grant)
      delete(.lease(holding.address), owner: key, revision: entry.revision, &draft, &grant)
    }
    if let mac = attachment.mac {
      delete(.mac(mac), owner: key, revision: entry.revision, &draft, &grant)
    }
    draft.grants.append(grant)
    return .drafted
  }

  /// An attachment that cannot be read names nothing; only its key can go.
  private func planReleaseOfDamaged(
    _ key: AttachmentKey, _ entry: StoreEntry, wish: Wish, _ draft: inout Draft
  ) -> Verdict {
    var grant = Draft.Grant(wish: wish, fulfilment: .released(nil))
    grant.holdings.append(.attachment(key))
    draft.add(.delete(.attachment(key), expected: entry.revision))
    draft.grants.append(grant)
    return .drafted
  }

  /// The chunks that have to be seen before a holding's bit can go: its own and, as far as it is
  /// marked, those above; nil while a commit in flight writes one.
  private func chunksToRelease(_ holding: Attachment.Holding, _ draft: Draft) -> Set<StoreKey>? {
    var key = ChunkKey(
      pool: holding.pool, node: holding.pool.node(of: holding.ordinal).node)
    while true {
      if busy.contains(.chunk(key)) { return nil }
      guard let entry = view[.chunk(key)] else { return [.chunk(key)] }
      guard let chunk = draft.chunk(key) ?? entry.chunk, chunk.isMarked,
        let up = key.pool.parent(of: key.node)
      else { return [] }
      key = ChunkKey(pool: key.pool, node: up.node)
    }
  }

  /// The chunk of a holding as it will be, if it can be read and the holding's bit is taken. That of a
  /// network without leases, made anew under this name, has the bits of others.
  private func takenChunk(_ holding: Attachment.Holding, _ draft: Draft) -> Chunk? {
    let place = holding.pool.node(of: holding.ordinal)
    let key = ChunkKey(pool: holding.pool, node: place.node)
    let chunk = draft.chunk(key) ?? view[.chunk(key)]?.chunk
    guard let chunk, !chunk.features.incompatible.contains(.bare) else { return nil }
    return chunk.bitmap.isTaken(place.bit) ? chunk : nil
  }

  private func release(
    _ holding: Attachment.Holding, _ draft: inout Draft, _ grant: inout Draft.Grant
  ) {
    let place = holding.pool.node(of: holding.ordinal)
    var key = ChunkKey(pool: holding.pool, node: place.node)
    let entry = view[.chunk(key)] ?? .absent
    guard var chunk = takenChunk(holding, draft) else {
      // Damaged, missing or clear already: the lease goes as long as the chunk stays as it is, and
      // the bit is left to repair.
      if !draft.touches(.chunk(key)) { draft.add(.check(.chunk(key), entry.revision)) }
      grant.touch(key)
      return
    }
    draft.put(chunk, at: key, seen: entry.revision)
    draft.release(place.bit, of: key)
    grant.touch(key)
    while chunk.isMarked, let up = key.pool.parent(of: key.node) {
      key = ChunkKey(pool: key.pool, node: up.node)
      let entry = view[.chunk(key)] ?? .absent
      guard let parent = draft.chunk(key) ?? entry.chunk else { return }
      draft.put(parent, at: key, seen: entry.revision)
      grant.touch(key)
      chunk = parent
    }
  }

  /// Whether it is somebody else's by now, bit and all: what said otherwise was an old copy.
  private func isForeign(_ key: StoreKey, to owner: AttachmentKey) -> Bool {
    guard let value = view[key]?.value else { return false }
    return value.owner != owner
  }

  /// Deletes what belongs to the attachment, at the revision they share, or at the one that was read
  /// after a commit said that they do not.
  private func delete(
    _ key: StoreKey, owner: AttachmentKey, revision: Revision, _ draft: inout Draft,
    _ grant: inout Draft.Grant
  ) {
    if draft.touches(key) { return }
    guard let entry = view[key] else {
      draft.add(.delete(key, expected: revision))
      grant.holdings.append(key)
      return
    }
    guard entry.value?.owner == owner else { return }
    draft.add(.delete(key, expected: entry.revision))
    grant.holdings.append(key)
  }
}

extension Attachment {
  /// The keys that exist because of it, besides its own.
  var ownedKeys: [StoreKey] {
    holdings.map { .lease($0.address) } + (mac.map { [.mac($0)] } ?? [])
  }
}

extension StoreEntry {
  /// Whether it is the very attachment of a stamp.
  func isAttachment(_ stamp: AttachmentStamp) -> Bool {
    if case .attachment(let attachment) = value { return AttachmentStamp(attachment) == stamp }
    return false
  }

  /// The chunk, if this is one that can be trusted.
  var chunk: Chunk? {
    if case .chunk(let chunk) = value { return chunk }
    return nil
  }
}

extension StoreValue {
  /// Whose lease or hardware address it is.
  var owner: AttachmentKey? {
    switch self {
    case .lease(let lease): lease.attachment
    case .mac(let owner): owner
    default: nil
    }
  }
}
