import AddressSpace
import IPAM

// The nodes: callers, the loop around each planner, kills.

/// Somebody who acquires and releases, one operation at a time.
struct Caller {
  enum Work {
    case acquire(Int)
    case release(Int)
  }
  /// An attachment that it has, and the addresses that it was told.
  struct Hold {
    let number: Int
    let addresses: [IPAddress]
  }
  let node: Int
  var left: Int
  var held: [Hold] = []
  /// What is under way, since when.
  var work: (Work, called: UInt64)?
  /// What a failed acquisition may have left: released before anything else, as a runtime does.
  var suspect: Int?
}

extension Simulation {
  func begin(_ index: Int) {
    let node = callers[index].node
    guard !processes[node].isDown, callers[index].work == nil else { return }
    let now = clock.nanoseconds
    let work: Caller.Work
    if let suspect = callers[index].suspect {
      work = .release(suspect)
    } else if callers[index].left == 0 {
      return
    } else if scenario.releasesNext(having: callers[index].held.count, using: &chance) {
      let victim = Int.random(in: callers[index].held.indices, using: &chance)
      let hold = callers[index].held.remove(at: victim)
      holders.remove(hold.addresses)
      work = .release(hold.number)
    } else {
      work = .acquire(callers[index].left)
    }
    if callers[index].suspect == nil { callers[index].left -= 1 }
    callers[index].work = (work, now)
    lastNumber += 1
    let body: Wish.Body =
      switch work {
      case .acquire(let number): .acquire(AcquireRequest(attachment: attachment(index, number)))
      case .release(let number): .release([attachment(index, number)])
      }
    processes[node].callers[lastNumber] = index
    processes[node].planner.enqueue(
      Wish(
        ticket: lastNumber, body: body,
        deadline: Deadline(nanoseconds: now + scenario.patience), enqueuedAt: now))
    expectTimeout(of: node, at: now + scenario.patience)
    if !processes[node].isReading, !processes[node].isTurnDue { turn(node) }
  }

  /// The name of a caller's attachment.
  func attachment(_ caller: Int, _ number: Int) -> AttachmentKey {
    AttachmentKey(
      node: "n\(callers[caller].node)", container: "c\(caller)-\(number)", interface: "eth0")
  }

  /// Asks a planner what to do, and does it.
  func turn(_ node: Int) {
    let now = clock.nanoseconds
    processes[node].wake += 1
    processes[node].isTurnDue = false
    while true {
      let step = processes[node].planner.next()
      deliver(node)
      switch step {
      case .idle: return
      case .wait(let nanoseconds):
        agenda.add(
          .turn(node: node, life: processes[node].life, wake: processes[node].wake),
          at: now + nanoseconds)
        return
      case .read(_, .copies):
        // Nodes keep no copies on disk here: a process reads when it starts.
        processes[node].planner.learn([:], consistency: .copies)
      case .read(let keys, let consistency): return send(.read(keys, consistency), from: node)
      case .commit(let commit): send(.commit(commit), from: node)
      }
    }
  }

  func take(_ answer: Answer, to number: UInt64, of node: Int, life: Int) {
    guard processes[node].life == life,
      let index = processes[node].pending.firstIndex(where: { $0.number == number })
    else { return }
    let pending = processes[node].pending.remove(at: index)
    switch (answer, pending.commit) {
    case (.read(let entries, let consistency), _):
      processes[node].planner.learn(entries, consistency: consistency)
    case (.readFailed(let error), _): processes[node].planner.readFailed(error)
    case (.commit(let outcome), let commit?): processes[node].planner.ended(commit, outcome)
    case (.commit, nil): preconditionFailure("a read is not answered by an outcome")
    }
    deliver(node)
    guard !processes[node].isReading else { return }
    // As the production loop lets callers in who come again at once.
    processes[node].wake += 1
    processes[node].isTurnDue = true
    agenda.add(
      .turn(node: node, life: life, wake: processes[node].wake), at: clock.nanoseconds)
  }

