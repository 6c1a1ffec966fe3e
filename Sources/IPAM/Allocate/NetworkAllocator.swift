// The loop that performs what the planner decides, and the queue in front of it. Callers that arrive
// while commits are in flight share the next one; there is no timer.

/// Acquires and releases addresses of one network in a store.
///
/// Any number of tasks may call it at once; their wishes are committed together as far as the store's
/// limit of operations allows.
public actor NetworkAllocator {
  private typealias Caller = CheckedContinuation<Result<Fulfilment, AllocationError>, Never>

  /// The store that it works on.
  public nonisolated let store: any AllocationStore
  /// The network's name.
  public nonisolated let networkName: String
  nonisolated let node: Node
  nonisolated let surroundings: Surroundings
  nonisolated let localDefinition: NetworkDefinition?
  private var planner: Planner
  private var callers: [UInt64: Caller] = [:]
  private var lastTicket: UInt64 = 0
  private var isRunning = false
  /// Ends early when somebody comes or goes.
  private var pause: Task<Void, Never>?
  /// By when the commits in flight end.
  private var flights: [Deadline] = []
  /// By when the loop goes on by itself; the distant past while it does not wait.
  private var awaited = Deadline(nanoseconds: 0)
  /// Rings when somebody is late before that.
  private var alarm: (moment: Deadline, task: Task<Void, Never>)?
  /// The loop, while it waits for a commit to end.
  private var landing: CheckedContinuation<Void, Never>?
  /// Callers that were answered since the last commit ended.
  private var answered = 0
  private var settling: [CheckedContinuation<Void, Never>] = []
  private let warn: @Sendable (String) -> Void
  private let executor: (any TaskExecutor)?

  /// An allocator for one network.
  ///
  /// - Parameters:
  ///   - store: Where the network's allocation lives.
  ///   - networkName: The network.
  ///   - definition: What the network is: the definition itself in a store that keeps none, else the
  ///     one to create it with if the store has none yet; nil to require that it exists.
  ///   - node: Who allocates.
  ///   - repeatPolicy: What a repeated wish of one attachment gets.
  ///   - surroundings: Clock, randomness and sleep.
  ///   - warn: Called with what an operator should know, from any task.
  ///   - journalNode: Whose journal in the store its commits are noted in; the node's without it.
  ///   - executor: Where the allocator's own tasks run; nil for the pool of the runtime.
  public init(
    store: any AllocationStore, networkName: String, definition: NetworkDefinition?, node: Node,
    repeatPolicy: RepeatPolicy = .sameAgain, surroundings: Surroundings,
    warn: @escaping @Sendable (String) -> Void = { _ in }, journalNode: String? = nil,
    executor: (any TaskExecutor)? = nil
  ) {
    self.store = store
    self.networkName = networkName
    self.node = node
    self.surroundings = surroundings
    self.localDefinition = definition
    self.warn = warn
    self.executor = executor
    self.planner = Planner(
      PlannerConfiguration(
        node: node, definition: definition, networkName: networkName, repeatPolicy: repeatPolicy,
        surroundings: surroundings, flightLimit: store.traits.isShared ? Self.flightLimit : 1,
        journalNode: journalNode),
      traits: store.traits)
  }

  /// Acquires one address from each range set of the network, in one commit.
  ///
  /// - Parameters:
  ///   - request: Who wants what.
  ///   - deadline: When to give up; nothing is kept then unless the error says otherwise.
  /// - Returns: What the attachment holds.
  /// - Throws: ``AllocationError``.
  /// - Complexity: One commit and no read when the view is fresh; amortized O(1) in the size and the
  ///   fill of the pools.
  public func acquire(
    _ request: AcquireRequest, deadline: Deadline
  ) async throws(AllocationError) -> Acquired {
    guard case .acquired(let acquired) = try await submit(.acquire(request), deadline) else {
      preconditionFailure("an acquisition is answered by an acquisition")
    }
    return acquired
  }

  /// Releases all that an attachment holds, in one commit; nothing held is a success.
  ///
  /// - Parameters:
  ///   - names: The attachment's possible names (a node may have had others); the first that exists.
  ///   - deadline: When to give up.
  /// - Returns: What was held; nil if nothing was.
  /// - Throws: ``AllocationError``.
  public func release(
    _ names: [AttachmentKey], deadline: Deadline
  ) async throws(AllocationError) -> Attachment? {
    guard case .released(let attachment) = try await submit(.release(names), deadline) else {
      preconditionFailure("a release is answered by a release")
    }
    return attachment
  }

  /// Releases an attachment if it is still the one of the stamp: one made anew under its name, and one
  /// that cannot be read, stays.
  ///
  /// - Returns: What was held; nil if that attachment is gone.
  /// - Throws: ``AllocationError``.
  public func release(
    _ name: AttachmentKey, only stamp: AttachmentStamp, deadline: Deadline
  ) async throws(AllocationError) -> Attachment? {
    guard case .released(let attachment) = try await submit(.releaseOnly(name, stamp), deadline)
    else { preconditionFailure("a release is answered by a release") }
    return attachment
  }

  /// Finds out whether every range set has something free, without taking it.
  ///
  /// - Throws: ``AllocationError/exhausted(_:)`` on proof that one has not.
  public func probe(deadline: Deadline) async throws(AllocationError) {
    _ = try await submit(.probe, deadline)
  }

  /// Waits until nothing is under way, so that the turn of this process is over. A caller is answered
  /// before that, to share the turn if it comes again at once; one that ends instead would keep other
  /// processes waiting until the system has cleared it away.
  public func settle() async {
    guard isRunning else { return }
    await withCheckedContinuation { settling.append($0) }
  }

  private func submit(
    _ body: Wish.Body, _ deadline: Deadline
  ) async throws(AllocationError) -> Fulfilment {
    lastTicket += 1
    let ticket = lastTicket
    let wish = Wish(
      ticket: ticket, body: body, deadline: deadline, enqueuedAt: surroundings.monotonic())
    let result = await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        callers[ticket] = continuation
        planner.enqueue(wish)
        setAlarm(deadline)
        pause?.cancel()
        if ask({ $0.mayOverlap }) { wakeUp() }
        if !isRunning {
          isRunning = true
          Task(executorPreference: executor) { await self.run() }
        }
      }
    } onCancel: {
      Task { await self.abandon(ticket) }
    }
    return try result.get()
  }

  /// What the planner says of itself, asked where it lies: a property of an actor is copied whole
  /// before one of its own is computed.
  @inline(__always)
  private func ask<Answer>(_ question: (inout Planner) -> Answer) -> Answer { question(&planner) }

  private var firstDeadline: Deadline? { ask { $0.firstDeadline } }

  /// The caller went away: what its wish gets is released as soon as it is there.
  private func abandon(_ ticket: UInt64) {
    guard let caller = callers.removeValue(forKey: ticket) else { return }
    let isSent = planner.withdraw(ticket)
    pause?.cancel()
    let error: AllocationError =
      isSent
      ? .outcomeUnknown(
        "the operation was cancelled after its commit was sent; what that acquires is released again"
      )
      : .deadlineExceeded("the operation was cancelled")
    caller.resume(returning: .failure(error))
  }

  private func run() async {
    while ask({ $0.hasWork }) {
      let deadline = firstDeadline ?? surroundings.deadline(inMilliseconds: 1_000)
      watch(until: deadline)
      do throws(AllocationError) {
        try await store.withTurn(deadline: deadline) { () async throws(AllocationError) in
          await self.runTurn()
        }
      } catch {
        planner.turnFailed(error)
        deliver()
      }
    }
    unwatch()
    isRunning = false
    for waiting in settling { waiting.resume() }
    settling = []
  }

  private func runTurn() async {
    while true {
      unwatch()
      planner.traits = store.traits
      let step = planner.next()
      deliver()
      let deadline =
        ask { $0.deadline(of: step) } ?? surroundings.deadline(inMilliseconds: 1_000)
      switch step {
      case .idle:
        guard let first = flights.min() else { return }
        watch(until: first)
        await withCheckedContinuation { landing = $0 }
        await letCallersIn()
      case .wait(let nanoseconds): await sleep(nanoseconds)
      case .read(let keys, let consistency):
        watch(until: deadline)
        do {
          let answer = try await store.read(keys, consistency: consistency, deadline: deadline)
          planner.learn(answer, consistency: consistency)
        } catch {
          planner.readFailed(error)
        }
      case .commit(let commit):
        flights.append(deadline)
        Task(executorPreference: executor) { await self.perform(commit, deadline) }
      }
      deliver()
    }
  }

  private func perform(_ commit: Commit, _ deadline: Deadline) async {
    let outcome = await store.commit(
      commit.operations, cursors: commit.cursors, deadline: deadline)
    planner.ended(commit, outcome)
    deliver()
    firstDeadline.map(setAlarm)
    if let index = flights.firstIndex(of: deadline) { flights.remove(at: index) }
    pause?.cancel()
    wakeUp()
  }

  private func wakeUp() {
    landing?.resume()
    landing = nil
  }

  /// The loop waits until a deadline; whoever is late before is told so meanwhile.
  private func watch(until deadline: Deadline) {
    awaited = deadline
    firstDeadline.map(setAlarm)
  }

  private func unwatch() {
    awaited = Deadline(nanoseconds: 0)
    alarm?.task.cancel()
    alarm = nil
  }

  /// Callers who come together have deadlines that differ by less than this, in nanoseconds.
  private static let alarmSlack: UInt64 = 10_000_000

  private func setAlarm(_ moment: Deadline) {
    guard moment.nanoseconds &+ Self.alarmSlack < awaited.nanoseconds,
      alarm.map({ moment < $0.moment }) ?? true
    else { return }
    alarm?.task.cancel()
    let task = Task(executorPreference: executor) { [surroundings] in
      await surroundings.sleep(surroundings.remaining(until: moment))
      if !Task.isCancelled { await self.ring() }
    }
    alarm = (moment, task)
  }

  private func ring() {
    alarm = nil
    planner.expire()
    deliver()
    firstDeadline.map(setAlarm)
  }

  /// Commits in flight at once, where the store is shared and enough callers wait to fill them: more
  /// use the time and the processors that one leaves, and each takes a chunk of its own.
  package static let flightLimit = 8

  /// Who was just answered often comes again at once. A moment for them on the processor, no timer,
  /// and they share the commit of those who waited, and the loop goes on; without it, callers in a loop
  /// form two halves that take turns.
  private func letCallersIn() async {
    let all = planner.queue.count + answered
    answered = 0
    var before = -1
    for _ in 0..<Self.yields where before < planner.queue.count && planner.queue.count < all {
      before = planner.queue.count
      await Task.yield()
    }
  }

  private static let yields = 8

  private func sleep(_ nanoseconds: UInt64) async {
    let pause = Task { [surroundings] in await surroundings.sleep(nanoseconds) }
    self.pause = pause
    await pause.value
    self.pause = nil
  }

  private func deliver() {
    if !planner.resolved.isEmpty {
      for (ticket, result) in planner.takeResolved() {
        answered += 1
        callers.removeValue(forKey: ticket)?.resume(returning: result)
      }
    }
    for warning in planner.takeWarnings() { warn(warning) }
  }
}
