import AddressSpace
import BitmapAllocator
import IPAM
import IPAMTesting
import Testing

// Each test breaks one thing in a sound store by hand; the auditor must name exactly that.

@Suite struct AuditorTests {
  @Test func aSoundStoreHasNoFindings() async throws {
    let broken = try await Broken()
    #expect(try await broken.findings().isEmpty)
  }

  @Test func aLostLeaseIsABitWithoutLeaseAndAnAttachmentWithout() async throws {
    let broken = try await Broken()
    broken.store.overwrite(.lease(broken.address), nil)
    #expect(try await broken.kinds() == [.attachmentWithoutLease, .bitWithoutLease])
  }

  @Test func aLostAttachment() async throws {
    let broken = try await Broken()
    broken.store.overwrite(.attachment(broken.key), nil)
    #expect(
      try await broken.kinds() == [.leaseWithoutAttachment, .macWithoutAttachment])
  }

  @Test func aClearBitUnderALease() async throws {
    let broken = try await Broken()
    broken.changeChunk { $0.bitmap.free($1) }
    #expect(try await broken.kinds() == [.leaseWithoutBit])
  }

  @Test func aCoolingBitUnderALeaseIsNotHeld() async throws {
    let broken = try await Broken()
    broken.changeChunk { $0.release($1, now: 1_000, cooldown: 60) }
    #expect(try await broken.kinds() == [.leaseWithoutBit])
  }

  @Test func aCoolingBitWithoutLeaseIsFine() async throws {
    let broken = try await Broken()
    broken.changeChunk { chunk, bit in
      chunk.bitmap.take(bit + 1)
      chunk.release(bit + 1, now: 1_000, cooldown: 60)
    }
    #expect(try await broken.kinds().isEmpty)
  }

  @Test func aBitThatNobodyHolds() async throws {
    let broken = try await Broken()
    broken.changeChunk { $0.bitmap.take($1 + 7) }
    let findings = try await broken.findings()
    #expect(findings.map(\.kind) == [.bitWithoutLease])
    #expect(findings.first?.explanation.contains("10.1.0.9") == true)
  }

  @Test func aBareNetworkHasBitsOnly() async throws {
    let broken = try await Broken()
    broken.changeChunk { $0.bitmap.take($1 + 7) }
    var bare = broken.definition
    bare.kind = .bare
    let auditor = try Auditor(of: broken.store, definition: bare)
    #expect(try await auditor.findings(deadline: .far).isEmpty)
  }

  @Test func aBitBeyondTheEnd() async throws {
    let broken = try await Broken(subnet: "10.1.0.0/28")
    broken.changeChunk { chunk, _ in chunk.bitmap.take(16) }
    #expect(try await broken.kinds() == [.bitOutsidePool])
  }

  @Test func aLeaseOfSomebodyElse() async throws {
    let broken = try await Broken()
    let thief = AttachmentKey(node: "node-b", container: "thief", interface: "eth0")
    guard case .lease(var lease) = broken.store.entries[.lease(broken.address)]?.value else {
      throw AuditorTestError()
    }
    lease.attachment = thief
    broken.store.overwrite(.lease(broken.address), .lease(lease))
    #expect(
      try await broken.kinds() == [.attachmentWithoutLease, .leaseWithoutAttachment])
  }

  @Test func recordsOfTwoCommits() async throws {
    let broken = try await Broken()
    guard case .lease(var lease) = broken.store.entries[.lease(broken.address)]?.value else {
      throw AuditorTestError()
    }
    lease.nonce &+= 1
    broken.store.overwrite(.lease(broken.address), .lease(lease))
    #expect(try await broken.kinds() == [.disagreement])
  }

  @Test func aLeaseOutsideAllPools() async throws {
    let broken = try await Broken()
    let outside = try IPAddress(parsing: "192.0.2.9")
    let lease = broken.store.entries[.lease(broken.address)]?.value
    broken.store.overwrite(.lease(outside), lease)
    #expect(
      try await broken.kinds() == [.leaseOutsidePools, .leaseWithoutAttachment])
  }

  @Test func macAddresses() async throws {
    let broken = try await Broken()
    broken.store.overwrite(.mac(try Broken.mac), nil)
    #expect(try await broken.kinds() == [.attachmentWithoutMAC])
    broken.store.overwrite(.mac(try Broken.mac), .mac(broken.key))
    let other = try MACAddress(parsing: "02:00:00:00:00:02")
    broken.store.overwrite(.mac(other), .mac(broken.key))
    #expect(try await broken.kinds() == [.macWithoutAttachment])
  }

  @Test func aFalseMarkInTheTree() async throws {
    let broken = try await Broken(subnet: "10.1.0.0/16")
    let pool = try broken.pool
    var root = Chunk(chunkBits: pool.chunkBits, incarnation: broken.incarnation)
    root.bitmap.take(3)
    broken.store.overwrite(.chunk(ChunkKey(pool: pool, node: pool.root)), .chunk(root))
    #expect(try await broken.kinds() == [.falseMark])
  }

  @Test func aFullChunkThatDoesNotKnowItsMark() async throws {
    let broken = try await Broken(subnet: "10.1.0.0/20", kind: .bare)
    let pool = try broken.pool
    for (isMarked, expected) in [(false, [AuditFinding.Kind.falseMark]), (true, [])] {
      var root = Chunk(chunkBits: pool.chunkBits, incarnation: broken.incarnation)
      root.bitmap.take(3)
      var child = Chunk(chunkBits: pool.chunkBits, incarnation: broken.incarnation)
      child.bitmap = .full(chunkBits: pool.chunkBits)
      child.isMarked = isMarked
      let node = pool.child(of: pool.root, bit: 3)
      broken.store.overwrite(.chunk(ChunkKey(pool: pool, node: pool.root)), .chunk(root))
      broken.store.overwrite(.chunk(ChunkKey(pool: pool, node: node)), .chunk(child))
      #expect(try await broken.kinds() == expected)
    }
  }

  @Test func chunksOfAnotherDefinition() async throws {
    let broken = try await Broken()
    broken.changeChunk { chunk, _ in chunk.incarnation &+= 1 }
    #expect(try await broken.kinds() == [.foreignChunk])
  }

  @Test func damagedValues() async throws {
    for kind in ["lease", "attachment", "chunk", "mac"] {
      let broken = try await Broken()
      let key: StoreKey =
        switch kind {
        case "lease": .lease(broken.address)
        case "attachment": .attachment(broken.key)
        case "chunk": .chunk(try broken.place.key)
        default: .mac(try Broken.mac)
        }
      broken.store.overwrite(key, .damaged("checksum"))
      let findings = try await broken.findings()
      #expect(findings.contains { $0.kind == .damaged && $0.key == key }, "\(kind): \(findings)")
      #expect(findings.first { $0.kind == .damaged }?.explanation.contains("checksum") == true)
    }
  }

  @Test func whatOnlyTheFirstPassSeesIsNotBelieved() async throws {
    let broken = try await Broken()
    let healing = HealingStore(broken.store, lease: broken.address)
    let auditor = try Auditor(of: healing, definition: broken.definition)
    #expect(try await auditor.findings(deadline: .far).isEmpty)
  }
}

