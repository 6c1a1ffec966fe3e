public import AddressSpace
public import IPAM

/// Who holds what by a store's journals alone, event after event from the beginning: an oracle for tests
/// whose journals are large enough to have kept all of it.
public struct JournalReplay: Sendable {
  /// The addresses of each attachment.
  public private(set) var held: [AttachmentKey: Set<IPAddress>] = [:]
  /// Events that cannot have happened after those before them.
  public private(set) var problems: [String] = []
  private var taken: Set<IPAddress> = []

  /// Replays what a store has kept.
  ///
  /// - Throws: ``StoreError`` if the store cannot list it.
  /// - Complexity: O(n log n) in the entries.
  public init(of store: any AllocationStore, deadline: Deadline) async throws(StoreError) {
    var entries: [(entry: JournalEntry, revision: Revision)] = []
    var damaged: [String] = []
    try await store.list(.journal(node: nil), deadline: deadline) { (key, stored) in
      switch stored.value {
      case .journal(let entry): entries.append((entry, stored.revision))
      default: damaged.append("\(key) cannot be read")
      }
    }
    problems = damaged
    for (entry, _) in entries.sorted(by: { $0.revision < $1.revision }) {
      if entry.leftOut > 0 { problems.append("\(entry.leftOut) events were left out") }
      for event in entry.events { replay(event) }
    }
  }

  private mutating func replay(_ event: JournalEvent) {
    let (key, addresses) = (event.attachment, Set(event.addresses))
    switch event.kind {
    case .acquire:
      if held.updateValue(addresses, forKey: key) != nil { problems.append("\(key) held already") }
      if !taken.isDisjoint(with: addresses) { problems.append("\(addresses) have two holders") }
      taken.formUnion(addresses)
    case .release:
      if held.removeValue(forKey: key) != addresses {
        problems.append("\(key) did not hold \(addresses)")
      }
      taken.subtract(addresses)
    }
  }
}
