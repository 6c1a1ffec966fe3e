// Randomness that can be replayed. A property test draws from its seed's generator, shows the seed
// in the comment of every expectation, and a failed run is repeated with CNI_IPAM_SEED=<seed>.

import Glibc

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
public struct SeededGenerator: RandomNumberGenerator, Sendable {
  private var state: UInt64

  /// The generator whose numbers `seed` alone decides.
  public init(seed: UInt64) {
    state = seed
  }

  /// The next 64 random bits.
  public mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }
}

/// The seed of this run's property tests; its description is what a failing expectation shows.
///
/// One run has one seed. It is also printed once, so that a test that crashes can be replayed.
public struct TestSeed: Sendable, CustomStringConvertible {
  private static let ofThisRun: UInt64 = {
    let seed = given ?? .random(in: .min ... .max)
    print("property tests: CNI_IPAM_SEED=\(seed)")
    return seed
  }()

  /// CNI_IPAM_SEED, decimal or hexadecimal after `0x`. Anything else stops the run: a replay of
  /// other numbers would mislead.
  private static var given: UInt64? {
    guard let variable = getenv("CNI_IPAM_SEED") else { return nil }
    let text = String(cString: variable)
    let seed = text.hasPrefix("0x") ? UInt64(text.dropFirst(2), radix: 16) : UInt64(text)
    guard let seed else { preconditionFailure("CNI_IPAM_SEED is not a 64-bit number: \(text)") }
    return seed
  }

  /// The seed itself.
  public let value: UInt64

  /// The seed of this run: CNI_IPAM_SEED, or a random one if it is not set.
  public init() {
    value = TestSeed.ofThisRun
  }

  /// A fresh generator, the same for the same seed.
  public var generator: SeededGenerator { SeededGenerator(seed: value) }

  /// How to run the test again with the same numbers.
  public var description: String { "replay with CNI_IPAM_SEED=\(value)" }
}
