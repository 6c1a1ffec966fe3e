public import AddressSpace
public import BitmapAllocator

// From ranges to bitmaps. A pool is always the bitmap of a whole subnet; what may be handed out of it
// is a set of intervals, computed here and never enumerated:
//
//   subnet        |----------------------------------|      the pool's ordinals
//   range              |------------------|
//   reserved      x                  x                x     network, gateway, broadcast, exclusions
//   allowed            |-------------|x|--|                 what the search may take

/// What one range set of a network may hand out, in the terms of the bitmap.
public struct SetLayout: Hashable, Sendable {
  /// A pool and the ordinals of it that a range may hand out.
  public struct Segment: Hashable, Sendable {
    /// The pool of the range's subnet and the ordinals that may be handed out; may be none.
    public let space: PoolSpace
    /// The range that it comes from; ranges of one subnet are merged only in ``SetLayout/pools``.
    public let range: SubnetRange
  }

  /// One segment per range, in the order of the set.
  public let segments: [Segment]
  /// One entry per pool, in order of first use: all that the set may take from it.
  public let pools: [PoolSpace]

  /// Lays out a set.
  ///
  /// - Parameters:
  ///   - set: The ranges.
  ///   - exclusions: Addresses that are never handed out.
  ///   - unitPrefixLength: What one ordinal stands for; nil for an address.
  ///   - chunkBits: The binary logarithm of the ordinals in a chunk; nil for the default.
  ///   - isForNodes: Whether many nodes take from it at once, one ordinal at a time: then the default
  ///     is 6 to 8 above 2^8 ordinals (12 at most, where 2^15 chunks are not enough), else the pool's
  ///     own.
  /// - Throws: ``NetworkDefinitionError`` if the unit prefix or the chunk size do not fit the subnet.
  /// - Complexity: O(r · e) in ranges and exclusions; independent of the number of addresses.
  public init(
    _ set: RangeSet, exclusions: [AddressRange], unitPrefixLength: Int?, chunkBits: Int?,
    isForNodes: Bool = false
  ) throws(NetworkDefinitionError) {
    var segments: [Segment] = []
    var pools: [PoolSpace] = []
    for range in set.ranges {
      let preferred = isForNodes ? Self.chunkBits(forNodesOn: range.subnet, unitPrefixLength) : nil
      guard
        let pool = PoolGeometry(
          subnet: range.subnet, unitPrefixLength: unitPrefixLength,
          chunkBits: chunkBits ?? preferred)
      else {
        throw Self.misfit(of: range.subnet, unitPrefixLength, chunkBits)
      }
      let allowed = Self.allowed(range, of: set, in: pool, exclusions: exclusions)
      let space = PoolSpace(geometry: pool, allowed: allowed)
      segments.append(Segment(space: space, range: range))
      if let index = pools.firstIndex(where: { $0.geometry == pool }) {
        pools[index] = PoolSpace(geometry: pool, allowed: pools[index].allowed.union(allowed))
      } else {
        pools.append(space)
      }
    }
    self.segments = segments
    self.pools = pools
  }

  private static func misfit(
    of subnet: Prefix, _ unitPrefixLength: Int?, _ chunkBits: Int?
  ) -> NetworkDefinitionError {
    let (shortest, longest) = (subnet.length, subnet.family.bitWidth)
    if let unitPrefixLength, !(shortest...longest).contains(unitPrefixLength) {
      return NetworkDefinitionError(
        "unitPrefixLength: \(unitPrefixLength) is not from \(shortest) to \(longest), what subnet "
          + "\(subnet) can be cut into")
    }
    let bounds = PoolGeometry.chunkBitsBounds
    return NetworkDefinitionError(
      "chunkBits: \(chunkBits ?? 0) is not from \(bounds.lowerBound) to \(bounds.upperBound)")
  }

  /// 2^8 chunks of 64 to 256, about what the pods of one node take, so that nodes which start together
  /// seldom share one, and a node reads another seldom; then more chunks, and larger ones from 2^15 on,
  /// which are more than a cluster has nodes. Up to 2^8 ordinals one chunk, the pool's default, finds
  /// any of them in one read (decision 0016).
  private static func chunkBits(forNodesOn subnet: Prefix, _ unitPrefixLength: Int?) -> Int? {
    let ordinalBits = (unitPrefixLength ?? subnet.family.bitWidth) - subnet.length
    if ordinalBits <= 8 { return nil }
    return min(max(ordinalBits - 15, min(max(ordinalBits - 8, 6), 8)), 12)
  }

  /// How many addresses (or units) the set may hand out.
  public var capacity: ExactCount {
    pools.reduce(ExactCount(0 as UInt64)) { $0 + $1.allowed.count }
  }

  /// Whether an ordinal stands for more than one address.
  public var delegatesPrefixes: Bool {
    pools.contains { $0.geometry.unitPrefixLength < $0.geometry.subnet.family.bitWidth }
  }

  /// The segment that may hand out an address, if any.
  public func segment(allowing address: IPAddress) -> (segment: Segment, ordinal: Ordinal)? {
    for segment in segments {
      if let ordinal = segment.space.geometry.ordinal(of: address),
        segment.space.allowed.contains(ordinal.offset)
      {
        return (segment, ordinal)
      }
    }
    return nil
  }

