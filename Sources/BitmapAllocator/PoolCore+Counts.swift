// What a pool holds, exactly, and where.

internal import AddressSpace

extension PoolCore {
  /// All ordinals that may be handed out.
  var capacity: ExactCount { space.allowed.count }

  /// The ordinals held, without those that cool.
  var used: ExactCount {
    wholeCounts.enumerated().reduce(ExactCount(UInt64(heldCount))) { sum, whole in
      guard whole.element > 0 else { return sum }
      let size = ExactCount.powerOfTwo(geometry.coveredBits(whole.offset))
      return sum + ExactCount(whole.element) * size
    }
  }

  /// The ordinals that are free.
  var free: ExactCount { capacity - used - ExactCount(UInt64(coolingCount)) }

  /// The maximal intervals of free ordinals, in order.
  func freeIntervals() -> IntervalSet {
    space.allowed.subtracting(takenIntervals(withCooling: true))
  }

  /// The maximal intervals of held ordinals, in order.
  func heldIntervals() -> IntervalSet { takenIntervals(withCooling: false) }

  private func takenIntervals(withCooling: Bool) -> IntervalSet {
    var parts: [OffsetRange] = []
    for node in table.nodes {
      let first = geometry.ordinals(of: node.node).first.wide
      let shift = geometry.chunkBits * node.level
      var held = ChunkBitmap(chunkBits: geometry.chunkBits) { node.takenWord($0) }
      if !withCooling { for bucket in node.cooling.buckets { held.subtract(bucket.bits) } }
      held.forEachTakenRun { run in
        guard node.level > 0 else {
          let origin = first + UInt128(UInt(run.lowerBound))
          parts.append(
            OffsetRange(Offset(wide: origin), Offset(wide: origin + UInt128(UInt(run.count - 1)))))
          return
        }
        for bit in run where isWhole(node, bit) {
          let origin = first + UInt128(UInt(bit)).shiftedLeft(shift)
          parts.append(OffsetRange(Offset(wide: origin), Offset(wide: origin | .lowMask(shift))))
        }
      }
    }
    return IntervalSet(parts)
  }

  /// The leaves that have cooling ordinals. O(chunks).
  func coolingLeaves() -> [TreeNode: CoolingBuckets] {
    let leaves = table.nodes.filter(\.hasCooling).map { ($0.node, $0.cooling) }
    return Dictionary(uniqueKeysWithValues: leaves)
  }

  /// Whether the taken `bit` of an inner node stands for a child taken as a whole.
  func isWhole(_ node: PoolNode, _ bit: Int) -> Bool {
    let child = geometry.child(of: node.node, bit: bit)
    return table.find(level: child.level, index: child.index.offset) == nil
  }

  // MARK: - Free blocks

  /// The lowest of the largest aligned blocks of 2^order free ordinals, or, if an order is given,
  /// the lowest block of that size. O(levels × chunks × words).
  func freeBlock(order wanted: Int? = nil) -> (first: Offset, order: Int)? {
    let k = geometry.chunkBits
    var best: (first: UInt128, order: Int)?
    var bad: [Offset: [Int]] = [:]  // nodes of a level that are not all free, and why: their bits
    for level in 0...geometry.rootLevel {
      var above: [Offset: [Int]] = [:]
      for index in candidates(level: level, bad: bad) {
        let node = TreeNode(level: level, index: ChunkIndex(index))
        let free = freeBits(of: node, without: bad[index] ?? [])
        if free.freeCount < 1 << k, let (parent, bit) = geometry.parent(of: node) {
          above[parent.index.offset, default: []].append(bit)
        }
        // A child that is all free holds every block that is smaller.
        let order = wanted.map { max(0, $0 - k * level) }
        guard let order = order ?? free.largestFreeAlignedOrder(in: free.allBits),
          let bit = free.freeAlignedBlock(order: order, in: free.allBits)
        else { continue }
        let origin = geometry.ordinals(of: node).first.wide
        let first = origin | UInt128(UInt(bit)).shiftedLeft(k * level)
        let found = (first: first, order: wanted ?? order + k * level)
        if let best, (-best.order, best.first) <= (-found.order, found.first) { continue }
        best = found
      }
      bad = above
    }
    return best.map { (Offset(wide: $0.first), $0.order) }
  }

  /// The nodes of a level that need a look: those that exist, edges, and parents of nodes that are
  /// not all free. All others are all free or not usable.
  private func candidates(level: Int, bad: [Offset: [Int]]) -> Set<Offset> {
    var indices = Set(bad.keys)
    for node in table.nodes where node.level == level { indices.insert(node.index) }
    for node in space.proofNodes where node.level == level { indices.insert(node.index.offset) }
    return indices
  }

  /// The bits of `node` below which everything is free.
  private func freeBits(of node: TreeNode, without bad: [Int]) -> ChunkBitmap {
    let k = geometry.chunkBits
    var bits = ChunkBitmap.full(chunkBits: k)
    for range in space.usableBits(in: node) { bits.freeAll(in: range) }
    if let found = table.find(level: node.level, index: node.index.offset) {
      bits.formUnion(ChunkBitmap(chunkBits: k) { found.takenWord($0) })
    }
    for bit in bad { bits.take(bit) }
    return bits
  }
}
