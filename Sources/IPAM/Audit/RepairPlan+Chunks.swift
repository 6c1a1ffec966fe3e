import AddressSpace
import BitmapAllocator

// Bits. A chunk that can be read is corrected bit by bit, each under the condition that its lease
// is there or is not; one that cannot is built from the leases, which were listed after it.

extension RepairPlan {
  /// Whether the keys of a subject's step are all that it was decided by. What is built from leases that
  /// were listed after the chunk needs another listing when the chunk has moved.
  func dependsOnItsKeysOnly(_ subject: RepairSubject) -> Bool {
    guard case .chunk(let key) = subject else { return true }
    return evidence[.chunk(key)].chunk?.incarnation == definition.incarnation
      && pools.contains(key.pool)
  }

  func chunkStep(_ key: ChunkKey) -> RepairStep? {
    let entry = evidence[.chunk(key)]
    let isOurs = pools.contains(key.pool) && key.pool.exists(key.node)
    switch entry.value {
    case nil: return isOurs ? corrected(nil, key) : nil
    case .chunk(let chunk):
      guard definition.kind == .bare || key.node.level > 0 || !chunk.hasBareBits else {
        return .nothing(
          "it has bits of a network without leases that had this name, which are never cleared: if "
            + "nobody uses them, delete the network with --force and define it again")
      }
      guard isOurs, chunk.chunkBits == key.pool.chunkBits else { return removed(key) }
      guard chunk.incarnation == definition.incarnation else { return adopted(chunk, key) }
      return corrected(chunk, key)
    default: return isOurs ? rebuilt(key) : removed(key)
    }
  }

  private func rebuilt(_ key: ChunkKey) -> RepairStep {
    guard definition.kind == .leased || key.node.level > 0 else {
      return .nothing(
        "its bits are known nowhere else, and none is taken for free in a network without leases")
    }
    var chunk = Chunk(chunkBits: key.pool.chunkBits, incarnation: definition.incarnation)
    let count = takeLeased(in: &chunk, key)
    var draft = RepairDraft(self)
    draft.put(chunk, at: key)
    forgetMark(of: key, &draft)
    return draft.step(
      key.node.level > 0
        ? "begin it anew; it fills again as chunks below it are found full"
        : "build it anew from \(count.counted("lease"))")
  }

  /// The chunk belongs to another incarnation of this pool: an older definition, or a store that
  /// was restored. Its bits stay, those of leases are added.
  private func adopted(_ chunk: Chunk, _ key: ChunkKey) -> RepairStep {
    var chunk = chunk
    chunk.incarnation = definition.incarnation
    chunk.isMarked = false
    if definition.kind == .leased { chunk.features.incompatible.remove(.bare) }
    if key.node.level > 0 {
      chunk.bitmap = ChunkBitmap(chunkBits: chunk.chunkBits)
    } else {
      takeLeased(in: &chunk, key)
    }
    var draft = RepairDraft(self)
    draft.put(chunk, at: key)
    forgetMark(of: key, &draft)
    return draft.step("take it over into this incarnation of the definition")
  }

  /// Nobody allocates from it any more.
  private func removed(_ key: ChunkKey) -> RepairStep {
    let holders = named[key] ?? 0
    guard definition.kind == .leased, holders == 0 else {
      return .nothing(
        definition.kind == .leased
          ? "held of it: \(holders.counted("address", "addresses")); it goes once they are released"
          : "it has bits of a network without leases, which are never cleared")
    }
    var draft = RepairDraft(self)
    draft.delete(.chunk(key))
    return draft.step("delete it: its pool is not in the definition and nobody holds an address")
  }

  @discardableResult
  private func takeLeased(in chunk: inout Chunk, _ key: ChunkKey) -> Int {
    guard key.node.level == 0 else { return 0 }
    var count = 0
    for address in leasedIn[key] ?? [] where evidence[.lease(address)] != .absent {
      for place in places(of: address) where place.key == key {
        _ = chunk.acquire(bit: place.bit, now: now, cooldown: cooldown)
        count += 1
      }
    }
    return count
  }

  /// A chunk that begins anew is not marked, so its parent may not call it full.
  private func forgetMark(of key: ChunkKey, _ draft: inout RepairDraft) {
    guard let up = key.pool.parent(of: key.node),
      let parent = draft.clearParentsBit(of: key, up.node, up.bit)
    else { return }
    draft.unmark(parent)
  }

  // MARK: - Chunks that can be read

  private func isInQuestion(_ key: StoreKey, of chunk: ChunkKey) -> Bool {
    !isNarrow || found[.chunk(chunk)]?.contains(key) == true
  }

