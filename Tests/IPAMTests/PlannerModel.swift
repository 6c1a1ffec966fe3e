import AddressSpace
import BitmapAllocator
import TestSupport

@testable import IPAM
@testable import IPAMTesting

// Two planners on one store, each with a few attachments that it acquires and releases again and again:
// calls of one name overlap, are cancelled, and have deadlines from milliseconds to seconds; replies are
// lost, late, silent; commits come late; copies are old. Chance decides, from one seed, in virtual time.
//
// What is known of a name is what its callers were told, as long as one call of it followed the other:
//
//   held(A)   an acquisition said so; the store has just that until the next call of the name
//   none      a release said so, or nobody ever asked
//   clearing  an acquisition was cancelled, or its outcome unknown: in the end there is nothing
//   open      calls overlapped, or the outcome of a release was unknown: anything may be

/// A cluster of two, and what its callers know.
struct PlannerModel {
  let setting: Setting
  let store: MemoryStore
  let clock = VirtualClock()
  var chance: SeededGenerator
  var processes: [Process] = []
  var sent: [Sent] = []
  var late: [(commit: Commit, due: UInt64)] = []
  var known: [AttachmentKey: Known] = [:]
  /// Whose release was sent and not answered, in the call at hand.
  var doubtedReleases: Set<AttachmentKey> = []
  /// By process, who was told of a failure last.
  private var disappointed: [Int: AttachmentKey] = [:]
  var failures: [String] = []
  var answered = 0
  var mostInFlight = 0
  private(set) var events = 0
  private var isHealed = false
  private var lastTicket: UInt64 = 0
  /// When nothing was free last.
  var lastFull: UInt64?
  private let capacity: Int
  /// The store as it was after each of the last commits.
  private var past: [[StoreKey: StoreEntry]] = [[:]]
  /// When a lease or a hardware address was there last.
  var lastHeld: [StoreKey: UInt64] = [:]
  private let addresses: [IPAddress]
  private let macs = (1...4).compactMap { MACAddress(value: $0) }

  init(_ setting: Setting, seed: UInt64) throws {
    self.setting = setting
    chance = SeededGenerator(seed: seed)
    store = MemoryStore(
      traits: StoreTraits(
        keepsDefinition: true, isShared: true, operationLimit: setting.operationLimit,
        isLocal: false, keepsJournal: true))
    let sets = try RangeSet.sets(setting.subnets.map { [$0] })
    let definition = NetworkDefinition(
      name: "net", rangeSets: sets,
      cooldown: NetworkDefinition.Cooldown(seconds: setting.cooldown), chunkBits: 6)
    addresses = try (10..<14).map { try IPAddress(parsing: "10.1.0.\($0)") }
    capacity = try definition.layouts().map { Int($0.capacity.uint64 ?? .max) }.min() ?? 0
    for node in 0..<2 {
      let surroundings = clock.surroundings(secondsAhead: 0, seed: chance.next())
      let planner = Planner(
        PlannerConfiguration(
          node: Node(name: "n\(node)"), definition: definition, networkName: "net",
          repeatPolicy: .sameAgain, surroundings: surroundings, flightLimit: 3),
        traits: store.traits)
      processes.append(Process(planner: planner))
    }
  }

  var now: UInt64 { clock.nanoseconds }

  private mutating func happens(_ percent: Int) -> Bool {
    Int.random(in: 0..<100, using: &chance) < percent
  }

  // MARK: - The run

  /// Makes so many calls, under faults; then there are no more of them, until nothing is left to do.
  mutating func run(calls: Int) {
    var left = calls
    var nextCall: UInt64 = 0
    while failures.isEmpty {
      events += 1
      guard events < 5_000 else {
        failures.append("it does not come to an end")
        break
      }
      var moments = sent.map(\.due) + late.map(\.due)
      if left > 0 { moments.append(nextCall) }
      for process in processes {
        moments += [process.reading?.due, process.planner.firstDeadline?.nanoseconds, process.wake]
          .compactMap { $0 }
      }
      guard let moment = moments.min(), moment < .max else { break }
      clock.move(to: max(now, moment))
      while left > 0, nextCall <= now {
        call()
        left -= 1
        let pause = setting.pause * (happens(10) ? 50 : 1)
        nextCall = now + .random(in: 0..<pause, using: &chance)
        if left == 0 { isHealed = true }
      }
      happen()
      for index in processes.indices {
        if processes[index].planner.firstDeadline.map({ $0.nanoseconds <= now }) ?? false {
          processes[index].planner.expire()
          deliver(index)
        }
        if processes[index].reading == nil { turn(index) }
      }
      expectTruth()
    }
    let waiting = processes.reduce(0) { $0 + $1.calls.count }
    if waiting > 0 { failures.append("\(waiting) callers got no answer") }
    if processes.contains(where: \.planner.hasWork) { failures.append("something is left to do") }
    for (key, known) in known
    where known == .clearing && store.entries[.attachment(key)] != nil {
      failures.append("\(key) is left to nobody")
    }
  }

