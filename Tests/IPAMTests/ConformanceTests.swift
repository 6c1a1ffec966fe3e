import AddressSpace
import IPAM
import IPAMTesting
import Testing

// The reference store passes the suite, in the guises of all others; and the suite notices stores that
// do not do as they should.

@Suite struct ConformanceTests {
  @Test(arguments: ConformanceCheck.all)
  func memory(_ check: ConformanceCheck) async throws {
    let suite = StoreConformance { _ in MemoryStore() }
    let outcome = try await suite.run(check)
    if case .skipped(let reason) = outcome { print("\(check): skipped, \(reason)") }
  }

  @Test(arguments: ConformanceCheck.all)
  func memoryOfOneNode(_ check: ConformanceCheck) async throws {
    let traits = StoreTraits(
      keepsDefinition: false, isShared: false, operationLimit: 256, isLocal: false)
    try await StoreConformance { _ in MemoryStore(traits: traits) }.run(check)
  }

  @Test func namesAreUnique() {
    #expect(Set(ConformanceCheck.all.map(\.name)).count == ConformanceCheck.all.count)
  }

  @Test(arguments: WrongStore.Fault.allCases)
  func noticesFaults(_ fault: WrongStore.Fault) async throws {
    let check = try #require(ConformanceCheck.all.first { $0.name == fault.noticedBy })
    await #expect(throws: ConformanceFailure.self) {
      try await StoreConformance { _ in WrongStore(fault) }.run(check)
    }
  }
}

/// A memory store with one fault.
final class WrongStore: StoreWrapper {
  enum Fault: String, Sendable, CaseIterable {
    case forgetsAbsentKeys, writesRegardless, writesSomeOfMany, blamesEverything, keepsRevisions
    case deletesRegardless, checksNothing, losesCursors, listsOneTooFew, tearsSnapshots
    case hasNoLimit, runsTurnsTogether, notesNothing, notesLostCommits, notesForEver

    var noticedBy: String {
      switch self {
      case .forgetsAbsentKeys: "absent keys read as absent"
      case .writesRegardless: "no update of a chunk is lost"
      case .writesSomeOfMany: "all of a large commit or nothing"
      case .blamesEverything: "a key is created once"
      case .keepsRevisions: "revisions only grow"
      case .deletesRegardless: "a key is deleted at its revision only"
      case .checksNothing: "a check holds a commit to a revision"
      case .losesCursors: "cursors are kept beside a commit"
      case .listsOneTooFew: "kinds are listed apart"
      case .tearsSnapshots: "a snapshot shows whole commits"
      case .hasNoLimit: "a commit above the limit does not happen"
      case .runsTurnsTogether: "turns exclude each other"
      case .notesNothing, .notesLostCommits, .notesForEver:
        "a note depends on nothing and comes with its commit"
      }
    }
  }

  let fault: Fault
  let base: MemoryStore
  var wrapped: any AllocationStore { base }

  init(_ fault: Fault) {
    self.fault = fault
    base = MemoryStore(
      traits: StoreTraits(
        keepsDefinition: true, isShared: true, operationLimit: fault == .hasNoLimit ? 512 : 64,
        isLocal: fault == .runsTurnsTogether, keepsJournal: true))
  }

  var traits: StoreTraits {
    var traits = base.traits
    traits.operationLimit = 64
    return traits
  }

  /// Until somebody has written, if there is somebody: a fault that shows on a busy machine too.
  private func waitForAWriter(
    after seen: [StoreKey: StoreEntry], _ deadline: Deadline
  ) async throws(StoreError) {
    for _ in 0..<300 {
      await Surroundings.system.sleep(100_000)
      let keys = Set(seen.keys)
      let now = try await base.read(keys, consistency: .consistent, deadline: deadline)
      if now != seen { return }
    }
  }

  func read(
    _ keys: Set<StoreKey>, consistency: Consistency, deadline: Deadline
  ) async throws(StoreError) -> [StoreKey: StoreEntry] {
    if fault == .tearsSnapshots, keys.count > 1 {
      var answer: [StoreKey: StoreEntry] = [:]
      for key in keys {
        let one = try await base.read([key], consistency: consistency, deadline: deadline)
        answer.merge(one) { $1 }
        try await waitForAWriter(after: one, deadline)
      }
      return answer
    }
    let answer = try await base.read(keys, consistency: consistency, deadline: deadline)
    switch fault {
    case .forgetsAbsentKeys: return answer.filter { $0.value != .absent }
    case .keepsRevisions:
      return answer.mapValues { entry in
        entry.value.map { StoreEntry($0, Revision(1)) } ?? .absent
      }
    default: return answer
    }
  }

  func commit(
    _ operations: [StoreOperation], cursors: [Int: IPAddress], deadline: Deadline
  ) async -> CommitOutcome {
    var operations = operations
    switch fault {
    case .checksNothing:
      operations.removeAll { if case .check = $0 { true } else { false } }
    case .writesRegardless, .deletesRegardless, .keepsRevisions:
      operations = operations.map(pardoned)
    case .notesNothing: operations.removeAll { !$0.isConditional }
    case .notesForEver:
      operations = operations.map { operation in
        if case .note(let entry, _) = operation { .note(entry, slots: 1_000) } else { operation }
      }
    default: break
    }
    let outcome = await base.commit(
      operations, cursors: fault == .losesCursors ? [:] : cursors, deadline: deadline)
    switch (fault, outcome) {
    case (.writesSomeOfMany, .conflict(let indices)):
      let left = operations.indices.filter { !indices.contains($0) }.map { operations[$0] }
      _ = await base.commit(left, cursors: [:], deadline: deadline)
    case (.notesLostCommits, .conflict):
      _ = await base.commit(
        operations.filter { !$0.isConditional }, cursors: [:], deadline: deadline)
    case (.blamesEverything, .conflict): return .conflict(Array(operations.indices))
    default: break
    }
    return outcome
  }

  /// The operation with the revision that makes it succeed.
  private func pardoned(_ operation: StoreOperation) -> StoreOperation {
    let current = base.entries[operation.key]?.revision ?? .absent
    return switch operation {
    case .put(.chunk(let key), let value, _) where fault == .writesRegardless:
      .put(.chunk(key), value, expected: current)
    case .delete(let key, _) where fault == .deletesRegardless: .delete(key, expected: current)
    case .put(let key, let value, let expected) where fault == .keepsRevisions:
      .put(key, value, expected: expected == .absent ? .absent : current)
    case .delete(let key, _) where fault == .keepsRevisions: .delete(key, expected: current)
    default: operation
    }
  }

  func list(
    _ kind: StoreListing, deadline: Deadline,
    _ visit: (StoreKey, StoreEntry) throws(StoreError) -> Void
  ) async throws(StoreError) {
    var isFirst = fault == .listsOneTooFew
    try await base.list(kind, deadline: deadline) { (key, entry) throws(StoreError) in
      if !isFirst { try visit(key, entry) }
      isFirst = false
    }
  }
}
