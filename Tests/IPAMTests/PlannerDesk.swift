import AddressSpace
import BitmapAllocator
import TestSupport

@testable import IPAM
@testable import IPAMTesting

/// A planner on a store in memory, with a clock that the test moves. Reads are answered at once;
/// commits are handed to the test, which says how they end.
struct PlannerDesk {
  enum Turn {
    case commit(Commit)
    case wait(UInt64)
    case idle
  }

  let clock = VirtualClock()
  let store: MemoryStore
  var planner: Planner
  private(set) var answers: [UInt64: Result<Fulfilment, AllocationError>] = [:]
  private var lastTicket: UInt64 = 0
  private let surroundings: Surroundings

  init(_ definition: NetworkDefinition, store: MemoryStore = MemoryStore(), seed: UInt64 = 1) {
    self.store = store
    surroundings = clock.surroundings(secondsAhead: 0, seed: seed)
    planner = Planner(
      PlannerConfiguration(
        node: Node(name: "n"), definition: definition, networkName: definition.name,
        repeatPolicy: .sameAgain, surroundings: surroundings, flightLimit: 3),
      traits: store.traits)
  }

  /// On one subnet.
  init(_ subnet: String, chunkBits: Int? = nil) throws {
    let sets = try RangeSet.sets([[SubnetRange.Text(subnet: subnet)]])
    self.init(NetworkDefinition(name: "net", rangeSets: sets, chunkBits: chunkBits))
  }

  static func key(_ container: String) -> AttachmentKey {
    AttachmentKey(node: "n", container: container, interface: "eth0")
  }

  /// The ticket of a new wish.
  @discardableResult
  mutating func call(_ body: Wish.Body, within milliseconds: UInt64 = 30_000) -> UInt64 {
    lastTicket += 1
    planner.enqueue(
      Wish(
        ticket: lastTicket, body: body,
        deadline: surroundings.deadline(inMilliseconds: milliseconds),
        enqueuedAt: surroundings.monotonic()))
    return lastTicket
  }

  @discardableResult
  mutating func acquire(_ container: String, within milliseconds: UInt64 = 30_000) -> UInt64 {
    call(.acquire(AcquireRequest(attachment: Self.key(container))), within: milliseconds)
  }

  @discardableResult
  mutating func release(_ container: String, within milliseconds: UInt64 = 30_000) -> UInt64 {
    call(.release([Self.key(container)]), within: milliseconds)
  }

  func wait(milliseconds: UInt64) {
    clock.move(to: clock.nanoseconds + milliseconds * 1_000_000)
  }

  /// What the planner wants next, apart from reads and the creation of the network.
  mutating func next() throws -> Turn {
    for _ in 0..<1_000 {
      let step = planner.next()
      deliver()
      switch step {
      case .read(let keys, let consistency):
        planner.learn(
          consistency == .copies ? [:] : store.readNow(keys), consistency: consistency)
      case .commit(let commit) where commit.token == 0: end(commit, perform(commit))
      case .commit(let commit): return .commit(commit)
      case .wait(let nanoseconds): return .wait(nanoseconds)
      case .idle: return .idle
      }
    }
    throw TestSupportError("the planner reads and creates and comes to nothing")
  }

  /// The commit that the planner wants to send next, now.
  mutating func nextCommit() throws -> Commit {
    guard case .commit(let commit) = try next() else {
      throw TestSupportError("nothing is sent")
    }
    return commit
  }

  /// Lets a commit happen, or lose.
  func perform(_ commit: Commit) -> CommitOutcome {
    store.commitNow(commit.operations, cursors: commit.cursors)
  }

  mutating func end(_ commit: Commit, _ outcome: CommitOutcome) {
    planner.ended(commit, outcome)
    deliver()
  }

  /// Performs all that is wanted, waits included, until nothing is left or so much time has passed.
  mutating func settle(within milliseconds: UInt64 = 60_000) throws {
    let limit = clock.nanoseconds + milliseconds * 1_000_000
    var turns = 0
    while clock.nanoseconds <= limit, turns < 10_000 {
      turns += 1
      switch try next() {
      case .commit(let commit): end(commit, perform(commit))
      case .wait(let nanoseconds): clock.move(to: clock.nanoseconds + max(1_000, nanoseconds))
      case .idle: return
      }
    }
    throw TestSupportError("the planner is not done after \(milliseconds) ms")
  }

  /// What a wish got; nil while it waits.
  func addresses(_ ticket: UInt64) throws -> [IPAddress]? {
    guard case .acquired(let acquired)? = try answers[ticket]?.get() else { return nil }
    return acquired.attachment.holdings.map(\.address)
  }

  /// What an attachment holds by the store; nil if there is none.
  func stored(_ container: String) -> [IPAddress]? {
    let entry = store.entries[.attachment(Self.key(container))]
    guard case .attachment(let attachment)? = entry?.value else { return nil }
    return attachment.holdings.map(\.address)
  }

  /// Somebody else writes the chunks of a commit first.
  func spoil(_ commit: Commit) {
    for case .put(let key, .chunk, _) in commit.operations {
      guard case .chunk(var chunk)? = store.entries[key]?.value else { continue }
      chunk.stamp(writer: 77)
      store.overwrite(key, .chunk(chunk))
    }
  }

  private mutating func deliver() {
    for (ticket, result) in planner.takeResolved() where ticket != 0 {
      answers[ticket] = result
    }
  }
}
