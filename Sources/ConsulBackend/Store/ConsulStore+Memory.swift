import AddressSpace
import BitmapAllocator
import IPAM
import Synchronization

// What the node remembers around reads and commits, and the one thing that it must not forget: a
// commit whose outcome was never learned. Its late copy could still make an attachment appear after a
// DEL found none; so before "no such attachment" is answered, a write to a chunk that the commit
// depends on makes every late copy fail.

extension ConsulStore {
  /// The node's own copy of a key, fresh enough for a commit that will check it.
  func copy(of key: StoreKey) -> StoreEntry? {
    if case .attachment(let attachment) = key {
      guard let copy = local.attachment(attachment), copy.isFresh else { return nil }
      return decode(copy.bytes, Revision(copy.revision), for: key)
    }
    guard let name = schema.relativeName(key), let copy = local.copy(name) else { return nil }
    return decode(copy.bytes, Revision(copy.revision), for: key)
  }

  /// Chunks to read along with attachments: an old copy tells where their bits are.
  func hints(_ keys: [StoreKey]) -> [StoreKey] {
    var hints: Set<StoreKey> = []
    for case .attachment(let key) in keys {
      guard let copy = local.attachment(key),
        case .attachment(let attachment) = RecordCodec.decode(copy.bytes, for: .attachment(key))
      else { continue }
      for holding in attachment.holdings {
        let node = holding.pool.node(of: holding.ordinal).node
        hints.insert(.chunk(ChunkKey(pool: holding.pool, node: node)))
      }
    }
    return Array(hints.subtracting(keys))
  }

  /// Keeps what the next command of this node will begin with.
  func keep(_ entry: KVEntry, for key: StoreKey) {
    guard key.isKeptByNodes, let name = schema.relativeName(key) else { return }
    local.update([(name, entry.value, entry.modifyIndex)], cursors: [:])
  }

  /// The newest revision of a key that this node has seen; 0 for none.
  func newestSeen(_ key: StoreKey) -> UInt64 {
    guard key.isKeptByNodes, let name = schema.relativeName(key) else { return 0 }
    return local.newestRevision(name)
  }

  func noteOlderState(_ key: StoreKey, seenAt revision: UInt64) {
    if let name = schema.relativeName(key) { local.noteOlderState(name, seenAt: revision) }
  }

  func remember(
    _ operations: [StoreOperation], _ transaction: [TransactionOperation],
    _ cursors: [Int: IPAddress], _ revision: Revision
  ) {
    var written: [(name: String, bytes: [UInt8]?, revision: UInt64)] = []
    for index in operations.indices {
      guard case .put(let key, _, _) = operations[index],
        case .cas(let name, let bytes, _) = transaction[index]
      else { continue }
      if case .attachment(let attachment) = key {
        local.setAttachment(attachment, bytes, revision: revision.number)
      } else if key.isKeptByNodes {
        written.append((schema.relativeName(name), bytes, revision.number))
      }
    }
    local.update(written, cursors: cursors)
  }

  func forget(_ keys: [StoreKey]) {
    if client.configuration.consistency == .stale {
      // Other keys are read consistently after a lost race.
      moved.withLock { $0.formUnion(keys.filter(\.isKeptByNodes)) }
    }
    for case .attachment(let key) in keys { local.clearAttachment(key) }
    let names = keys.filter(\.isKeptByNodes).compactMap(schema.relativeName)
    if !names.isEmpty { local.update(names.map { ($0, nil, 0) }, cursors: [:]) }
  }

  /// Whether a commit said that the key has moved, and it was not read since.
  func takeMoved(_ key: StoreKey) -> Bool { moved.withLock { $0.remove(key) != nil } }

  // MARK: Commits without an outcome

  /// Word was left of an earlier commit for one of these attachments: its late copy must not come after
  /// what is committed now has been released. One that depends on the same chunks loses to this one.
  func fenceEarlier(
    _ made: [AttachmentKey], _ operations: [StoreOperation],
    _ transaction: [TransactionOperation], _ deadline: Deadline
  ) async throws(StoreError) {
    for key in made {
      guard let earlier = local.pending(key), earlier != word(operations, transaction) else {
        continue
      }
      _ = try await fencePending(key, deadline)
    }
  }

  /// Leaves word of a commit that makes attachments, before it is sent.
  func expect(
    _ made: [AttachmentKey], _ operations: [StoreOperation],
    _ transaction: [TransactionOperation]
  ) {
    guard !made.isEmpty else { return }
    lazy var word = word(operations, transaction)
    for key in made { local.setPending(key) { word } }
  }

  /// What a late copy of a commit depends on.
  private func word(
    _ operations: [StoreOperation], _ transaction: [TransactionOperation]
  ) -> [UInt8] {
    var text = ""
    for (operation, sent) in zip(operations, transaction) {
      if case .chunk = operation.key, case .cas(let name, _, let index) = sent {
        text += "\(index) \(name)\n"
      }
    }
    return Array(text.utf8)
  }

