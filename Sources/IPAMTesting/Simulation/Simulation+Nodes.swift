import IPAM

// The nodes: callers, the loop around each planner, kills.

/// Somebody who acquires and releases, one operation at a time.
struct Caller {
  enum Work {
    case acquire(AttachmentKey)
    case release(AttachmentKey)
  }
  let node: Int
  var left: Int
  var held: [AttachmentKey] = []
  /// What is under way, since when.
  var work: (Work, called: UInt64)?
  /// What a failed acquisition may have left: released before anything else, as a runtime does.
  var suspect: AttachmentKey?
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
    } else if callers[index].held.count >= scenario.keeps
      || (!callers[index].held.isEmpty && chance.happens(percent: 30))
    {
      let victim = Int.random(in: callers[index].held.indices, using: &chance)
      work = .release(callers[index].held.remove(at: victim))
    } else {
      work = .acquire(
        AttachmentKey(
          node: "n\(node)", container: "c\(index)-\(callers[index].left)", interface: "eth0"))
    }
    if callers[index].suspect == nil { callers[index].left -= 1 }
    callers[index].work = (work, now)
    lastNumber += 1
    let body: Wish.Body =
      switch work {
      case .acquire(let key): .acquire(AcquireRequest(attachment: key))
      case .release(let key): .release([key])
      }
    processes[node].callers[lastNumber] = index
    processes[node].planner.enqueue(
      Wish(
        ticket: lastNumber, body: body,
        deadline: Deadline(nanoseconds: now + scenario.patience), enqueuedAt: now))
    if processes[node].pending == nil { turn(node) }
  }

  /// Asks a planner what to do, and does it.
  func turn(_ node: Int) {
    let now = clock.nanoseconds
    processes[node].wake += 1
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
      case .commit(let commit): return send(.commit(commit), from: node)
      }
    }
  }

  func take(_ answer: Answer, to request: Request) {
    let node = request.node
    guard processes[node].life == request.life, processes[node].pending == request.number else {
      return
    }
    processes[node].pending = nil
    switch (answer, request.body) {
    case (.read(let entries), .read(_, let consistency)):
      processes[node].planner.learn(entries, consistency: consistency)
    case (.readFailed(let error), _): processes[node].planner.readFailed(error)
    case (.commit(let outcome), _): processes[node].planner.ended(outcome)
    case (.read, .commit): preconditionFailure("a commit is not answered by a read")
    }
    deliver(node)
    turn(node)
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
    case (.acquire(let key), .success(.acquired(let acquired))):
      callers[index].held.append(key)
      history.append(
        HistoryEvent(
          .acquired(acquired.attachment.holdings.map(\.address)), key, called: called,
          returned: now))
      succeed(called)
    case (.release(let key), .success):
      callers[index].suspect = nil
      history.append(HistoryEvent(.released, key, called: called, returned: now))
      succeed(called)
    case (.acquire, .failure(.exhausted(let proof))):
      report.exhausted += 1
      if leases < capacity, lastFull.map({ $0 < called }) ?? true {
        report.lies.append("\(proof.figures), at \(now); \(leases) of \(capacity) were in use")
      }
    case (.acquire(let key), _), (.release(let key), _): doubt(index, key, work, called)
    }
    report.note(2, now, UInt64(index), UInt64(report.succeeded), UInt64(report.exhausted))
    agenda.add(.begin(caller: index), at: now + .random(in: 0..<1_000_000, using: &chance))
  }

  private func succeed(_ called: UInt64) {
    report.succeeded += 1
    report.elapsed = clock.nanoseconds
    report.latencies.append(clock.nanoseconds - called)
  }

  /// Nobody knows what became of it: the attachment is released before anything else.
  private func doubt(
    _ index: Int, _ key: AttachmentKey, _ work: Caller.Work, _ called: UInt64
  ) {
    report.failed += 1
    callers[index].suspect = key
    if case .release = work {
      history.append(
        HistoryEvent(.released, key, called: called, returned: clock.nanoseconds))
    }
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
      case .acquire(let key), .release(let key): doubt(index, key, work, called)
      }
    }
    let life = processes[node].life + 1
    processes[node] = Process(planner: planner(of: node), life: life, isDown: true)
    agenda.add(
      .restart(node: node), at: now + .random(in: 1_000_000...1_000_000_000, using: &chance))
  }
}
