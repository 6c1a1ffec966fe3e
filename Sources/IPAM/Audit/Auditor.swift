// Do bits, leases, attachments and hardware addresses of a network tell the same story?
//
//        chunk ◀──bit── lease ──holder──▶ attachment ──mac──▶ mac
//                         ▲───────address────┘   ▲─────owner────┘
//
// A listing is not one moment: what a commit changed between two listings looks wrong though it is
// not. So what the first pass finds is believed only if a second pass finds it again by the same
// revisions: between the passes all of them stood at once. What both find by other revisions, because
// somebody writes there all the time, is judged once more by a snapshot of the keys that it is about.

/// One thing that is wrong in a store.
public struct AuditFinding: Hashable, Sendable, CustomStringConvertible {
  /// What is wrong.
  public enum Kind: String, Hashable, Sendable, CaseIterable {
    /// A value cannot be understood.
    case damaged
    /// A chunk belongs to another definition of the network, or to none of its pools.
    case foreignChunk
    /// A bit is set beyond the end of the pool.
    case bitOutsidePool
    /// An address is marked as taken and nobody holds it: it is lost until a repair.
    case bitWithoutLease
    /// An address is held and not marked: only its lease keeps it from a second holder.
    case leaseWithoutBit
    /// A lease lies outside all pools.
    case leaseOutsidePools
    /// A lease's holder does not exist or does not know of it: no DEL will find it.
    case leaseWithoutAttachment
    /// An attachment has no lease for an address that it names, or somebody else has.
    case attachmentWithoutLease
    /// Two records of one commit contradict each other.
    case disagreement
    /// The tree says that a chunk is full and it is not, or a release from it would not say so.
    case falseMark
    /// A chunk believes that the tree calls it full, and the tree does not: it will never say so.
    case markWithoutParent
    /// A hardware address's owner does not exist or does not have it.
    case macWithoutAttachment
    /// An attachment's hardware address is not registered, or for somebody else.
    case attachmentWithoutMAC
  }

  /// What is wrong.
  public let kind: Kind
  /// Where.
  public let key: StoreKey
  /// What was found and what would be right.
  public let explanation: String
  /// The revisions of the keys that it was judged by.
  public let revisions: [StoreKey: Revision]

  /// Kind and explanation.
  public var description: String { "\(kind.rawValue): \(explanation)" }
}

/// Compares all that a store keeps of one network.
public struct Auditor: Sendable {
  let store: any AllocationStore
  let definition: NetworkDefinition?
  let layouts: [SetLayout]

  /// An auditor of a store.
  ///
  /// - Parameters:
  ///   - store: The network's store.
  ///   - definition: What the network is; nil to leave out what only the definition can tell.
  /// - Throws: ``NetworkDefinitionError`` if the definition cannot be laid out.
  public init(
    of store: any AllocationStore, definition: NetworkDefinition?
  ) throws(NetworkDefinitionError) {
    self.store = store
    self.definition = definition
    self.layouts = try definition?.layouts() ?? []
  }

  /// What is wrong, sorted; empty if all agrees.
  ///
  /// Other writers may go on meanwhile. A local store is held for the time (its writers wait).
  ///
  /// - Throws: ``AllocationError/store(_:)`` if the store cannot answer.
  /// - Complexity: O(n) in leases, attachments and words of chunks, in time and memory.
  public func findings(deadline: Deadline) async throws(AllocationError) -> [AuditFinding] {
    guard store.traits.isLocal else { return try await compareTwice(deadline) }
    return try await store.withTurn(deadline: deadline) {
      () async throws(AllocationError) -> [AuditFinding] in try await compareTwice(deadline)
    }
  }

  private func compareTwice(_ deadline: Deadline) async throws(AllocationError) -> [AuditFinding] {
    try await findingsWithEvidence(deadline).findings
  }

