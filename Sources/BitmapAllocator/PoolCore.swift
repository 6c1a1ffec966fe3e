// A pool in memory. The chunks that exist are in a table; a chunk that does not is empty, or taken
// as a whole if its parent's bit is taken. The tree above the leaves is made as it is needed:
//
//   current     the leaf where acquire goes on; one search in its words, and nothing else
//   full        up: the leaf's bit in its parent is taken and the leaf marked; the next free bit
//               there leads down to another leaf, else on upwards
//   release     into the leaf; if it is marked, its bit and those of marked nodes above are freed
//
// These are the decisions of TreeSearch with the masks laid into the words once, when a node is
// made: what may not be used is never free, and an edge with nothing free is marked like a full
// chunk.

internal import AddressSpace

/// The single owner of a pool's memory. Not thread-safe.
struct PoolCore: ~Copyable {
  let space: PoolSpace
  let geometry: PoolGeometry
  let family: AddressFamily
  /// The subnet's first address, and the bits by which others differ from it.
  let firstAddress: Offset
  let hostMask: Offset
  /// The number of address bits below a unit.
  let unitShift: Int
  let cooldown: UInt64
  let rule: TreeSearch.CoolingRule
  var table = NodeTable()
  /// The leaf where the next acquire begins.
  var current: PoolNode
  /// The bits taken for the search in progress only.
  private var passed: [(parent: PoolNode, bit: Int)] = []
  /// The current leaf's index while the leaf is destroyed.
  var lostCurrent: Offset?
  /// The ordinals held in leaves.
  var heldCount = 0
  /// The ordinals that cool.
  var coolingCount = 0
  /// By level: the nodes that do not exist because they are taken as a whole.
  var wholeCounts: [UInt64]

  init(space: PoolSpace, cooldown: UInt64, rule: TreeSearch.CoolingRule) {
    let first = space.touchedChunks.intervals.first?.first ?? .zero
    self.space = space
    self.geometry = space.geometry
    let subnet = space.geometry.subnet
    self.family = subnet.family
    self.firstAddress = subnet.address.value
    self.hostMask = Offset(wide: .lowMask(subnet.family.bitWidth - subnet.length))
    self.unitShift = space.geometry.unitShift
    self.cooldown = cooldown
    self.rule = rule
    self.wholeCounts = [UInt64](repeating: 0, count: space.geometry.rootLevel + 1)
    self.current = PoolNode(space.geometry.leaf(ChunkIndex(first)), of: space)
    table.insert(current)
    closeUseless()
  }

  init(copying other: borrowing PoolCore) {
    space = other.space
    geometry = other.geometry
    family = other.family
    firstAddress = other.firstAddress
    hostMask = other.hostMask
    unitShift = other.unitShift
    cooldown = other.cooldown
    rule = other.rule
    heldCount = other.heldCount
    coolingCount = other.coolingCount
    wholeCounts = other.wholeCounts
    table = NodeTable(copying: other.table)
    guard let copy = table.find(level: 0, index: other.current.index) else {
      preconditionFailure("the current leaf is in the table")
    }
    current = copy
  }

  /// Where nothing may be used, the current leaf and all above it are marked from the start: their
  /// bits are not free and never will be.
  mutating func closeUseless() {
    guard space.allowed.isEmpty else { return }
    var node = current
    while let parent = parent(of: node) {
      node.isMarked = true
      node = parent
    }
  }

  // MARK: - Any ordinal

  /// Takes an ordinal: the leaf and its bit there. `nil` if nothing is free, or cooling only and
  /// the rule is strict. O(1) amortized while nothing cools.
  @inline(__always)
  mutating func acquire(now: UInt64) -> (leaf: PoolNode, bit: Int)? {
    if cooldown != 0 { expire(current, now: now) }
    let bit = current.words.takeNext(from: current.cursor)
    guard bit >= 0 else { return acquireElsewhere(now: now) }
    return take(bit)
  }

  @inline(__always)
  private mutating func take(_ bit: Int) -> (leaf: PoolNode, bit: Int) {
    current.cursor = (bit &+ 1) & (1 &<< geometry.chunkBits &- 1)
    heldCount &+= 1
    return (current, bit)
  }

  /// The current leaf has nothing free: on to the next that has.
  @inline(never)
  private mutating func acquireElsewhere(now: UInt64) -> (leaf: PoolNode, bit: Int)? {
    if cooldown != 0 { return acquireCooling(now: now) }
    var leaf = current
    while let next = nextLeaf(after: leaf) {
      leaf = next
      let bit = leaf.words.takeNext(from: leaf.cursor)
      guard bit >= 0 else { continue }
      current = leaf
      return take(bit)
    }
    return nil
  }

  /// Likewise in a pool with a cool-down, where a leaf may have nothing free and yet not be full:
  /// such leaves are passed by, and after some of them the oldest cooling ordinal is borrowed.
  private mutating func acquireCooling(now: UInt64) -> (leaf: PoolNode, bit: Int)? {
    defer { reopenPassed() }
    var oldest: (since: UInt64, leaf: PoolNode)?
    var leaf = current
    for tried in 1... {
      if let since = leaf.cooling.buckets.first?.since, since < oldest?.since ?? .max {
        oldest = (since, leaf)
      }
      if rule == .borrow, tried >= TreeSearch.chunksBeforeBorrowing, oldest != nil { break }
      guard let next = nextLeaf(after: leaf) else { break }
      leaf = next
      expire(leaf, now: now)
      let bit = leaf.words.takeNext(from: leaf.cursor)
      guard bit >= 0 else { continue }
      current = leaf
      return take(bit)
    }
    guard rule == .borrow, let leaf = oldest?.leaf else { return nil }
    return borrow(from: leaf)
  }

