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
    return [IPAddress](unsafeUninitializedCapacity: room + Self.stride - 1) { buffer, taken in
      taken = acquire(count: room, now: now, into: buffer)
    }
  }

  /// Takes up to `count` units and writes their first addresses into `buffer`, which has room for
  /// `stride` − 1 more. O(words + count).
  private mutating func acquire(
    count: Int, now: UInt64, into buffer: UnsafeMutableBufferPointer<IPAddress>
  ) -> Int {
    guard var next = buffer.baseAddress else { return 0 }
    let (family, shift) = (family, unitShift)
    return acquire(count: count, now: now) { leaf, origin, word in
      let first = leaf.header.pointee.firstAddress
      if shift == 0 {
        let first = Offset(high: first.high, low: first.low | UInt64(truncatingIfNeeded: origin))
        next = Self.write(word, of: family, from: first, to: next)
        return
      }
      var rest = word
      while rest != 0 {
        let bit = UInt128(UInt(origin | rest.trailingZeroBitCount))
        rest &= rest &- 1
        next.initialize(to: IPAddress(unchecked: family, Offset(wide: first.wide | bit << shift)))
        next += 1
      }
    }
  }

  /// Addresses that are written before it is asked whether there are as many.
  private static var stride: Int { 4 }

  /// Writes the addresses of the set bits of `word`, the first bit's being `first`, and garbage
  /// behind them up to a multiple of `stride`. How many bits are set is chance: a branch for each of
  /// them would be mispredicted once in a word.
  @inline(__always)
  private static func write(
    _ word: UInt64, of family: AddressFamily, from first: Offset,
    to start: UnsafeMutablePointer<IPAddress>
  ) -> UnsafeMutablePointer<IPAddress> {
    let end = start + word.nonzeroBitCount
    var (next, rest) = (start, word)
    repeat {
      for index in 0..<stride {
        let bit = UInt64(truncatingIfNeeded: (rest | 1 << 63).trailingZeroBitCount)
        rest &= rest &- 1
        let value = Offset(high: first.high, low: first.low | bit)
        (next + index).initialize(to: IPAddress(unchecked: family, value))
      }
      next += stride
    } while next < end
    return end
  }
}
