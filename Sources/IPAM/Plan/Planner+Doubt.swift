import AddressSpace
import BitmapAllocator

// A commit whose reply was lost may have happened, may happen later (an agent holds a request for
// seconds while there is no leader), or never. The identical commit is sent again: at most one of all
// copies can succeed, because each is conditional on the same revisions.
//
//   sent ──unknown──▶ resend ──committed──▶ done
//                       │ ├───conflict────▶ read: our nonce or token there? done : lost, plan again
//                       │ └───unknown─────▶ resend …
//                       ▼ deadline of the last wish
//                     fence: write one of its chunks with another generation, so that no late copy
//                            can succeed any more; if even that is unknown, the caller is told

/// A commit whose outcome is not known.
struct Doubt: Sendable {
  enum Phase: Sendable {
    case resend
    /// A conflict proved that no copy can succeed any more; was one of them ours?
    case resolve([Int])
    case fence
  }
  var flight: Flight
  var reason: String
  var phase = Phase.resend
  var attempts = 0
  var notBefore: UInt64 = 0
  /// A copy or the fence is on its way.
  var isSent = false
  var fence: Commit?
  /// The operations that a conflict named, when it did not prove enough.
  var conflicting: [Int] = []
  /// What nobody waits for any more; released if it turns out that it exists.
  var unclaimed: [Draft.Grant] = []
}

extension Planner {
  mutating func nextInDoubt(_ time: UInt64) -> Step {
    guard let doubt else { return next() }
    if doubt.isSent { return .idle }
    switch doubt.phase {
    case .resolve(let indices):
      let keys = keysThatTell(doubt.flight)
      if keys.allSatisfy(view.isConfirmed) {
        self.doubt = nil
        settle(doubt, indices)
        return next()
      }
      guard !doubt.flight.grants.isEmpty || doubt.attempts < Self.fenceAttempts else {
        return giveUp(doubt)
      }
      if doubt.notBefore > time { return wait(until: doubt.notBefore, from: time) }
      return .read(keys, .consistent)
    case .resend:
      if doubt.flight.grants.isEmpty {
        self.doubt?.phase = .fence
        return nextInDoubt(time)
      }
      if doubt.notBefore > time { return wait(until: doubt.notBefore, from: time) }
      self.doubt?.isSent = true
      return .commit(doubt.flight.commit)
    case .fence:
      guard !doubt.flight.grants.isEmpty || doubt.attempts < Self.fenceAttempts else {
        return giveUp(doubt)
      }
      let token = configuration.surroundings.random()
      guard let fence = doubt.flight.commit.fence(token: token, { view[$0] }) else {
        // Its chunks are not seen any more as they were: what is there now tells as much.
        let writesChunks = doubt.flight.commit.operations.contains {
          if case .put(.chunk, _, _) = $0 { true } else { false }
        }
        if !writesChunks || keysThatTell(doubt.flight).allSatisfy(view.isConfirmed) {
          return giveUp(doubt)
        }
        view.forgetConfirmations()
        self.doubt?.phase = .resolve(doubt.conflicting)
        return nextInDoubt(time)
      }
      if doubt.notBefore > time { return wait(until: doubt.notBefore, from: time) }
      self.doubt?.fence = fence
      self.doubt?.isSent = true
      return .commit(fence)
    }
  }

  /// How often a fence is tried once nobody waits for the outcome any more.
  static let fenceAttempts = 3

  /// The outcome stays open: those who wait are told so, nothing that was seen counts any more, and
  /// what a copy has made by now, or makes before it is looked for, is released.
  private mutating func giveUp(_ doubt: Doubt) -> Step {
    self.doubt = nil
    for grant in doubt.flight.grants { resolveAsUnknown(grant, doubt.reason) }
    for operation in doubt.flight.commit.operations { view.forget(operation.key) }
    for grant in doubt.unclaimed + doubt.flight.grants { releaseUnclaimed(grant) }
    return next()
  }

  mutating func endedInDoubt(_ outcome: CommitOutcome) {
    guard var doubt else { return }
    doubt.isSent = false
    let isFence = doubt.fence != nil
    switch (outcome, isFence) {
    case (.committed(let revision), false):
      self.doubt = nil
      finishGathering()
      succeeded(doubt.flight, revision)
      doubt.unclaimed.forEach { releaseUnclaimed($0) }
      return
    case (.committed(let revision), true):
      // No copy can succeed any more, and none had: the key had its old revision until now.
      self.doubt = nil
      finishGathering()
      if let fence = doubt.fence { view.apply(fence.operations, revision) }
      lost(doubt.flight, doubt.conflicting)
      return
    case (.conflict(let indices), _):
      view.forgetConfirmations()
      let operations = doubt.flight.commit.operations
      if let fence = doubt.fence?.operations,
        indices.contains(where: { fence.indices.contains($0) && fence[$0].checksDefinition })
      {
        // Another definition rules, so that no copy of what was planned by this one can succeed.
        doubt.conflicting += operations.indices.filter { operations[$0].checksDefinition }
      }
      doubt.phase = .resolve(isFence ? doubt.conflicting : indices)
      doubt.fence = nil
      (doubt.attempts, doubt.notBefore) = (0, 0)
    case (.refused(let error), _) where error.kind == .unavailable:
      retryInDoubt(&doubt, error.description)
    case (.refused(let error), _):
      // The server understood the first copy and refuses this one (its rules changed meanwhile):
      // the outcome stays open for those who wait.
      doubt.reason = error.description
      abandon(&doubt)
    case (.tooLarge, _):
      // The first copy was not too large for whoever took it.
      abandon(&doubt)
    case (.unavailable(let text), _), (.unknown(let text), _):
      retryInDoubt(&doubt, text)
    }
    self.doubt = doubt
  }

