// FNV-1a, 64 bits (Fowler, Noll, Vo): tells holders apart in the index and finds torn records. A match
// is always checked against the file itself.

/// A 64-bit hash of bytes, the same in every process and release.
struct Fingerprint: Hashable, Sendable {
  private(set) var value: UInt64 = 0xCBF2_9CE4_8422_2325

  init() {}

  init(_ bytes: some Sequence<UInt8>) {
    for byte in bytes { combine(byte) }
  }

  mutating func combine(_ byte: UInt8) {
    value = (value ^ UInt64(byte)) &* 0x100_0000_01B3
  }
}
