import AddressSpace
import BitmapAllocator
import IPAM
import IPAMTesting
import Testing

// Each test breaks a sound store by hand; after a repair the auditor finds nothing, and whoever
// held an address holds it still, unless the test says otherwise.

@Suite struct RepairTests {
  /// What is broken, with the addresses that must still be leased afterwards.
  struct Breakage: Sendable, CustomTestStringConvertible {
    let testDescription: String
    var subnet = "10.1.0.0/24"
    var keepsLease = true
    let damage: @Sendable (Broken) throws -> Void
  }

  static let breakages: [Breakage] = [
    Breakage(testDescription: "lease lost") { $0.store.overwrite(.lease($0.address), nil) },
    Breakage(testDescription: "attachment lost") { $0.store.overwrite(.attachment($0.key), nil) },
    Breakage(testDescription: "bit lost") { $0.changeChunk { $0.bitmap.free($1) } },
    Breakage(testDescription: "bit cools under a lease") {
      $0.changeChunk { $0.release($1, now: 1_000, cooldown: 60) }
    },
    Breakage(testDescription: "bits that nobody holds") {
      $0.changeChunk { chunk, bit in for more in 1...200 { chunk.bitmap.take(bit + more) } }
    },
    Breakage(testDescription: "bit beyond the end", subnet: "10.1.0.0/28") {
      $0.changeChunk { chunk, _ in chunk.bitmap.take(16) }
    },
    Breakage(testDescription: "nonce of another commit") { broken in
      try broken.changeLease { $0.nonce &+= 1 }
    },
    Breakage(testDescription: "lease of another, who does not exist", keepsLease: true) { broken in
      try broken.changeLease {
        $0.attachment = AttachmentKey(node: "node-b", container: "thief", interface: "eth0")
      }
    },
    Breakage(testDescription: "MAC lost") { $0.store.overwrite(.mac(try Broken.mac), nil) },
    Breakage(testDescription: "MAC of nobody") {
      $0.store.overwrite(.mac(try MACAddress(parsing: "02:00:00:00:00:02")), .mac($0.key))
    },
    Breakage(testDescription: "MAC registered for another") {
      let other = AttachmentKey(node: "node-b", container: "c9", interface: "eth0")
      $0.store.overwrite(.mac(try Broken.mac), .mac(other))
    },
    Breakage(testDescription: "damaged lease") {
      $0.store.overwrite(.lease($0.address), .damaged("checksum"))
    },
    Breakage(testDescription: "damaged attachment") {
      $0.store.overwrite(.attachment($0.key), .damaged("checksum"))
    },
    Breakage(testDescription: "damaged attachment of nobody") {
      let name = AttachmentKey(node: "node-b", container: "c9", interface: "eth0")
      $0.store.overwrite(.attachment(name), .damaged("checksum"))
    },
    Breakage(testDescription: "damaged MAC") {
      $0.store.overwrite(.mac(try Broken.mac), .damaged("checksum"))
    },
    Breakage(testDescription: "damaged chunk") {
      $0.store.overwrite(.chunk(try $0.place.key), .damaged("checksum"))
    },
    Breakage(testDescription: "damaged root", subnet: "10.1.0.0/16") {
      let pool = try $0.pool
      $0.store.overwrite(.chunk(ChunkKey(pool: pool, node: pool.root)), .damaged("checksum"))
    },
    Breakage(testDescription: "false mark", subnet: "10.1.0.0/16") { broken in
      let pool = try broken.pool
      var root = Chunk(chunkBits: pool.chunkBits, incarnation: broken.incarnation)
      root.bitmap.take(3)
      broken.store.overwrite(.chunk(ChunkKey(pool: pool, node: pool.root)), .chunk(root))
    },
    Breakage(testDescription: "mark that the root does not know", subnet: "10.1.0.0/16") {
      $0.changeChunk { chunk, _ in chunk.isMarked = true }
    },
    Breakage(testDescription: "chunk of another incarnation", subnet: "10.1.0.0/16") {
      $0.changeChunk { chunk, _ in chunk.incarnation &+= 1 }
    },
    Breakage(testDescription: "chunk of a pool that is none") { broken in
      let subnet = try Prefix(parsing: "192.0.2.0/24")
      guard let pool = PoolGeometry(subnet: subnet) else { throw AuditorTestError() }
      let chunk = Chunk(chunkBits: pool.chunkBits, incarnation: broken.incarnation)
      broken.store.overwrite(.chunk(ChunkKey(pool: pool, node: pool.root)), .chunk(chunk))
    },
    Breakage(testDescription: "leftover of an earlier attachment") { broken in
      let address = try IPAddress(parsing: "10.1.0.77")
      var lease = try broken.lease()
      lease.nonce &+= 1
      broken.store.overwrite(.lease(address), .lease(lease))
    },
    Breakage(testDescription: "an address of another in the record") { broken in
      var attachment = try broken.attachment()
      let other = AttachmentKey(node: "node-b", container: "c2", interface: "eth0")
      attachment.mac = nil
      attachment.nonce &+= 7
      broken.store.overwrite(.attachment(other), .attachment(attachment))
    },
  ]

