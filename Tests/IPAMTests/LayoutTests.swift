import AddressSpace
import BitmapAllocator
import IPAM
import Testing

// How pools are cut if a definition does not say: it decides which keys stand in a store, so that a
// change of it needs a migration (decision 0016).

@Suite struct LayoutTests {
  struct Cut: CustomTestStringConvertible, Sendable {
    let subnet: String
    var unit: Int?
    /// The binary logarithm of a chunk's ordinals: leases of many nodes, and anything else.
    let ofNodes: Int
    let otherwise: Int
    var testDescription: String { subnet }
  }

  static func bits(
    _ cut: Cut, _ kind: NetworkDefinition.Kind = .leased,
    _ order: NetworkDefinition.SearchOrder = .homeChunk, chunkBits: Int? = nil
  ) throws -> Int {
    let definition = NetworkDefinition(
      name: "net", kind: kind,
      rangeSets: try RangeSet.sets([[SubnetRange.Text(subnet: cut.subnet)]]), searchOrder: order,
      chunkBits: chunkBits, unitPrefixLength: cut.unit)
    return try definition.layouts()[0].pools[0].geometry.chunkBits
  }

  @Test(arguments: [
    Cut(subnet: "10.0.0.0/28", ofNodes: 8, otherwise: 8),
    Cut(subnet: "10.0.0.0/24", ofNodes: 8, otherwise: 8),
    Cut(subnet: "10.0.0.0/23", ofNodes: 6, otherwise: 6),
    Cut(subnet: "10.0.0.0/20", ofNodes: 6, otherwise: 6),
    Cut(subnet: "10.0.0.0/18", ofNodes: 6, otherwise: 8),
    Cut(subnet: "10.0.0.0/17", ofNodes: 7, otherwise: 9),
    Cut(subnet: "10.0.0.0/16", ofNodes: 8, otherwise: 10),
    Cut(subnet: "10.0.0.0/11", ofNodes: 8, otherwise: 12),
    Cut(subnet: "10.0.0.0/10", ofNodes: 8, otherwise: 12),
    Cut(subnet: "10.0.0.0/8", ofNodes: 9, otherwise: 12),
    Cut(subnet: "2001:db8::/112", ofNodes: 8, otherwise: 10),
    Cut(subnet: "2001:db8::/64", ofNodes: 12, otherwise: 12),
    Cut(subnet: "2001:db8::/48", unit: 64, ofNodes: 8, otherwise: 10),
    Cut(subnet: "2001:db8::/56", unit: 64, ofNodes: 8, otherwise: 8),
  ])
  func defaults(_ cut: Cut) throws {
    #expect(try Self.bits(cut) == cut.ofNodes)
    #expect(try Self.bits(cut, .bare) == cut.otherwise)
    #expect(try Self.bits(cut, .leased, .sequential) == cut.otherwise)
  }

  @Test(arguments: [6, 10, 14]) func whatADefinitionSaysIsKept(chunkBits: Int) throws {
    let cut = Cut(subnet: "10.0.0.0/16", ofNodes: 8, otherwise: 10)
    #expect(try Self.bits(cut, chunkBits: chunkBits) == chunkBits)
    #expect(try Self.bits(cut, .bare, chunkBits: chunkBits) == chunkBits)
  }
}
