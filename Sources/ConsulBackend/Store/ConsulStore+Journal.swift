import IPAM

// The node's journal in Consul. An entry is one `set` more in a commit's transaction: no condition, so no
// conflict; no request of its own. Which key it writes the node counts by itself. Where it cannot know
// (a new state directory, or none) it looks once where its journal ends.

/// Where a commit's note goes.
struct NotePlace {
  let journal: String
  let count: NoteCount
}

extension ConsulStore {
  /// The place of the commit's note, if it has one.
  func place(of operations: [StoreOperation], _ deadline: Deadline) async -> NotePlace? {
    let index = operations.indices.last { index in
      if case .note = operations[index] { true } else { false }
    }
    guard let index, case .note(let entry, _) = operations[index] else { return nil }
    let journal = entry.node
    if let count = local.nextNote(in: journal) {
      return NotePlace(journal: journal, count: count)
    }
    let end = await endOfJournal(journal, deadline)
    local.beginNotes(in: journal, at: end)
    return NotePlace(journal: journal, count: local.nextNote(in: journal) ?? end)
  }

  /// Behind the newest entry. What cannot be found out is no reason to fail: then anywhere.
  private func endOfJournal(_ journal: String, _ deadline: Deadline) async -> NoteCount {
    do throws(ConsulError) {
      let entries = try await client.list(
        schema.prefix(of: .journal(node: journal)), consistency: .default,
        deadline: instant(deadline))
      guard let newest = entries.max(by: { $0.modifyIndex < $1.modifyIndex }) else {
        return NoteCount(position: 0, lost: 0)
      }
      if let key = schema.key(newest.key),
        case .journal(let entry) = RecordCodec.decode(newest.value, for: key)
      {
        return NoteCount(position: entry.position + 1, lost: entry.lost)
      }
    } catch {}
    return NoteCount(position: surroundings.random() >> 32, lost: 0)
  }

  func set(_ entry: JournalEntry, _ slots: Int, _ place: NotePlace) -> TransactionOperation {
    var entry = entry
    entry.position = place.count.position
    entry.lost = place.count.lost
    let slot = Int(entry.position % UInt64(max(1, slots)))
    let key = StoreKey.journal(JournalEntry.Key(node: entry.node, slot: slot))
    return .set(key: schema.name(key) ?? "", value: entry.fittingBytes)
  }

  /// A commit that did not happen has not used its place.
  func settle(_ place: NotePlace, _ outcome: TransactionOutcome) {
    switch outcome {
    case .committed, .unknown: return
    case .conflict, .refused, .notApplied:
      var isLost = false
      if case .conflict = outcome { isLost = true }
      local.returnNote(place.count.position, in: place.journal, isLost: isLost)
    }
  }
}
