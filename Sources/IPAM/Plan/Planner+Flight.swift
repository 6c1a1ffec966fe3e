import AddressSpace
import BitmapAllocator

// What becomes of a commit that was sent.

/// A commit on its way.
struct Flight: Sendable {
  let commit: Commit
  var grants: [Draft.Grant]
  let sentAt: UInt64
  /// Another one was in flight when it was sent.
  let overlaps: Bool

  /// The first deadline of those who wait for it.
  var firstDeadline: Deadline? { grants.lazy.map(\.wish.deadline).min() }

  /// Its releases go on, and whatever becomes of them, nobody says that nothing was changed.
  mutating func mayHaveReleased(_ reason: String) {
    for index in grants.indices where grants[index].wish.isRelease {
      grants[index].wish.doubt = reason
    }
  }
}

extension Planner {
  mutating func seal(_ draft: Draft) -> Commit {
    let now = configuration.surroundings.now()
    warnings += draft.remarks.filter { remarked.insert($0).inserted }
    return draft.sealed(
      token: configuration.surroundings.random(), now: now,
      cooldown: terms?.cooldown ?? .none, note: note(of: draft.grants, at: now))
  }

  /// Operations that a commit has for the journal.
  var notesPerCommit: Int {
    traits.keepsJournal && (terms?.journal ?? 0) > 0 ? 1 : 0
  }

  /// What the journal in the store is told of the grants, where the definition wants one.
  private func note(of grants: [Draft.Grant], at now: UInt64) -> StoreOperation? {
    guard notesPerCommit > 0, let slots = terms?.journal else { return nil }
    let events = grants.compactMap { grant -> JournalEvent? in
      guard case .attachment(let key)? = grant.attachment else { return nil }
      return switch grant.fulfilment {
      case .acquired(let acquired): JournalEvent(acquired: acquired.attachment, by: key)
      case .released(let attachment?): JournalEvent(released: attachment, of: key, at: now)
      case .released(nil), .available: nil
      }
    }
    guard !events.isEmpty else { return nil }
    return .note(JournalEntry(node: configuration.journalNode, events: events), slots: slots)
  }

  mutating func send(_ commit: Commit, grants: [Draft.Grant]) -> Step {
    let overlaps = !flights.isEmpty
    let commit = overlaps ? commit.withoutCursors : commit
    flights.append(
      Flight(
        commit: commit, grants: grants, sentAt: configuration.surroundings.monotonic(),
        overlaps: overlaps))
    if configuration.flightLimit > 1 { busy.formUnion(commit.writtenKeys) }
    return .commit(commit)
  }

  /// Takes in how the only commit in flight ended.
  package mutating func ended(_ outcome: CommitOutcome) {
    guard let flight = flights.first else { return endedInDoubt(outcome) }
    precondition(flights.count == 1, "which of several commits ended has to be said")
    ended(flight.commit, outcome)
  }

  /// Takes in how a commit ended that was sent.
  package mutating func ended(_ commit: Commit, _ outcome: CommitOutcome) {
    guard let index = flights.firstIndex(where: { $0.commit.token == commit.token }) else {
      return endedInDoubt(outcome)
    }
    let flight = flights.remove(at: index)
    if flights.isEmpty {
      busy.removeAll(keepingCapacity: true)
    } else {
      busy.subtract(flight.commit.writtenKeys)
    }
    let time = configuration.surroundings.monotonic()
    switch outcome {
    case .committed(let revision):
      backoff.observe(commitTime: time &- flight.sentAt)
      overlapPenalty = max(0, overlapPenalty - 1)
      succeeded(flight, revision)
    case .conflict(let indices):
      if flight.overlaps { overlapPenalty = Self.commitsAfterLostOverlap }
      lost(flight, indices)
    case .unavailable(let text): postpone(flight, text)
    case .tooLarge: batch = flight.grants.map(\.wish) + batch
    case .refused(let error):
      for operation in flight.commit.operations { view.forget(operation.key) }
      for grant in flight.grants { fail(grant.wish, .store(error)) }
      if error.kind == .unavailable { batch += flight.grants.map(\.wish).compactMap(again) }
      if flight.grants.isEmpty { readFailed(error) }
    case .unknown(let text) where flight.grants.isEmpty:
      // The creation of a definition: whichever copy or rival made it, it rules.
      view.forget(.definition)
      postpone(flight, text)
    case .unknown(let text): laterDoubts.append(Doubt(flight: flight, reason: text))
    }
  }