  /// Up from a leaf with nothing free to the first node with a free bit, and down again.
  @inline(__always)
  private mutating func nextLeaf(after leaf: PoolNode) -> PoolNode? {
    var node = leaf
    while let parent = parent(of: node) {
      let bit = node.bitInParent
      if !node.isMarked { close(node, bit, of: parent) }
      var next = parent.words.nextFree(cyclicallyFrom: bit)
      node = parent
      while next >= 0 {
        node = child(of: node, next)
        if node.level == 0 { return node }
        next = node.words.nextFree(0)
      }
    }
    return nil
  }

  /// Takes the bit of a node with nothing free: for good, or for this search if something cools.
  @inline(__always)
  private mutating func close(_ node: PoolNode, _ bit: Int, of parent: PoolNode) {
    parent.words.take(bit)
    if node.hasCooling || node.header.pointee.hasPassedChild {
      parent.header.pointee.hasPassedChild = true
      passed.append((parent, bit))
    } else {
      node.isMarked = true
    }
  }

  private mutating func reopenPassed() {
    for (parent, bit) in passed {
      parent.words.free(bit)
      parent.header.pointee.hasPassedChild = false
    }
    passed.removeAll(keepingCapacity: true)
  }

  private mutating func borrow(from leaf: PoolNode) -> (leaf: PoolNode, bit: Int)? {
    let all = 0...(1 << geometry.chunkBits) - 1
    let borrowed = leaf.withCooling { cooling -> Int? in
      guard let bit = cooling.oldest(in: [all])?.bit else { return nil }
      cooling.remove(bit)
      return bit
    }
    guard let borrowed else { return nil }
    coolingCount -= 1
    heldCount += 1
    return (leaf, borrowed)
  }
}

// MARK: - Nodes

extension PoolCore {
  /// The leaf of `index`, if it exists. Those beside the current one need no hashing.
  @inline(__always)
  func findLeaf(_ index: Offset) -> PoolNode? {
    if current.index == index { return current }
    if let header = current.header.pointee.parent {
      let above = PoolNode(header: header)
      let k = UInt64(truncatingIfNeeded: geometry.chunkBits)
      let low = index.low &>> k | index.high &<< (64 &- k)
      if above.index.low == low, above.index.high == index.high &>> k {
        let bit = Int(truncatingIfNeeded: index.low) & (1 &<< Int(k) &- 1)
        return above.notedLeaf(bit) ?? find(index, notedIn: above, bit)
      }
    }
    return table.find(level: 0, index: index)
  }

  @inline(never)
  private func find(_ index: Offset, notedIn above: PoolNode, _ bit: Int) -> PoolNode? {
    let found = table.find(level: 0, index: index)
    if let found { above.note(found, at: bit) }
    return found
  }

  /// The node, made with all usable bits free if it does not exist.
  mutating func make(_ node: TreeNode) -> PoolNode {
    if let found = table.find(level: node.level, index: node.index.offset) { return found }
    let made = PoolNode(node, of: space)
    table.insert(made)
    return made
  }

  /// The child that `bit` of `node` stands for, made if it does not exist.
  @inline(__always)
  private mutating func child(of node: PoolNode, _ bit: Int) -> PoolNode {
    if let leaf = node.notedLeaf(bit) { return leaf }
    let k = UInt64(truncatingIfNeeded: geometry.chunkBits)
    let above = node.index
    let index = Offset(
      high: above.high &<< k | above.low &>> (64 &- k),
      low: above.low &<< k | UInt64(truncatingIfNeeded: bit))
    let made = make(TreeNode(level: node.level - 1, index: ChunkIndex(index)))
    if made.level == 0 { node.note(made, at: bit) }
    return made
  }

  /// The node above, made if it does not exist; `nil` for the root.
  @inline(__always)
  mutating func parent(of node: PoolNode) -> PoolNode? {
    if let known = node.header.pointee.parent { return PoolNode(header: known) }
    guard let (above, _) = geometry.parent(of: node.node) else { return nil }
    let parent = make(above)
    node.header.pointee.parent = parent.header
    return parent
  }

  /// Frees the bit of a marked node in its parent, and so on upwards: it has something free, or
  /// cooling, again.
  @inline(__always)
  func unmark(_ node: PoolNode) {
    var node = node
    while node.isMarked, let header = node.header.pointee.parent {
      let parent = PoolNode(header: header)
      node.isMarked = false
      parent.words.free(node.bitInParent)
      node = parent
    }
  }

  /// Frees what has cooled long enough in `leaf`.
  @inline(__always)
  mutating func expire(_ leaf: PoolNode, now: UInt64) {
    guard let cooling = leaf.header.pointee.cooling,
      cooling.pointee.hasExpired(now: now, cooldown: cooldown)
    else { return }
    while let bucket = cooling.pointee.popExpired(now: now, cooldown: cooldown) {
      for index in 0..<leaf.wordCount { leaf.words.words[index] |= bucket.bits.word(index) }
      coolingCount -= bucket.bits.takenCount
    }
    leaf.words.rebuild(chunkBits: geometry.chunkBits)
  }
}

extension PoolCore {
  /// Frees all that has cooled long enough. O(chunks).
  mutating func expireAll(now: UInt64) {
    for node in table.nodes where node.level == 0 { expire(node, now: now) }
  }
}
