// Three indices that must never be mixed up:
//
//   Ordinal      which address or delegated prefix of a pool
//   ChunkIndex   which chunk of one level of the fan-out tree
//   TreeNode     which chunk of the whole tree: level and index
//
// Level 0 holds ordinals, level L + 1 one bit per chunk of level L.

public import AddressSpace

/// The index of an address, or of a delegated prefix, within its pool.
///
/// Bounds: 0 … 2^128 − 1. Every operation is O(1).
@frozen
public struct Ordinal: Hashable, Comparable, Sendable {
  /// The distance from the pool's first address, in units.
  public var offset: Offset

  /// The ordinal `offset` units above the pool's first address. O(1).
  @inlinable
  public init(_ offset: Offset) { self.offset = offset }

  /// The ordinal `value` units above the pool's first address. O(1).
  @inlinable
  @_disfavoredOverload
  public init(_ value: UInt64) { self.offset = Offset(value) }

  /// Whether `left` names the lower address. O(1).
  @inlinable
  public static func < (left: Ordinal, right: Ordinal) -> Bool { left.offset < right.offset }
}

/// The index of a chunk within its level of the fan-out tree.
///
/// Bounds: 0 … 2^122 − 1. Every operation is O(1).
@frozen
public struct ChunkIndex: Hashable, Comparable, Sendable {
  /// The number of chunks of the level that lie before it.
  public var offset: Offset

  /// The chunk with `offset` others before it. O(1).
  @inlinable
  public init(_ offset: Offset) { self.offset = offset }

  /// The chunk with `value` others before it. O(1).
  @inlinable
  @_disfavoredOverload
  public init(_ value: UInt64) { self.offset = Offset(value) }

  /// Whether `left` lies before `right`. O(1).
  @inlinable
  public static func < (left: ChunkIndex, right: ChunkIndex) -> Bool {
    left.offset < right.offset
  }
}

/// Names a chunk of the fan-out tree: level 0 holds ordinals, level L + 1 one bit per chunk of
/// level L.
///
/// Ordered by level, then by index. Every operation is O(1).
@frozen
public struct TreeNode: Hashable, Comparable, Sendable {
  /// The distance from the leaves: 0 … 21.
  public var level: Int
  /// Which chunk of the level.
  public var index: ChunkIndex

  /// The chunk `index` of `level`. O(1).
  @inlinable
  public init(level: Int, index: ChunkIndex) {
    self.level = level
    self.index = index
  }

  /// Whether `left` is of a lower level, or before `right` on the same. O(1).
  @inlinable
  public static func < (left: TreeNode, right: TreeNode) -> Bool {
    left.level == right.level ? left.index < right.index : left.level < right.level
  }
}

extension TreeNode: CustomStringConvertible {
  /// `level/index`, both decimal. O(1).
  public var description: String { "\(level)/\(index.offset)" }
}

extension Ordinal: CustomStringConvertible {
  /// The offset, decimal. O(1).
  public var description: String { "\(offset)" }
}

extension Offset {
  /// The same number as a native integer, for shifts and masks that a compiler folds.
  @inlinable
  var wide: UInt128 { UInt128(high) << 64 | UInt128(low) }

  /// The offset that equals `value`.
  @inlinable
  init(wide value: UInt128) {
    self.init(high: UInt64(truncatingIfNeeded: value >> 64), low: UInt64(truncatingIfNeeded: value))
  }
}