  @Test(arguments: breakages) func everyCorruptionIsMended(_ breakage: Breakage) async throws {
    let broken = try await Broken(subnet: breakage.subnet)
    try await broken.storeDefinition()
    try breakage.damage(broken)
    #expect(try await !broken.findings().isEmpty, "the test breaks nothing")
    let report = try await broken.repairer.repair(deadline: .far)
    #expect(report.left.isEmpty)
    #expect(try await broken.findings().isEmpty)
    #expect((broken.store.entries[.lease(broken.address)] != nil) == breakage.keepsLease)
    // Once more: nothing is left to do.
    #expect(try await broken.repairer.repair(deadline: .far).commits == 0)
  }

  @Test(arguments: breakages) func aDiagnosisChangesNothing(_ breakage: Breakage) async throws {
    let broken = try await Broken(subnet: breakage.subnet)
    try await broken.storeDefinition()
    try breakage.damage(broken)
    let before = broken.store.entries
    let diagnoses = try await broken.repairer.diagnose(deadline: .far)
    #expect(diagnoses.contains { $0.isMendable })
    #expect(diagnoses.allSatisfy { !$0.remedy.isEmpty })
    #expect(broken.store.entries == before)
  }

  @Test func aRestoredLeaseHasItsBitAgain() async throws {
    let broken = try await Broken()
    try await broken.storeDefinition()
    broken.store.overwrite(.lease(broken.address), nil)
    broken.changeChunk { $0.bitmap.free($1) }
    _ = try await broken.repairer.repair(deadline: .far)
    let (key, bit) = try broken.place
    guard case .chunk(let chunk) = broken.store.entries[.chunk(key)]?.value else {
      throw AuditorTestError()
    }
    #expect(chunk.isHeld(bit))
    #expect(try broken.lease().attachment == broken.key)
  }

  /// The record and its hardware address are found wrong together, and the one mends the other: a
  /// repair that deleted the second one and were cut off there would have harmed.
  @Test func aRecordMadeAnewKeepsItsMAC() async throws {
    let broken = try await Broken()
    try await broken.storeDefinition()
    broken.store.overwrite(.attachment(broken.key), nil)
    var written: [StoreKey] = []
    let report = try await broken.repairer.repair(deadline: .far) { step in
      for operation in step.operations {
        if case .check = operation { continue }
        written.append(operation.key)
      }
    }
    #expect(report.left.isEmpty && written == [.attachment(broken.key)])
  }

  @Test func whatOnlyAPersonCanDecideIsLeft() async throws {
    let broken = try await Broken()
    try await broken.storeDefinition()
    // A lease that cannot be read and that no record names: somebody may have the address.
    let address = try IPAddress(parsing: "10.1.0.9")
    broken.store.overwrite(.lease(address), .damaged("checksum"))
    let report = try await broken.repairer.repair(deadline: .far)
    #expect(report.left.map(\.finding.kind).contains(.damaged))
    #expect(broken.store.entries[.lease(address)] != nil)
    #expect(try await !broken.kinds().contains(.leaseWithoutBit))
  }

  @Test func twoOwnersOfAMACAreLeftToAPerson() async throws {
    let broken = try await Broken()
    try await broken.storeDefinition()
    var attachment = try broken.attachment()
    attachment.holdings = []
    let other = AttachmentKey(node: "node-b", container: "c2", interface: "eth0")
    broken.store.overwrite(.attachment(other), .attachment(attachment))
    let report = try await broken.repairer.repair(deadline: .far)
    #expect(report.left.map(\.finding.kind) == [.attachmentWithoutMAC])
    #expect(report.left.allSatisfy { !$0.isMendable })
  }

