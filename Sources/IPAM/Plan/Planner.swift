import AddressSpace
import BitmapAllocator

// The decisions of a network's allocation, as a value: what the loop read and how its commits ended go
// in, what to read, commit or wait for comes out. The same value runs in the plugin, in the library
// and in the simulator.
//
//   queue ──admit──▶ batch ──plan──▶ draft ──seal──▶ flight ──▶ resolved
//                      ▲  └─needs─▶ read ─┘             │
//                      └──────── conflict ◀─────────────┤
//                                  doubt  ◀── unknown ──┘
//
// Wishes that arrive while a commit is in flight share the next one. Where many wait, others may be in
// flight beside the first, on other chunks and for other attachments: they depend on nothing that
// the first one changes (`Planner+Overlap`).

/// Who allocates and by which rules.
package struct PlannerConfiguration: Sendable {
  var node: Node
  /// The definition to create the network with, or, in a store that keeps none, the definition.
  let definition: NetworkDefinition?
  let terms: Terms?
  var networkName: String
  var repeatPolicy: RepeatPolicy
  var surroundings: Surroundings
  /// Commits that may be in flight at once, at least 1.
  var flightLimit: Int
  /// Whose journal in the store commits are noted in.
  var journalNode: String

  package init(
    node: Node, definition: NetworkDefinition?, networkName: String, repeatPolicy: RepeatPolicy,
    surroundings: Surroundings, flightLimit: Int = 1, journalNode: String? = nil
  ) {
    self.flightLimit = flightLimit
    self.journalNode = journalNode ?? node.name
    self.node = node
    self.definition = definition
    self.terms = definition.map(Terms.init)
    self.networkName = networkName
    self.repeatPolicy = repeatPolicy
    self.surroundings = surroundings
  }
}