  /// What is due in the store and on the way from it.
  private mutating func happen() {
    let now = clock.nanoseconds
    for (commit, _) in late.filter({ $0.due <= now }) { _ = perform(commit) }
    late.removeAll { $0.due <= now }
    let due = sent.filter { $0.due <= now }
    sent.removeAll { $0.due <= now }
    for flight in due.shuffled(using: &chance) {
      let outcome: CommitOutcome
      switch flight.fate {
      case .answered: outcome = perform(flight.commit)
      case .unanswered:
        _ = perform(flight.commit)
        outcome = .unknown("the answer was lost")
      case .lost: outcome = .unknown("the commit was lost")
      case .late:
        late.append((flight.commit, now + .random(in: 0..<3_000_000_000, using: &chance)))
        outcome = .unknown("the commit is late")
      case .refused:
        outcome = .refused(StoreError(.refused, "not today"))
        // Nobody tries again then, not even for those who went away.
        for case .attachment(let key) in flight.commit.operations.map(\.key)
        where known[key] == .clearing { known[key] = .open }
      case .unavailable: outcome = .unavailable("no leader")
      }
      if case .unknown = outcome {
        for case .delete(.attachment(let key), _) in flight.commit.operations {
          doubtedReleases.insert(key)
        }
      }
      processes[flight.process].planner.ended(flight.commit, outcome)
      deliver(flight.process)
    }
    for index in processes.indices {
      guard let read = processes[index].reading, read.due <= now else { continue }
      processes[index].reading = nil
      if read.fails {
        processes[index].planner.readFailed(StoreError(.unavailable, "no answer"))
      } else {
        processes[index].planner.learn(
          answer(read.keys, read.consistency), consistency: read.consistency)
      }
      deliver(index)
    }
  }

  /// What the store holds; of a copy, sometimes what it held some commits ago.
  private mutating func answer(
    _ keys: Set<StoreKey>, _ consistency: Consistency
  ) -> [StoreKey: StoreEntry] {
    guard consistency <= .cached, happens(30) else { return store.readNow(keys) }
    let chunks = past.randomElement(using: &chance) ?? [:]
    let others = past.randomElement(using: &chance) ?? [:]
    var answer: [StoreKey: StoreEntry] = [:]
    for key in keys {
      let entries = if case .chunk = key { chunks } else { others }
      answer[key] = entries[key] ?? .absent
    }
    return answer
  }

  private mutating func perform(_ commit: Commit) -> CommitOutcome {
    var operations = commit.operations
    if setting.deletesWhatIsGone {
      let entries = store.entries
      operations.removeAll {
        if case .delete(let key, _) = $0 { entries[key] == nil } else { false }
      }
    }
    // The indices of a conflict are those of the commit as it was sent.
    look()
    defer { look() }
    guard case .conflict(let failed) = store.commitNow(operations, cursors: [:]) else {
      past = past.suffix(7) + [store.entries]
      return .committed(Revision(store.entries.values.map(\.revision.number).max() ?? 0))
    }
    return .conflict(
      failed.compactMap { index in
        commit.operations.firstIndex { $0 == operations[index] }
      })
  }

  /// What answers that no commit protects may say of this moment.
  private mutating func look() {
    if isFull { lastFull = now }
    for key in store.entries.keys {
      switch key {
      case .lease, .mac: lastHeld[key] = now
      default: continue
      }
    }
  }

  func wasHeld(_ key: StoreKey, during call: Call) -> Bool {
    // What cools is not to be had either.
    setting.cooldown > 0 || setting.edits > 0 || store.entries[key] != nil
      || lastHeld[key] ?? 0 >= call.called
  }

  var isFull: Bool {
    store.entries.keys.count { if case .attachment = $0 { true } else { false } } >= capacity
  }

