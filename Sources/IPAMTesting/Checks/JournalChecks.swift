import IPAM

// Notes: they come and stay with their commits, and no commit ever waits or fails for one.

let journalChecks: [ConformanceCheck] = [
  ConformanceCheck("a note depends on nothing and comes with its commit") { bench in
    let keeps = bench.store.traits.keepsJournal
    for turn in 0..<5 {
      let grant = try await bench.granting(
        [try bench.address(UInt64(turn + 2))], to: bench.key("c\(turn)"))
      let note = bench.note("c\(turn)")
      try await bench.mustCommit(grant + [note])
      // The same again has lost, but not because of the note, and notes nothing.
      try await bench.mustConflict(grant + [note], at: Set(grant.indices))
    }
    let found = try await bench.list(.journal(node: nil))
    try bench.expect(
      "the node's entries", of: try await bench.list(.journal(node: "n0")), is: found)
    try bench.expect("those of another", of: try await bench.list(.journal(node: "n1")), is: [:])
    // Three slots, five commits.
    let entries = try found.values.sorted { $0.revision < $1.revision }.map { entry in
      guard case .journal(let journal)? = entry.value else {
        throw bench.failure("a journal's entry", "\(entry)")
      }
      return journal
    }
    let containers = entries.flatMap(\.events).map(\.attachment.container)
    try bench.expect("what was noted", of: containers, is: keeps ? ["c2", "c3", "c4"] : [])
    let first = entries.first?.position ?? 0
    try bench.expect(
      "the positions", of: entries.map(\.position),
      is: entries.indices.map { first + UInt64($0) })
    // Each of the commits had lost once more than the one before.
    try bench.expect("the lost races", of: entries.map(\.lost), is: keeps ? [2, 3, 4] : [])
  }
]

extension Workbench {
  fileprivate func note(_ container: String) -> StoreOperation {
    let event = JournalEvent(
      time: 1, kind: .acquire, addresses: [],
      attachment: AttachmentKey(node: "n0", container: container, interface: "eth0"), nonce: 7)
    return .note(JournalEntry(node: "n0", events: [event]), slots: 3)
  }
}
