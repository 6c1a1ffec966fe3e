import AddressSpace
import BitmapAllocator

// What mends a finding, decided from one look at the store and committed under conditions that make
// the decision true at the moment of the commit:
//
//   lease      the truth about who has an address; it is never removed because a record is missing
//   record     made again from its leases, or a lease from the record that names it
//   bit        follows the leases, which were read after the chunk: an address that is leased later
//              moves the chunk, and the commit fails
//   tree       a clear bit is always right, so marks are taken back and never set
//
// Nothing is decided where only a person can know: see the steps without operations.

/// One commit that mends something, or the reason why there is none.
public struct RepairStep: Hashable, Sendable {
  /// What it does, for people.
  public var action: String
  /// All or nothing; empty if nothing can be done without somebody's decision.
  public var operations: [StoreOperation]
  /// Who holds an address no more once it is committed, for a journal.
  public var events: [JournalEvent] = []

  /// Whether there is something to commit.
  public var isPossible: Bool { !operations.isEmpty }

  static func nothing(_ reason: String) -> RepairStep { RepairStep(action: reason, operations: []) }
}

/// What findings are mended by: those of one subject are mended together.
enum RepairSubject: Hashable {
  case lease(IPAddress)
  case attachment(AttachmentKey)
  case mac(MACAddress)
  case chunk(ChunkKey)

  /// Records before bits, because bits follow records; the tree from its root, because a chunk
  /// below a parent that says nothing needs no word to it.
  var rank: Int {
    switch self {
    case .lease: 0
    case .attachment: 1
    case .mac: 2
    case .chunk(let key): 1_000 - key.node.level
    }
  }

  var isRecord: Bool { rank < 3 }
}

/// Decides what mends the findings of one look; does nothing.
struct RepairPlan {
  var evidence: Evidence
  let definition: NetworkDefinition
  let definitionRevision: Revision
  let layouts: [SetLayout]
  let pools: Set<PoolGeometry>
  /// Operations that a commit may have.
  var limit: Int
  /// What the findings about a subject were judged by.
  var found: [RepairSubject: Set<StoreKey>] = [:]
  /// Mends nothing of a chunk but what was found.
  var isNarrow = false
  let now: UInt64
  let random: @Sendable () -> UInt64

  /// The addresses leased to an attachment, as far as the leases can be read.
  private(set) var leasedTo: [AttachmentKey: Set<IPAddress>] = [:]
  /// The attachments that name an address.
  private(set) var naming: [IPAddress: Set<AttachmentKey>] = [:]
  /// The attachments that have a hardware address.
  private(set) var having: [MACAddress: Set<AttachmentKey>] = [:]
  /// The leased addresses of a chunk of the definition's pools.
  private(set) var leasedIn: [ChunkKey: Set<IPAddress>] = [:]
  /// The chunks that attachments name.
  private(set) var named: [ChunkKey: Int] = [:]
  /// Hardware addresses that a draft is about to register.
  private var reserved: Set<MACAddress> = []

  /// - Complexity: O(n) in leases and attachments.
  init(
    _ evidence: Evidence, _ definition: NetworkDefinition, _ revision: Revision,
    _ layouts: [SetLayout], limit: Int, now: UInt64, random: @escaping @Sendable () -> UInt64
  ) {
    self.evidence = evidence
    self.definition = definition
    self.definitionRevision = revision
    self.layouts = layouts
    self.pools = Set(layouts.flatMap(\.pools).map(\.geometry))
    self.limit = limit
    self.now = now
    self.random = random
    for (key, entry) in evidence.leases { index(entry, of: key) }
    for (key, entry) in evidence.attachments {
      index(entry, of: key)
      guard case .attachment(let attachment) = entry.value else { continue }
      for holding in attachment.holdings where holding.ordinal <= holding.pool.lastOrdinal {
        let node = holding.pool.node(of: holding.ordinal).node
        named[ChunkKey(pool: holding.pool, node: node), default: 0] += 1
      }
    }
  }

