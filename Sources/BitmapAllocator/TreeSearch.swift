// The search for a chunk with a free ordinal, as decisions: the caller reads and tries, this value
// says what. From the home chunk up to the first ancestor with a clear bit, and down again.
//
//          root                 step()            the caller
//         /    \                .candidate(h)     tries h; nothing free: reject(h, its chunk)
//       node    node            .read(p)          reads p: supply(p, its chunk or nil)
//      / | \                    .candidate(c)     tries c; takes an ordinal there and stops
//     h  ×  c
//
// A missing chunk is empty, and thus not full. Nothing is looked at twice: what turned out to be of
// no use (full, an edge with nothing free, unreadable) is masked in this search's view of its
// parent. Edges need that, because their parent's bit is never set; what is excluded whole is left
// out by computation.

public import AddressSpace

/// Finds a chunk that may have a free ordinal; decisions only, no I/O.
///
/// With the lazy marks kept up, the number of steps is O(levels) amortized, at any number of
/// chunks. A search holds the bitmaps of the tree nodes that it has been shown.
public struct TreeSearch: Sendable {
  /// Which of several not-full chunks to try.
  public enum Order: Hashable, Sendable {
    /// The first one behind the chunk just left, wrapping around within each tree node.
    case next
    /// The r-th not-full one, r drawn from a seed, so that nodes of a cluster do not herd.
    case random(seed: UInt64)
  }

  /// What to do about ordinals that cool.
  public enum CoolingRule: Hashable, Sendable {
    /// Take the one released longest ago among the chunks seen, once three had nothing free.
    case borrow
    /// Wait until one is free; first every chunk that is not full is looked at.
    case strict
  }

  /// What the caller has to do next.
  public enum Step: Hashable, Sendable {
    /// Read this tree node and `supply` it.
    case read(TreeNode)
    /// Try to acquire in this chunk of level 0, or `reject` it.
    case candidate(TreeNode)
    /// Nothing free was seen; of the cooling ordinals seen, this chunk has the oldest. Borrow it,
    /// or wait for it if the rule is strict.
    case cooling(TreeNode)
    /// No chunk is left. True only if these nodes, read in one atomic snapshot, pass
    /// `ExhaustionProof.check`.
    case exhausted(proof: [TreeNode])
  }

  /// How many chunks with nothing free are looked at before an ordinal is borrowed.
  public static let chunksBeforeBorrowing = 3

  /// What is searched.
  public let space: PoolSpace
  /// The bits found missing: full children whose parent's bit was clear. To be set with the next
  /// commit, if it touches these chunks anyway.
  public private(set) var marks: [TreeMark] = []

  private let order: Order
  private let rule: CoolingRule
  private var place: Place
  private var views: [TreeNode: View] = [:]
  /// Children left behind whose parent has not been seen.
  private var pending: [TreeNode: [(child: TreeMark, isFull: Bool)]] = [:]
  /// Since when the oldest cooling ordinal of a rejected chunk has cooled.
  private var coolingSince: [TreeNode: UInt64] = [:]
  private var rejectedCount = 0

  /// A search of `space` that begins at the chunk `start`. O(log intervals).
  public init(
    space: PoolSpace, start: ChunkIndex, order: Order = .next, cooling: CoolingRule = .borrow
  ) {
    let leaf = space.geometry.leaf(start)
    self.space = space
    self.order = order
    self.rule = cooling
    self.place = .candidate(leaf)
    if !space.geometry.exists(leaf) {
      let root = space.geometry.root
      place = root.level == 0 ? .candidate(root) : .inside(root, from: 0)
    }
    if case .candidate(let node) = place, space.coverage(of: node) == .none {
      leave(node, isFull: false)
    }
  }

  /// A search of the `allowed` ordinals of `geometry` that begins at the chunk `start`.
  /// O(intervals).
  public init(
    geometry: PoolGeometry, allowed: IntervalSet, start: ChunkIndex, order: Order = .next,
    cooling: CoolingRule = .borrow
  ) {
    let space = PoolSpace(geometry: geometry, allowed: allowed)
    self.init(space: space, start: start, order: order, cooling: cooling)
  }

  /// What to do next; the same again until the caller has answered. O(levels × words).
  public mutating func step() -> Step {
    if rule == .borrow, rejectedCount >= Self.chunksBeforeBorrowing, let node = oldestCooling {
      return .cooling(node)
    }
    while case .inside(let node, let from) = place {
      guard let view = views[node] else { return .read(node) }
      if let bit = pick(in: view.bitmap, of: node, from: from) {
        let child = space.geometry.child(of: node, bit: bit)
        place = child.level == 0 ? .candidate(child) : .inside(child, from: 0)
      } else {
        leave(node, isFull: view.isFull(existingBits: space.geometry.existingBits(in: node)))
      }
    }
    if case .candidate(let node) = place { return .candidate(node) }
    if let node = oldestCooling { return .cooling(node) }
    return .exhausted(proof: proof)
  }

