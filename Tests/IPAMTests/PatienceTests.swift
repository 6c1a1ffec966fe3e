import AddressSpace
import IPAMTesting
import Synchronization
import TestSupport
import Testing

@testable import IPAM

// Callers that are ready to wait for different times share commits, reads and turns; each is answered
// by its own time, whatever becomes of the others'.

/// A store that answers nothing before the deadline.
private final class SilentStore: StoreWrapper {
  enum Silence: CaseIterable {
    case commits, reads, turns
  }

  let base = MemoryStore()
  private let silence = Mutex<Silence?>(nil)
  private let asked = Counter()
  var wrapped: any AllocationStore { base }

  func fall(_ silence: Silence) { self.silence.withLock { $0 = silence } }

  private func isSilent(_ what: Silence) -> Bool { silence.withLock { $0 == what } }

  /// Returns once somebody waits for an answer in vain.
  func isAsked() async throws {
    try await eventually("somebody asks") { asked.value > 0 }
  }

  private func pass(_ deadline: Deadline) async {
    asked.add()
    await Surroundings.system.sleep(Surroundings.system.remaining(until: deadline))
  }

  func read(
    _ keys: Set<StoreKey>, consistency: Consistency, deadline: Deadline
  ) async throws(StoreError) -> [StoreKey: StoreEntry] {
    guard isSilent(.reads) else {
      return try await base.read(keys, consistency: consistency, deadline: deadline)
    }
    await pass(deadline)
    throw StoreError(.unavailable, "silence")
  }

  func commit(
    _ operations: [StoreOperation], cursors: [Int: IPAddress], deadline: Deadline
  ) async -> CommitOutcome {
    guard isSilent(.commits) else {
      return await base.commit(operations, cursors: cursors, deadline: deadline)
    }
    await pass(deadline)
    return .unknown("silence")
  }

  func withTurn<Result: Sendable>(
    deadline: Deadline, _ body: () async throws(AllocationError) -> Result
  ) async throws(AllocationError) -> Result {
    guard isSilent(.turns) else { return try await body() }
    await pass(deadline)
    throw .store(StoreError(.unavailable, "somebody else's turn"))
  }
}

@Suite struct PatienceTests {
  private func key(_ container: String) -> AttachmentKey {
    AttachmentKey(node: "n", container: container, interface: "eth0")
  }

  /// Who has 200 ms is answered then, though the commit, read or turn before it has a hundred seconds.
  @Test(arguments: SilentStore.Silence.allCases)
  fileprivate func nobodyWaitsForAnothersDeadline(_ silence: SilentStore.Silence) async throws {
    let store = SilentStore()
    let definition = NetworkDefinition(
      name: "net", rangeSets: try RangeSet.sets([[SubnetRange.Text(subnet: "10.1.0.0/24")]]))
    let surroundings = Surroundings.system
    let allocator = NetworkAllocator(
      store: store, networkName: "net", definition: definition, node: Node(name: "n"),
      surroundings: surroundings)
    let first = AcquireRequest(attachment: key("first"))
    _ = try await allocator.acquire(first, deadline: surroundings.deadline(inMilliseconds: 60_000))
    store.fall(silence)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        // A release, because it has to read.
        _ = try? await allocator.release(
          [key("other")], deadline: surroundings.deadline(inMilliseconds: 100_000))
        _ = try? await allocator.acquire(
          AcquireRequest(attachment: key("other")),
          deadline: surroundings.deadline(inMilliseconds: 100_000))
      }
      try await store.isAsked()
      let begun = surroundings.monotonic()
      for index in 0..<3 {
        await #expect(throws: AllocationError.self) {
          try await allocator.acquire(
            AcquireRequest(attachment: key("late\(index)")),
            deadline: surroundings.deadline(inMilliseconds: 200))
        }
      }
      let took = (surroundings.monotonic() - begun) / 1_000_000
      #expect(took < 50_000, "\(silence): three times 200 ms took \(took) ms")
      group.cancelAll()
    }
  }

  /// What a caller is told who goes away while its commit is under way is not that nothing happened.
  @Test func whoGoesAwayIsNotToldThatNothingHappens() async throws {
    let store = SilentStore()
    let definition = NetworkDefinition(
      name: "net", rangeSets: try RangeSet.sets([[SubnetRange.Text(subnet: "10.1.0.0/24")]]))
    let surroundings = Surroundings.system
    let allocator = NetworkAllocator(
      store: store, networkName: "net", definition: definition, node: Node(name: "n"),
      surroundings: surroundings)
    let request = AcquireRequest(attachment: key("c"))
    _ = try await allocator.acquire(
      request, deadline: surroundings.deadline(inMilliseconds: 60_000))
    store.fall(.commits)
    let release = Task {
      do throws(AllocationError) {
        _ = try await allocator.release(
          [key("c")], deadline: surroundings.deadline(inMilliseconds: 60_000))
        return nil as AllocationError?
      } catch {
        return error
      }
    }
    try await store.isAsked()
    release.cancel()
    guard case .outcomeUnknown? = await release.value else {
      Issue.record("\(String(describing: await release.value))")
      return
    }
  }

  /// A read has the time of those that it is for, not of a commit in flight.
  @Test func aReadHasTheTimeOfItsReaders() throws {
    var desk = try PlannerDesk("10.1.0.0/22", chunkBits: 6)
    for index in 0..<8 { desk.acquire("c\(index)", within: 100) }
    _ = try desk.nextCommit()
    for index in 0..<24 { desk.release("d\(index)") }
    guard case .read(let keys, let consistency) = desk.planner.next() else {
      throw TestSupportError("nothing is read")
    }
    let step = Step.read(keys, consistency)
    #expect(desk.planner.deadline(of: step)?.nanoseconds == 30_000_000_000)
    #expect(desk.planner.firstDeadline?.nanoseconds == 30_000_000_000)
  }

  /// Who comes while others read, and they have to wait, is served.
  @Test func whoComesDuringAReadDoesNotWaitWithTheReaders() throws {
    let sets = try RangeSet.sets([[SubnetRange.Text(subnet: "10.1.0.0/29")]])
    let cooldown = NetworkDefinition.Cooldown(seconds: 3_600, policy: .strict)
    var desk = PlannerDesk(NetworkDefinition(name: "net", rangeSets: sets, cooldown: cooldown))
    for index in 0..<5 { desk.acquire("c\(index)") }
    try desk.settle()
    for index in 0..<4 { desk.release("c\(index)") }
    try desk.settle()
    // Another process, which knows nothing yet and finds that all is held or cools.
    desk = PlannerDesk(NetworkDefinition(name: "net", rangeSets: sets), store: desk.store)
    desk.acquire("d")
    var isThere = false
    var step = desk.planner.next()
    for _ in 0..<10 {
      guard case .read(let keys, let consistency) = step else { break }
      if !isThere { desk.release("c4") }
      isThere = true
      let answer = consistency == .copies ? [:] : desk.store.readNow(keys)
      desk.planner.learn(answer, consistency: consistency)
      step = desk.planner.next()
    }
    guard isThere, case .commit = step else {
      Issue.record("\(step)")
      return
    }
  }
}
