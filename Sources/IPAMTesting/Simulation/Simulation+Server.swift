import IPAM

// The server and the network. Commits that arrive while a round is under way share the next one, as a
// Raft leader writes all that is waiting with one flush; then they happen one after the other.

extension Simulation {
  func send(_ body: Request.Body, from node: Int) {
    let now = clock.nanoseconds
    lastNumber += 1
    var request = Request(
      number: lastNumber, node: node, life: processes[node].life, body: body)
    let deadline = processes[node].planner.deadline?.nanoseconds ?? now + scenario.patience
    processes[node].pending.append((request.number, max(deadline, now), body.commit))
    expectTimeout(of: node, at: max(deadline, now))
    let arrival = now + work(on: body) + hop()
    let roll = Int.random(in: 0..<100, using: &chance)
    let faults = scenario.faults
    guard case .commit = body else {
      request.fate = roll < faults.silent ? .silent : .answered
      return agenda.add(.arrive(request), at: arrival)
    }
    var bound = faults.cutAfter
    if roll < bound {
      request.fate = .cut
      return agenda.add(.arrive(request), at: arrival)
    }
    bound += faults.cutBefore
    if roll < bound { return cut(request, at: arrival) }
    bound += faults.late
    if roll < bound {
      cut(request, at: arrival)
      request.fate = .silent
      let delay = UInt64.random(in: 0..<5_000_000_000, using: &chance)
      return agenda.add(.arrive(request), at: arrival + delay)
    }
    bound += faults.silent
    if roll < bound {
      request.fate = .silent
      // Whether it happens is another matter.
      if chance.happens(percent: 50) { agenda.add(.arrive(request), at: arrival) }
      return
    }
    bound += faults.refused
    if roll < bound { request.fate = .refused }
    agenda.add(.arrive(request), at: arrival)
  }

  func arrive(_ request: Request) {
    let now = clock.nanoseconds
    switch request.body {
    case .read(let keys, let consistency):
      // A leader that pauses answers nothing; what is read is what it holds when it goes on.
      guard now >= pausedUntil else { return agenda.add(.arrive(request), at: pausedUntil) }
      report.reads += 1
      report.busy += scenario.service.perRead
      readsUntil = max(readsUntil, now) + scenario.service.perRead
      answer(request, .read(store.found(keys), consistency), at: readsUntil)
    case .commit where request.fate == .refused:
      answer(request, .commit(.unavailable("turned away")))
    case .commit:
      waiting.append(request)
      beginRound()
    }
  }

  /// The next commit of the round that is under way; it happens and is answered at once, those after
  /// it in their turn.
  func leaderCommit() {
    let now = clock.nanoseconds
    guard now >= pausedUntil else { return agenda.add(.commit, at: pausedUntil) }
    let request = round.removeLast()
    if let commit = request.body.commit {
      let outcome = store.outcome(of: commit.operations)
      count(outcome, commit)
      report.note(4, now, UInt64(request.node), request.number, outcome.code)
      if request.fate == .cut { cut(request, at: now) } else { answer(request, .commit(outcome)) }
    }
    if round.isEmpty { beginRound() } else { proceed(after: 0) }
  }

  /// Commits that a round takes: Consul's Raft gathers no more of them for one write to the log
  /// (`MaxAppendEntries` of hashicorp/raft).
  private static let roundLimit = 64

  private func beginRound() {
    guard round.isEmpty, !waiting.isEmpty else { return }
    report.rounds += 1
    // What waits now is in this round, first come first; what comes later, in the next.
    round = waiting.prefix(Self.roundLimit).reversed()
    waiting.removeFirst(round.count)
    costOfCommit = scenario.service.perCommit.randomElement(using: &chance)!
    proceed(after: scenario.service.round.randomElement(using: &chance)!)
  }

  private func proceed(after delay: UInt64) {
    let operations = UInt64(round.last?.body.commit?.operations.count ?? 0)
    let length = delay + costOfCommit + operations * scenario.service.perOperation
    report.busy += length
    agenda.add(.commit, at: max(clock.nanoseconds, readsUntil) + length)
  }

  private func count(_ outcome: CommitOutcome, _ commit: Commit) {
    guard case .committed = outcome else {
      report.conflicts += 1
      return
    }
    report.commits += 1
    if leases == capacity { lastFull = clock.nanoseconds }
    for operation in commit.operations {
      switch operation {
      case .put(.lease, _, expected: .absent): leases += 1
      case .delete(.lease, _): leases -= 1
      default: break
      }
    }
    if leases == capacity { lastFull = clock.nanoseconds }
  }

  private func answer(_ request: Request, _ answer: Answer, at moment: UInt64? = nil) {
    guard request.fate != .silent else { return }
    agenda.add(.answer(request, answer), at: (moment ?? clock.nanoseconds) + hop())
  }

  private func cut(_ request: Request, at moment: UInt64) {
    agenda.add(.answer(request, .commit(.unknown("the connection was cut"))), at: moment + hop())
  }

  /// What a client works on a request before it is sent.
  private func work(on body: Request.Body) -> UInt64 {
    guard let commit = body.commit else { return 0 }
    return scenario.service.client.randomElement(using: &chance)! * UInt64(commit.wishes)
  }

  private func hop() -> UInt64 {
    scenario.service.hop.randomElement(using: &chance)!
  }
}

extension Simulation.Request.Body {
  fileprivate var commit: Commit? {
    if case .commit(let commit) = self { commit } else { nil }
  }
}

extension Commit {
  /// How many wishes it carries: each makes or deletes one attachment.
  fileprivate var wishes: Int {
    operations.count {
      if case .attachment = $0.key { true } else { false }
    }
  }
}

extension CommitOutcome {
  fileprivate var code: UInt64 {
    switch self {
    case .committed(let revision): 16 + revision.number
    case .conflict(let indices): UInt64(indices.count) << 32
    case .unavailable: 1
    case .tooLarge: 2
    case .refused: 3
    case .unknown: 4
    }
  }
}