  /// No answer came in time to what a node has waited for, if it still does, or to a caller.
  func timeOut(_ node: Int) {
    processes[node].timeout = .max
    let (now, life) = (clock.nanoseconds, processes[node].life)
    for late in processes[node].pending where late.until <= now {
      let silence = "no answer in time"
      take(
        late.commit == nil
          ? .readFailed(StoreError(.unavailable, silence)) : .commit(.unknown(silence)),
        to: late.number, of: node, life: life)
    }
    processes[node].planner.expire()
    deliver(node)
    let callers = processes[node].planner.firstDeadline.map(\.nanoseconds)
    let next = ([callers] + processes[node].pending.map(\.until)).compactMap { $0 }.min()
    if let next { expectTimeout(of: node, at: max(next, now)) }
  }

  func expectTimeout(of node: Int, at moment: UInt64) {
    guard moment < processes[node].timeout else { return }
    processes[node].timeout = moment
    agenda.add(.timeout(node: node), at: moment)
  }

  private func deliver(_ node: Int) {
    for (ticket, result) in processes[node].planner.takeResolved() {
      guard let index = processes[node].callers.removeValue(forKey: ticket) else { continue }
      finish(index, result)
    }
    _ = processes[node].planner.takeWarnings()
  }

  private func finish(_ index: Int, _ result: Result<Fulfilment, AllocationError>) {
    guard let (work, called) = callers[index].work else { return }
    let now = clock.nanoseconds
    callers[index].work = nil
    switch (work, result) {
    case (.acquire(let number), .success(.acquired(let acquired))):
      let addresses = acquired.attachment.holdings.map(\.address)
      callers[index].held.append(Caller.Hold(number: number, addresses: addresses))
      for address in holders.insert(addresses) where report.duplicates.count < 100 {
        report.duplicates.append("\(address) was handed out again, at \(now), though it is held")
      }
      remember(.acquired(addresses), index, number, called)
      succeed(called)
    case (.release(let number), .success):
      callers[index].suspect = nil
      remember(.released, index, number, called)
      succeed(called)
    case (.acquire, .failure(.exhausted(let proof))):
      report.exhausted += 1
      if scenario.endsWhenFull { callers[index].left = 0 }
      if leases < capacity, lastFull.map({ $0 < called }) ?? true {
        report.lies.append("\(proof.figures), at \(now); \(leases) of \(capacity) were in use")
      }
    case (.acquire(let number), _), (.release(let number), _): doubt(index, number, work, called)
    }
    report.note(2, now, UInt64(index), UInt64(report.succeeded), UInt64(report.exhausted))
    agenda.add(.begin(caller: index), at: now + pause())
  }

  private func remember(
    _ kind: HistoryEvent.Kind, _ index: Int, _ number: Int, _ called: UInt64
  ) {
    guard scenario.keepsHistory else { return }
    history.append(
      HistoryEvent(
        kind, attachment(index, number), called: called, returned: clock.nanoseconds))
  }

  private func succeed(_ called: UInt64) {
    report.succeeded += 1
    report.elapsed = clock.nanoseconds
    report.latencies.append(clock.nanoseconds - called)
    if report.succeeded == expected / 2 { report.fairness = fairness }
  }

  private var fairness: Double {
    var done = [Double](repeating: 0, count: scenario.nodes)
    for caller in callers { done[caller.node] += Double(scenario.operations - caller.left) }
    let total = done.reduce(0, +)
    let squares = done.reduce(0) { $0 + $1 * $1 }
    return squares > 0 ? total * total / (squares * Double(done.count)) : 1
  }

  /// Nobody knows what became of it: the attachment is released before anything else.
  private func doubt(
    _ index: Int, _ number: Int, _ work: Caller.Work, _ called: UInt64
  ) {
    report.failed += 1
    callers[index].suspect = number
    if case .release = work { remember(.released, index, number, called) }
  }

  func kill(_ node: Int) {
    guard !processes[node].isDown else { return }
    let now = clock.nanoseconds
    report.kills += 1
    report.note(3, now, UInt64(node))
    for index in processes[node].callers.values.sorted() {
      guard let (work, called) = callers[index].work else { continue }
      callers[index].work = nil
      switch work {
      case .acquire(let number), .release(let number): doubt(index, number, work, called)
      }
    }
    let life = processes[node].life + 1
    processes[node] = Process(planner: planner(of: node), life: life, isDown: true)
    agenda.add(
      .restart(node: node), at: now + .random(in: 1_000_000...1_000_000_000, using: &chance))
  }
}
