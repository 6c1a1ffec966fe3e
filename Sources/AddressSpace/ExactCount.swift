// An exact count of any size: utilisation must not drift, and ::/0 has 2^128 addresses, one more
// than 128 bits hold. Counts below 2^128 lie inline; larger ones in an array of limbs. Arithmetic
// on large ones runs in a GMP integer that lives for the one operation only.

internal import CGMP

/// An exact number that is not negative, of any size.
///
/// Numbers below 2^128 allocate nothing. The complexities below speak of n, the number of 64-bit
/// limbs.
public struct ExactCount: Hashable, Sendable {
  /// The number if it is below 2^128, else zero.
  private let small: Offset
  /// The limbs of a number from 2^128 on, least first, the last not zero; else empty.
  private let large: [UInt64]

  /// The number `value`. O(1).
  public init(_ value: UInt64) {
    self.init(Offset(value))
  }

  /// The number `value`. O(1).
  public init(_ value: Offset) {
    self.init(small: value, large: [])
  }

  private init(small: Offset, large: [UInt64]) {
    self.small = small
    self.large = large
  }

  /// 0. O(1).
  public static var zero: ExactCount { ExactCount(Offset.zero) }
  /// 1. O(1).
  public static var one: ExactCount { ExactCount(Offset.one) }

  /// 2^`exponent`, the exponent 0 … 65,536. O(exponent / 64).
  public static func powerOfTwo(_ exponent: Int) -> ExactCount {
    precondition((0...65_536).contains(exponent), "no count needs such a power of two")
    if exponent < 128 { return ExactCount(Offset.one << exponent) }
    return ExactCount { cgmp_mpz_set_bit(&$0, UInt(exponent)) }
  }

  /// The number if it is below 2^128. O(1).
  public var offset: Offset? { large.isEmpty ? small : nil }
  /// The number if it is below 2^64. O(1).
  public var uint64: UInt64? { large.isEmpty ? small.uint64 : nil }
}

extension ExactCount {
  /// Makes a number in a short-lived GMP integer, which starts as zero.
  private init(_ compute: (inout __mpz_struct) -> Void) {
    var integer = __mpz_struct()
    cgmp_mpz_init(&integer)
    defer { cgmp_mpz_clear(&integer) }
    compute(&integer)
    let count = cgmp_mpz_size(&integer)
    if count <= 2 {
      self.init(Offset(high: cgmp_mpz_limb(&integer, 1), low: cgmp_mpz_limb(&integer, 0)))
    } else {
      self.init(small: .zero, large: (0..<count).map { cgmp_mpz_limb(&integer, $0) })
    }
  }

  /// Shows the number to GMP without a copy. The integer must not be kept, changed or cleared.
  private func withInteger<Result>(_ body: (inout __mpz_struct) -> Result) -> Result {
    func view(_ limbs: UnsafeBufferPointer<UInt64>) -> Result {
      var integer = cgmp_mpz_view(limbs.baseAddress, limbs.count)
      return body(&integer)
    }
    if !large.isEmpty { return large.withUnsafeBufferPointer(view) }
    return withUnsafeTemporaryAllocation(of: UInt64.self, capacity: 2) { limbs in
      limbs.initializeElement(at: 0, to: small.low)
      limbs.initializeElement(at: 1, to: small.high)
      return view(UnsafeBufferPointer(limbs))
    }
  }

  /// The sum. O(n).
  public static func + (left: ExactCount, right: ExactCount) -> ExactCount {
    if let a = left.offset, let b = right.offset {
      let (sum, overflow) = a.addingReportingOverflow(b)
      if !overflow { return ExactCount(sum) }
    }
    return left.withInteger { a in
      right.withInteger { b in ExactCount { cgmp_mpz_add(&$0, &a, &b) } }
    }
  }

  /// The difference; `right` must not be the larger. O(n).
  public static func - (left: ExactCount, right: ExactCount) -> ExactCount {
    precondition(left >= right, "a count is never negative")
    if let a = left.offset, let b = right.offset { return ExactCount(a &- b) }
    return left.withInteger { a in
      right.withInteger { b in ExactCount { cgmp_mpz_sub(&$0, &a, &b) } }
    }
  }

  /// The product. O(n²) at most.
  public static func * (left: ExactCount, right: ExactCount) -> ExactCount {
    left.withInteger { a in
      right.withInteger { b in ExactCount { cgmp_mpz_mul(&$0, &a, &b) } }
    }
  }

  /// What part of `whole` this is, cut towards zero, so that less than all never shows as 1.
  ///
  /// 0 of 0 is 0; anything else of 0 is infinity. O(n²) at most.
  public func fraction(of whole: ExactCount) -> Double {
    if whole == .zero { return self == .zero ? 0 : .infinity }
    return withInteger { a in whole.withInteger { b in cgmp_mpz_ratio(&a, &b) } }
  }
}

extension ExactCount: Comparable {
  /// Whether `left` is the smaller number. O(n).
  public static func < (left: ExactCount, right: ExactCount) -> Bool {
    if left.large.count != right.large.count { return left.large.count < right.large.count }
    if left.large.isEmpty { return left.small < right.small }
    return left.large.reversed().lexicographicallyPrecedes(right.large.reversed())
  }
}

extension ExactCount: ExpressibleByIntegerLiteral {
  /// A literal up to 2^64 − 1. O(1).
  public init(integerLiteral value: UInt64) {
    self.init(value)
  }
}

extension ExactCount: CustomStringConvertible {
  /// The longest decimal that ``init(decimal:)`` reads: far beyond any sum of networks, and short
  /// enough that a hostile text costs nothing. O(1).
  public static var maximumDecimalDigits: Int { 1024 }

  /// The number in decimal. O(n²) at most.
  public var description: String {
    if let offset { return offset.description }
    return withInteger { integer in
      String(unsafeUninitializedCapacity: cgmp_mpz_decimal_capacity(&integer)) { target in
        target.withMemoryRebound(to: CChar.self) { characters in
          cgmp_mpz_get_decimal(characters.baseAddress, &integer)
        }
        return target.firstIndex(of: 0) ?? 0
      }
    }
  }

  /// The number that `decimal` names, or `nil`: 1 … 1,024 digits, no sign, no leading zero. O(n²).
  public init?(decimal: String) {
    let digits = decimal.utf8
    guard let first = digits.first, digits.count <= ExactCount.maximumDecimalDigits,
      digits.allSatisfy({ $0 &- UInt8(ascii: "0") < 10 }),
      first != UInt8(ascii: "0") || digits.count == 1
    else { return nil }
    self.init { integer in
      let rest = decimal.withCString { cgmp_mpz_set_decimal(&integer, $0) }
      assert(rest == 0, "only digits were left")
    }
  }
}
