// Between the pool that threads share and the one that a single owner has: what is held and what
// cools, dealt out to the parts and put together again.

internal import AddressSpace

extension ConcurrentAddressPool {
  /// A pool that holds what `pool` holds and has cooling what it has.
  /// O(runs × levels + blocks larger than a chunk × chunks × parts).
  public convenience init(_ pool: AddressPool) {
    let core = pool.core
    self.init(space: pool.space, cooldown: core.pointee.cooldown, cooling: core.pointee.rule)
    for (part, held) in stripes.shares(of: core.pointee.heldIntervals()).enumerated() {
      parts[part].core.adopt(held.intervals, [:])
    }
    for (leaf, buckets) in core.pointee.coolingLeaves() {
      for bucket in buckets.buckets {
        for (part, leaf, bucket) in stripes.local(bucket, of: leaf) {
          parts[part].core.adopt(bucket, in: leaf)
        }
      }
    }
  }

  /// A copy of one moment, for everything that looks at the whole: held ranges, the largest free
  /// prefix, snapshots. O(runs × levels + blocks larger than a chunk × chunks), all locks.
  public func copy() -> AddressPool {
    allLocked {
      var core = PoolCore(
        space: space, cooldown: parts[0].core.cooldown, rule: parts[0].core.rule)
      let held = (0..<partCount).map { parts[$0].core.heldIntervals() }
      core.adopt(stripes.global(held).intervals, [:])
      var cooling: [TreeNode: [CoolingBucket]] = [:]
      for part in 0..<partCount {
        for (leaf, buckets) in parts[part].core.coolingLeaves() {
          for bucket in buckets.buckets {
            let (leaf, bucket) = stripes.global(bucket, of: leaf, part: part)
            cooling[leaf, default: []].append(bucket)
          }
        }
      }
      for (leaf, buckets) in cooling {
        for bucket in buckets.sorted(by: { $0.since < $1.since }) { core.adopt(bucket, in: leaf) }
      }
      return AddressPool(core)
    }
  }
}

extension Stripes {
  /// Words in a stripe.
  private var wordCount: Int { 1 << (bits - 6) }

  /// What a bucket of the pool's leaf is in the parts.
  fileprivate func local(
    _ bucket: CoolingBucket, of leaf: TreeNode
  ) -> [(part: Int, leaf: TreeNode, bucket: CoolingBucket)] {
    let first = leaf.index.offset.wide << chunkBits
    return (0..<1 << (chunkBits - bits)).compactMap { number in
      let share = ChunkBitmap(chunkBits: bits) { bucket.bits.word(number * wordCount + $0) }
      guard share.takenCount > 0 else { return nil }
      let ordinal = Offset(wide: first + UInt128(UInt(number)) << bits)
      let index = ChunkIndex(Offset(wide: local(ordinal).wide >> bits))
      return (
        part(of: ordinal), TreeNode(level: 0, index: index),
        CoolingBucket(since: bucket.since, bits: share)
      )
    }
  }

  /// What a bucket of a part's leaf is in the pool.
  fileprivate func global(
    _ bucket: CoolingBucket, of leaf: TreeNode, part: Int
  ) -> (leaf: TreeNode, bucket: CoolingBucket) {
    let first = global(Offset(wide: leaf.index.offset.wide << bits), part: part).wide
    let start = Int(truncatingIfNeeded: first & .lowMask(chunkBits)) >> 6
    let bits = ChunkBitmap(chunkBits: chunkBits) { word in
      (start..<start + wordCount).contains(word) ? bucket.bits.word(word - start) : 0
    }
    let index = ChunkIndex(Offset(wide: first >> chunkBits))
    return (TreeNode(level: 0, index: index), CoolingBucket(since: bucket.since, bits: bits))
  }
}