  private mutating func turn(_ index: Int) {
    processes[index].wake = .max
    for _ in 0..<200 {
      let step = processes[index].planner.next()
      deliver(index)
      let deadline =
        processes[index].planner.deadline(of: step)?.nanoseconds ?? now + 1_000_000_000
      switch step {
      case .idle: return
      case .wait(let nanoseconds):
        processes[index].wake = now + nanoseconds
        return
      case .read(let keys, .copies):
        // A node has copies of some keys, or of none.
        let copies = happens(50) ? [:] : answer(keys, .copies).filter { $0.value != .absent }
        processes[index].planner.learn(copies, consistency: .copies)
      case .read(let keys, let consistency):
        let isHard = !isHealed && happens(setting.faults)
        let length = UInt64.random(in: 0..<(isHard ? 500_000_000 : 2_000_000), using: &chance)
        let isLate = now + length >= deadline
        processes[index].reading = (
          keys, consistency, min(now + length, max(deadline, now)), isLate || isHard && happens(30)
        )
        return
      case .commit(let commit):
        var fate = Fate.answered
        if !isHealed, happens(setting.faults) {
          let fates = [Fate.lost, .unanswered, .late, .unavailable, .refused, .late, .unanswered]
          fate = fates.randomElement(using: &chance) ?? .lost
        }
        let length = UInt64.random(in: 0..<(happens(5) ? 2_000_000_000 : 5_000_000), using: &chance)
        if now + length >= deadline {
          // Silence until the deadline, whatever becomes of it.
          fate = isHealed || happens(50) ? .unanswered : .late
        }
        mostInFlight = max(mostInFlight, processes[index].planner.flights.count)
        sent.append(
          Sent(
            process: index, commit: commit, due: min(now + length, max(deadline, now)), fate: fate))
      }
    }
    failures.append("n\(index) does more than 200 things in no time at all")
  }

  // MARK: - Callers

  private mutating func call() {
    if happens(setting.edits), let entry = store.entries[.definition],
      case .definition(var definition)? = entry.value
    {
      definition.cooldown.seconds = setting.cooldown + (definition.cooldown.seconds &+ 1) % 2
      store.overwrite(.definition, .definition(definition))
    }
    let index = Int.random(in: processes.indices, using: &chance)
    if happens(10), let ticket = processes[index].calls.keys.sorted().randomElement(using: &chance)
    {
      cancel(ticket, of: index)
    }
    // Who was disappointed often comes again at once.
    let name = Int.random(in: 0..<setting.names, using: &chance)
    var key = AttachmentKey(node: "n\(index)", container: "c\(name)", interface: "eth0")
    if let again = disappointed[index], happens(60) { key = again }
    disappointed[index] = nil
    call(key, of: index)
  }

  private mutating func call(_ key: AttachmentKey, of index: Int) {
    lastTicket += 1
    let isRelease = known[key] ?? Known.none == Known.none ? happens(20) : happens(50)
    let patiences: [UInt64] = [5, 20, 100, 1_000, 10_000]
    let patience = patiences.randomElement(using: &chance) ?? 5
    doubtedReleases.remove(key)
    let others = processes[index].calls.filter { $0.value.key == key }.keys
    for other in others { processes[index].calls[other]?.isAlone = false }
    let call = Call(
      key: key, request: isRelease ? nil : request(for: key), called: now,
      deadline: now + patience * 1_000_000, isAlone: others.isEmpty)
    processes[index].calls[lastTicket] = call
    processes[index].planner.enqueue(
      Wish(
        ticket: lastTicket,
        body: call.request.map { .acquire($0) } ?? .release([key]),
        deadline: Deadline(nanoseconds: call.deadline), enqueuedAt: now))
  }

  private mutating func request(for key: AttachmentKey) -> AcquireRequest {
    var request = AcquireRequest(attachment: key)
    if happens(setting.demands), let address = addresses.randomElement(using: &chance) {
      request.requested = [address]
    }
    if happens(setting.demands) { request.mac = macs.randomElement(using: &chance) }
    return request
  }

  private mutating func cancel(_ ticket: UInt64, of index: Int) {
    guard let call = processes[index].calls.removeValue(forKey: ticket) else { return }
    let isSent = processes[index].planner.withdraw(ticket)
    disappointed[index] = call.key
    if !call.isAlone {
      known[call.key] = .open
    } else if isSent {
      known[call.key] = call.isRelease ? .open : afterDoubt(known[call.key] ?? Known.none)
    }
  }

  /// What is known after an acquisition of which nobody knows.
  func afterDoubt(_ before: Known) -> Known {
    before == .none || before == .clearing ? .clearing : .open
  }

  private mutating func deliver(_ index: Int) {
    for (ticket, result) in processes[index].planner.takeResolved() {
      guard let call = processes[index].calls.removeValue(forKey: ticket) else { continue }
      answered += 1
      if now > call.deadline {
        failures.append("\(call.key) is answered \(now - call.deadline) ns late")
      }
      if case .failure = result { disappointed[index] = call.key }
      judge(call, result)
    }
  }
}