/// Decides; does nothing.
package struct Planner: Sendable {
  let configuration: PlannerConfiguration
  var traits: StoreTraits
  var view = View()
  var backoff = Backoff()
  var queue: [Wish] = []
  var batch: [Wish] = []
  /// Commits that were sent and have not ended, at most ``PlannerConfiguration/flightLimit``.
  var flights: [Flight] = []
  /// What the flights write.
  var busy: Set<StoreKey> = []
  /// Commits to be made before another one may overlap again.
  var overlapPenalty = 0
  var doubt: Doubt?
  /// Other commits without an outcome, cleared up one after the other.
  var laterDoubts: [Doubt] = []
  /// Outcomes that the loop has not yet handed out.
  var resolved: [(ticket: UInt64, result: Result<Fulfilment, AllocationError>)] = []
  /// What an operator should know, for the loop to log, once each.
  var warnings: [String] = []
  var remarked: Set<String> = []
  /// Addresses that turned out to be leased under a clear bit.
  var strays: Set<IPAddress> = []
  /// Wishes in flight whose callers went away: what they get is released at once.
  var abandoned: Set<UInt64> = []
  var layoutCache: (definition: NetworkDefinition, layouts: [SetLayout])?
  /// Attachments that were made for nobody and are to be released again.
  var unwanted: Set<AttachmentKey> = []
  /// Nothing is admitted between a read and the commit that it was for.
  private var isGathering = false

  package init(_ configuration: PlannerConfiguration, traits: StoreTraits) {
    self.configuration = configuration
    self.traits = traits
  }

  /// Whether anything is left to do.
  package var hasWork: Bool {
    !queue.isEmpty || !batch.isEmpty || !flights.isEmpty || doubt != nil || !laterDoubts.isEmpty
  }

  /// By when a step has to be done: the first deadline of those that it is for; nil if nobody waits
  /// for it. Whoever else waits has no part in it.
  package func deadline(of step: Step) -> Deadline? {
    switch step {
    case .read where doubt == nil: batch.lazy.map(\.deadline).min()
    case .commit(let commit) where !isInDoubt(commit):
      (flights.first { $0.commit.token == commit.token }?.firstDeadline)
        ?? batch.lazy.map(\.deadline).min()
    case .read, .commit: doubt?.flight.firstDeadline
    case .wait, .idle: nil
    }
  }

  /// The first deadline of those who wait and whose answer no commit in flight decides: at that moment
  /// ``expire()`` has something to say to them, whatever else is under way.
  package var firstDeadline: Deadline? {
    var first: Deadline?
    func look(at deadline: Deadline?) {
      if let deadline { first = first.map { min($0, deadline) } ?? deadline }
    }
    for wish in queue { look(at: wish.deadline) }
    for wish in batch { look(at: wish.deadline) }
    for flight in unanswered { look(at: flight.firstDeadline) }
    return first
  }

  package mutating func enqueue(_ wish: Wish) {
    queue.append(wish)
  }

  /// Takes back a wish whose caller went away; whether a commit of it is under way, which may happen.
  @discardableResult
  mutating func withdraw(_ ticket: UInt64) -> Bool {
    let isSent = (flights + unanswered).contains { flight in
      flight.grants.contains { $0.wish.ticket == ticket }
    }
    if isSent { abandoned.insert(ticket) }
    queue.removeAll { $0.ticket == ticket }
    batch.removeAll { $0.ticket == ticket }
    return isSent
  }

  package mutating func takeResolved()
    -> [(ticket: UInt64, result: Result<Fulfilment, AllocationError>)]
  {
    defer { resolved.removeAll() }
    return resolved
  }

  package mutating func takeWarnings() -> [String] {
    defer { warnings.removeAll() }
    return warnings
  }

  /// Says what to do next; idle also while commits are in flight and nothing can be done beside them.
  package mutating func next() -> Step {
    let time = configuration.surroundings.monotonic()
    expire()
    if doubt == nil, !laterDoubts.isEmpty { doubt = laterDoubts.removeFirst() }
    if doubt != nil { return nextInDoubt(time) }
    if !isGathering || batch.isEmpty {
      guard flights.isEmpty || mayOverlap else { return .idle }
      admit()
    }
    guard !batch.isEmpty else { return .idle }
    unwanted.removeAll(keepingCapacity: true)
    for wish in batch where wish.isCleanup { unwanted.formUnion(wish.releases) }
    for wish in queue where wish.isCleanup { unwanted.formUnion(wish.releases) }
    if let creation = creationOfDefinition() {
      return flights.isEmpty ? send(creation, grants: []) : .idle
    }

    var draft = Draft()
    var needed: Set<StoreKey> = []
    var consistency = Consistency.copies
    var soonest: UInt64?
    var left: [Wish] = []
    let share = wishesPerFlight
    var isFull = false
    for var wish in batch {
      if wish.notBefore > time {
        soonest = min(soonest ?? .max, wish.notBefore)
        left.append(wish)
        continue
      }
      guard !isFull, draft.grants.count < share else {
        left.append(wish)
        continue
      }
      switch plan(&wish, &draft) {
      case .drafted: continue
      case .resolved(.failure(let error)): fail(wish, error)
      case .resolved(let success): resolved.append((wish.ticket, success))
      case .deferred: left.append(wish)
      case .full:
        isFull = true
        left.append(wish)
      case .needs(let keys, let level):
        if keys.isDisjoint(with: busy) {
          needed.formUnion(keys)
          consistency = max(consistency, level)
        }
        left.append(wish)
      case .notBefore(let moment):
        wish.notBefore = moment
        soonest = min(soonest ?? .max, moment)
        left.append(wish)
      }
    }
    if !needed.isEmpty {
      // What was drafted is planned again with what the read brings.
      batch = draft.grants.map(\.wish) + left
      isGathering = true
      return .read(needed, consistency)
    }
    batch = left
    isGathering = false
    if !draft.isEmpty { return send(seal(draft), grants: draft.grants) }
    if let soonest {
      // Who came during a read may have something to send.
      return queue.isEmpty ? wait(until: soonest, from: time) : next()
    }
    return !flights.isEmpty || batch.isEmpty && queue.isEmpty ? .idle : .wait(0)
  }

  /// Takes in what a read brought.
  package mutating func learn(_ answer: [StoreKey: StoreEntry], consistency: Consistency) {
    // More may come than was asked for; what is being written is not to be learned meanwhile.
    let answer = busy.isEmpty ? answer : answer.filter { !busy.contains($0.key) }
    view.learn(answer, consistency: consistency)
  }

  /// What ended this close to a wish's deadline ended because of it.
  static let deadlineSlack: UInt64 = 1_000_000_000

  /// Takes in that a read failed: nobody can be served without it. Where it failed because the first
  /// deadline came, the others read again.
  package mutating func readFailed(_ error: StoreError) {
    if doubt != nil { return endedInDoubt(.unknown(error.description)) }
    isGathering = false
    var left = error.kind == .unavailable ? batch.compactMap(again) : []
    if error.kind == .refused {
      // What a release depends on it asks for alone before it is refused.
      let isFirst = { (wish: Wish) in wish.isRelease && !wish.goesWithoutDefinition }
      for var wish in batch where isFirst(wish) {
        wish.goesWithoutDefinition = true
        left.append(wish)
      }
      batch.removeAll(where: isFirst)
    }
    batch.removeAll(where: \.isCleanup)
    let fails = failing(batch, .store(error))
    batch.removeAll(where: fails)
    batch += left
  }

  /// Takes in that the store gave no turn, before anything was done in it: likewise.
  mutating func turnFailed(_ error: AllocationError) {
    isGathering = false
    let fails = failing(batch + queue, error)
    batch.removeAll(where: fails)
    queue.removeAll(where: fails)
  }

  /// Tells those of the wishes that an error concerns; which ones.
  private mutating func failing(
    _ wishes: [Wish], _ error: AllocationError
  ) -> (Wish) -> Bool {
    let limit = configuration.surroundings.monotonic() &+ Self.deadlineSlack
    var isForTheLate = false
    if case .store(let cause) = error, cause.kind == .unavailable {
      isForTheLate = wishes.contains { $0.deadline.nanoseconds <= limit }
    }
    let fails = { (wish: Wish) in !isForTheLate || wish.deadline.nanoseconds <= limit }
    for wish in wishes where fails(wish) { fail(wish, error) }
    return fails
  }

  private mutating func admit() {
    isGathering = false
    guard !queue.isEmpty else { return }
    // What was confirmed before a wish was made proves nothing to it, though others still wait.
    if batch.isEmpty { view.beginRound() } else { view.forgetConfirmations() }
    if batch.isEmpty { swap(&batch, &queue) } else { batch += queue }
    queue.removeAll(keepingCapacity: true)
    // Releases go first: what they free is there for the next commit.
    if batch.contains(where: \.isRelease) {
      batch = batch.filter(\.isRelease) + batch.filter { !$0.isRelease }
    }
  }

  /// A wait that ends when somebody is late.
  func wait(until moment: UInt64, from time: UInt64) -> Step {
    let end = min(moment, firstDeadline?.nanoseconds ?? .max)
    return .wait(end > time ? end - time : 0)
  }

  /// Answers those whose deadline has passed, apart from commits in flight, which end by it.
  package mutating func expire() {
    let time = configuration.surroundings.monotonic()
    giveUpOnTheLate(time)
    func isLate(_ wish: Wish) -> Bool { wish.deadline.nanoseconds <= time }
    guard batch.contains(where: isLate) || queue.contains(where: isLate) else { return }
    let late = batch.filter(isLate) + queue.filter(isLate)
    batch.removeAll(where: isLate)
    queue.removeAll(where: isLate)
    for wish in late {
      if let trouble = wish.lastTrouble {
        fail(wish, .store(StoreError(.unavailable, trouble)))
        continue
      }
      let text =
        wish.conflicts == 0
        ? "the deadline passed before anything was committed"
        : "other writers kept winning until the deadline (\(wish.conflicts) lost races)"
      fail(wish, .deadlineExceeded(text))
    }
  }

  private mutating func plan(_ wish: inout Wish, _ draft: inout Draft) -> Verdict {
    let before = draft.mark()
    let verdict: Verdict
    switch wish.body {
    case .acquire(let request): verdict = planAcquire(request, wish: &wish, &draft)
    case .release(let keys): verdict = planRelease(keys, wish: wish, &draft)
    case .releaseOnly(let key, let stamp):
      verdict = planRelease([key], only: stamp, wish: wish, &draft)
    case .probe: verdict = planProbe(&wish, draft)
    }
    guard case .drafted = verdict else {
      draft.rewind(to: before)
      return verdict
    }
    let count = draft.count + notesPerCommit
    guard count > traits.operationLimit else { return .drafted }
    draft.rewind(to: before)
    guard draft.isEmpty else { return .full }
    return .resolved(.failure(.tooLarge(operations: count, limit: traits.operationLimit)))
  }

  mutating func finishGathering() {
    isGathering = false
  }
}

extension Consistency: Comparable {
  private var rank: Int {
    switch self {
    case .copies: 0
    case .cached: 1
    case .stored: 2
    case .consistent: 3
    case .snapshot: 4
    }
  }

  /// Weaker before stronger.
  public static func < (left: Consistency, right: Consistency) -> Bool { left.rank < right.rank }
}