struct AuditorTestError: Error {}

extension Deadline {
  static let far = Deadline(nanoseconds: .max)
}

/// A store with one attachment in it, to be broken.
struct Broken {
  let store = MemoryStore()
  let definition: NetworkDefinition
  let key = AttachmentKey(node: "node-a", container: "c1", interface: "eth0")
  let address: IPAddress
  let incarnation: UInt64

  static var mac: MACAddress { get throws { try MACAddress(parsing: "02:00:00:00:00:01") } }

  init(subnet: String = "10.1.0.0/24", kind: NetworkDefinition.Kind = .leased) async throws {
    let sets = try RangeSet.sets([[SubnetRange.Text(subnet: subnet)]])
    let allocator = NetworkAllocator(
      store: store, networkName: "net", definition: NetworkDefinition(name: "net", rangeSets: sets),
      node: Node(name: "node-a"), surroundings: .system)
    let first = try IPAddress(parsing: "10.1.0.2")
    let acquired = try await allocator.acquire(
      AcquireRequest(attachment: key, requested: [first], mac: Self.mac), deadline: .far)
    address = acquired.attachment.holdings[0].address
    var definition = acquired.definition
    definition.kind = kind
    self.definition = definition
    incarnation = definition.incarnation
  }

  var pool: PoolGeometry {
    get throws { try definition.layouts()[0].pools[0].geometry }
  }

  var place: (key: ChunkKey, bit: Int) {
    get throws {
      let pool = try pool
      guard let ordinal = pool.ordinal(of: address) else { throw AuditorTestError() }
      let (node, bit) = pool.node(of: ordinal)
      return (ChunkKey(pool: pool, node: node), bit)
    }
  }

  func changeChunk(_ change: (inout Chunk, Int) -> Void) {
    guard let (key, bit) = try? place,
      case .chunk(var chunk) = store.entries[.chunk(key)]?.value
    else {
      Issue.record("the chunk of the sample is missing")
      return
    }
    change(&chunk, bit)
    store.overwrite(.chunk(key), .chunk(chunk))
  }

  func findings() async throws -> [AuditFinding] {
    try await Auditor(of: store, definition: definition).findings(deadline: .far)
  }

  func kinds() async throws -> [AuditFinding.Kind] { try await findings().map(\.kind) }
}

/// Shows a lease as missing in its first listing, as if it had been made between two listings.
private final class HealingStore: StoreWrapper {
  let base: MemoryStore
  let lease: StoreEntry
  let address: IPAddress

  init(_ base: MemoryStore, lease address: IPAddress) {
    self.base = base
    self.address = address
    lease = base.entries[.lease(address)] ?? .absent
    base.overwrite(.lease(address), nil)
  }

  var wrapped: any AllocationStore { base }

  func list(
    _ kind: StoreListing, deadline: Deadline,
    _ visit: (StoreKey, StoreEntry) throws(StoreError) -> Void
  ) async throws(StoreError) {
    try await base.list(kind, deadline: deadline, visit)
    if kind == .macs { base.overwrite(.lease(address), lease.value) }
  }
}
