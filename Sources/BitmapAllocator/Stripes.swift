// How the ordinals of a pool are dealt out to 2^q parts that have a lock each: stripe after stripe,
// as cards are.
//
//   ordinal   [ stripe of the part 122-q | part q | bit s ]
//   in part   [ stripe of the part       |          bit s ]     a pool with q bits less
//
// Neighbouring stripes are in different parts, so that a small free window in a large pool is spread
// over as many locks as it has stripes. Of an interval, each part has one interval: all its stripes
// from one to another, cut at the ends.

internal import AddressSpace

/// The arithmetic between a pool's ordinals and those of its parts. O(1) unless said otherwise.
struct Stripes: Sendable {
  /// At most 2^6 parts: one word tells which of them have something free.
  static let partBitsLimit = 6

  /// s: a stripe has 2^s ordinals, which is a chunk in its part.
  let bits: Int
  /// q: there are 2^q parts.
  let partBits: Int
  private let geometry: PoolGeometry
  /// The subnet's first address and the number of address bits below a unit.
  private let origin: Offset
  private let unitShift: Int
  private let hostMask: Offset
  private let family: AddressFamily
  /// Whether all host bits lie in an address's low half, and the bits below a stripe's number there.
  private let isLow: Bool
  private let addressShift: UInt64

  /// A stripe is a chunk, or in a pool of few chunks smaller, so that there are parts at all.
  init(_ geometry: PoolGeometry) {
    let smallest = PoolGeometry.chunkBitsBounds.lowerBound
    let bits = min(geometry.chunkBits, max(smallest, geometry.ordinalBits - Self.partBitsLimit))
    self.bits = bits
    self.geometry = geometry
    partBits = min(Self.partBitsLimit, max(0, geometry.ordinalBits - bits))
    family = geometry.subnet.family
    origin = geometry.subnet.address.value
    unitShift = geometry.unitShift
    let hostBits = family.bitWidth - geometry.subnet.length
    hostMask = Offset(wide: .lowMask(hostBits))
    isLow = hostBits < 64
    addressShift = UInt64(bits + unitShift)
  }

  var partCount: Int { 1 &<< partBits }
  var chunkBits: Int { geometry.chunkBits }

  /// What each part may hand out of `allowed`: a pool over the subnet's first addresses, which stand
  /// for others. O(intervals × (parts + log intervals)).
  func spaces(allowed: IntervalSet) -> [PoolSpace] {
    let subnet = geometry.subnet
    guard
      let prefix = Prefix(address: subnet.address, length: subnet.length + partBits),
      let share = PoolGeometry(
        subnet: prefix, unitPrefixLength: geometry.unitPrefixLength, chunkBits: bits)
    else { preconditionFailure("a part has fewer bits than its pool, and none set") }
    return shares(of: allowed).map { PoolSpace(geometry: share, allowed: $0) }
  }

  // MARK: - Ordinals and addresses

  @inline(__always)
  func part(of ordinal: Offset) -> Int {
    // A stripe has at most 2^14 ordinals, so that the part's number is in the low half.
    Int(truncatingIfNeeded: ordinal.low &>> UInt64(truncatingIfNeeded: bits)) & (partCount &- 1)
  }

  /// An ordinal's place in its part.
  @inline(__always)
  func local(_ ordinal: Offset) -> Offset {
    let number = stripe(of: ordinal) &>> UInt128(truncatingIfNeeded: partBits)
    let bit = ordinal.low & (1 &<< UInt64(truncatingIfNeeded: bits) &- 1)
    return Offset(wide: number &<< UInt128(truncatingIfNeeded: bits) | UInt128(bit))
  }

  /// The address that a part's address stands for.
  @inline(__always)
  func address(_ local: IPAddress, part: Int) -> IPAddress {
    let value = local.value
    // The stripe moves up by the part's bits, within one half of the number if it lies there.
    if isLow {
      let host = value.low &- origin.low
      let high = (host &>> addressShift) &<< UInt64(truncatingIfNeeded: partBits)
      let stripe = (high | UInt64(truncatingIfNeeded: part)) &<< addressShift
      let low = origin.low | stripe | host & (1 &<< addressShift &- 1)
      return local.family == .ipv4
        ? IPAddress(ipv4: UInt32(truncatingIfNeeded: low))
        : IPAddress(ipv6: Offset(high: value.high, low: low))
    }
    return wideAddress(local, part: part)
  }

  @inline(never)
  private func wideAddress(_ local: IPAddress, part: Int) -> IPAddress {
    guard partBits > 0 else { return local }
    let shift = bits + unitShift
    let host = local.value.wide - origin.wide
    let stripe = (host >> shift) << partBits | UInt128(UInt(part))
    return IPAddress(
      ipv6: Offset(wide: origin.wide | stripe << shift | host & .lowMask(shift)))
  }

  /// The unit of the pool that contains `address`; `nil` outside the subnet.
  @inline(__always)
  func ordinal(of address: IPAddress) -> Offset? {
    let distance = Offset(
      high: address.value.high ^ origin.high, low: address.value.low ^ origin.low)
    let beyond = Offset(high: distance.high & ~hostMask.high, low: distance.low & ~hostMask.low)
    guard address.family == family, beyond.high | beyond.low == 0 else { return nil }
    return unitShift == 0 ? distance : Offset(wide: distance.wide.shiftedRight(unitShift))
  }

  /// The ordinal that a part's ordinal stands for.
  func global(_ local: Offset, part: Int) -> Offset {
    let stripe = (local.wide >> bits) << partBits | UInt128(UInt(part))
    return Offset(wide: stripe << bits | local.wide & .lowMask(bits))
  }

