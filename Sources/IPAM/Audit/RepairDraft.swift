import AddressSpace
import BitmapAllocator

// One repair's commit in the making: each key once, every chunk at the revision that was seen.

/// Collects the operations of one step.
struct RepairDraft {
  private let plan: RepairPlan
  private var chunks: [ChunkKey: Chunk] = [:]
  private var others: [StoreKey: StoreOperation] = [:]

  init(_ plan: RepairPlan) {
    self.plan = plan
  }

  /// Operations so far, the definition's check included.
  var count: Int { chunks.count + others.count + 1 }

  var isEmpty: Bool { chunks.isEmpty && others.isEmpty }

  /// Depends on the revision that was seen, unless the key is written anyway.
  mutating func check(_ key: StoreKey) {
    if case .chunk(let chunk) = key, chunks[chunk] != nil { return }
    if others[key] == nil { others[key] = .check(key, plan.evidence[key].revision) }
  }

  mutating func put(_ key: StoreKey, _ value: StoreValue) {
    others[key] = .put(key, value, expected: plan.evidence[key].revision)
  }

  mutating func delete(_ key: StoreKey) {
    others[key] = .delete(key, expected: plan.evidence[key].revision)
  }

  mutating func put(_ chunk: Chunk, at key: ChunkKey) {
    others[.chunk(key)] = nil
    chunks[key] = chunk
  }

  /// A chunk as it will be: drafted, stored, or new where there is none; nil for one that nothing
  /// can be built on.
  func chunk(_ key: ChunkKey) -> Chunk? {
    if let drafted = chunks[key] { return drafted }
    let entry = plan.evidence[.chunk(key)]
    guard entry != .absent else {
      return Chunk(
        chunkBits: key.pool.chunkBits, incarnation: plan.definition.incarnation)
    }
    guard let chunk = entry.chunk, chunk.incarnation == plan.definition.incarnation,
      chunk.chunkBits == key.pool.chunkBits
    else { return nil }
    return chunk
  }

  /// Sets the bit of an address that is leased; if it is set, nobody may clear it meanwhile.
  mutating func take(_ address: IPAddress) {
    for (key, bit) in plan.places(of: address) {
      guard var chunk = chunk(key), !chunk.isHeld(bit) else {
        check(.chunk(key))
        continue
      }
      _ = chunk.acquire(bit: bit, now: plan.now, cooldown: plan.cooldown)
      put(chunk, at: key)
    }
  }

  /// Frees the bit of an address whose lease goes with this commit or is not there; it cools down.
  mutating func release(_ address: IPAddress) {
    for (key, bit) in plan.places(of: address) {
      guard var chunk = chunk(key), chunk.isHeld(bit) else {
        check(.chunk(key))
        continue
      }
      chunk.release(bit, now: plan.now, cooldown: plan.cooldown)
      put(chunk, at: key)
      unmark(key)
    }
  }

  /// A chunk that is no longer full takes back what the tree says of it.
  mutating func unmark(_ key: ChunkKey) {
    var child = key
    while chunks[child]?.isMarked == true, let up = child.pool.parent(of: child.node) {
      chunks[child]?.isMarked = false
      guard let parent = clearParentsBit(of: child, up.node, up.bit) else { return }
      child = parent
    }
  }

  /// Clears what the parent says of a chunk, if it says so; the parent if it was changed.
  @discardableResult
  mutating func clearParentsBit(
    of child: ChunkKey, _ node: TreeNode, _ bit: Int
  ) -> ChunkKey? {
    let key = ChunkKey(pool: child.pool, node: node)
    guard plan.evidence[.chunk(key)] != .absent, var parent = chunk(key),
      parent.bitmap.free(bit)
    else { return nil }
    put(parent, at: key)
    return key
  }

  /// The commit; chunks depend on the definition that they are written for.
  func step(_ action: String) -> RepairStep {
    var operations = Array(others.values)
    for (key, var chunk) in chunks {
      chunk.stamp(writer: plan.random())
      operations.append(
        .put(.chunk(key), .chunk(chunk), expected: plan.evidence[.chunk(key)].revision))
    }
    let writes = operations.contains { if case .check = $0 { false } else { true } }
    guard writes else { return RepairStep(action: action, operations: []) }
    operations.append(.check(.definition, plan.definitionRevision))
    return RepairStep(action: action, operations: operations, events: releases)
  }

  /// What holders lose: leases that go, and addresses that a record names no more.
  private var releases: [JournalEvent] {
    others.values.flatMap { operation -> [JournalEvent] in
      switch (operation, plan.evidence[operation.key].value) {
      case (.delete(.lease(let address), _), .lease(let lease)):
        return [
          JournalEvent(
            time: plan.now, kind: .release, addresses: [address], attachment: lease.attachment,
            workload: lease.workload, nonce: lease.nonce)
        ]
      case (.delete(.attachment(let name), _), .attachment(let old)):
        return [JournalEvent(released: old, of: name, at: plan.now)]
      case (.put(.attachment(let name), .attachment(let new), _), .attachment(var old)):
        old.holdings.removeAll { held in new.holdings.contains { $0.address == held.address } }
        return old.holdings.isEmpty ? [] : [JournalEvent(released: old, of: name, at: plan.now)]
      default: return []
      }
    }.sorted { $0.line < $1.line }
  }
}

extension RepairPlan {
  var cooldown: UInt64 { UInt64(definition.cooldown.seconds) }
}
