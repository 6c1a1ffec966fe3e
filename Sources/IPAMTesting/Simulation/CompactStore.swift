public import AddressSpace
import BitmapAllocator
public import IPAM

// MemoryStore's meaning for a million attachments: about 200 bytes for each instead of 1,200, because a
// lease and an attachment are told by one record and the two ways to find it:
//
//   attachment name ──▶ ┌────────┐ ◀── address (4 bytes for each ordinal of a chunk that is in use)
//                       │ record │ revision, nonce, date, ordinal
//                       └────────┘
//
// It can do so because a simulated network has one range set and one subnet, and its attachments no
// hardware address and no labels. All else is refused by a precondition.

/// A store in memory for simulations of many attachments.
public final class CompactStore: SimulatedStore {
  private struct Record {
    let name: AttachmentKey
    let ordinal: Ordinal
    let nonce: UInt64
    let createdAt: UInt64
    let revision: Revision
  }

  /// What it is like.
  public let traits = StoreTraits(
    keepsDefinition: true, isShared: true, operationLimit: 64, isLocal: false)
  /// How many leases there are.
  public private(set) var leaseCount = 0
  private var definition = StoreEntry.absent
  private var chunks: [ChunkKey: StoreEntry] = [:]
  private var records: [Record] = []
  /// Places in `records` that are free again.
  private var free: [Int32] = []
  private var attachments: [AttachmentKey: Int32] = [:]
  /// The record of each ordinal's lease, by chunk; negative if there is none.
  private var leases: [ChunkIndex: [Int32]] = [:]
  private var lastRevision: UInt64 = 0
  /// What all holdings have in common.
  private var template: Attachment.Holding?

  /// An empty store.
  public init() {}

  /// What a read finds.
  public func found(_ keys: Set<StoreKey>) -> [StoreKey: StoreEntry] {
    var answer: [StoreKey: StoreEntry] = [:]
    for key in keys { answer[key] = entry(of: key) }
    return answer
  }

  /// Commits if every operation finds the revision that it expects.
  public func outcome(of operations: [StoreOperation]) -> CommitOutcome {
    let failed = operations.indices.filter {
      revision(of: operations[$0].key) != operations[$0].expected
    }
    guard failed.isEmpty else { return .conflict(failed) }
    lastRevision += 1
    for operation in operations {
      switch operation {
      case .check, .note: continue
      case .put(let key, let value, _): put(key, value, Revision(lastRevision))
      case .delete(let key, _): delete(key)
      }
    }
    return .committed(Revision(lastRevision))
  }

  /// Whether an address is leased.
  public func isLeased(_ address: IPAddress) -> Bool { record(leasing: address) != nil }

  /// What is wrong between bits, leases and attachments; empty if nothing is.
  ///
  /// - Complexity: O(n) in the ordinals of the chunks that are in use.
  public func findings() -> [String] {
    var findings: [String] = []
    if attachments.count != leaseCount {
      findings.append("\(attachments.count) attachments and \(leaseCount) leases")
    }
    for (key, entry) in chunks where key.node.level == 0 {
      guard case .chunk(let chunk) = entry.value else { continue }
      let leased = leases[key.node.index] ?? []
      let bitless = leased.indices.filter { leased[$0] >= 0 && !chunk.bitmap.isTaken($0) }
      for bit in bitless {
        let address = key.pool.address(of: key.pool.ordinal(of: key.node, bit: bit))
        findings.append("\(address) is leased under a clear bit")
      }
      let set = chunk.bitmap.takenCount - chunk.cooling.count + bitless.count
      let used = leased.count { $0 >= 0 }
      if set != used { findings.append("\(key): \(set) bits are set, \(used) leases are there") }
    }
    for index in leases.keys where !chunks.keys.contains(where: { $0.node.index == index }) {
      findings.append("leases of chunk \(index.offset), which does not exist")
    }
    return findings.sorted()
  }
}

