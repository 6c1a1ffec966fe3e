import AddressSpace
import IPAM
import IPAMTesting
import Testing

/// Imports into a network that is in use.
@Suite struct AdoptionTests {
  /// What loses races is tried again without all of the network being read for each.
  @Test func aBusyChunk() async throws {
    let broken = try await Broken()
    let quiet = try await listings(broken, "quiet", address: "10.1.0.20", races: 0)
    let busy = try await listings(broken, "busy", address: "10.1.0.21", races: 60)
    #expect(busy <= quiet * 6)
  }

  private func listings(
    _ broken: Broken, _ container: String, address: String, races: Int
  ) async throws -> Int {
    let store = BusyStore(broken.store, races: races)
    let adopted = AdoptedAttachment(
      key: AttachmentKey(node: "n", container: container, interface: "eth0"),
      addresses: [try IPAddress(parsing: address)])
    let outcomes = try await Adoption(
      into: store, networkName: "net", node: Node(name: "n"), surroundings: .system
    ).adopt([adopted], dryRun: false, deadline: .far)
    #expect(outcomes.map(\.1) == [.adopted], "\(races) races")
    return store.listings
  }
}
