import AddressSpace
import BitmapAllocator
import IPAM
import IPAMTesting
import Testing

// An audit and a repair of chunks that others write faster than all of the network can be read.

@Suite struct BusyRepairTests {
  /// Two looks never agree about the chunk; what is wrong with it shows all the same.
  @Test func whatIsWrongInABusyChunkIsFound() async throws {
    let broken = try await Broken()
    broken.changeChunk { $0.bitmap.take($1 + 7) }
    let busy = BusyStore(broken.store, isListingDisturbed: true)
    let auditor = try Auditor(of: busy, definition: broken.definition)
    #expect(try await auditor.findings(deadline: .far).map(\.kind) == [.bitWithoutLease])
  }

  /// The lease came and went with each look; at one moment bit and lease always agree.
  @Test func whatTwoLooksMissByChanceIsNotBelieved() async throws {
    let broken = try await Broken()
    let busy = BusyStore(
      broken.store, isListingDisturbed: true, unlisted: .lease(broken.address))
    let found = try await Auditor(of: busy, definition: broken.definition).findings(deadline: .far)
    #expect(!found.map(\.kind).contains(.bitWithoutLease), "\(found)")
  }

  /// More at once than one snapshot has room for.
  @Test func manyFindingsInABusyChunk() async throws {
    let broken = try await Broken()
    broken.changeChunk { chunk, bit in for more in 1...200 { chunk.bitmap.take(bit + more) } }
    let busy = BusyStore(broken.store, isListingDisturbed: true)
    let auditor = try Auditor(of: busy, definition: broken.definition)
    let found = try await auditor.findings(deadline: .far)
    #expect(found.count == 200 && found.allSatisfy { $0.kind == .bitWithoutLease })
  }

  /// More races are lost than a repair makes audits. Left out are chunks that nobody allocates from.
  @Test(
    arguments: RepairTests.breakages.filter { breakage in
      !["chunk of another incarnation", "chunk of a pool that is none"]
        .contains(breakage.testDescription)
    })
  func aBusyChunkIsMended(_ breakage: RepairTests.Breakage) async throws {
    let broken = try await Broken(subnet: breakage.subnet)
    try await broken.storeDefinition()
    try breakage.damage(broken)
    let busy = BusyStore(broken.store, races: 60, isListingDisturbed: true)
    let report = try await Repairer(of: busy, networkName: "net", surroundings: .system)
      .repair(deadline: .far)
    #expect(report.left.isEmpty)
    #expect(try await broken.findings().isEmpty)
    #expect((broken.store.entries[.lease(broken.address)] != nil) == breakage.keepsLease)
  }

  /// A hardware address of nobody gets an owner before the repair has deleted it.
  @Test func whoCameMeanwhileKeepsAMAC() async throws {
    let broken = try await Broken()
    try await broken.storeDefinition()
    let mac = try MACAddress(parsing: "02:00:00:00:00:02")
    broken.store.overwrite(.mac(mac), .mac(broken.key))
    let owner = AttachmentKey(node: "node-z", container: "late", interface: "eth0")
    let busy = BusyStore(broken.store) { base in
      base.overwrite(.mac(mac), nil)
      _ = try? await broken.allocator("node-z").acquire(
        AcquireRequest(attachment: owner, mac: mac), deadline: .far)
    }
    let report = try await Repairer(of: busy, networkName: "net", surroundings: .system)
      .repair(deadline: .far)
    #expect(report.left.isEmpty && report.conflicts == 1 && report.commits == 0)
    #expect(broken.store.entries[.mac(mac)]?.value == .mac(owner))
  }
}
