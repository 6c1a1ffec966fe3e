import IPAM

// How a definition is changed or removed. Nodes leave out to ask for it where a chunk stands for it
// (`SettledCommits`), so a change takes three steps:
//
//   1. announce: the key gets a flag. No commit that finds it is ground for another any more.
//   2. move:     every chunk gets another index. What was sent without asking, and has not arrived, fails.
//   3. change:   by the index that the announcement has. Whoever writes now asks, and finds out.
//
// Who dies in between leaves the flag behind: commits ask each time, until the next change takes it.

extension StoreOperation {
  /// Whether it replaces or removes a definition that others go by.
  var changesDefinition: Bool {
    switch self {
    case .put(.definition, _, let expected), .delete(.definition, let expected):
      expected != .absent
    default: false
    }
  }

  fileprivate func expecting(_ revision: Revision) -> StoreOperation {
    switch self {
    case .check(let key, _): .check(key, revision)
    case .put(let key, let value, _): .put(key, value, expected: revision)
    case .delete(let key, _): .delete(key, expected: revision)
    case .note: self
    }
  }
}

extension ConsulStore {
  /// The flags of a definition's key whose change was announced.
  private static let announced: UInt64 = 1

  /// What goes into one commit of the second step: chunks, and bytes after which there is no room for
  /// another; a server takes 512 KiB of base64.
  private static let room = (chunks: 32, bytes: 256 << 10)

  /// Whether the definition that a commit asked for is there to stay: no change of it was announced.
  func isSteady(_ name: String, in results: [KVEntry]) -> Bool {
    results.first { $0.key == name }?.flags == 0
  }

  /// Commits a change of the definition, after it was announced.
  func commitChange(_ change: StoreOperation, _ deadline: Deadline) async -> CommitOutcome {
    do throws(StoreError) {
      guard let announced = try await announceChange(of: change.expected, deadline) else {
        return .conflict([0])
      }
      let outcome = await send([change.expecting(announced)], deadline)
      switch outcome {
      case .committed, .conflict, .unknown: break
      case .unavailable, .tooLarge, .refused: await withdraw(announced, deadline)
      }
      return outcome
    } catch {
      return error.kind == .unavailable ? .unavailable(error.description) : .refused(error)
    }
  }

  /// Sees to it that whoever goes by the definition asks for it. When this returns no commit can happen
  /// that did not, however late it comes. The definition is as it was, at the revision that is
  /// returned; nil if its revision was not the expected one.
  ///
  /// - Complexity: O(n) in the chunks.
  func announceChange(
    of expected: Revision, _ deadline: Deadline
  ) async throws(StoreError) -> Revision? {
    guard let revision = try await flag(expected, deadline) else { return nil }
    try await moveChunks(deadline)
    return revision
  }

  private func flag(
    _ expected: Revision, _ deadline: Deadline
  ) async throws(StoreError) -> Revision? {
    guard let name = schema.name(.definition) else { return nil }
    var sent: [UInt8]?
    while let entry = try await ask(name, .consistent, deadline) {
      // Whoever announced it last, it is announced; which one's answer was lost does not matter.
      let isKnown = entry.modifyIndex == expected.number || entry.value == sent
      guard isKnown else { return nil }
      if entry.flags == Self.announced { return Revision(entry.modifyIndex) }
      sent = entry.value
      let outcome = await client.transaction(
        [mark(entry, Self.announced)], deadline: instant(deadline))
      if case .committed(let results) = outcome, let written = results.first {
        return Revision(written.modifyIndex)
      }
      try await goOn(after: outcome, deadline)
    }
    return nil
  }

  /// Takes an announcement back of which nothing comes; where this fails too, it costs nodes a little
  /// time and the next change takes it.
  private func withdraw(_ announced: Revision, _ deadline: Deadline) async {
    guard let name = schema.name(.definition),
      let entry = try? await ask(name, .consistent, deadline),
      entry.modifyIndex == announced.number
    else { return }
    _ = await client.transaction([mark(entry, 0)], deadline: instant(deadline))
  }

  /// Gives every chunk another index, whatever it holds. One that is being written is read and written by
  /// itself, again and again: whoever was faster may not have asked either.
  private func moveChunks(_ deadline: Deadline) async throws(StoreError) {
    var quiet = try await retrying(deadline) { () async throws(ConsulError) in
      try await client.list(
        schema.prefix(of: .chunks), consistency: .consistent, deadline: instant(deadline))
    }
    var busy: [String] = []
    while !quiet.isEmpty {
      var batch: [KVEntry] = []
      var bytes = 0
      while batch.count < Self.room.chunks, bytes < Self.room.bytes, let chunk = quiet.popLast() {
        batch.append(chunk)
        bytes += chunk.value.count
      }
      switch await move(batch, deadline) {
      case .committed: continue
      case .conflict(let failed):
        let lost = Set(failed.map { batch[$0.operation].key })
        busy += lost
        quiet += batch.filter { !lost.contains($0.key) }
      case let outcome:
        busy += batch.map(\.key)
        try await goOn(after: outcome, deadline)
      }
    }
    for name in busy {
      // One that is gone is made anew by a commit that asks.
      while let entry = try await ask(name, .consistent, deadline) {
        let outcome = await move([entry], deadline)
        if case .committed = outcome { break }
        try await goOn(after: outcome, deadline)
      }
    }
  }

  private func move(_ chunks: [KVEntry], _ deadline: Deadline) async -> TransactionOutcome {
    await client.transaction(
      chunks.map { mark($0, $0.flags ^ Self.announced) }, deadline: instant(deadline))
  }

  /// The same value with other flags: a write, and so another index.
  private func mark(_ entry: KVEntry, _ flags: UInt64) -> TransactionOperation {
    .casFlagged(key: entry.key, value: entry.value, index: entry.modifyIndex, flags: flags)
  }

  /// Waits where the server could not serve just now.
  private func goOn(
    after outcome: TransactionOutcome, _ deadline: Deadline
  ) async throws(StoreError) {
    switch outcome {
    case .committed, .conflict: return
    case .refused(let refusal): throw StoreError(.refused, refusal.description)
    case .notApplied(let fault), .unknown(let fault):
      guard !fault.reason.isUnreachable, surroundings.remaining(until: deadline) > 0 else {
        throw StoreError(.unavailable, fault.description)
      }
      await surroundings.sleep(5_000_000 + surroundings.random() % 20_000_000)
    }
  }
}
