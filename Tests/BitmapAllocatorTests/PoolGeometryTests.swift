import AddressSpace
import Testing
import TestSupport

@testable import BitmapAllocator

@Suite struct PoolGeometryTests {
  struct Shape: Sendable, CustomStringConvertible {
    let subnet: String
    let unit: Int?
    let chunkBits: Int
    let rootLevel: Int
    let rootBits: Int
    var description: String { "\(subnet) in \(unit ?? 0)" }
  }

  @Test(arguments: [
    Shape(subnet: "10.0.0.1/32", unit: nil, chunkBits: 8, rootLevel: 0, rootBits: 1),
    Shape(subnet: "10.0.0.0/30", unit: nil, chunkBits: 8, rootLevel: 0, rootBits: 4),
    Shape(subnet: "10.0.0.0/24", unit: nil, chunkBits: 8, rootLevel: 0, rootBits: 256),
    Shape(subnet: "10.0.0.0/23", unit: nil, chunkBits: 6, rootLevel: 1, rootBits: 8),
    Shape(subnet: "10.0.0.0/20", unit: nil, chunkBits: 6, rootLevel: 1, rootBits: 64),
    Shape(subnet: "10.0.0.0/19", unit: nil, chunkBits: 7, rootLevel: 1, rootBits: 64),
    Shape(subnet: "10.0.0.0/18", unit: nil, chunkBits: 8, rootLevel: 1, rootBits: 64),
    Shape(subnet: "10.0.0.0/16", unit: nil, chunkBits: 10, rootLevel: 1, rootBits: 64),
    Shape(subnet: "10.0.0.0/8", unit: nil, chunkBits: 12, rootLevel: 1, rootBits: 4096),
    Shape(subnet: "0.0.0.0/0", unit: nil, chunkBits: 12, rootLevel: 2, rootBits: 256),
    Shape(subnet: "2001:db8::/64", unit: nil, chunkBits: 12, rootLevel: 5, rootBits: 16),
    Shape(subnet: "::/0", unit: nil, chunkBits: 12, rootLevel: 10, rootBits: 256),
    Shape(subnet: "2001:db8::/32", unit: 64, chunkBits: 12, rootLevel: 2, rootBits: 256),
    Shape(subnet: "2001:db8::/48", unit: 64, chunkBits: 10, rootLevel: 1, rootBits: 64),
    Shape(subnet: "2001:db8::/64", unit: 64, chunkBits: 8, rootLevel: 0, rootBits: 1),
  ])
  func shapes(shape: Shape) throws {
    let subnet = try Prefix(parsing: shape.subnet)
    let geometry = try #require(PoolGeometry(subnet: subnet, unitPrefixLength: shape.unit))
    #expect(geometry.chunkBits == shape.chunkBits)
    #expect(geometry.rootLevel == shape.rootLevel)
    #expect(geometry.existingBits(in: geometry.root) == shape.rootBits)
    #expect(geometry.ordinals(of: geometry.root) == geometry.allOrdinals)
    #expect(geometry.parent(of: geometry.root) == nil)
    #expect(geometry.prefix(of: geometry.lastOrdinal).last == subnet.last)
    #expect(geometry.ordinalCount == .powerOfTwo(geometry.unitPrefixLength - subnet.length))
  }

  @Test func refusesWhatDoesNotGoTogether() throws {
    let subnet = try Prefix(parsing: "10.0.0.0/16")
    #expect(PoolGeometry(subnet: subnet, unitPrefixLength: 15) == nil)
    #expect(PoolGeometry(subnet: subnet, unitPrefixLength: 33) == nil)
    #expect(PoolGeometry(subnet: subnet, chunkBits: 5) == nil)
    #expect(PoolGeometry(subnet: subnet, chunkBits: 15) == nil)
  }

  @Test func namesAreThoseOfTheStores() throws {
    let subnet = try Prefix(parsing: "10.1.0.0/16")
    let geometry = try #require(PoolGeometry(subnet: subnet))
    #expect(geometry.name == "0a010000-16-32-10")
    let leaf = geometry.node(of: Ordinal(UInt64(42 << 10))).node
    #expect(geometry.name(of: leaf) == "0a010000-16-32-10/0/0000002a")
    let wide = try #require(PoolGeometry(subnet: Prefix(parsing: "2001:db8::/32")))
    let zeros = String(repeating: "0", count: 24)
    #expect(wide.name(of: wide.root) == "20010db8\(zeros)-32-128-12/7/00000000\(zeros)")
  }

