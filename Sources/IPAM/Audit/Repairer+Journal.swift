// What repairs and imports tell the journal in the store: it rides in their commits, as an ADD's does, and
// stands where an operator's commands are noted.

extension Repairer {
  /// Operations that a commit may have beside the note of what it does.
  func limit(_ definition: NetworkDefinition) -> Int {
    store.traits.operationLimit - (keepsJournal(definition) ? 1 : 0)
  }

  private func keepsJournal(_ definition: NetworkDefinition) -> Bool {
    store.traits.keepsJournal && definition.journal > 0
  }

  /// Commits operations and what the journal is told of them.
  func commit(
    _ operations: [StoreOperation], noting events: [JournalEvent], _ plan: RepairPlan,
    _ deadline: Deadline
  ) async throws(AllocationError) -> Revision? {
    guard keepsJournal(plan.definition), !events.isEmpty else {
      return try await commit(operations, deadline)
    }
    let note = StoreOperation.note(
      JournalEntry(node: "", events: events), slots: plan.definition.journal)
    return try await commit(operations + [note], deadline)
  }
}
