// "Exhausted" is answered only on a proof: one atomic snapshot that shows nothing free.
//
//   tree node      every usable child is full by its bit, or shows it itself
//   leaf           it is there, every allowed ordinal is taken, and none cools
//
// A tree node that the snapshot does not have says nothing for its children; a leaf that it does
// not have is not full.

internal import AddressSpace

/// Checks whether a snapshot of chunks shows that a pool has nothing free.
public struct ExhaustionProof: Hashable, Sendable {
  /// What a snapshot shows.
  public enum Verdict: Hashable, Sendable {
    /// No allowed ordinal is free and none cools.
    case proved
    /// This chunk is missing from the snapshot, or has something free or cooling.
    case notFull(at: TreeNode)
  }

  /// What is to be proved exhausted.
  public let space: PoolSpace

  /// A proof for `space`. O(1).
  public init(of space: PoolSpace) { self.space = space }

  /// Whether `snapshot`, which must be of one moment, shows nothing free. The chunks that it must
  /// have are `space.proofNodes`; more chunks may help. O(nodes × words).
  public func check(_ snapshot: [TreeNode: Chunk]) -> Verdict {
    guard !space.allowed.isEmpty else { return .proved }
    return firstNotFull(at: space.geometry.root, in: snapshot).map { .notFull(at: $0) } ?? .proved
  }

  private func firstNotFull(at node: TreeNode, in snapshot: [TreeNode: Chunk]) -> TreeNode? {
    let chunk = snapshot[node].flatMap { $0.chunkBits == space.geometry.chunkBits ? $0 : nil }
    let ranges = space.usableBits(in: node)
    if node.level == 0 {
      guard let chunk else { return node }
      let hasFree = ranges.contains { chunk.bitmap.firstFree(in: $0) != nil }
      return hasFree || chunk.cooling.oldest(in: ranges) != nil ? node : nil
    }
    let bitmap = chunk?.bitmap ?? ChunkBitmap(chunkBits: space.geometry.chunkBits)
    for range in ranges {
      var next = range.lowerBound
      while let bit = bitmap.nextFree(from: next, in: range) {
        let child = space.geometry.child(of: node, bit: bit)
        if let found = firstNotFull(at: child, in: snapshot) { return found }
        next = bit + 1
      }
    }
    return nil
  }
}

extension PoolSpace {
  /// The chunks that a snapshot must have to prove exhaustion: the root and all edges, the root
  /// first. O(levels × intervals × log intervals).
  public var proofNodes: [TreeNode] {
    let edges = edges
    return edges.first == geometry.root ? edges : [geometry.root] + edges
  }
}
