// FNV-1a, 64 bits (Fowler, Noll, Vo), finished by the mixing step of SplitMix64 because FNV leaves the
// high bits of short strings poorly mixed and the home chunk is chosen by the high bits. It must never
// change: nodes of different releases share chunks by it.

/// A hash that is the same in every process and every release.
package struct StableHash {
  private var state: UInt64 = 0xCBF2_9CE4_8422_2325

  package init() {}

  // Not one for all sequences: other modules would call it unspecialized, where each step costs a
  // hundred times more.

  /// The hash of a text's bytes.
  package static func of(_ text: String.UTF8View) -> UInt64 {
    var hash = StableHash()
    for byte in text { hash.mix(byte) }
    return hash.value
  }

  /// The hash of some bytes.
  package static func of(_ bytes: ArraySlice<UInt8>) -> UInt64 {
    var hash = StableHash()
    for byte in bytes { hash.mix(byte) }
    return hash.value
  }

  mutating func combine(_ text: String) {
    for byte in text.utf8 { mix(byte) }
    mix(0)
  }

  mutating func combine(_ number: UInt64) {
    for shift in stride(from: 0, to: 64, by: 8) {
      mix(UInt8(truncatingIfNeeded: number >> UInt64(shift)))
    }
  }

  private mutating func mix(_ byte: UInt8) {
    state = (state ^ UInt64(byte)) &* 0x100_0000_01B3
  }

  /// The hash of what was combined so far.
  package var value: UInt64 {
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}