  /// Answers `.read(node)` with the chunk found there; `nil` if there is none, which counts as
  /// empty. O(words).
  public mutating func supply(_ node: TreeNode, _ chunk: Chunk?) {
    var view = View(bitmap: chunk?.bitmap ?? ChunkBitmap(chunkBits: space.geometry.chunkBits))
    for (child, isFull) in pending.removeValue(forKey: node) ?? [] {
      if view.close(child, isFull: isFull) { marks.append(child) }
    }
    views[node] = view
  }

  /// Answers `.candidate(node)`: its `chunk` had nothing free for the caller. `nil`, also as an
  /// answer to `.read(node)`: it is of no use for another reason (unreadable, too contended) and
  /// is passed by without being called full. As an answer to `.cooling(node)`: that `chunk` has
  /// nothing to borrow any more. O(words).
  public mutating func reject(_ node: TreeNode, _ chunk: Chunk?) {
    coolingSince[node] = chunk?.cooling.oldest(in: space.usableBits(in: node))?.since
    switch place {
    case .candidate(node):
      rejectedCount += 1
      let existing = space.geometry.existingBits(in: node)
      leave(node, isFull: chunk?.isFull(existingBits: existing) ?? false)
    case .inside(node, _): leave(node, isFull: false)
    default: break
    }
  }
}

// MARK: - The walk

extension TreeSearch {
  private enum Place: Hashable, Sendable {
    case candidate(TreeNode)
    case inside(TreeNode, from: Int)
    case nowhere
  }

  /// A tree node as this search sees it: a bit is set for each child that is full or of no use.
  private struct View: Sendable {
    var bitmap: ChunkBitmap
    /// Whether a bit is set for a child that is not full.
    var hasMasked = false

    /// Sets the bit of `child`; whether the bit should have been set before.
    mutating func close(_ child: TreeMark, isFull: Bool) -> Bool {
      let wasClear = bitmap.take(child.bit)
      if wasClear, !isFull { hasMasked = true }
      return wasClear && isFull
    }

    func isFull(existingBits: Int) -> Bool { !hasMasked && bitmap.takenCount == existingBits }
  }

  /// Leaves `node` for its parent, never to come back.
  private mutating func leave(_ node: TreeNode, isFull: Bool) {
    guard let mark = TreeMark(node, in: space.geometry) else {
      place = .nowhere
      return
    }
    if views[mark.parent] == nil {
      pending[mark.parent, default: []].append((mark, isFull))
    } else if views[mark.parent]?.close(mark, isFull: isFull) == true {
      marks.append(mark)
    }
    place = .inside(mark.parent, from: (mark.bit + 1) & ((1 << space.geometry.chunkBits) - 1))
  }

  /// A child of `node` worth a look.
  private func pick(in view: ChunkBitmap, of node: TreeNode, from: Int) -> Int? {
    let ranges = space.usableBits(in: node)
    switch order {
    case .next:
      return view.nextFree(cyclicallyFrom: from, in: ranges)
    case .random(let seed):
      return view.randomFree(hash: seed.mixed(with: node), in: ranges)
    }
  }

  private var oldestCooling: TreeNode? {
    coolingSince.min { ($0.value, $0.key) < ($1.value, $1.key) }?.key
  }

  /// What shows that nothing is free: the nodes of every proof, and the full chunks that this
  /// search met under clear bits.
  private var proof: [TreeNode] {
    let nodes = space.proofNodes
    let known = Set(nodes)
    return nodes + marks.map(\.child).filter { !known.contains($0) }
  }
}

extension UInt64 {
  /// A seed for one tree node: the finalizer of SplitMix64 over seed, level and index.
  fileprivate func mixed(with node: TreeNode) -> UInt64 {
    var hash = self
    for part in [UInt64(node.level), node.index.offset.low, node.index.offset.high] {
      hash = (hash ^ part) &+ 0x9E37_79B9_7F4A_7C15
      hash = (hash ^ hash >> 30) &* 0xBF58_476D_1CE4_E5B9
      hash = (hash ^ hash >> 27) &* 0x94D0_49BB_1331_11EB
      hash ^= hash >> 31
    }
    return hash
  }
}
