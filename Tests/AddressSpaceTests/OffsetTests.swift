// Offset against the compiler's own UInt128, at all pairs of edges and at random.

import AddressSpace
import TestSupport
import Testing

@Suite struct OffsetTests {
  static func check(_ a: Offset, _ b: Offset, _ note: Comment) {
    let (x, y) = (a.native, b.native)
    let sum = a.addingReportingOverflow(b)
    let nativeSum = x.addingReportingOverflow(y)
    #expect(sum.partialValue.native == nativeSum.partialValue, "\(a) + \(b), \(note)")
    #expect(sum.overflow == nativeSum.overflow, "\(a) + \(b), \(note)")
    let difference = a.subtractingReportingOverflow(b)
    let nativeDifference = x.subtractingReportingOverflow(y)
    #expect(difference.partialValue.native == nativeDifference.partialValue, "\(a) - \(b), \(note)")
    #expect(difference.overflow == nativeDifference.overflow, "\(a) - \(b), \(note)")
    #expect((a &+ b).native == x &+ y && (a &- b).native == x &- y, "\(a), \(b), \(note)")
    let product = a.multipliedReportingOverflow(by: b.low)
    let nativeProduct = x.multipliedReportingOverflow(by: UInt128(b.low))
    #expect(product.partialValue.native == nativeProduct.partialValue, "\(a) * \(b.low), \(note)")
    #expect(product.overflow == nativeProduct.overflow, "\(a) * \(b.low), \(note)")
    if b != .zero {
      let (quotient, remainder) = a.quotientAndRemainder(dividingBy: b)
      #expect(quotient.native == x / y && remainder.native == x % y, "\(a) / \(b), \(note)")
    }
    #expect((a < b) == (x < y) && (a == b) == (x == y), "\(a), \(b), \(note)")
    #expect((a & b).native == x & y && (a | b).native == x | y, "\(a), \(b), \(note)")
    #expect((a ^ b).native == x ^ y && (~a).native == ~x, "\(a), \(b), \(note)")
  }

  static func checkAlone(_ a: Offset, _ note: Comment) {
    let x = a.native
    #expect(a.trailingZeroBitCount == x.trailingZeroBitCount, "\(a), \(note)")
    #expect(a.leadingZeroBitCount == x.leadingZeroBitCount, "\(a), \(note)")
    #expect(a.uint64 == UInt64(exactly: x) && UInt64(exactly: a) == UInt64(exactly: x), "\(note)")
    #expect(a.int == Int(exactly: x) && Int(exactly: a) == Int(exactly: x), "\(note)")
    #expect(a.description == x.description, "\(note)")
    let hex = String(x, radix: 16)
    let padded = String(repeating: "0", count: 32 - hex.count) + hex
    #expect(a.hex(digits: 32) == padded && a.hex(digits: hex.count) == hex, "\(a), \(note)")
    #expect(Offset(hex: hex) == a && Offset(hex: padded) == a, "\(a), \(note)")
  }

  @Test func edgesAgreeWithUInt128() {
    for a in Offset.edges {
      Self.checkAlone(a, "edge")
      for b in Offset.edges { Self.check(a, b, "edges") }
    }
  }

  @Test func everyShiftOfEveryEdgeAgreesWithUInt128() {
    for a in Offset.edges {
      for count in [Int](0...130) + [191, 192, 256, .max] {
        #expect((a << count).native == a.native << count, "\(a) << \(count)")
        #expect((a >> count).native == a.native >> count, "\(a) >> \(count)")
      }
    }
  }

  @Test func randomNumbersAgreeWithUInt128() {
    let seed = TestSeed()
    var generator = seed.generator
    for _ in 0..<10_000 {
      let a = Offset.sample(using: &generator)
      let b = Offset.sample(using: &generator)
      let count = Int.random(in: 0...128, using: &generator)
      Self.check(a, b, "\(seed)")
      #expect((a << count).native == a.native << count, "\(a) << \(count), \(seed)")
      #expect((a >> count).native == a.native >> count, "\(a) >> \(count), \(seed)")
    }
  }

  @Test func randomTextsAgreeWithUInt128() {
    let seed = TestSeed()
    var generator = seed.generator
    for _ in 0..<5_000 { Self.checkAlone(Offset.sample(using: &generator), "\(seed)") }
  }

  @Test(arguments: [
    "", " ", "0x1", "A", "1F", "g", "/", ":", "`", "@", "-1", "+1", "1 ", "ff\u{301}",
    "000000000000000000000000000000000", "fffffffffffffffffffffffffffffffff",
  ])
  func textThatIsNoNumberIsRefused(_ text: String) {
    #expect(Offset(hex: text) == nil)
  }

  @Test func literalsAndConversions() {
    let literal: Offset = 18_446_744_073_709_551_615
    #expect(literal == Offset(high: 0, low: .max))
    #expect(Offset(0) == .zero && Offset(1) == .one && Offset(Int.max).int == .max)
    #expect(Offset(0x7f).hex(digits: 2) == "7f" && Offset(0x7f).hex(digits: 4) == "007f")
    #expect(Offset.zero.hex(digits: 1) == "0")
  }

  @Test func brokenPreconditionsStop() async {
    await #expect(processExitsWith: .failure) { _ = Offset.max + .one }
    await #expect(processExitsWith: .failure) { _ = Offset.zero - .one }
    await #expect(processExitsWith: .failure) { _ = Offset(Int(-1)) }
    await #expect(processExitsWith: .failure) { _ = Offset.one << -1 }
    await #expect(processExitsWith: .failure) { _ = Offset.one >> -1 }
    await #expect(processExitsWith: .failure) {
      _ = Offset.one.quotientAndRemainder(dividingBy: .zero)
    }
    await #expect(processExitsWith: .failure) { _ = Offset(256).hex(digits: 2) }
    await #expect(processExitsWith: .failure) { _ = Offset(1).hex(digits: 0) }
    await #expect(processExitsWith: .failure) { _ = Offset(1).hex(digits: 33) }
  }
}
