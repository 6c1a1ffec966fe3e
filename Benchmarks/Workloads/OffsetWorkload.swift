// Sums, differences and shifts of 128-bit offsets, beside the compiler's own `UInt128`. Operands come
// in pairs from an array, so that one operation does not wait for the one before.

internal import AddressSpace

/// 1,024 random pairs.
package final class OffsetWorkload {
  private let offsets: [(Offset, Offset)]
  private let numbers: [(UInt128, UInt128)]
  private let counts: [Int]
  package var count: Int { offsets.count }

  package init() {
    var generator = SplitMix(seed: 4)
    var pairs: [(high: UInt64, low: UInt64, otherHigh: UInt64, otherLow: UInt64)] = []
    for _ in 0..<1_024 {
      pairs.append((generator.next(), generator.next(), generator.next(), generator.next()))
    }
    offsets = pairs.map {
      (Offset(high: $0.high, low: $0.low), Offset(high: $0.otherHigh, low: $0.otherLow))
    }
    numbers = pairs.map {
      (UInt128(_low: $0.low, _high: $0.high), UInt128(_low: $0.otherLow, _high: $0.otherHigh))
    }
    counts = (0..<1_024).map { _ in Int(generator.next() & 127) }
  }

  package func add() -> UInt64 {
    var mixed = Offset.zero
    for (left, right) in offsets { mixed = mixed.xor(left &+ right) }
    return mixed.low ^ mixed.high
  }

  package func subtract() -> UInt64 {
    var mixed = Offset.zero
    for (left, right) in offsets { mixed = mixed.xor(left &- right) }
    return mixed.low ^ mixed.high
  }

  package func shift() -> UInt64 {
    var mixed = Offset.zero
    for (index, pair) in offsets.enumerated() { mixed = mixed.xor(pair.0 << counts[index]) }
    return mixed.low ^ mixed.high
  }

  package func addNative() -> UInt64 {
    var mixed: UInt128 = 0
    for (left, right) in numbers { mixed ^= left &+ right }
    return mixed._low ^ mixed._high
  }

  package func subtractNative() -> UInt64 {
    var mixed: UInt128 = 0
    for (left, right) in numbers { mixed ^= left &- right }
    return mixed._low ^ mixed._high
  }

  package func shiftNative() -> UInt64 {
    var mixed: UInt128 = 0
    for (index, pair) in numbers.enumerated() { mixed ^= pair.0 &<< UInt128(counts[index]) }
    return mixed._low ^ mixed._high
  }
}

extension Offset {
  @inline(__always)
  fileprivate func xor(_ other: Offset) -> Offset {
    Offset(high: high ^ other.high, low: low ^ other.low)
  }
}
