import IPAM

// The server and the network.
//
//   client ──▶ processors ──read──▶ answer
//                         ──commit─▶ waiting ──▶ round ──▶ processors ──▶ answer
//
// Clients, reads and commits wait for the same processors, first come first. Commits that come out of
// them while a round is under way share the next one, as a Raft leader writes all that is waiting with
// one flush; when that is done, they happen in their order. Meanwhile the processors take in others.

extension Simulation {
  func send(_ body: Request.Body, from node: Int) {
    let now = clock.nanoseconds
    lastNumber += 1
    var request = Request(
      number: lastNumber, node: node, life: processes[node].life, body: body)
    let planned = processes[node].planner.deadline(of: body.step)
    let deadline = planned?.nanoseconds ?? now + 1_000_000_000
    processes[node].pending.append((request.number, max(deadline, now), body.commit))
    expectTimeout(of: node, at: max(deadline, now))
    let arrival = worked(on: body, node) + hop()
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
    let service = scenario.service
    switch request.body {
    case .read:
      report.reads += 1
      take(request, service.perRead)
    case .commit where request.fate == .refused:
      answer(request, .commit(.unavailable("turned away")))
    case .commit(let commit):
      let length = costOfCommit() + UInt64(commit.operations.count) * service.perOperation
      take(request, length)
    }
  }

  /// Half of the work is for the request, half for the reply and what the client makes of it (and for
  /// applying a commit): what a reader learns is old by then. Nobody outside can tell.
  private func take(_ request: Request, _ length: UInt64) {
    var request = request
    request.rest = length - length / 2
    agenda.add(.served(request), at: occupy(length / 2, from: clock.nanoseconds))
  }

  /// The processors are done with it.
  func served(_ request: Request) {
    switch request.body {
    case .read(let keys, let consistency):
      // A leader that pauses answers nothing; what is read is what it holds when it goes on.
      let now = clock.nanoseconds
      guard now >= pausedUntil else { return agenda.add(.served(request), at: pausedUntil) }
      let found = store.found(keys)
      answer(request, .read(found, consistency), at: occupy(request.rest, from: now))
    case .commit:
      waiting.append(request)
      beginRound()
    }
  }

  /// When the processors are done with what comes at a moment and keeps one of them busy so long. The
  /// first that is free takes it.
  private func occupy(_ length: UInt64, from moment: UInt64) -> UInt64 {
    report.busy += length
    guard let first = busyUntil.indices.min(by: { busyUntil[$0] < busyUntil[$1] }) else {
      preconditionFailure("a service has processors")
    }
    busyUntil[first] = max(busyUntil[first], moment) + length
    return busyUntil[first]
  }

  /// What slows a server down slows down all that it does at the time: one draw counts for a spell.
  private func costOfCommit() -> UInt64 {
    let now = clock.nanoseconds
    if now >= spell.end {
      let cost = scenario.service.perCommit.randomElement(using: &chance)!
      spell = (now + scenario.service.spell, cost)
    }
    return spell.cost
  }

  /// The round is written: its commits happen and are answered, first come first.
  func endRound() {
    let now = clock.nanoseconds
    guard now >= pausedUntil else { return agenda.add(.round, at: pausedUntil) }
    for request in round {
      guard let commit = request.body.commit else { continue }
      let outcome = store.outcome(of: commit.operations)
      count(outcome, commit)
      report.note(4, now, UInt64(request.node), request.number, outcome.code)
      let done = occupy(request.rest, from: now)
      if request.fate == .cut {
        cut(request, at: now)
      } else {
        answer(request, .commit(outcome), at: done)
      }
    }
    round.removeAll()
    beginRound()
  }

  /// Commits that a round takes: Consul's Raft gathers no more of them for one write to the log
  /// (`MaxAppendEntries` of hashicorp/raft).
  private static let roundLimit = 64

  private func beginRound() {
    guard round.isEmpty, !waiting.isEmpty else { return }
    report.rounds += 1
    // What waits now is in this round, first come first; what comes later, in the next.
    round = Array(waiting.prefix(Self.roundLimit))
    waiting.removeFirst(round.count)
    let length = scenario.service.round.randomElement(using: &chance)!
    agenda.add(.round, at: clock.nanoseconds + length)
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

  /// When a node has made a request. Its planner does one thing after the other, on the processors on
  /// which it was measured: the server's.
  private func worked(on body: Request.Body, _ node: Int) -> UInt64 {
    guard let commit = body.commit else { return clock.nanoseconds }
    let begin = max(clock.nanoseconds, processes[node].worksUntil)
    let client = scenario.service.client.randomElement(using: &chance)!
    processes[node].worksUntil = occupy(client * UInt64(commit.wishes), from: begin)
    return processes[node].worksUntil
  }

  private func hop() -> UInt64 {
    scenario.service.hop.randomElement(using: &chance)!
  }
}

extension Simulation.Request.Body {
  fileprivate var step: Step {
    switch self {
    case .read(let keys, let consistency): .read(keys, consistency)
    case .commit(let commit): .commit(commit)
    }
  }

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