  private static func allowed(
    _ range: SubnetRange, of set: RangeSet, in pool: PoolGeometry, exclusions: [AddressRange]
  ) -> IntervalSet {
    let delegates = pool.unitPrefixLength < range.subnet.family.bitWidth
    let addresses = delegates ? range.widenedToSubnet : range.addresses
    guard let whole = ordinals(of: addresses, in: pool, covering: false) else {
      return IntervalSet()
    }
    var refused = IntervalSet()
    // A delegated prefix has its own network and gateway addresses: none is reserved in the pool.
    let neighbours = delegates ? [] : set.ranges.filter { $0.subnet == range.subnet }
    for address in neighbours.flatMap(\.reserved) {
      if let ordinal = pool.ordinal(of: address) {
        OffsetRange(first: ordinal.offset, last: ordinal.offset).map { refused.insert($0) }
      }
    }
    for exclusion in exclusions {
      ordinals(of: exclusion, in: pool, covering: true).map { refused.insert($0) }
    }
    return IntervalSet([whole]).subtracting(refused)
  }

  /// The ordinals of a range: those whose unit lies in it whole, or (`covering`) touches it.
  private static func ordinals(
    of range: AddressRange, in pool: PoolGeometry, covering: Bool
  ) -> OffsetRange? {
    let subnet = pool.subnet
    guard range.family == subnet.family, range.overlaps(subnet.range) else { return nil }
    let first = max(range.first, subnet.first)
    let last = min(range.last, subnet.last)
    guard let low = pool.ordinal(of: first)?.offset, let high = pool.ordinal(of: last)?.offset
    else { return nil }
    if covering { return OffsetRange(first: low, last: high) }
    let cutsLow = pool.address(of: Ordinal(low)) != first
    let cutsHigh = pool.prefix(of: Ordinal(high)).last != last
    let step = Offset.one
    if low == high { return cutsLow || cutsHigh ? nil : OffsetRange(first: low, last: high) }
    return OffsetRange(first: cutsLow ? low &+ step : low, last: cutsHigh ? high &- step : high)
  }
}

extension NetworkDefinition {
  /// The layout of every range set.
  ///
  /// - Throws: ``NetworkDefinitionError`` if a set cannot be laid out.
  public func layouts() throws(NetworkDefinitionError) -> [SetLayout] {
    var layouts: [SetLayout] = []
    for set in rangeSets {
      layouts.append(
        try SetLayout(
          set, exclusions: exclusions, unitPrefixLength: unitPrefixLength, chunkBits: chunkBits,
          isForNodes: isForNodes))
    }
    return layouts
  }

  /// Whether many nodes take from its pools at once, one address at a time: not in bulk, and not in
  /// the order of addresses, where all would meet at one cursor anyway.
  private var isForNodes: Bool { kind == .leased && searchOrder == .homeChunk }

  /// Refuses pools that overlap without being the same: an address would have two bits. A directory
  /// has no such bits (its files are the truth), so it need not ask.
  public func checkPoolsDisjoint() throws(NetworkDefinitionError) {
    let pools = try layouts().flatMap { $0.pools.map(\.geometry) }
    for (index, pool) in pools.enumerated() {
      for other in pools[(index + 1)...]
      where pool != other && pool.subnet.overlaps(other.subnet) {
        throw NetworkDefinitionError(
          "pools \(pool.subnet) and \(other.subnet) overlap without being the same: "
            + "an address would have two bits; use one subnet with two ranges")
      }
    }
  }

  /// Operations that a Consul takes in one transaction: every one the lower bound, from 1.14 on the
  /// upper. Which it is shows when a commit is tried.
  package static let commitLimits = 64...128

  /// Operations of the largest commit that an attachment can need: an ADD, or a DEL, which takes back
  /// what the tree says of full chunks.
  ///
  /// - Throws: ``NetworkDefinitionError`` if a set cannot be laid out.
  package func largestCommit() throws(NetworkDefinitionError) -> Int {
    // The definition's check, attachment, hardware address and the note for the journal; for each set
    // the lease, its chunk and at most all chunks above it.
    try layouts().reduce(journal > 0 ? 4 : 3) { count, layout in
      count + 2 + (layout.pools.map(\.geometry.rootLevel).max() ?? 0)
    }
  }

  /// Refuses a network whose attachments could need more operations than a commit may have. Checked on
  /// the whole definition, so that no attachment gets stuck later.
  ///
  /// - Parameter limit: What the store takes, as far as is known (``StoreTraits/operationLimit``).
  public func checkOneCommit(limit: Int) throws(NetworkDefinitionError) {
    let operations = try largestCommit()
    guard operations > limit else { return }
    let newer = Self.commitLimits.upperBound
    throw NetworkDefinitionError(
      "an attachment of \(rangeSets.count) range sets may need \(operations) operations in one "
        + "commit, and "
        + (limit < newer
          ? "this Consul takes \(limit) (1.14 and newer take \(newer))" : "Consul takes \(limit)")
        + ": use fewer range sets")
  }
}