  private func corrected(_ stored: Chunk?, _ key: ChunkKey) -> RepairStep? {
    var draft = RepairDraft(self)
    guard var chunk = draft.chunk(key) else { return nil }
    var actions: [String] = []
    // Room for the definition, the chunk and all that is above it.
    let room = max(1, limit - 2 - key.pool.rootLevel)
    if chunk.isMarked, let up = key.pool.parent(of: key.node) {
      let parent = ChunkKey(pool: key.pool, node: up.node)
      let entry = evidence[.chunk(parent)]
      let says = entry.chunk?.bitmap.isTaken(up.bit) ?? (entry.value != nil)
      if !says {
        chunk.isMarked = false
        draft.check(.chunk(parent))
        actions.append("forget the mark")
      }
    }
    let isLeased = definition.kind == .leased
    if isLeased || key.node.level > 0, let stored { cut(stored, &chunk, key, &actions) }
    if key.node.level > 0 {
      clearFalseMarks(&chunk, key, room, &draft, &actions)
    } else {
      setLeased(&chunk, key, room, &draft, &actions)
      if isLeased { clearUnleased(&chunk, key, room, &draft, &actions) }
    }
    guard !actions.isEmpty else { return nil }
    draft.put(chunk, at: key)
    if !chunk.isFull(existingBits: key.pool.existingBits(in: key.node)) { draft.unmark(key) }
    return draft.step(actions.joined(separator: "; "))
  }

  private func cut(
    _ stored: Chunk, _ chunk: inout Chunk, _ key: ChunkKey, _ actions: inout [String]
  ) {
    let existing = key.pool.existingBits(in: key.node)
    let beyond = stored.bitmap.takenBits.filter { $0 >= existing }
    guard !beyond.isEmpty else { return }
    for bit in beyond {
      // Taken out of the cool-down first.
      _ = chunk.acquire(bit: bit, now: now, cooldown: cooldown)
      chunk.bitmap.free(bit)
    }
    actions.append("clear \(beyond.count.counted("bit")) beyond the end")
  }

  private func setLeased(
    _ chunk: inout Chunk, _ key: ChunkKey, _ room: Int, _ draft: inout RepairDraft,
    _ actions: inout [String]
  ) {
    var count = 0
    for address in (leasedIn[key] ?? []).sorted() {
      guard draft.count < room else { break }
      let lease = StoreKey.lease(address)
      guard isInQuestion(lease, of: key), evidence[lease] != .absent,
        let bit = places(of: address).first(where: { $0.key == key })?.bit, !chunk.isHeld(bit)
      else { continue }
      _ = chunk.acquire(bit: bit, now: now, cooldown: cooldown)
      draft.check(lease)
      count += 1
    }
    if count > 0 { actions.append("set \(count.counted("bit")) of leased addresses") }
  }

  private func clearUnleased(
    _ chunk: inout Chunk, _ key: ChunkKey, _ room: Int, _ draft: inout RepairDraft,
    _ actions: inout [String]
  ) {
    var count = 0
    let existing = key.pool.existingBits(in: key.node)
    for bit in chunk.bitmap.takenBits where bit < existing && !chunk.cooling.contains(bit) {
      guard draft.count < room else { break }
      let address = key.pool.address(of: key.pool.ordinal(of: key.node, bit: bit))
      let lease = StoreKey.lease(address)
      guard isInQuestion(lease, of: key), evidence[lease] == .absent else { continue }
      chunk.release(bit, now: now, cooldown: cooldown)
      draft.check(lease)
      count += 1
    }
    if count > 0 { actions.append("clear \(count.counted("bit")) of addresses that nobody holds") }
  }

  private func clearFalseMarks(
    _ chunk: inout Chunk, _ key: ChunkKey, _ room: Int, _ draft: inout RepairDraft,
    _ actions: inout [String]
  ) {
    var count = 0
    let existing = key.pool.existingBits(in: key.node)
    for bit in chunk.bitmap.takenBits where bit < existing {
      guard draft.count < room else { break }
      let child = ChunkKey(pool: key.pool, node: key.pool.child(of: key.node, bit: bit))
      guard isInQuestion(.chunk(child), of: key) else { continue }
      let entry = evidence[.chunk(child)]
      if case .damaged = entry.value { continue }
      let isFull = entry.chunk.map { child in
        child.isMarked
          && child.isFull(
            existingBits: key.pool.existingBits(in: key.pool.child(of: key.node, bit: bit)))
      }
      guard isFull != true else { continue }
      chunk.bitmap.free(bit)
      draft.check(.chunk(child))
      count += 1
    }
    if count > 0 {
      actions.append("take back \(count.counted("mark")) of chunks that are not full")
    }
  }
}

extension Chunk {
  /// Whether somebody has taken ordinals of it without leases.
  fileprivate var hasBareBits: Bool {
    features.incompatible.contains(.bare) && bitmap.takenCount > cooling.count
  }
}
