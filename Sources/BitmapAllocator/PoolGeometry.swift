// How a subnet is cut. With k bits a chunk and units of one prefix length:
//
//   subnet   10.0.0.0/8, unit 32, k = 12
//   ordinal  24 bits:  [ chunk 12 | bit 12 ]
//   tree     level 0: 4,096 chunks of 4,096 ordinals;  level 1: the root, one bit per chunk
//
// Chunks are aligned powers of two, so that all of it is shifts and masks. Only the root can have
// fewer than 2^k bits: the ordinals are 2^(unit - subnet length) many.

public import AddressSpace

/// The arithmetic of a pool: its subnet, the prefix length of a unit, and the chunk size 2^k.
///
/// Every operation is O(1) and allocates nothing unless its documentation says otherwise.
public struct PoolGeometry: Hashable, Sendable {
  /// The smallest and largest k.
  public static let chunkBitsBounds = 6...14

  /// The addresses that the pool covers, always the whole subnet.
  public let subnet: Prefix
  /// The prefix length of what one ordinal stands for: the family's width for an address.
  public let unitPrefixLength: Int
  /// k: a chunk holds 2^k ordinals.
  public let chunkBits: Int
  /// The number of bits of an ordinal: 0 … 128.
  public let ordinalBits: Int
  /// The level of the root: 0 if one chunk holds all ordinals.
  public let rootLevel: Int

  /// The pool over `subnet` that hands out prefixes of `unitPrefixLength` (by default addresses)
  /// from chunks of 2^`chunkBits`: by default 8 for up to 2^8 ordinals, else clamp(ordinal bits − 6, 6,
  /// 12), so that writers on many nodes find a chunk each.
  ///
  /// `nil` if the unit is shorter than the subnet or longer than an address, or if k is outside
  /// 6 … 14. O(1).
  public init?(subnet: Prefix, unitPrefixLength: Int? = nil, chunkBits: Int? = nil) {
    let width = subnet.address.family.bitWidth
    let unit = unitPrefixLength ?? width
    guard unit >= subnet.length, unit <= width else { return nil }
    let ordinalBits = unit - subnet.length
    let chunkBits = chunkBits ?? (ordinalBits <= 8 ? 8 : min(max(ordinalBits - 6, 6), 12))
    guard Self.chunkBitsBounds.contains(chunkBits) else { return nil }
    self.subnet = subnet
    self.unitPrefixLength = unit
    self.chunkBits = chunkBits
    self.ordinalBits = ordinalBits
    self.rootLevel = max(0, (ordinalBits + chunkBits - 1) / chunkBits - 1)
  }

  /// The number of ordinals: 2^`ordinalBits`, up to 2^128. O(1), one number by GMP.
  public var ordinalCount: ExactCount { .powerOfTwo(ordinalBits) }

  /// The highest ordinal. O(1).
  public var lastOrdinal: Ordinal { Ordinal(Offset(wide: lastWide)) }

  /// All ordinals as an interval. O(1).
  public var allOrdinals: OffsetRange { OffsetRange(.zero, Offset(wide: lastWide)) }

  var lastWide: UInt128 { .lowMask(ordinalBits) }

  /// The number of address bits below a unit.
  var unitShift: Int { subnet.address.family.bitWidth - unitPrefixLength }
}

// MARK: - Nodes

extension PoolGeometry {
  /// The top of the fan-out tree. O(1).
  public var root: TreeNode { TreeNode(level: rootLevel, index: ChunkIndex(.zero)) }

  /// The level-0 chunk that holds `ordinal`, and its bit there. O(1).
  public func node(of ordinal: Ordinal) -> (node: TreeNode, bit: Int) {
    let wide = ordinal.offset.wide
    let bit = Int(truncatingIfNeeded: wide & .lowMask(chunkBits))
    return (node(of: ordinal, level: 0), bit)
  }

  /// The level-0 chunk of an index. O(1).
  public func leaf(_ index: ChunkIndex) -> TreeNode { TreeNode(level: 0, index: index) }

  /// The node of `level` below which `ordinal` lies. O(1).
  public func node(of ordinal: Ordinal, level: Int) -> TreeNode {
    let index = ordinal.offset.wide.shiftedRight(coveredBits(level))
    return TreeNode(level: level, index: ChunkIndex(Offset(wide: index)))
  }

  /// The parent of `node` and the bit that stands for `node` there, or `nil` for the root. O(1).
  public func parent(of node: TreeNode) -> (node: TreeNode, bit: Int)? {
    guard node.level < rootLevel else { return nil }
    let wide = node.index.offset.wide
    let parent = TreeNode(level: node.level + 1, index: ChunkIndex(Offset(wide: wide >> chunkBits)))
    return (parent, Int(truncatingIfNeeded: wide & .lowMask(chunkBits)))
  }

  /// The child that `bit` of `node` stands for; `node` must not be a leaf. O(1).
  public func child(of node: TreeNode, bit: Int) -> TreeNode {
    precondition(node.level > 0, "a leaf has no children")
    let wide = node.index.offset.wide << chunkBits | UInt128(UInt(bit))
    return TreeNode(level: node.level - 1, index: ChunkIndex(Offset(wide: wide)))
  }

