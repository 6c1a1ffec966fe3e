// A given ordinal: one lookup, one bit. A leaf that does not exist is empty, unless the lowest node
// above it that does exist says that it is taken as a whole; then it is split down to the leaf.

internal import AddressSpace

extension PoolCore {
  /// A leaf's index and the bit of `ordinal` in it.
  @inline(__always)
  func locate(_ ordinal: Offset) -> (index: Offset, bit: Int) {
    let k = UInt64(truncatingIfNeeded: geometry.chunkBits)
    let index = Offset(
      high: ordinal.high &>> k, low: ordinal.low &>> k | ordinal.high &<< (64 &- k))
    return (index, Int(truncatingIfNeeded: ordinal.low) & (1 &<< Int(k) &- 1))
  }

  /// Takes `ordinal` if it is free, or if it cools; what may not be used is neither. O(1), O(levels) in a leaf not used before.
  mutating func acquire(_ ordinal: Offset, now: UInt64) -> Bool {
    let (index, bit) = locate(ordinal)
    guard let leaf = findLeaf(index) ?? makeLeaf(index, for: ordinal) else { return false }
    if cooldown != 0 { expire(leaf, now: now) }
    if leaf.words.isFree(bit) {
      leaf.words.take(bit)
    } else {
      guard leaf.hasCooling, leaf.withCooling({ $0.remove(bit) }) else { return false }
      coolingCount -= 1
    }
    heldCount += 1
    return true
  }

  /// Gives `ordinal` back; `false` if it is not held. O(1), O(levels × words) the first time that
  /// part of a large block is released.
  @inline(__always)
  mutating func release(_ ordinal: Offset, now: UInt64) -> Bool {
    let (index, bit) = locate(ordinal)
    guard let leaf = findLeaf(index) ?? splitWhole(index) else { return false }
    guard leaf.isTaken(bit) else { return false }
    if cooldown == 0 {
      leaf.words.free(bit)
    } else {
      guard cool(bit, in: leaf, now: now) else { return false }
    }
    heldCount &-= 1
    if leaf.isMarked { unmark(leaf) }
    return true
  }

  private mutating func cool(_ bit: Int, in leaf: PoolNode, now: UInt64) -> Bool {
    expire(leaf, now: now)
    guard leaf.isTaken(bit) else { return false }
    if leaf.hasCooling, leaf.cooling.contains(bit) { return false }
    leaf.withCooling {
      $0.insert(bit, now: now, cooldown: cooldown, chunkBits: geometry.chunkBits)
    }
    coolingCount += 1
    return true
  }

  /// Whether `ordinal` is held. O(1), O(levels) where no leaf exists.
  func isHeld(_ ordinal: Offset) -> Bool {
    let (index, bit) = locate(ordinal)
    guard let leaf = findLeaf(index) else {
      return wholeAncestor(of: geometry.leaf(ChunkIndex(index))) != nil
    }
    return leaf.isTaken(bit) && !(leaf.hasCooling && leaf.cooling.contains(bit))
  }

  /// The lowest node above the missing `node` that exists and has the bit towards it taken.
  func wholeAncestor(of node: TreeNode) -> PoolNode? {
    var node = node
    while let (above, bit) = geometry.parent(of: node) {
      if let found = table.find(level: above.level, index: above.index.offset) {
        return found.isTaken(bit) ? found : nil
      }
      node = above
    }
    return nil
  }

  /// A new leaf, or `nil` if `ordinal` in it may not be used or it is taken as a whole.
  private mutating func makeLeaf(_ index: Offset, for ordinal: Offset) -> PoolNode? {
    let node = geometry.leaf(ChunkIndex(index))
    guard space.allowed.contains(ordinal) else { return nil }
    return wholeAncestor(of: node) == nil ? make(node) : nil
  }

  private mutating func splitWhole(_ index: Offset) -> PoolNode? {
    split(to: geometry.leaf(ChunkIndex(index)))
  }

  /// Makes `node`, which is taken as a whole, and the nodes between it and what exists above:
  /// all full and marked. `nil` if it is not taken as a whole. O(levels × words).
  mutating func split(to node: TreeNode) -> PoolNode? {
    guard var above = wholeAncestor(of: node) else { return nil }
    let first = geometry.ordinals(of: node).first
    while above.level > node.level {
      let below = make(geometry.node(of: Ordinal(first), level: above.level - 1))
      wholeCounts[below.level] -= 1
      if below.level == 0 {
        heldCount += below.words.freeCount
      } else {
        wholeCounts[below.level - 1] += UInt64(below.words.freeCount)
      }
      below.words.reset(freeBits: 0, chunkBits: geometry.chunkBits)
      below.header.pointee.parent = above.header
      below.isMarked = true
      above = below
    }
    return above
  }
}