extension CompactStore {
  private func entry(of key: StoreKey) -> StoreEntry {
    switch key {
    case .definition: return definition
    case .chunk(let key): return chunks[key] ?? .absent
    case .attachment(let name):
      guard let record = attachments[name].map({ records[Int($0)] }) else { return .absent }
      return StoreEntry(.attachment(attachment(record)), record.revision)
    case .lease(let address):
      guard let record = record(leasing: address) else { return .absent }
      return StoreEntry(.lease(Lease(record.name, attachment(record))), record.revision)
    case .mac, .cursor, .bulk, .journal: return .absent
    }
  }

  private func revision(of key: StoreKey) -> Revision {
    switch key {
    case .attachment(let name): attachments[name].map { records[Int($0)].revision } ?? .absent
    case .lease(let address): record(leasing: address)?.revision ?? .absent
    default: entry(of: key).revision
    }
  }

  private func attachment(_ record: Record) -> Attachment {
    guard var holding = template else { preconditionFailure("a record has a template") }
    holding.address = holding.pool.address(of: record.ordinal)
    holding.ordinal = record.ordinal
    return Attachment(
      holdings: [holding], node: Node(name: record.name.node), nonce: record.nonce,
      createdAt: record.createdAt)
  }

  private func place(of address: IPAddress) -> (chunk: ChunkIndex, bit: Int)? {
    guard let pool = template?.pool, let ordinal = pool.ordinal(of: address) else { return nil }
    let (node, bit) = pool.node(of: ordinal)
    return (node.index, bit)
  }

  private func record(leasing address: IPAddress) -> Record? {
    guard let (chunk, bit) = place(of: address), let index = leases[chunk]?[bit], index >= 0 else {
      return nil
    }
    return records[Int(index)]
  }

  private func put(_ key: StoreKey, _ value: StoreValue, _ revision: Revision) {
    switch (key, value) {
    case (.definition, _): definition = StoreEntry(value, revision)
    case (.chunk(let key), _): chunks[key] = StoreEntry(value, revision)
    case (.attachment(let name), .attachment(let attachment)):
      keep(name, attachment, revision)
    case (.lease(let address), .lease(let lease)):
      guard let (chunk, bit) = place(of: address), let index = attachments[lease.attachment],
        let size = template?.pool.chunkBits
      else { preconditionFailure("a lease is made with its attachment, which comes first") }
      leases[chunk, default: [Int32](repeating: -1, count: 1 << size)][bit] = index
      leaseCount += 1
    default: preconditionFailure("simulations write no \(key)")
    }
  }

  private func keep(_ name: AttachmentKey, _ attachment: Attachment, _ revision: Revision) {
    precondition(
      attachment.holdings.count == 1 && attachment.mac == nil && attachment.workload == Workload()
        && attachment.node == Node(name: name.node),
      "a record has room for one holding and no more")
    let holding = attachment.holdings[0]
    precondition(template.map { $0.pool == holding.pool } ?? true, "all are of one pool")
    if template == nil { template = holding }
    let record = Record(
      name: name, ordinal: holding.ordinal, nonce: attachment.nonce,
      createdAt: attachment.createdAt, revision: revision)
    if let index = free.popLast() {
      records[Int(index)] = record
      attachments[name] = index
    } else {
      attachments[name] = Int32(records.count)
      records.append(record)
    }
  }

  private func delete(_ key: StoreKey) {
    switch key {
    case .chunk(let key): chunks[key] = nil
    case .attachment(let name):
      if let index = attachments.removeValue(forKey: name) { free.append(index) }
    case .lease(let address):
      guard let (chunk, bit) = place(of: address), leases[chunk]?[bit] ?? -1 >= 0 else { return }
      leases[chunk]?[bit] = -1
      leaseCount -= 1
    default: preconditionFailure("simulations delete no \(key)")
    }
  }
}