  /// The number of bits of `node` that stand for something, 1 … 2^k, contiguous from 0. O(1).
  public func existingBits(in node: TreeNode) -> Int {
    guard node.level == rootLevel else { return 1 << chunkBits }
    return 1 << min(chunkBits, ordinalBits - chunkBits * rootLevel)
  }

  /// Whether the tree has such a node. O(1).
  public func exists(_ node: TreeNode) -> Bool {
    guard (0...rootLevel).contains(node.level) else { return false }
    return node.index.offset.wide <= .lowMask(max(0, ordinalBits - coveredBits(node.level)))
  }

  /// The ordinals below `node`. O(1).
  public func ordinals(of node: TreeNode) -> OffsetRange {
    let bits = coveredBits(node.level)
    let first = node.index.offset.wide.shiftedLeft(bits)
    return OffsetRange(Offset(wide: first), Offset(wide: min(first | .lowMask(bits), lastWide)))
  }

  /// The number of ordinal bits below one node of `level`.
  func coveredBits(_ level: Int) -> Int { chunkBits * (level + 1) }

  private func leaf(_ wide: UInt128) -> TreeNode { leaf(ChunkIndex(Offset(wide: wide))) }
}

// MARK: - Names

extension PoolGeometry {
  /// `<subnet>-<unit>-<k>`, as in a store's keys: `0a010000-16-32-10`. O(1).
  public var name: String {
    "\(subnet.address.fixedWidthHex)-\(subnet.length)-\(unitPrefixLength)-\(chunkBits)"
  }

  /// `<pool>/<level>/<index>`, as in a store's keys, the index in hexadecimal as wide as the
  /// family's addresses: `0a010000-16-32-10/0/0000002a`. O(1).
  public func name(of node: TreeNode) -> String {
    let digits = subnet.family.bitWidth / 4
    return "\(name)/\(node.level)/\(node.index.offset.hex(digits: digits))"
  }
}

// MARK: - Addresses

extension PoolGeometry {
  /// The ordinal of `bit` of the leaf `node`. O(1).
  public func ordinal(of node: TreeNode, bit: Int) -> Ordinal {
    precondition(node.level == 0, "only leaves hold ordinals")
    return Ordinal(Offset(wide: node.index.offset.wide << chunkBits | UInt128(UInt(bit))))
  }

  /// The first address of the unit `ordinal`, which must be in the pool. O(1).
  public func address(of ordinal: Ordinal) -> IPAddress {
    let wide = ordinal.offset.wide
    precondition(wide <= lastWide, "the ordinal is not in the pool")
    let value = subnet.address.value.wide | wide.shiftedLeft(unitShift)
    guard let address = IPAddress(family: subnet.address.family, value: Offset(wide: value)) else {
      preconditionFailure("a unit lies in its subnet")
    }
    return address
  }

  /// The unit `ordinal`, which must be in the pool, as a prefix. O(1).
  public func prefix(of ordinal: Ordinal) -> Prefix {
    guard let prefix = Prefix(address: address(of: ordinal), length: unitPrefixLength) else {
      preconditionFailure("a unit's length is in range")
    }
    return prefix
  }

  /// The ordinal of the unit that contains `address`, or `nil` outside the subnet. O(1).
  public func ordinal(of address: IPAddress) -> Ordinal? {
    guard subnet.contains(address) else { return nil }
    let distance = address.value.wide ^ subnet.address.value.wide
    return Ordinal(Offset(wide: distance.shiftedRight(unitShift)))
  }

  /// The ordinals whose units make up `prefix`, or `nil` if it is not within the subnet or is
  /// smaller than a unit. O(1).
  public func ordinals(of prefix: Prefix) -> OffsetRange? {
    guard prefix.length <= unitPrefixLength, prefix.length >= subnet.length,
      let first = ordinal(of: prefix.address)
    else { return nil }
    let last = first.offset.wide | .lowMask(unitPrefixLength - prefix.length)
    return OffsetRange(first.offset, Offset(wide: last))
  }
}

extension PoolGeometry {
  /// The ordinals of the units that have an address of `range`; `nil` if it is outside the subnet.
  /// O(1).
  public func ordinals(touching range: AddressRange) -> OffsetRange? {
    let first = max(range.first, subnet.first)
    let last = min(range.last, subnet.last)
    guard first <= last, let low = ordinal(of: first), let high = ordinal(of: last) else {
      return nil
    }
    return OffsetRange(low.offset, high.offset)
  }
}

extension OffsetRange {
  /// The interval between two offsets that are known to be in order.
  init(_ first: Offset, _ last: Offset) {
    guard let range = OffsetRange(first: first, last: last) else {
      preconditionFailure("the interval's ends are in order")
    }
    self = range
  }
}

extension UInt128 {
  /// The lowest `count` bits, 0 … 128.
  @inlinable
  static func lowMask(_ count: Int) -> UInt128 {
    count >= 128 ? .max : (UInt128(1) << UInt128(UInt(count))) - 1
  }

  /// Shifted towards the high bits; zero from 128 on.
  @inlinable
  func shiftedLeft(_ count: Int) -> UInt128 { count >= 128 ? 0 : self &<< UInt128(UInt(count)) }

  /// Shifted towards the low bits; zero from 128 on.
  @inlinable
  func shiftedRight(_ count: Int) -> UInt128 { count >= 128 ? 0 : self &>> UInt128(UInt(count)) }
}