  /// Addresses, ordinals, leaves and their ancestors agree, at any size.
  @Test func goesUpAndDown() throws {
    let seed = runSeed
    var random = seed.generator
    for _ in 0..<300 {
      let length = Int.random(in: 0...128, using: &random)
      let unit = Int.random(in: length...128, using: &random)
      let any = Offset(high: random.next(), low: random.next())
      let subnet = try #require(Prefix(address: IPAddress(ipv6: any), length: length))
      let k = Int.random(in: 6...14, using: &random)
      let geometry = try #require(
        PoolGeometry(subnet: subnet, unitPrefixLength: unit, chunkBits: k))
      let mask = UInt128.lowMask(unit - length)
      let wide = Offset(high: random.next(), low: random.next()).wide & mask
      let ordinal = Ordinal(Offset(wide: wide))
      let prefix = geometry.prefix(of: ordinal)
      #expect(subnet.contains(prefix), "\(seed)")
      #expect(geometry.ordinal(of: prefix.first) == ordinal, "\(seed)")
      #expect(geometry.ordinal(of: prefix.last) == ordinal, "\(seed)")
      #expect(geometry.ordinals(of: prefix)?.first == ordinal.offset, "\(seed)")
      var (node, bit) = geometry.node(of: ordinal)
      #expect(geometry.ordinal(of: node, bit: bit) == ordinal, "\(seed)")
      while true {
        #expect(geometry.exists(node) && bit < geometry.existingBits(in: node), "\(seed)")
        #expect(geometry.ordinals(of: node).contains(ordinal.offset), "\(seed)")
        #expect(geometry.node(of: ordinal, level: node.level) == node, "\(seed)")
        guard let (parent, above) = geometry.parent(of: node) else { break }
        #expect(geometry.child(of: parent, bit: above) == node, "\(seed)")
        (node, bit) = (parent, above)
      }
      #expect(node == geometry.root, "\(seed)")
    }
  }
}

@Suite struct PoolSpaceTests {
  /// Coverage, usable bits, edges and home chunks against a look at every ordinal.
  @Test(arguments: 0..<40) func agreesWithALookAtEveryOrdinal(round: UInt64) throws {
    let seed = runSeed
    var random = SeededGenerator(seed: seed.value &+ round)
    let bits = Int.random(in: 0...13, using: &random)
    let subnet = try #require(Prefix(address: IPAddress(ipv4: 0), length: 32 - bits))
    let geometry = try #require(PoolGeometry(subnet: subnet, chunkBits: 6))
    let last = UInt64(1) << UInt64(bits) - 1
    var set = IntervalSet()
    for _ in 0..<Int.random(in: 0...4, using: &random) {
      let ends = [
        UInt64.random(in: 0...last, using: &random), .random(in: 0...last, using: &random),
      ]
      set.insert(OffsetRange(Offset(ends.min() ?? 0), Offset(ends.max() ?? 0)))
    }
    let space = PoolSpace(geometry: geometry, allowed: set)
    var edges: Set<TreeNode> = []
    for level in 0...geometry.rootLevel {
      let nodes = (0...last).map { geometry.node(of: Ordinal($0), level: level) }
      for node in Set(nodes) {
        let ordinals = geometry.ordinals(of: node)
        let allowed = (ordinals.first.low...ordinals.last.low).filter { set.contains(Offset($0)) }
        let size = ordinals.last.low - ordinals.first.low + 1
        let coverage: PoolSpace.Coverage =
          allowed.isEmpty ? .none : allowed.count == Int(size) ? .whole : .cut
        #expect(space.coverage(of: node) == coverage, "\(seed)")
        if coverage == .cut { edges.insert(node) }
        let shift = UInt64(6 * level)
        let usable = Set(allowed.map { Int(($0 - ordinals.first.low) >> shift) })
        let ranges = space.usableBits(in: node)
        #expect(Set(ranges.joined()) == usable, "\(seed)")
        #expect(zip(ranges, ranges.dropFirst()).allSatisfy { $0.upperBound + 1 < $1.lowerBound })
      }
    }
    #expect(Set(space.edges) == edges, "\(seed)")
    #expect(space.proofNodes.first == geometry.root, "\(seed)")
    #expect(Set(space.proofNodes) == edges.union([geometry.root]), "\(seed)")
    let touched = (0...last).filter { set.contains(Offset($0)) }.map { $0 >> 6 }
    let chunks = Set(touched).sorted()
    for hash in [0, UInt64.max, random.next(), random.next()] {
      let rank = Int(hash.multipliedFullWidth(by: UInt64(chunks.count)).high)
      let expected = chunks.dropFirst(rank).first.map { ChunkIndex($0) }
      #expect(space.homeChunk(hash: hash) == expected, "\(seed)")
    }
  }

  @Test func proofSetsAreSmall() throws {
    func nodes(_ text: String, without ends: Bool) throws -> Int {
      let geometry = try #require(PoolGeometry(subnet: Prefix(parsing: text)))
      var allowed = IntervalSet(geometry.allOrdinals)
      if ends {
        allowed.remove(OffsetRange(.zero))
        allowed.remove(OffsetRange(geometry.lastOrdinal.offset))
      }
      return PoolSpace(geometry: geometry, allowed: allowed).proofNodes.count
    }
    #expect(try nodes("10.0.0.0/24", without: true) == 1)
    #expect(try nodes("10.0.0.0/8", without: true) == 3)
    #expect(try nodes("10.0.0.0/8", without: false) == 1)
    #expect(try nodes("2001:db8::/64", without: true) == 11)
    #expect(try nodes("::/0", without: true) == 21)
  }

  @Test func excludesWholeUnits() throws {
    let subnet = try Prefix(parsing: "2001:db8::/48")
    let geometry = try #require(PoolGeometry(subnet: subnet, unitPrefixLength: 64))
    let excluded = try ["2001:db8:0:1::1", "2001:db8:0:8::-2001:db8:0:a::", "::1"].map {
      try AddressRange(parsing: $0)
    }
    let space = PoolSpace(geometry: geometry, excluding: excluded)
    let lost = IntervalSet(geometry.allOrdinals).subtracting(space.allowed)
    #expect(lost.intervals == [OffsetRange(1), OffsetRange(8, 10)])
  }
}
