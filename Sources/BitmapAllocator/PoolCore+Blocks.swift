// Aligned blocks of 2^order ordinals. Up to a chunk, a block is bits of one leaf; above, it is bits
// of an inner node whose children do not exist and are taken as a whole.

internal import AddressSpace

extension PoolCore {
  /// The lowest node that has the block in its bits, and which bits.
  private func place(_ first: Offset, order: Int) -> (node: TreeNode, bits: ClosedRange<Int>) {
    let k = geometry.chunkBits
    let level = max(0, (order - 1) / k)
    let node = geometry.node(of: Ordinal(first), level: level)
    let low = first.wide.shiftedRight(k * level) & .lowMask(k)
    let bit = Int(truncatingIfNeeded: low)
    return (node, bit...bit + 1 << (order - k * level) - 1)
  }

  /// Takes the block of 2^`order` ordinals at `first`, which is aligned, if all of it is free and
  /// may be used. O(words) up to a chunk, O(chunks) above.
  mutating func acquireBlock(_ first: Offset, order: Int, now: UInt64) -> Bool {
    let range = OffsetRange(first, Offset(wide: first.wide | .lowMask(order)))
    guard space.allowed.contains(range) else { return false }
    let (node, bits) = place(first, order: order)
    if table.find(level: node.level, index: node.index.offset) == nil,
      wholeAncestor(of: node) != nil
    {
      return false
    }
    let found = make(node)
    if node.level == 0 {
      if cooldown != 0 { expire(found, now: now) }
      guard found.words.isAllFree(bits) else { return false }
      heldCount += bits.count
    } else {
      guard found.words.isAllFree(bits), isEmpty(below: node, range, now: now) else { return false }
      removeNodes(below: node, range)
      wholeCounts[node.level - 1] += UInt64(bits.count)
    }
    found.words.takeAll(bits)
    reviveCurrent()
    return true
  }

  /// Takes an aligned block of 2^`order` ordinals: from the current leaf if it has one, else the
  /// lowest. `nil` if there is none. O(words) in the current leaf, O(chunks × words) elsewhere.
  mutating func acquireBlock(order: Int, now: UInt64) -> Offset? {
    let k = geometry.chunkBits
    if cooldown != 0 { expire(current, now: now) }
    if order <= k, let bit = current.words.freeAlignedBlock(order: order, in: 0...1 << k - 1) {
      current.words.takeAll(bit...bit + 1 << order - 1)
      heldCount += 1 << order
      return Offset(wide: current.index.wide << k | UInt128(UInt(bit)))
    }
    if cooldown != 0 { expireAll(now: now) }
    guard let found = freeBlock(order: order) else { return nil }
    let isTaken = acquireBlock(found.first, order: order, now: now)
    precondition(isTaken, "a block that was found free can be taken")
    return found.first
  }

  /// Gives the block of 2^`order` ordinals at `first`, which is aligned, back; `false`, with nothing
  /// done, if one of them is not held. What is larger than a chunk does not cool. O(words) up to a
  /// chunk, O(chunks) above.
  mutating func releaseBlock(
    _ first: Offset, order: Int, now: UInt64, cools: Bool = true
  ) -> Bool {
    let range = OffsetRange(first, Offset(wide: first.wide | .lowMask(order)))
    guard space.allowed.contains(range) else { return false }
    let (node, bits) = place(first, order: order)
    let existing = table.find(level: node.level, index: node.index.offset)
    guard let found = existing ?? split(to: node) else { return false }
    let isReleased =
      node.level == 0
      ? release(bits, of: found, now: now, cools: cools) : release(bits, above: range, of: found)
    guard isReleased else { return false }
    unmark(found)
    reviveCurrent()
    return true
  }

  private mutating func release(
    _ bits: ClosedRange<Int>, of leaf: PoolNode, now: UInt64, cools: Bool
  ) -> Bool {
    if cooldown != 0 { expire(leaf, now: now) }
    guard leaf.words.isAllTaken(bits), leaf.cooling.oldest(in: [bits]) == nil else { return false }
    heldCount -= bits.count
    guard cools, cooldown != 0 else {
      leaf.words.freeAll(bits)
      return true
    }
    coolingCount += bits.count
    leaf.withCooling { cooling in
      for bit in bits {
        cooling.insert(bit, now: now, cooldown: cooldown, chunkBits: geometry.chunkBits)
      }
    }
    return true
  }

  private mutating func release(
    _ bits: ClosedRange<Int>, above range: OffsetRange, of node: PoolNode
  ) -> Bool {
    guard bits.allSatisfy({ isFull(node, $0) }) else { return false }
    for other in table.nodes where isBelow(other, node.node, range) {
      if other.level == 0 { heldCount -= other.takenCount } else { forgetWholes(other, nil) }
    }
    forgetWholes(node, bits)
    removeNodes(below: node.node, range)
    node.words.freeAll(bits)
    return true
  }

  /// Whether all ordinals below `bit` of an inner node, all of which may be used, are held.
  private func isFull(_ node: PoolNode, _ bit: Int) -> Bool {
    if node.isTaken(bit) { return true }
    let child = geometry.child(of: node.node, bit: bit)
    guard let found = table.find(level: child.level, index: child.index.offset) else {
      return false
    }
    if found.level == 0 { return found.words.freeCount == 0 && !found.hasCooling }
    return (0..<1 << geometry.chunkBits).allSatisfy { isFull(found, $0) }
  }

  /// Uncounts the children of `node`, of `bits` or all, that are taken as a whole.
  private mutating func forgetWholes(_ node: PoolNode, _ bits: ClosedRange<Int>?) {
    for bit in bits ?? 0...1 << geometry.chunkBits - 1 where node.isTaken(bit) {
      if isWhole(node, bit) { wholeCounts[node.level - 1] -= 1 }
    }
  }

  // MARK: - Nodes below a block

  private mutating func isEmpty(below node: TreeNode, _ range: OffsetRange, now: UInt64) -> Bool {
    for other in table.nodes where isBelow(other, node, range) {
      if cooldown != 0 { expire(other, now: now) }
      if other.takenCount > 0 { return false }
    }
    return true
  }

  private func isBelow(_ other: PoolNode, _ node: TreeNode, _ range: OffsetRange) -> Bool {
    other.level < node.level && range.contains(geometry.ordinals(of: other.node).first)
  }

  private mutating func removeNodes(below node: TreeNode, _ range: OffsetRange) {
    let useless = table.nodes.filter { isBelow($0, node, range) }
    guard !useless.isEmpty else { return }
    if useless.contains(current) { lostCurrent = current.index }
    for node in table.nodes { node.forgetLeaves() }
    let headers = Set(useless.map(\.header))
    table.remove { headers.contains($0.header) }
  }

  /// Destroys the current leaf, which is empty, until `reviveCurrent()`.
  mutating func removeCurrent() {
    lostCurrent = current.index
    let header = current.header
    table.remove { $0.header == header }
  }

  /// Makes the current leaf again if it was destroyed with others: full if the block above it is
  /// taken, else empty.
  mutating func reviveCurrent() {
    guard let index = lostCurrent else { return }
    let leaf = geometry.leaf(ChunkIndex(index))
    current = split(to: leaf) ?? make(leaf)
    lostCurrent = nil
    closeUseless()
  }
}
