// Randomness that can be replayed. A property test draws from `SeededGenerator(seed:)`, shows the
// seed in every expectation's comment, and a failed run is repeated with CNI_IPAM_SEED=<seed>.

import Glibc

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
public struct SeededGenerator: RandomNumberGenerator, Sendable {
  private var state: UInt64

  public init(seed: UInt64) {
    state = seed
  }

  public mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}

/// The seed of a property test: CNI_IPAM_SEED (decimal, or hexadecimal after 0x) if it is set and
/// a number, else a random one. Its description is what a failing test shows.
public struct TestSeed: Sendable, CustomStringConvertible {
  public let value: UInt64

  public init() {
    let given = getenv("CNI_IPAM_SEED").flatMap { TestSeed.parse(String(cString: $0)) }
    value = given ?? UInt64.random(in: .min ... .max)
  }

  private static func parse(_ text: String) -> UInt64? {
    text.hasPrefix("0x") ? UInt64(text.dropFirst(2), radix: 16) : UInt64(text)
  }

  public var generator: SeededGenerator { SeededGenerator(seed: value) }

  public var description: String { "replay with CNI_IPAM_SEED=\(value)" }
}
