public import IPAM

// A whole cluster in one thread: the planner of every node, one server, a network between them that
// loses things, and callers that do what a runtime does. All is one agenda of events.
//
//   caller ──▶ planner.next() ──read, commit──▶ hop ──▶ processors, round ──▶ store
//     ▲             ▲  └──wait──▶ (later)                                       │
//     └──outcome────┴──────────── hop, unless it is cut, silent, late ◀─────────┘
//
// The decisions are the production planner's; the store's meaning is MemoryStore's; only time, chance
// and the loop around them are the simulation's. What it keeps grows with nodes, callers and what they
// hold, not with what has happened, apart from 8 bytes for each latency and, if wanted, the history.

/// A simulated cluster; one seed decides all that happens in it.
public final class Simulation {
  enum Event {
    case begin(caller: Int)
    case turn(node: Int, life: Int, wake: Int)
    case arrive(Request)
    case served(Request)
    case round
    case answer(Request, Answer)
    case timeout(node: Int)
    case kill(node: Int)
    case restart(node: Int)
    case pause(UInt64)
  }

  enum Answer {
    case read([StoreKey: StoreEntry], Consistency)
    case readFailed(StoreError)
    case commit(CommitOutcome)
  }

  struct Request {
    enum Body {
      case read(Set<StoreKey>, Consistency)
      case commit(Commit)
    }
    enum Fate { case answered, cut, silent, refused }
    let number: UInt64
    let node: Int
    let life: Int
    let body: Body
    var fate = Fate.answered
    /// What the processors have to do for it yet, once it was read or its round is over.
    var rest: UInt64 = 0
  }

  struct Process {
    var planner: Planner
    /// One more with each restart: what was sent in an earlier life is answered to nobody.
    var life = 0
    /// The latest wait; earlier ones do not count.
    var wake = 0
    var isDown = false
    /// Its next turn is an event of this moment: callers who come again at once are let in first.
    var isTurnDue = false
    /// Until when it works on what it has decided to send.
    var worksUntil: UInt64 = 0
    /// The requests whose answers it waits for, until when: a read (no commit), or commits.
    var pending: [(number: UInt64, until: UInt64, commit: Commit?)] = []
    var isReading: Bool { pending.contains { $0.commit == nil } }
    /// When its earliest timeout is due. There is one for a node, not one for each request.
    var timeout = UInt64.max
    var callers: [UInt64: Int] = [:]
  }

  let store: any SimulatedStore
  let scenario: Scenario
  let clock = VirtualClock()
  var chance: Chance
  var agenda = Agenda<Event>()
  var processes: [Process] = []
  var callers: [Caller]
  var report = SimulationReport()
  var history: [HistoryEvent] = []
  var holders = Holders()
  /// What waits for the leader's next round.
  var waiting: [Request] = []
  /// The round under way, first come first.
  var round: [Request] = []
  /// What each commit takes for now, its operations aside.
  var spell: (end: UInt64, cost: UInt64) = (0, 0)
  /// Until when each of the processors has something to do.
  var busyUntil: [UInt64]
  var pausedUntil: UInt64 = 0
  var lastNumber: UInt64 = 0
  var leases = 0
  /// Addresses that the network can hand out.
  let capacity: Int
  /// When nothing was free last.
  var lastFull: UInt64?

  /// A cluster at its start.
  ///
  /// - Parameters:
  ///   - scenario: What it is.
  ///   - capacity: How many acquisitions its network can serve at once.
  ///   - seed: What decides all chance.
  ///   - store: Empty; what it holds can be audited when the run is over.
  public init(
    _ scenario: Scenario, capacity: Int, seed: UInt64, store: any SimulatedStore = MemoryStore()
  ) {
    self.scenario = scenario
    self.store = store
    self.capacity = capacity
    chance = Chance(seed: seed)
    busyUntil = Array(repeating: 0, count: scenario.service.processors)
    callers = (0..<scenario.nodes * scenario.callers).map {
      Caller(node: $0 / scenario.callers, left: scenario.operations)
    }
    for node in 0..<scenario.nodes { processes.append(Process(planner: planner(of: node))) }
    for caller in callers.indices {
      agenda.add(.begin(caller: caller), at: pause())
    }
    for _ in 0..<scenario.faults.kills {
      let node = Int.random(in: 0..<scenario.nodes, using: &chance)
      agenda.add(.kill(node: node), at: .random(in: 0..<scenario.faultPeriod, using: &chance))
    }
    for _ in 0..<scenario.faults.pauses {
      let length = UInt64.random(in: 0..<3_000_000_000, using: &chance)
      agenda.add(.pause(length), at: .random(in: 0..<scenario.faultPeriod, using: &chance))
    }
  }