  /// Takes word back when no late copy can come: the commit happened, lost for good, or was turned
  /// away and had never been sent without an answer before.
  func settle(
    _ made: [AttachmentKey], _ removed: [AttachmentKey], _ operations: [StoreOperation],
    _ outcome: TransactionOutcome
  ) {
    let keys = made + removed
    guard !keys.isEmpty else { return }
    let isOpen = unanswered.withLock { unanswered in
      switch outcome {
      case .unknown:
        unanswered.formUnion(keys)
        return true
      case .conflict(let failed):
        // What must not exist and does may go again; all else has moved for good.
        let isPast = failed.contains { operations[$0.operation].movesForGood }
        guard isPast || unanswered.isDisjoint(with: keys) else { return true }
      case .refused, .notApplied:
        guard unanswered.isDisjoint(with: keys) else { return true }
      case .committed: break
      }
      unanswered.subtract(keys)
      return false
    }
    if isOpen { return }
    for key in made { local.clearPending(key) }
    var isGone = false
    if case .committed = outcome { isGone = true }
    for key in removed { local.endRelease(key, isGone: isGone) }
  }

  /// Makes every late copy of a pending commit fail; whether there was one.
  ///
  /// One of the commit's conditions is enough: if a chunk has another revision than the commit
  /// expects, it can never apply; else it is written with another generation.
  func fencePending(
    _ key: AttachmentKey, _ deadline: Deadline
  ) async throws(StoreError) -> Bool {
    guard let text = local.pending(key) else { return false }
    let lines = String(decoding: text, as: UTF8.self).split(separator: "\n")
    guard let line = lines.first, let space = line.firstIndex(of: " "),
      let index = UInt64(line[..<space]),
      let chunk = schema.key(String(line[line.index(after: space)...]))
    else {
      // Written by half, and so never sent.
      local.clearPending(key)
      return false
    }
    while true {
      let entry = try await get(chunk, .consistent, deadline)
      if entry.revision.number != index { break }
      guard let fence = try await fence(chunk, entry, deadline) else { break }
      try await write(fence, deadline)
    }
    local.clearPending(key)
    return true
  }

  /// Tries to write a fence, once; whoever calls looks whether the key has moved.
  private func write(
    _ fence: [StoreOperation]?, _ deadline: Deadline
  ) async throws(StoreError) {
    guard let fence else { return }
    switch await commit(fence, cursors: [:], deadline: deadline) {
    case .committed, .conflict: return
    case .refused(let error): throw error
    case .unavailable(let text), .unknown(let text):
      if surroundings.remaining(until: deadline) == 0 { throw StoreError(.unavailable, text) }
      await surroundings.sleep(5_000_000 + surroundings.random() % 20_000_000)
    case .tooLarge: throw StoreError(.refused, "a single operation is too large")
    }
  }

  /// Makes every late copy of a commit fail that would remove an attachment, which is there; whether there
  /// was one. Who asks for it again would be told that it is held, just before it goes.
  func fenceRelease(
    _ key: AttachmentKey, _ entry: StoreEntry, _ deadline: Deadline
  ) async throws(StoreError) -> Bool {
    guard local.isReleasing(key) else { return false }
    if case .attachment(let attachment) = entry.value, let holding = attachment.holdings.first {
      let node = holding.pool.node(of: holding.ordinal).node
      let chunk = StoreKey.chunk(ChunkKey(pool: holding.pool, node: node))
      var seen = try await get(chunk, .consistent, deadline)
      // Whoever writes it makes the copies fail.
      let first = seen.revision
      while seen.revision == first, case .chunk = seen.value {
        try await write(try await fence(chunk, seen, deadline), deadline)
        seen = try await get(chunk, .consistent, deadline)
      }
    }
    local.endRelease(key, isGone: false)
    return true
  }

  /// A write that makes late copies fail; nil where they fail anyhow, as the network is gone or another one
  /// by now: what makes attachments depends on its definition.
  private func fence(
    _ key: StoreKey, _ entry: StoreEntry, _ deadline: Deadline
  ) async throws(StoreError) -> [StoreOperation]? {
    guard case .chunk(let name) = key else { throw StoreError(.damaged, "\(key) is no chunk") }
    var chunk: Chunk
    var conditions: [StoreOperation] = []
    switch entry.value {
    case nil:
      let stored = try await storedDefinition(deadline: deadline)
      if stored == .absent { return nil }
      guard case .definition(let definition) = stored.value else {
        throw StoreError(.damaged, "the network has no definition that can be read")
      }
      let layouts = (try? definition.layouts()) ?? []
      guard definition.kind == .leased,
        layouts.contains(where: { $0.pools.contains { $0.geometry == name.pool } })
      else { return nil }
      conditions = [.check(.definition, stored.revision)]
      chunk = Chunk(chunkBits: name.pool.chunkBits, incarnation: definition.incarnation)
    case .chunk(let stored): chunk = stored
    default: throw StoreError(.damaged, "\(name) cannot be read, so a late commit cannot be fenced")
    }
    chunk.stamp(writer: surroundings.random())
    return conditions + [.put(key, .chunk(chunk), expected: entry.revision)]
  }
}

extension StoreKey {
  /// Definitions and chunks are what a node's next command begins with.
  var isKeptByNodes: Bool {
    switch self {
    case .definition, .chunk: true
    default: false
    }
  }
}
