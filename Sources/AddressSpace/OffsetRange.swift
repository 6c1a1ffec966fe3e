// An inclusive stretch of offsets: inclusive, because the last one of all is 2^128 − 1.

/// The offsets from `first` to `last`, both included. Every operation takes constant time.
@frozen
public struct OffsetRange: Hashable, Sendable {
  /// The first offset.
  public let first: Offset
  /// The last offset; never below `first`.
  public let last: Offset

  /// The offsets from `first` to `last`, or `nil` if `last` is the smaller. O(1).
  @inlinable
  public init?(first: Offset, last: Offset) {
    guard first <= last else { return nil }
    self.init(unchecked: first, last)
  }

  /// The one offset. O(1).
  @inlinable
  public init(_ offset: Offset) {
    self.init(unchecked: offset, offset)
  }

  @inlinable
  init(unchecked first: Offset, _ last: Offset) {
    self.first = first
    self.last = last
  }

  /// Every offset: 0 … 2^128 − 1. O(1).
  public static var all: OffsetRange { OffsetRange(unchecked: .zero, .max) }

  /// The number of offsets, exact, 1 … 2^128. O(1).
  public var count: ExactCount { ExactCount(last &- first) + .one }

  /// Whether the offset lies in the range. O(1).
  @inlinable
  public func contains(_ offset: Offset) -> Bool { first <= offset && offset <= last }

  /// Whether every offset of `other` lies in this range. O(1).
  @inlinable
  public func contains(_ other: OffsetRange) -> Bool { first <= other.first && other.last <= last }

  /// Whether there is an offset that lies in both. O(1).
  @inlinable
  public func overlaps(_ other: OffsetRange) -> Bool { first <= other.last && other.first <= last }

  /// The offsets that lie in both, or `nil` if there is none. O(1).
  @inlinable
  public func intersection(_ other: OffsetRange) -> OffsetRange? {
    OffsetRange(first: max(first, other.first), last: min(last, other.last))
  }
}

extension OffsetRange: CustomStringConvertible {
  /// `first...last` in decimal. O(1).
  public var description: String { "\(first)...\(last)" }
}