  /// How many operations the run is about to see.
  var expected: Int {
    let most = callers.count * scenario.operations
    return scenario.endsWhenFull ? min(capacity, most) : most
  }

  /// How long a caller pauses.
  func pause() -> UInt64 {
    scenario.pause == 0 ? 0 : .random(in: 0..<scenario.pause, using: &chance)
  }

  func planner(of node: Int) -> Planner {
    let skew = scenario.faults.skewSeconds
    return Planner(
      PlannerConfiguration(
        node: Node(name: "n\(node)"), definition: scenario.definition,
        networkName: scenario.definition.name, repeatPolicy: .sameAgain,
        surroundings: clock.surroundings(
          secondsAhead: .random(in: -skew...skew, using: &chance), seed: chance.next()),
        flightLimit: scenario.flights),
      traits: store.traits)
  }

  /// Runs until nothing is left to happen.
  ///
  /// - Parameter progress: Called with each percent of the operations that is done.
  /// - Returns: What came of it, and what the callers saw if the scenario keeps it.
  /// - Complexity: O(log n) for each event in the events that are due, beside the planner's own work.
  public func run(
    progress: (Int) -> Void = { _ in }
  ) -> (report: SimulationReport, history: [HistoryEvent]) {
    var percent = 0
    while let (moment, event) = agenda.takeFirst() {
      clock.move(to: moment)
      perform(event)
      let done = report.succeeded * 100 / expected
      if done > percent {
        percent = done
        progress(percent)
      }
    }
    return (report, history)
  }

  /// The most events that were to happen at one moment of the run.
  public var mostEvents: Int { agenda.most }

  /// The attachments that callers were told they hold.
  public var held: Set<AttachmentKey> {
    var held: Set<AttachmentKey> = []
    for index in callers.indices {
      for hold in callers[index].held { held.insert(attachment(index, hold.number)) }
    }
    return held
  }

  /// What is wrong between the addresses that callers were told they hold and the store's leases, if
  /// no operation ended in doubt; empty if nothing is.
  ///
  /// - Complexity: O(n) in what is held.
  public func findings(in store: CompactStore) -> [String] {
    var findings: [String] = []
    var told = 0
    for caller in callers {
      for address in caller.held.flatMap(\.addresses) {
        told += 1
        if !store.isLeased(address) { findings.append("\(address) is held and has no lease") }
      }
    }
    if store.leaseCount > told {
      findings.append("\(store.leaseCount - told) leases leaked: nobody was told of them")
    }
    return findings
  }

  private func perform(_ event: Event) {
    let now = clock.nanoseconds
    switch event {
    case .begin(let caller): begin(caller)
    case .turn(let node, let life, let wake):
      guard processes[node].life == life, processes[node].wake == wake else { return }
      turn(node)
    case .arrive(let request): arrive(request)
    case .served(let request): served(request)
    case .round: endRound()
    case .answer(let request, let answer):
      take(answer, to: request.number, of: request.node, life: request.life)
    case .timeout(let node): timeOut(node)
    case .kill(let node): kill(node)
    case .restart(let node):
      processes[node].isDown = false
      let waiting = callers.indices.filter { callers[$0].node == node }
      for caller in waiting { agenda.add(.begin(caller: caller), at: now) }
    case .pause(let length):
      report.note(1, now, length)
      pausedUntil = max(pausedUntil, now + length)
    }
  }
}