  mutating func succeeded(_ flight: Flight, _ revision: Revision) {
    view.apply(flight.commit.operations, revision)
    view.apply(cursors: flight.commit.cursors)
    grant(flight)
  }

  /// Tells the callers; what callers got who went away meanwhile is released.
  mutating func grant(_ flight: Flight) {
    for grant in flight.grants {
      if abandoned.remove(grant.wish.ticket) == nil {
        resolved.append((grant.wish.ticket, .success(grant.fulfilment)))
      } else {
        releaseUnclaimed(grant)
      }
    }
  }

  /// A release that nobody waits for, which the store could not serve: later, for nobody else would
  /// repeat it. Nil for all other wishes.
  func again(_ wish: Wish) -> Wish? {
    guard wish.isCleanup else { return nil }
    var wish = wish
    wish.failures += 1
    let pause = wish.failures > Self.hastyAttempts ? Self.longPause : pause(after: wish.failures)
    wish.notBefore = configuration.surroundings.monotonic() &+ pause
    return wish
  }

  /// How often a release that nobody waits for is soon tried again, before it takes its time.
  private static let hastyAttempts = 8

  /// How long a release that nobody waits for may take.
  static let unclaimedLifetime: UInt64 = 30_000

  /// Releases what a grant made: that one, and none that somebody makes under its name meanwhile.
  mutating func releaseUnclaimed(_ grant: Draft.Grant) {
    guard let key = grant.wish.acquires, case .acquired(let acquired) = grant.fulfilment else {
      return
    }
    let stamp = AttachmentStamp(acquired.attachment)
    queue.append(
      Wish(
        ticket: 0, body: traits.keepsOnlyLeases ? .release([key]) : .releaseOnly(key, stamp),
        deadline: configuration.surroundings.deadline(inMilliseconds: Self.unclaimedLifetime),
        enqueuedAt: configuration.surroundings.monotonic()))
  }

  /// Every reported operation maps to a wish or to a chunk: wishes whose own keys moved are looked at
  /// alone, the rest go again at once.
  mutating func lost(_ flight: Flight, _ indices: [Int]) {
    let operations = flight.commit.operations
    var movedChunks: Set<ChunkKey> = []
    var movedKeys: Set<StoreKey> = []
    for index in indices where operations.indices.contains(index) {
      let key = operations[index].key
      view.forget(key)
      movedKeys.insert(key)
      if case .chunk(let chunk) = key { movedChunks.insert(chunk) }
    }
    for grant in flight.grants where abandoned.remove(grant.wish.ticket) == nil {
      var wish = grant.wish
      wish.conflicts += 1
      for chunk in grant.chunks where movedChunks.contains(chunk) {
        wish.avoided[chunk, default: 0] += 1
      }
      if !movedKeys.isDisjoint(with: grant.holdings) { wish.needsAttachments = true }
      let time = configuration.surroundings.monotonic()
      wish.owedWait = backoff.wait(
        conflicts: wish.conflicts, age: time &- wish.enqueuedAt,
        lifetime: wish.deadline.nanoseconds &- wish.enqueuedAt,
        random: configuration.surroundings.random())
      if wish.acquires == nil { wish.notBefore = time &+ wish.owedWait }
      batch.append(wish)
      suspectStrays(grant, movedKeys)
    }
  }

  /// An address that exists although its chunk, unmoved, says that it is free is an inconsistency.
  private mutating func suspectStrays(_ grant: Draft.Grant, _ moved: Set<StoreKey>) {
    guard case .acquired(let acquired) = grant.fulfilment else { return }
    for holding in acquired.attachment.holdings where moved.contains(.lease(holding.address)) {
      let node = holding.pool.node(of: holding.ordinal).node
      if !moved.contains(.chunk(ChunkKey(pool: holding.pool, node: node))) {
        strays.insert(holding.address)
      }
    }
  }

  /// Nothing happened and the same may be tried later.
  private mutating func postpone(_ flight: Flight, _ text: String) {
    let time = configuration.surroundings.monotonic()
    for grant in flight.grants where abandoned.remove(grant.wish.ticket) == nil {
      var wish = grant.wish
      wish.conflicts += 1
      wish.notBefore = time &+ pause(after: wish.conflicts + 1)
      wish.lastTrouble = text
      batch.append(wish)
    }
    if flight.grants.isEmpty {
      for index in batch.indices {
        batch[index].notBefore = time &+ Backoff.floor * 8
        batch[index].lastTrouble = text
      }
    }
  }
}