  private func retryInDoubt(_ doubt: inout Doubt, _ reason: String) {
    doubt.reason = reason
    doubt.attempts += 1
    doubt.notBefore = configuration.surroundings.monotonic() &+ pause(after: doubt.attempts)
  }

  /// How long to wait, in nanoseconds, before a store is asked again that did not serve or answer:
  /// not long, for it may be back, and where a commit is in doubt everybody else waits.
  func pause(after failures: Int) -> UInt64 {
    let wait = backoff.wait(
      conflicts: failures + 1, age: 0, lifetime: .max,
      random: configuration.surroundings.random())
    return min(max(Backoff.floor, wait), Self.longPause)
  }

  /// The longest such wait.
  static let longPause: UInt64 = 500_000_000

  /// Tells those whose deadline has passed that nobody knows.
  mutating func giveUpOnTheLate(_ time: UInt64) {
    if let current = doubt { doubt = withoutTheLate(current, time) }
    for index in laterDoubts.indices {
      laterDoubts[index] = withoutTheLate(laterDoubts[index], time)
    }
  }

  private mutating func withoutTheLate(_ doubt: Doubt, _ time: UInt64) -> Doubt {
    let late = doubt.flight.grants.filter { $0.wish.deadline.nanoseconds <= time }
    guard !late.isEmpty else { return doubt }
    for grant in late { resolveAsUnknown(grant, doubt.reason) }
    var doubt = doubt
    doubt.unclaimed += late
    doubt.flight.grants.removeAll { $0.wish.deadline.nanoseconds <= time }
    if doubt.flight.grants.isEmpty {
      doubt.attempts = 0
      if case .resend = doubt.phase { doubt.phase = .fence }
    }
    return doubt
  }

  private mutating func abandon(_ doubt: inout Doubt) {
    for grant in doubt.flight.grants { resolveAsUnknown(grant, doubt.reason) }
    doubt.unclaimed += doubt.flight.grants
    doubt.flight.grants = []
    // A fence may be refused as well, so these attempts count, and wait.
    if doubt.fence == nil { doubt.attempts = 0 }
    doubt.phase = .fence
    retryInDoubt(&doubt, doubt.reason)
  }

  private mutating func resolveAsUnknown(_ grant: Draft.Grant, _ reason: String) {
    // A cleanup goes on: it releases what its stamp names, or finds that gone.
    if let wish = again(grant.wish) { return queue.append(wish) }
    fail(grant.wish, Self.unknownOutcome(reason))
  }

  /// Tells a caller that it failed; not that nothing was changed if that is not known.
  mutating func fail(_ wish: Wish, _ error: AllocationError) {
    resolved.append((wish.ticket, .failure(wish.doubt.map(Self.unknownOutcome) ?? error)))
  }

  private static func unknownOutcome(_ reason: String) -> AllocationError {
    .outcomeUnknown(
      "a commit was sent and its outcome is not known (\(reason)); repeat the operation or release "
        + "the attachment")
  }

  /// The keys by which a commit recognises itself: attachments carry its nonce, chunks its token.
  private func keysThatTell(_ flight: Flight) -> Set<StoreKey> {
    Set(
      flight.commit.operations.compactMap { operation in
        switch operation {
        case .put(let key, _, _), .delete(let key, _): key
        case .check, .note: nil
        }
      })
  }

  /// Judges by what was read after a conflict, when no copy can succeed any more.
  private mutating func settle(_ doubt: Doubt, _ indices: [Int]) {
    var flight = doubt.flight
    finishGathering()
    let hasHappened = flight.commit.hasHappened { view[$0] }
    if hasHappened == true {
      // What was read just now is newer than what was written then.
      grant(flight)
      view.apply(cursors: flight.commit.cursors)
      doubt.unclaimed.forEach { releaseUnclaimed($0) }
    } else if isPast(flight, indices) {
      if hasHappened == nil { flight.mayHaveReleased(doubt.reason) }
      lost(flight, indices)
    } else {
      self.doubt = doubt
      self.doubt?.conflicting = indices
      self.doubt?.phase = .fence
    }
  }

  /// Whether no copy can succeed any more. A key that must not exist proves nothing: it may go again
  /// before a copy comes.
  private func isPast(_ flight: Flight, _ indices: [Int]) -> Bool {
    let operations = flight.commit.operations
    return indices.contains { operations.indices.contains($0) && operations[$0].movesForGood }
      || operations.contains { operation in
        if case .check = operation { return false }
        return operation.movesForGood && view[operation.key]?.revision != operation.expected
      }
  }
}
