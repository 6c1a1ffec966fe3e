// A pool as the chunks of a store, and back. Lazy marks are not part of it: a bit is set for every
// full child, whatever was searched before.

internal import AddressSpace

extension PoolCore {
  /// The chunks with something in them. O(chunks × words).
  func chunks(incarnation: UInt64) -> [TreeNode: Chunk] {
    var chunks: [TreeNode: Chunk] = [:]
    var isFull: [TreeNode: [Int]] = [:]  // by parent: the bits of full children that exist
    let nodes = Dictionary(grouping: table.nodes, by: \.level)
    for level in 0...geometry.rootLevel {
      var found = Dictionary(uniqueKeysWithValues: (nodes[level] ?? []).map { ($0.node, $0) })
      let keys = Set(found.keys).union(isFull.keys.lazy.filter { $0.level == level })
      for key in keys {
        var chunk = Chunk(chunkBits: geometry.chunkBits, incarnation: incarnation)
        if let node = found.removeValue(forKey: key) { fill(&chunk, from: node) }
        for bit in isFull[key] ?? [] { chunk.bitmap.take(bit) }
        if chunk.isFull(existingBits: geometry.existingBits(in: key)),
          let (parent, bit) = geometry.parent(of: key)
        {
          chunk.isMarked = true
          isFull[parent, default: []].append(bit)
        }
        if chunk.bitmap.takenCount > 0 || chunk.cursor > 0 { chunks[key] = chunk }
      }
    }
    return chunks
  }

  /// What a node has of its own: ordinals, or children taken as a whole.
  private func fill(_ chunk: inout Chunk, from node: PoolNode) {
    chunk.bitmap = ChunkBitmap(chunkBits: geometry.chunkBits) { node.takenWord($0) }
    guard node.level > 0 else {
      chunk.cooling = node.cooling
      chunk.cursor = node.cursor
      return
    }
    var other: [Int] = []
    chunk.bitmap.forEachTakenRun { run in other += run.filter { !isWhole(node, $0) } }
    for bit in other { chunk.bitmap.free(bit) }
  }

  /// The pool that `chunks` describe. O(chunks × (words + levels)).
  ///
  /// - Throws: reason `.node` if a chunk is not of the pool, holds what `space` does not allow, or
  ///   contradicts another.
  init(
    space: PoolSpace, cooldown: UInt64, rule: TreeSearch.CoolingRule, chunks: [TreeNode: Chunk]
  ) throws(ChunkCodecError) {
    self.init(space: space, cooldown: cooldown, rule: rule)
    if chunks[current.node] == nil { removeCurrent() }
    for (key, chunk) in chunks {
      let isOfPool = geometry.exists(key) && chunk.chunkBits == geometry.chunkBits
      guard isOfPool, !isBelowWhole(key, chunks) else { throw .node }
      let node = make(key)
      guard node.take(chunk) else { throw .node }
      if key.level == 0 {
        heldCount += chunk.bitmap.takenCount - chunk.cooling.count
        coolingCount += chunk.cooling.count
      }
    }
    for (key, chunk) in chunks where key.level > 0 {
      for bit in 0..<1 << geometry.chunkBits where chunk.bitmap.isTaken(bit) {
        let child = geometry.child(of: key, bit: bit)
        if let below = chunks[child] {
          guard below.isFull(existingBits: geometry.existingBits(in: child)) else { throw .node }
          let node = make(child)
          node.header.pointee.parent = make(key).header
          node.isMarked = true
        } else {
          guard space.coverage(of: child) == .whole else { throw .node }
          wholeCounts[child.level] += 1
        }
      }
    }
    reviveCurrent()
  }

  /// Whether a chunk's ancestor says that the chunk is taken as a whole with others.
  private func isBelowWhole(_ key: TreeNode, _ chunks: [TreeNode: Chunk]) -> Bool {
    var node = key
    while let (parent, bit) = geometry.parent(of: node) {
      if chunks[parent]?.bitmap.isTaken(bit) == true, chunks[node] == nil { return true }
      node = parent
    }
    return false
  }
}

extension PoolNode {
  /// Takes in a new node what `chunk` has taken; `false` if not all of that may be used.
  fileprivate func take(_ chunk: Chunk) -> Bool {
    for index in 0..<wordCount {
      let taken = chunk.bitmap.word(index)
      guard taken & ~usableWord(index) == 0 else { return false }
      words.words[index] &= ~taken
    }
    words.rebuild(chunkBits: chunkBits)
    guard level == 0 else { return true }
    cursor = chunk.cursor
    if !chunk.cooling.isEmpty { withCooling { $0 = chunk.cooling } }
    return true
  }
}

extension ChunkCodecError {
  fileprivate static let node = ChunkCodecError(reason: .node, position: 0)
}

// MARK: - Ranges

extension PoolCore {
  /// Takes all ordinals of `range`; `false`, with some of them taken, if one is not free. O(levels)
  /// for each aligned block of it, and what `acquireBlock` takes.
  mutating func acquireAll(_ range: OffsetRange) -> Bool {
    var next = range.first.wide
    while true {
      // The largest aligned block at `next` that does not pass the end.
      let left = range.last.wide - next
      let fitting = left == .max ? 128 : 127 - (left + 1).leadingZeroBitCount
      let order = min(next == 0 ? 128 : next.trailingZeroBitCount, fitting)
      guard acquireBlock(Offset(wide: next), order: order, now: 0) else { return false }
      let last = next | .lowMask(order)
      if last >= range.last.wide { return true }
      next = last + 1
    }
  }

  /// Takes what another pool holds and has cooling, as far as it may be used here.
  mutating func adopt(_ held: [OffsetRange], _ cooling: [TreeNode: CoolingBuckets]) {
    for range in held where !acquireAll(range) {
      preconditionFailure("what another pool of the same space holds is free here")
    }
    for (leaf, buckets) in cooling {
      for bucket in buckets.buckets { adopt(bucket, in: leaf) }
    }
  }

  /// Makes free ordinals of a leaf cool, as another pool has them.
  mutating func adopt(_ bucket: CoolingBucket, in leaf: TreeNode) {
    guard space.coverage(of: leaf) != .none else { return }
    let node = make(leaf)
    var bits = bucket.bits
    bits.formIntersection(ChunkBitmap(chunkBits: geometry.chunkBits) { node.words.words[$0] })
    guard bits.takenCount > 0 else { return }
    node.withCooling { $0.append(CoolingBucket(since: bucket.since, bits: bits)) }
    coolingCount += bits.takenCount
    bits.forEachTakenRun { node.words.takeAll($0) }
  }
}
