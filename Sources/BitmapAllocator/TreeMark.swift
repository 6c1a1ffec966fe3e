// The one rule of the fan-out tree, as a pure function for each direction:
//
//   parent   …0 1 0…      bit set  =>  the child is full: all its ordinals taken, none cooling
//   child     marked      bit clear    promises nothing
//
// Setting is lazy: who meets a full child under a clear bit sets the bit and marks the child, in
// one commit. Clearing is not: a release from a marked child clears the parent's bit in the same
// commit, and goes on upwards while the parent is marked itself.

/// The bit of a parent that stands for one of its children.
public struct TreeMark: Hashable, Sendable {
  /// The chunk that the bit tells about.
  public let child: TreeNode
  /// The chunk that has the bit.
  public let parent: TreeNode
  /// The bit's position in the parent.
  public let bit: Int

  /// The bit that stands for `child`, or `nil` for the root. O(1).
  public init?(_ child: TreeNode, in geometry: PoolGeometry) {
    guard let (parent, bit) = geometry.parent(of: child) else { return nil }
    self.child = child
    self.parent = parent
    self.bit = bit
  }

  /// The bit to set because `chunk`, which is `child`, is full; `nil` if it is not, or is marked
  /// already, or is the root. O(1).
  public static func toSet(
    for child: TreeNode, _ chunk: Chunk, in geometry: PoolGeometry
  ) -> TreeMark? {
    guard !chunk.isMarked, chunk.isFull(existingBits: geometry.existingBits(in: child)) else {
      return nil
    }
    return TreeMark(child, in: geometry)
  }

  /// The bit to clear in the commit that frees something in `chunk`, which is `child`; `nil` if it
  /// is not marked. To be asked again for the parent, which may be marked too. O(1).
  public static func toClear(
    for child: TreeNode, _ chunk: Chunk, in geometry: PoolGeometry
  ) -> TreeMark? {
    chunk.isMarked ? TreeMark(child, in: geometry) : nil
  }

  /// Sets the bit and marks the child. O(1).
  public func set(child: inout Chunk, parent: inout Chunk) {
    child.isMarked = true
    parent.bitmap.take(bit)
  }

  /// Clears the bit and the child's mark. O(1).
  public func clear(child: inout Chunk, parent: inout Chunk) {
    child.isMarked = false
    parent.bitmap.free(bit)
  }
}