  /// What has to be looked at because of a finding.
  func subject(of finding: AuditFinding) -> RepairSubject? {
    switch (finding.kind, finding.key) {
    case (.leaseWithoutBit, _):
      for case .chunk(let key) in finding.revisions.keys { return .chunk(key) }
      return nil
    case (.leaseWithoutAttachment, .lease(let address)):
      guard case .lease(let lease) = evidence[finding.key].value else { return .lease(address) }
      return .attachment(lease.attachment)
    case (.attachmentWithoutMAC, .attachment(let name)):
      guard case .attachment(let attachment) = evidence[finding.key].value,
        let mac = attachment.mac
      else { return .attachment(name) }
      return .mac(mac)
    case (_, .lease(let address)): return .lease(address)
    case (_, .attachment(let name)): return .attachment(name)
    case (_, .mac(let mac)): return .mac(mac)
    case (_, .chunk(let key)): return .chunk(key)
    case (_, .definition), (_, .cursor), (_, .bulk), (_, .journal): return nil
    }
  }

  /// The next commit for a subject by what is known now; nil if it needs none.
  func step(for subject: RepairSubject) -> RepairStep? {
    switch subject {
    case .lease(let address): leaseStep(address)
    case .attachment(let name): attachmentStep(name)
    case .mac(let mac): macStep(mac)
    case .chunk(let key): chunkStep(key)
    }
  }

  /// Takes over what a commit wrote.
  mutating func apply(_ operations: [StoreOperation], _ revision: Revision) {
    evidence.apply(operations, revision)
    for case .put(let key, let value, _) in operations {
      index(StoreEntry(value, revision), of: key)
    }
  }

  /// Takes over what was read of some keys since.
  mutating func note(_ entries: [StoreKey: StoreEntry]) {
    evidence.note(entries)
    for (key, entry) in entries where entry != .absent { index(entry, of: key) }
  }

  private mutating func index(_ entry: StoreEntry, of key: StoreKey) {
    switch (key, entry.value) {
    case (.lease(let address), let value):
      if case .lease(let lease) = value { leasedTo[lease.attachment, default: []].insert(address) }
      // One that cannot be read is still somebody's.
      for place in places(of: address) { leasedIn[place.key, default: []].insert(address) }
    case (.attachment(let name), .attachment(let attachment)):
      for holding in attachment.holdings { naming[holding.address, default: []].insert(name) }
      if let mac = attachment.mac { having[mac, default: []].insert(name) }
    default: return
    }
  }

  /// Notes that an attachment is about to get its hardware address.
  mutating func reserve(_ attachment: AdoptedAttachment) {
    if let mac = attachment.mac { reserved.insert(mac) }
  }

  /// Takes that back: the draft will not be committed.
  mutating func unreserve(_ attachment: AdoptedAttachment) {
    if let mac = attachment.mac { reserved.remove(mac) }
  }

  func isReserved(_ mac: MACAddress) -> Bool { reserved.contains(mac) }

  /// Where the bit of an address is; one place, or none outside the pools.
  func places(of address: IPAddress) -> [(key: ChunkKey, bit: Int)] {
    pools.compactMap { pool in
      guard let ordinal = pool.ordinal(of: address), pool.address(of: ordinal) == address else {
        return nil
      }
      let (node, bit) = pool.node(of: ordinal)
      return (ChunkKey(pool: pool, node: node), bit)
    }
  }

  /// An address as a record names it, by the definition; outside all pools as a pool of its own, so
  /// that it can be released all the same.
  func holding(_ address: IPAddress) -> Attachment.Holding? {
    for segment in layouts.flatMap(\.segments) {
      let pool = segment.space.geometry
      guard let ordinal = pool.ordinal(of: address), pool.address(of: ordinal) == address else {
        continue
      }
      let delegates = pool.unitPrefixLength < address.family.bitWidth
      return Attachment.Holding(
        address: address, prefixLength: delegates ? pool.unitPrefixLength : pool.subnet.length,
        pool: pool, ordinal: ordinal, gateway: segment.range.gateway)
    }
    guard let single = Prefix(address: address, length: address.family.bitWidth),
      let pool = PoolGeometry(subnet: single)
    else { return nil }
    return Attachment.Holding(
      address: address, prefixLength: single.length, pool: pool, ordinal: Ordinal(.zero),
      gateway: nil)
  }

  /// Holdings in the order of the range sets.
  func sorted(_ holdings: [Attachment.Holding]) -> [Attachment.Holding] {
    func rank(_ holding: Attachment.Holding) -> Int {
      layouts.firstIndex { layout in layout.pools.contains { $0.geometry == holding.pool } }
        ?? layouts.count
    }
    return holdings.sorted { (rank($0), $0.address) < (rank($1), $1.address) }
  }
}