  /// The findings, and the last look at the store that confirmed them.
  func findingsWithEvidence(
    _ deadline: Deadline
  ) async throws(AllocationError) -> (findings: [AuditFinding], evidence: Evidence) {
    do {
      let first = try await Evidence(from: store, deadline: deadline)
      let suspected = compare(first)
      guard !suspected.isEmpty else { return ([], first) }
      var second = try await Evidence(from: store, deadline: deadline)
      let (unmoved, said) = (Set(suspected), Set(suspected.map(\.description)))
      var confirmed: [AuditFinding] = []
      var moved: [AuditFinding] = []
      for finding in compare(second) {
        if unmoved.contains(finding) {
          confirmed.append(finding)
        } else if said.contains(finding.description) {
          moved.append(finding)
        }
      }
      confirmed += try await confirm(moved, &second, deadline)
      confirmed.sort { ($0.kind.rawValue, $0.explanation) < ($1.kind.rawValue, $1.explanation) }
      return (confirmed, second)
    } catch {
      throw .store(error)
    }
  }

  /// Those of the findings that a snapshot of what they are judged by shows too; a commit's worth of
  /// keys at a time, because more are never seen at one moment where others go on.
  private func confirm(
    _ findings: [AuditFinding], _ evidence: inout Evidence, _ deadline: Deadline
  ) async throws(StoreError) -> [AuditFinding] {
    var confirmed: [AuditFinding] = []
    var queue = findings[...]
    while !queue.isEmpty {
      var keys: Set<StoreKey> = []
      var said: Set<String> = []
      while let next = queue.first {
        let more = keys.union(next.revisions.keys)
        guard keys.isEmpty || more.count <= store.traits.operationLimit else { break }
        keys = more
        said.insert(next.description)
        queue.removeFirst()
      }
      let entries = try await store.read(keys, consistency: .snapshot, deadline: deadline)
      confirmed += compare(Evidence(entries)).filter { said.contains($0.description) }
      evidence.note(entries)
    }
    return confirmed
  }

  private func compare(_ evidence: Evidence) -> [AuditFinding] {
    var trial = Trial(
      evidence: evidence, traits: store.traits, definition: definition, layouts: layouts)
    trial.judgeLeases()
    trial.judgeAttachments()
    trial.judgeMACs()
    trial.judgeChunks()
    return trial.findings
  }
}

/// All entries of a store, each kind as of some moment.
struct Evidence {
  private(set) var chunks: [StoreKey: StoreEntry] = [:]
  private(set) var leases: [StoreKey: StoreEntry] = [:]
  private(set) var attachments: [StoreKey: StoreEntry] = [:]
  private(set) var macs: [StoreKey: StoreEntry] = [:]

  init(from store: any AllocationStore, deadline: Deadline) async throws(StoreError) {
    chunks = try await Self.list(.chunks, store, deadline)
    leases = try await Self.list(.leases, store, deadline)
    attachments = try await Self.list(.attachments(node: nil), store, deadline)
    macs = try await Self.list(.macs, store, deadline)
  }

  /// Of what was read together.
  init(_ entries: [StoreKey: StoreEntry]) {
    note(entries)
  }

  private static func list(
    _ kind: StoreListing, _ store: any AllocationStore, _ deadline: Deadline
  ) async throws(StoreError) -> [StoreKey: StoreEntry] {
    var entries: [StoreKey: StoreEntry] = [:]
    try await store.list(kind, deadline: deadline) { (key, entry) throws(StoreError) in
      entries[key] = entry
    }
    return entries
  }

  /// Takes over what a commit wrote.
  mutating func apply(_ operations: [StoreOperation], _ revision: Revision) {
    for operation in operations {
      switch operation {
      case .check, .note: continue
      case .put(let key, let value, _): set(key, StoreEntry(value, revision))
      case .delete(let key, _): set(key, nil)
      }
    }
  }

  /// Takes over what was read of some keys.
  mutating func note(_ entries: [StoreKey: StoreEntry]) {
    for (key, entry) in entries { set(key, entry == .absent ? nil : entry) }
  }

  private mutating func set(_ key: StoreKey, _ entry: StoreEntry?) {
    switch key {
    case .chunk: chunks[key] = entry
    case .lease: leases[key] = entry
    case .attachment: attachments[key] = entry
    case .mac: macs[key] = entry
    case .definition, .cursor, .bulk, .journal: return
    }
  }

  subscript(key: StoreKey) -> StoreEntry {
    let found =
      switch key {
      case .chunk: chunks[key]
      case .lease: leases[key]
      case .attachment: attachments[key]
      case .mac: macs[key]
      default: nil as StoreEntry?
      }
    return found ?? .absent
  }
}
