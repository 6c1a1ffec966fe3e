// A 128-bit unsigned number as two limbs:
//
//     value = high * 2^64 + low
//
// It is the distance between two addresses, an address's own value, and the raw value of an
// ordinal. It lives in registers or on the stack; GMP's mpn functions do its arithmetic
// (Offset+Arithmetic.swift, and docs/decisions/0002 for how).

/// A 128-bit unsigned number: a distance between two addresses, or the raw value of an address.
///
/// Bounds: 0 … 2^128 − 1. Every operation takes constant time and allocates nothing unless its own
/// documentation says otherwise.
@frozen
public struct Offset: Hashable, Sendable {
  /// Bits 0 … 63.
  public let low: UInt64
  /// Bits 64 … 127.
  public let high: UInt64

  /// The number `high * 2^64 + low`. O(1).
  @inlinable
  public init(high: UInt64, low: UInt64) {
    self.low = low
    self.high = high
  }

  /// The number `value`. O(1).
  @inlinable
  public init(_ value: UInt64) {
    self.init(high: 0, low: value)
  }

  /// The number `value`, which must not be negative. O(1).
  @inlinable
  public init(_ value: Int) {
    precondition(value >= 0, "an offset is never negative")
    self.init(high: 0, low: UInt64(value))
  }

  /// 0. O(1).
  public static var zero: Offset { @inlinable get { Offset(high: 0, low: 0) } }
  /// 1. O(1).
  public static var one: Offset { @inlinable get { Offset(high: 0, low: 1) } }
  /// 2^128 − 1. O(1).
  public static var max: Offset { @inlinable get { Offset(high: .max, low: .max) } }

  /// The number as 64 bits, or `nil` from 2^64 on. O(1).
  @inlinable
  public var uint64: UInt64? { high == 0 ? low : nil }

  /// The number as an `Int`, or `nil` from 2^63 on. O(1).
  @inlinable
  public var int: Int? { high == 0 ? Int(exactly: low) : nil }
}

extension Offset: Comparable {
  /// Whether `left` is the smaller number. O(1).
  @inlinable
  public static func < (left: Offset, right: Offset) -> Bool {
    left.high == right.high ? left.low < right.low : left.high < right.high
  }
}

extension Offset: ExpressibleByIntegerLiteral {
  /// A literal up to 2^64 − 1. O(1).
  @inlinable
  public init(integerLiteral value: UInt64) {
    self.init(value)
  }
}

extension UInt64 {
  /// The offset as 64 bits, or `nil` from 2^64 on. O(1).
  @inlinable
  public init?(exactly offset: Offset) {
    guard let value = offset.uint64 else { return nil }
    self = value
  }
}

extension Int {
  /// The offset as an `Int`, or `nil` from 2^63 on. O(1).
  @inlinable
  public init?(exactly offset: Offset) {
    guard let value = offset.int else { return nil }
    self = value
  }
}
