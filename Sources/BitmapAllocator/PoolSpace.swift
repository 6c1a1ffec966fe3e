// Which ordinals of a pool may be handed out, seen from the fan-out tree. All by arithmetic on
// intervals; no ordinal and no chunk is enumerated.
//
//   allowed     ....[#########]..[####]......
//   chunks      |none|cut|whole|cut|cut |none|      "cut" chunks are edges: never full
//
// A node is an edge if some but not all of its ordinals are allowed. The ancestors of edges are
// edges too, so that a parent's bit is never set for any of them.

public import AddressSpace

/// A pool's geometry with the ordinals that may be handed out.
public struct PoolSpace: Hashable, Sendable {
  /// How the subnet is cut.
  public let geometry: PoolGeometry
  /// The ordinals that may be handed out, within the subnet.
  public let allowed: IntervalSet
  /// The level-0 chunks that hold at least one of them.
  public let touchedChunks: IntervalSet

  /// What of `allowed` lies in the subnet; by default all of it. O(intervals).
  public init(geometry: PoolGeometry, allowed: IntervalSet? = nil) {
    let inside = IntervalSet(geometry.allOrdinals)
    let allowed = allowed?.intersection(inside) ?? inside
    self.geometry = geometry
    self.allowed = allowed
    self.touchedChunks = IntervalSet(
      allowed.intervals.lazy.map { interval in
        OffsetRange(
          geometry.node(of: Ordinal(interval.first)).node.index.offset,
          geometry.node(of: Ordinal(interval.last)).node.index.offset)
      })
  }

  /// All units of the subnet but those that one of `excluded` touches. O(excluded × log excluded).
  public init(geometry: PoolGeometry, excluding excluded: [AddressRange]) {
    let ranges = excluded.compactMap { range in
      geometry.ordinals(touching: range)
    }
    let all = IntervalSet(geometry.allOrdinals)
    self.init(geometry: geometry, allowed: all.subtracting(IntervalSet(ranges)))
  }

  /// How much of a node may be handed out.
  public enum Coverage: Hashable, Sendable {
    /// Nothing: the search skips it.
    case none
    /// Some: it is an edge and never full.
    case cut
    /// All that exists.
    case whole
  }

  /// How much of `node` may be handed out. O(log intervals).
  public func coverage(of node: TreeNode) -> Coverage {
    let ordinals = geometry.ordinals(of: node)
    if allowed.contains(ordinals) { return .whole }
    return allowed.overlaps(ordinals) ? .cut : .none
  }

  /// The bits of `node` worth a look, in order and disjoint: allowed ordinals in a leaf, children
  /// that have some above. O(log intervals + intervals within the node).
  public func usableBits(in node: TreeNode) -> [ClosedRange<Int>] {
    let ordinals = geometry.ordinals(of: node)
    let shift = geometry.chunkBits * node.level
    var ranges: [ClosedRange<Int>] = []
    for part in allowed.intersection(with: ordinals) {
      let first = Self.bit(part.first, from: ordinals.first, shift: shift)
      let last = Self.bit(part.last, from: ordinals.first, shift: shift)
      if let before = ranges.last, first <= before.upperBound + 1 {
        ranges[ranges.count - 1] = before.lowerBound...max(last, before.upperBound)
      } else {
        ranges.append(first...last)
      }
    }
    return ranges
  }

  private static func bit(_ offset: Offset, from origin: Offset, shift: Int) -> Int {
    Int(truncatingIfNeeded: (offset.wide - origin.wide).shiftedRight(shift))
  }

  /// All edges, the root's level first. O(levels × intervals × log intervals).
  public var edges: [TreeNode] {
    var edges: Set<TreeNode> = []
    for interval in allowed.intervals {
      for end in [Ordinal(interval.first), Ordinal(interval.last)] {
        // From an ancestor that is whole, all below is whole.
        for level in 0...geometry.rootLevel {
          let node = geometry.node(of: end, level: level)
          if !edges.contains(node), coverage(of: node) == .cut { edges.insert(node) }
        }
      }
    }
    return edges.sorted { $0.level == $1.level ? $0.index < $1.index : $0.level > $1.level }
  }

  /// The chunk where a node looks first: the n-th that holds an allowed ordinal, n being `hash`
  /// scaled to their number. `nil` if nothing is allowed. O(intervals).
  ///
  /// - Parameter hash: of node and pool, uniform over 64 bits.
  public func homeChunk(hash: UInt64) -> ChunkIndex? {
    guard !touchedChunks.isEmpty else { return nil }
    // At most 2^122 chunks: the sum below cannot overflow.
    let count = touchedChunks.intervals.reduce(UInt128(0)) {
      $0 + ($1.last.wide - $1.first.wide + 1)
    }
    let low = UInt64(truncatingIfNeeded: count)
    let high = UInt64(truncatingIfNeeded: count >> 64)
    let rank = UInt128(high) * UInt128(hash) + UInt128(low.multipliedFullWidth(by: hash).high)
    return touchedChunks.element(at: Offset(wide: rank)).map { ChunkIndex($0) }
  }
}
