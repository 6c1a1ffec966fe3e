// How full a pool or a chunk is, and which ordinals are free then: scattered at random, the same
// ones in each run. Free ordinals in one piece would flatter every search.

/// A share of ordinals that are taken.
package struct Fill: Hashable, Sendable, CustomStringConvertible {
  package let description: String
  private let freeTenThousandths: Int

  private init(_ description: String, freeTenThousandths: Int) {
    self.description = description
    self.freeTenThousandths = freeTenThousandths
  }

  package static let empty = Fill("0%", freeTenThousandths: 10_000)
  package static let half = Fill("50%", freeTenThousandths: 5_000)
  package static let allButOne = Fill("all but one", freeTenThousandths: 0)

  /// All that are measured.
  package static let all: [Fill] = [
    .empty, .half, Fill("90%", freeTenThousandths: 1_000), Fill("99%", freeTenThousandths: 100),
    Fill("99.99%", freeTenThousandths: 1), .allButOne,
  ]

  /// Whether less than one ordinal in a word of 64 is free on average.
  package var isDense: Bool { freeTenThousandths * 64 < 10_000 }

  /// How many of `capacity` are free: at least one.
  package func free(of capacity: Int) -> Int { max(1, capacity * freeTenThousandths / 10_000) }
}

/// Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators (SplitMix64), OOPSLA 2014.
package struct SplitMix: RandomNumberGenerator {
  private var state: UInt64

  package init(seed: UInt64) { state = seed }

  package mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }
}

/// `count` different numbers below `capacity`, ascending. O(capacity).
package func scattered(_ count: Int, below capacity: Int, seed: UInt64) -> [Int] {
  var generator = SplitMix(seed: seed)
  var chosen: [Int] = []
  chosen.reserveCapacity(count)
  for number in 0..<capacity where chosen.count < count {
    let left = UInt64(capacity - number)
    if generator.next(upperBound: left) < UInt64(count - chosen.count) { chosen.append(number) }
  }
  return chosen
}
