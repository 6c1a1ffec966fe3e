// Offset arithmetic by GMP: each function hands two limbs by value to a shim over one mpn call.

internal import CGMP

extension Offset {
  private init(_ pair: cgmp_pair) {
    self.init(high: pair.high, low: pair.low)
  }

  private init(_ sum: cgmp_pair_carry) {
    self.init(high: sum.high, low: sum.low)
  }

  private var pair: cgmp_pair { cgmp_pair(low: low, high: high) }

  /// The sum modulo 2^128, and whether it passed 2^128 − 1. O(1).
  public func addingReportingOverflow(_ other: Offset) -> (partialValue: Offset, overflow: Bool) {
    let sum = cgmp_add(pair, other.pair)
    return (Offset(sum), sum.carry != 0)
  }

  /// The difference modulo 2^128, and whether it passed below 0. O(1).
  public func subtractingReportingOverflow(
    _ other: Offset
  ) -> (partialValue: Offset, overflow: Bool) {
    let difference = cgmp_sub(pair, other.pair)
    return (Offset(difference), difference.carry != 0)
  }

  /// The product modulo 2^128, and whether it passed 2^128 − 1. O(1).
  public func multipliedReportingOverflow(
    by factor: UInt64
  ) -> (partialValue: Offset, overflow: Bool) {
    let product = cgmp_mul_1(pair, factor)
    return (Offset(product), product.carry != 0)
  }

  /// The sum modulo 2^128. O(1).
  public static func &+ (left: Offset, right: Offset) -> Offset {
    left.addingReportingOverflow(right).partialValue
  }

  /// The difference modulo 2^128. O(1).
  public static func &- (left: Offset, right: Offset) -> Offset {
    left.subtractingReportingOverflow(right).partialValue
  }

  /// The sum, which must be below 2^128. O(1).
  public static func + (left: Offset, right: Offset) -> Offset {
    let (sum, overflow) = left.addingReportingOverflow(right)
    precondition(!overflow, "the sum of two offsets passed 2^128 - 1")
    return sum
  }

  /// The difference; `right` must not be the larger. O(1).
  public static func - (left: Offset, right: Offset) -> Offset {
    let (difference, overflow) = left.subtractingReportingOverflow(right)
    precondition(!overflow, "the difference of two offsets passed below 0")
    return difference
  }

  /// Quotient and remainder. `divisor` must not be zero. O(1).
  public func quotientAndRemainder(
    dividingBy divisor: Offset
  ) -> (quotient: Offset, remainder: Offset) {
    precondition(divisor != .zero, "division by zero")
    if divisor.high == 0 {
      let result = cgmp_divrem_1(pair, divisor.low)
      return (Offset(result), Offset(result.carry))
    }
    let result = cgmp_divrem_2(pair, divisor.pair)
    return (Offset(result.carry), Offset(result))
  }
}

extension Offset {
  /// Shifted towards the high bits; bits pushed out are lost. `count` must not be negative; from
  /// 128 on the result is zero. O(1).
  public static func << (value: Offset, count: Int) -> Offset {
    precondition(count >= 0, "a shift is never negative")
    if count >= 128 { return .zero }
    let whole = count >= 64 ? Offset(high: value.low, low: 0) : value
    let bits = UInt32(truncatingIfNeeded: count & 63)
    return bits == 0 ? whole : Offset(cgmp_lshift(whole.pair, bits))
  }

  /// Shifted towards the low bits; bits pushed out are lost. `count` must not be negative; from
  /// 128 on the result is zero. O(1).
  public static func >> (value: Offset, count: Int) -> Offset {
    precondition(count >= 0, "a shift is never negative")
    if count >= 128 { return .zero }
    let whole = count >= 64 ? Offset(high: 0, low: value.high) : value
    let bits = UInt32(truncatingIfNeeded: count & 63)
    return bits == 0 ? whole : Offset(cgmp_rshift(whole.pair, bits))
  }

  /// The bits that both have. O(1).
  @inlinable
  public static func & (left: Offset, right: Offset) -> Offset {
    Offset(high: left.high & right.high, low: left.low & right.low)
  }

  /// The bits that at least one has. O(1).
  @inlinable
  public static func | (left: Offset, right: Offset) -> Offset {
    Offset(high: left.high | right.high, low: left.low | right.low)
  }

  /// The bits that exactly one has. O(1).
  @inlinable
  public static func ^ (left: Offset, right: Offset) -> Offset {
    Offset(high: left.high ^ right.high, low: left.low ^ right.low)
  }

  /// The bits that `value` has not. O(1).
  @inlinable
  public static prefix func ~ (value: Offset) -> Offset {
    Offset(high: ~value.high, low: ~value.low)
  }

  /// The number of zero bits below the lowest set bit; 128 for zero. O(1).
  @inlinable
  public var trailingZeroBitCount: Int {
    low != 0 ? low.trailingZeroBitCount : 64 + high.trailingZeroBitCount
  }

  /// The number of zero bits above the highest set bit; 128 for zero. O(1).
  @inlinable
  public var leadingZeroBitCount: Int {
    high != 0 ? high.leadingZeroBitCount : 64 + low.leadingZeroBitCount
  }
}