  @Test func bareBitsAreNeverCleared() async throws {
    let broken = try await Broken(kind: .bare)
    try await broken.storeDefinition()
    broken.store.overwrite(.attachment(broken.key), nil)
    broken.store.overwrite(.lease(broken.address), nil)
    broken.store.overwrite(.mac(try Broken.mac), nil)
    broken.changeChunk { chunk, bit in
      for more in 1...20 { chunk.bitmap.take(bit + more) }
      chunk.incarnation &+= 1
    }
    let (key, bit) = try broken.place
    _ = try await broken.repairer.repair(deadline: .far)
    guard case .chunk(let chunk) = broken.store.entries[.chunk(key)]?.value else {
      throw AuditorTestError()
    }
    #expect((0...20).allSatisfy { chunk.isHeld(bit + $0) })
    broken.store.overwrite(.chunk(key), .damaged("checksum"))
    let report = try await broken.repairer.repair(deadline: .far)
    #expect(report.left.map(\.finding.kind) == [.damaged])
    #expect(broken.store.entries[.chunk(key)]?.value == .damaged("checksum"))
  }

  /// Its definition was lost or deleted, and a leased one made in its place.
  @Test func bareBitsAreNotClearedUnderALeasedDefinition() async throws {
    let broken = try await Broken()
    try await broken.storeDefinition()
    broken.changeChunk { chunk, bit in
      for more in 1...20 { chunk.bitmap.take(bit + more) }
      chunk.features.incompatible = .bare
      chunk.incarnation &+= 1
    }
    let (key, bit) = try broken.place
    let report = try await broken.repairer.repair(deadline: .far)
    #expect(report.commits == 0 && report.left.contains { $0.remedy.contains("--force") })
    broken.changeChunk { chunk, bit in
      for more in 0...20 { chunk.release(bit + more, now: 1_000, cooldown: 60) }
    }
    let again = try await broken.repairer.repair(deadline: .far)
    guard case .chunk(let chunk) = broken.store.entries[.chunk(key)]?.value else {
      throw AuditorTestError()
    }
    #expect(again.left.isEmpty && chunk.isHeld(bit) && chunk.features == ChunkFeatures())
  }

  @Test func aNewIncarnationTakesAllChunksOver() async throws {
    let broken = try await Broken(subnet: "10.1.0.0/16")
    try await broken.storeDefinition()
    let allocator = broken.allocator("node-z")
    for index in 0..<40 {
      let key = AttachmentKey(node: "node-z", container: "c\(index)x", interface: "eth0")
      _ = try await allocator.acquire(AcquireRequest(attachment: key), deadline: .far)
    }
    try await broken.repairer.renewIncarnation(deadline: .far)
    let renewed = try await broken.storedDefinition()
    #expect(renewed.incarnation != broken.incarnation)
    let before = broken.leases
    let report = try await broken.repairer.repair(deadline: .far)
    #expect(report.left.isEmpty && report.commits > 0)
    #expect(broken.leases == before)
    let findings = try await Auditor(of: broken.store, definition: renewed)
      .findings(deadline: .far)
    #expect(findings.isEmpty)
    let late = AttachmentKey(node: "node-y", container: "late", interface: "eth0")
    _ = try await broken.allocator("node-y").acquire(
      AcquireRequest(attachment: late), deadline: .far)
  }
}

extension Broken {
  var repairer: Repairer {
    Repairer(of: store, networkName: "net", surroundings: .system)
  }

  /// What the tests say of the definition has to stand in the store too.
  func storeDefinition() async throws {
    store.overwrite(.definition, .definition(definition))
  }

  func storedDefinition() async throws -> NetworkDefinition {
    guard case .definition(let stored) = store.entries[.definition]?.value else {
      throw AuditorTestError()
    }
    return stored
  }

  func allocator(_ node: String) -> NetworkAllocator {
    NetworkAllocator(
      store: store, networkName: "net", definition: nil, node: Node(name: node),
      surroundings: .system)
  }

  func lease() throws -> Lease {
    guard case .lease(let lease) = store.entries[.lease(address)]?.value else {
      throw AuditorTestError()
    }
    return lease
  }

  func attachment() throws -> IPAM.Attachment {
    guard case .attachment(let attachment) = store.entries[.attachment(key)]?.value else {
      throw AuditorTestError()
    }
    return attachment
  }

  func changeLease(_ change: (inout Lease) -> Void) throws {
    var lease = try lease()
    change(&lease)
    store.overwrite(.lease(address), .lease(lease))
  }

  /// Who holds what.
  var leases: [IPAddress: AttachmentKey] {
    var found: [IPAddress: AttachmentKey] = [:]
    for (key, entry) in store.entries {
      guard case .lease(let address) = key, case .lease(let lease) = entry.value else { continue }
      found[address] = lease.attachment
    }
    return found
  }
}
