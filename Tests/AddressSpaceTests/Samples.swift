// Random values weighted to where arithmetic goes wrong: around powers of two and limb borders.

import AddressSpace
import TestSupport

extension Offset {
  /// The borders that every operation is tried at.
  static let edges: [Offset] = [
    0, 1, 2, 255, 256,
    Offset(UInt64(UInt32.max)), Offset(UInt64(UInt32.max) + 1),
    Offset(UInt64.max), Offset(high: 1, low: 0), Offset(high: 1, low: 1),
    Offset(high: 1 << 63, low: 0), Offset(high: (1 << 63) - 1, low: .max),
    Offset(high: .max, low: 0), Offset(high: .max, low: .max - 1), .max,
  ]

  init(_ native: UInt128) {
    self.init(high: UInt64(native >> 64), low: UInt64(truncatingIfNeeded: native))
  }

  /// The same number without GMP.
  var native: UInt128 { UInt128(high) << 64 | UInt128(low) }

  /// An edge, a number near one, or one of random width.
  static func sample(using generator: inout SeededGenerator) -> Offset {
    switch UInt64.random(in: 0..<4, using: &generator) {
    case 0:
      return edges.randomElement(using: &generator) ?? .zero
    case 1:
      let edge = edges.randomElement(using: &generator) ?? .zero
      let near = UInt128(UInt64.random(in: 0..<4, using: &generator))
      return Offset(Bool.random(using: &generator) ? edge.native &+ near : edge.native &- near)
    default:
      let bits = Int.random(in: 1...128, using: &generator)
      return Offset(UInt128.random(in: .min ... .max, using: &generator) >> (128 - bits))
    }
  }
}

extension IPAddress {
  /// An address of either family; half of the groups of an IPv6 one are zero.
  static func sample(using generator: inout SeededGenerator) -> IPAddress {
    switch UInt64.random(in: 0..<4, using: &generator) {
    case 0: return IPAddress(ipv4: UInt32.random(in: .min ... .max, using: &generator))
    case 1: return IPAddress(ipv6: Offset.sample(using: &generator))
    default:
      var value: UInt128 = 0
      for _ in 0..<8 {
        let group = UInt16.random(in: .min ... .max, using: &generator)
        let kind = UInt64.random(in: 0..<8, using: &generator)
        let few = kind < 4 ? 0 : kind == 4 ? 0xffff : group >> UInt16(4 * (kind & 3))
        value = value << 16 | UInt128(few)
      }
      return IPAddress(ipv6: Offset(value))
    }
  }
}