  @inline(__always)
  private func stripe(of ordinal: Offset) -> UInt128 {
    ordinal.wide &>> UInt128(truncatingIfNeeded: bits)
  }

  private func local(_ stripe: UInt128, _ bit: UInt128) -> Offset {
    Offset(wide: stripe << bits | bit)
  }

  // MARK: - Intervals

  /// A part's share of an interval; `nil` if it has none.
  func local(_ range: OffsetRange, part: Int) -> OffsetRange? {
    let mask = UInt128(UInt(partCount - 1))
    let part = UInt128(UInt(part))
    let (first, last) = (stripe(of: range.first), stripe(of: range.last))
    let ahead = (part &- first) & mask
    let behind = (last &- part) & mask
    // The part's first stripe from `first` on, and its last one up to `last`.
    guard last - first >= ahead, last >= behind, last - behind >= first + ahead else { return nil }
    let low = ahead == 0 ? range.first.wide & .lowMask(bits) : 0
    let high = behind == 0 ? range.last.wide & .lowMask(bits) : .lowMask(bits)
    return OffsetRange(
      local((first + ahead) >> partBits, low), local((last - behind) >> partBits, high))
  }

  /// Every part's share of a set, in one pass. O(intervals × parts that an interval touches).
  func shares(of set: IntervalSet) -> [IntervalSet] {
    var shares = [[OffsetRange]](repeating: [], count: partCount)
    for range in set.intervals {
      let start = part(of: range.first)
      let touched = stripe(of: range.last) - stripe(of: range.first)
      for turn in 0...Int(min(touched, UInt128(UInt(partCount - 1)))) {
        let part = (start + turn) & (partCount - 1)
        if let share = local(range, part: part) { shares[part].append(share) }
      }
    }
    return shares.map { IntervalSet($0) }
  }

  /// The set whose shares these are, by part. What all parts have in common stays in one piece, so
  /// that a block of any size is one interval. O(intervals + stripes that some parts have and
  /// others have not).
  func global(_ shares: [IntervalSet]) -> IntervalSet {
    let whole = shares.map(wholeStripes)
    let common = whole.dropFirst().reduce(whole[0]) { $0.intersection($1) }
    var ranges = common.intervals.map { stripes in
      OffsetRange(
        global(local(stripes.first.wide, 0), part: 0),
        global(local(stripes.last.wide, .lowMask(bits)), part: partCount - 1))
    }
    for (part, share) in shares.enumerated() {
      let rest = share.subtracting(ordinals(ofStripes: common))
      for interval in rest.intervals {
        var next = interval.first.wide
        while true {
          let end = min(next | .lowMask(bits), interval.last.wide)
          ranges.append(
            OffsetRange(
              global(Offset(wide: next), part: part), global(Offset(wide: end), part: part)))
          if end == interval.last.wide { break }
          next = end + 1
        }
      }
    }
    return IntervalSet(ranges)
  }

  /// The stripes of a part, by number, that a set of its ordinals has whole. O(intervals).
  func wholeStripes(_ share: IntervalSet) -> IntervalSet {
    IntervalSet(
      share.intervals.lazy.compactMap { interval in
        let first = interval.first.wide, last = interval.last.wide
        let isCut = first & .lowMask(bits) != 0
        let low = first >> bits + (isCut ? 1 : 0)
        // One more than the last whole stripe.
        let end = last >> bits + (last & .lowMask(bits) == .lowMask(bits) ? 1 : 0)
        return low < end ? OffsetRange(Offset(wide: low), Offset(wide: end - 1)) : nil
      })
  }

  private func ordinals(ofStripes stripes: IntervalSet) -> IntervalSet {
    IntervalSet(
      stripes.intervals.lazy.map {
        OffsetRange(self.local($0.first.wide, 0), self.local($0.last.wide, .lowMask(bits)))
      })
  }
}

// MARK: - Blocks

extension Stripes {
  /// An aligned block, as its parts have it: in each of them a block of the same order at the same
  /// place.
  struct Block: Sendable {
    let parts: Range<Int>
    let first: Offset
    let order: Int
  }

  /// The block of 2^`order` ordinals at `first`, which is aligned.
  func block(_ first: Offset, order: Int) -> Block {
    let part = part(of: first)
    let spread = min(partBits, max(0, order - bits))
    return Block(
      parts: part..<part + 1 << spread, first: local(first), order: order - spread)
  }

  /// The lowest aligned block of 2^`order` ordinals, more than a stripe, of which every part has its
  /// share in what is free there. O(intervals).
  func freeBlock(order: Int, free: [IntervalSet]) -> Offset? {
    let whole = free.map(wholeStripes)
    let spread = min(partBits, order - bits)
    let run = order - bits - spread
    var lowest: UInt128?
    for start in stride(from: 0, to: partCount, by: 1 << spread) {
      let group = whole[start..<start + 1 << spread]
      let common = group.dropFirst().reduce(whole[start]) { $0.intersection($1) }
      for stripes in common.intervals {
        let aligned = (stripes.first.wide + .lowMask(run)) & ~.lowMask(run)
        guard aligned <= stripes.last.wide, stripes.last.wide - aligned >= .lowMask(run) else {
          continue
        }
        let found = global(local(aligned, 0), part: start).wide
        lowest = min(lowest ?? found, found)
        break
      }
    }
    return lowest.map { Offset(wide: $0) }
  }
}
