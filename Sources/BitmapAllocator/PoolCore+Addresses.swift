// Between ordinals and addresses, without 128-bit arithmetic where it matters: a leaf knows its
// first address, a power of two, so that the rest is one shift and one OR.

internal import AddressSpace

extension PoolCore {
  /// The first address of the unit of `bit` in `leaf`. O(1).
  @inline(__always)
  func address(_ leaf: PoolNode, _ bit: Int) -> IPAddress {
    address(value: leaf.header.pointee.firstAddress, plus: bit)
  }

  @inline(__always)
  private func address(value first: Offset, plus bit: Int) -> IPAddress {
    var value = first
    if unitShift == 0 {
      value = Offset(high: first.high, low: first.low | UInt64(truncatingIfNeeded: bit))
    } else {
      value = Offset(wide: first.wide | UInt128(UInt(bit)) << unitShift)
    }
    return family == .ipv4
      ? IPAddress(ipv4: UInt32(truncatingIfNeeded: value.low)) : IPAddress(ipv6: value)
  }

  /// The unit that contains `address`, or `nil` outside the subnet. O(1).
  @inline(__always)
  func ordinal(of address: IPAddress) -> Offset? {
    let distance = Offset(
      high: address.value.high ^ firstAddress.high, low: address.value.low ^ firstAddress.low)
    let beyond = Offset(high: distance.high & ~hostMask.high, low: distance.low & ~hostMask.low)
    guard address.family == family, beyond.high | beyond.low == 0 else { return nil }
    return unitShift == 0 ? distance : Offset(wide: distance.wide.shiftedRight(unitShift))
  }

  /// Takes up to `count` units: their first addresses. O(words + count).
  mutating func acquire(upTo count: Int, now: UInt64) -> [IPAddress] {
    // Exact numbers only where they save memory.
    var room = max(0, count)
    if room > 1 << 12, let left = (capacity - used).uint64 { room = Int(min(UInt64(room), left)) }
    return [IPAddress](unsafeUninitializedCapacity: room) { buffer, taken in
      taken = acquire(count: room, now: now, into: buffer)
    }
  }

  /// Takes up to `count` units and writes their first addresses into `buffer`. O(words + count).
  private mutating func acquire(
    count: Int, now: UInt64, into buffer: UnsafeMutableBufferPointer<IPAddress>
  ) -> Int {
    guard var next = buffer.baseAddress else { return 0 }
    let isPlain = unitShift == 0
    let family = family
    let shift = unitShift
    return acquire(count: count, now: now) { leaf, origin, word in
      let first = leaf.header.pointee.firstAddress
      var rest = word
      while rest != 0 {
        let bit = origin | rest.trailingZeroBitCount
        rest &= rest &- 1
        var value = Offset(high: first.high, low: first.low | UInt64(truncatingIfNeeded: bit))
        if !isPlain { value = Offset(wide: first.wide | UInt128(UInt(bit)) << shift) }
        next.initialize(
          to: family == .ipv4
            ? IPAddress(ipv4: UInt32(truncatingIfNeeded: value.low)) : IPAddress(ipv6: value))
        next += 1
      }
    }
  }
}
