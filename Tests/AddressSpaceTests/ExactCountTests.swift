// Exact counts: against UInt128 where they fit into it, by identities and known values beyond.

import AddressSpace
import TestSupport
import Testing

@Suite struct ExactCountTests {
  @Test func smallCountsAgreeWithUInt128() {
    let seed = TestSeed()
    var generator = seed.generator
    for _ in 0..<5_000 {
      let a = Offset.sample(using: &generator)
      let b = Offset.sample(using: &generator)
      let (x, y) = (ExactCount(a), ExactCount(b))
      #expect(x.offset == a && x.uint64 == a.uint64 && x.description == a.description, "\(seed)")
      #expect((x < y) == (a < b) && (x == y) == (a == b), "\(a), \(b), \(seed)")
      let sum = a.native.addingReportingOverflow(b.native)
      let exact = x + y
      #expect((exact.offset == nil) == sum.overflow, "\(a) + \(b), \(seed)")
      #expect(exact - y == x && exact - x == y, "\(a) + \(b), \(seed)")
      #expect(sum.overflow || exact == ExactCount(Offset(sum.partialValue)), "\(seed)")
      let product = a.native.multipliedFullWidth(by: b.native)
      let expected =
        ExactCount(Offset(product.high)) * .powerOfTwo(128) + ExactCount(Offset(product.low))
      #expect(x * y == expected, "\(a) * \(b), \(seed)")
    }
  }

  @Test func largeCountsObeyArithmetic() {
    let seed = TestSeed()
    var generator = seed.generator
    func sample() -> ExactCount {
      (0..<Int.random(in: 1...4, using: &generator)).reduce(.one) { product, _ in
        product * ExactCount(Offset.sample(using: &generator))
      }
    }
    for _ in 0..<2_000 {
      let (a, b, c) = (sample(), sample(), sample())
      #expect((a + b) * c == a * c + b * c, "\(a), \(b), \(c), \(seed)")
      #expect(a + b == b + a && (a + b) - b == a, "\(a), \(b), \(seed)")
      #expect(ExactCount(decimal: a.description) == a, "\(a), \(seed)")
      #expect((a + b).hashValue == (b + a).hashValue, "\(a), \(b), \(seed)")
      #expect((a < b) == (b > a) && (a < b || a >= b), "\(a), \(b), \(seed)")
      #expect(a < a + .one && !(a < a) && a + .one > a, "\(a), \(seed)")
      // As decimals of one width the numbers order like their texts.
      let (left, right) = (a.description, b.description)
      if left.utf8.count == right.utf8.count {
        #expect((a < b) == (left < right), "\(a), \(b), \(seed)")
      } else {
        #expect((a < b) == (left.utf8.count < right.utf8.count), "\(a), \(b), \(seed)")
      }
    }
  }

  @Test func knownValues() {
    let all = ExactCount.powerOfTwo(128)
    #expect(all.description == "340282366920938463463374607431768211456")
    #expect(all.offset == nil && all.uint64 == nil && all == ExactCount(Offset.max) + .one)
    #expect((all - .one).offset == .max && (all - all) == .zero)
    #expect(ExactCount.powerOfTwo(0) == .one && ExactCount.powerOfTwo(64).uint64 == nil)
    #expect(ExactCount.powerOfTwo(63).uint64 == 1 << 63)
    #expect(ExactCount.powerOfTwo(200) == .powerOfTwo(100) * .powerOfTwo(100))
    #expect(all * .zero == .zero && all * .one == all)
  }

  @Test func fractions() {
    let all = ExactCount.powerOfTwo(128)
    #expect(ExactCount.zero.fraction(of: all) == 0 && all.fraction(of: all) == 1)
    #expect(ExactCount.powerOfTwo(127).fraction(of: all) == 0.5)
    #expect((all - .one).fraction(of: all) == 1.0.nextDown, "less than all is never 1")
    #expect(ExactCount(1).fraction(of: ExactCount(4)) == 0.25)
    #expect(ExactCount(3).fraction(of: .one) == 3)
    #expect(ExactCount.zero.fraction(of: .zero) == 0 && all.fraction(of: .zero) == .infinity)
    #expect(ExactCount.one.fraction(of: .powerOfTwo(1_000)) == 0x1p-1000)
  }

  /// Numbers below 2^53 are exact as `Double`; the quotient may be rounded up there, never here.
  @Test func fractionsAreCutTowardsZero() {
    let seed = TestSeed()
    var generator = seed.generator
    for _ in 0..<2_000 {
      let part = UInt64.random(in: 0..<1 << 53, using: &generator)
      let whole = UInt64.random(in: 1..<1 << 53, using: &generator)
      let rounded = Double(part) / Double(whole)
      let fraction = ExactCount(part).fraction(of: ExactCount(whole))
      #expect(fraction == rounded || fraction == rounded.nextDown, "\(part)/\(whole), \(seed)")
    }
  }

  @Test(arguments: ["", "-1", "+1", " 1", "1 ", "01", "00", "1a", "0x1", "1\u{0}", "１", "1_0"])
  func textThatIsNoCountIsRefused(_ text: String) {
    #expect(ExactCount(decimal: text) == nil)
  }

  @Test func theLongestDecimal() {
    let longest = String(repeating: "9", count: ExactCount.maximumDecimalDigits)
    #expect(ExactCount(decimal: longest)?.description == longest)
    #expect(ExactCount(decimal: longest + "9") == nil)
    #expect(ExactCount(decimal: "0") == .zero)
  }

  @Test func brokenPreconditionsStop() async {
    await #expect(processExitsWith: .failure) { _ = ExactCount(1) - ExactCount(2) }
    await #expect(processExitsWith: .failure) { _ = ExactCount.powerOfTwo(-1) }
    await #expect(processExitsWith: .failure) { _ = ExactCount.powerOfTwo(.max) }
  }
}
