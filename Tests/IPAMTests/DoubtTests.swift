import AddressSpace
import TestSupport
import Testing

@testable import IPAM
@testable import IPAMTesting

// A commit in doubt, and those who wait beside it.

@Suite struct DoubtTests {
  /// A commit is sent again by the earliest deadline of all who wait. Of one that has passed each copy
  /// would be out of time before it was sent, until the last of its own callers gave up.
  @Test func whoIsLateHoldsNobodyUp() async throws {
    let clock = VirtualClock()
    let store = MemoryStore()
    let surroundings = clock.surroundings(secondsAhead: 0, seed: 1)
    let definition = NetworkDefinition(
      name: "net", rangeSets: try RangeSet.sets([[SubnetRange.Text(subnet: "10.1.0.0/24")]]))
    var planner = Planner(
      PlannerConfiguration(
        node: Node(name: "n"), definition: definition, networkName: "net",
        repeatPolicy: .sameAgain, surroundings: surroundings, flightLimit: 3),
      traits: store.traits)
    // The second waits for the first one's commit, because it is about the same attachment.
    let request = AcquireRequest(
      attachment: AttachmentKey(node: "n", container: "c", interface: "eth0"))
    for (ticket, patience) in [(1, 30_000), (2, 100)] as [(UInt64, UInt64)] {
      planner.enqueue(
        Wish(
          ticket: ticket, body: .acquire(request),
          deadline: surroundings.deadline(inMilliseconds: patience),
          enqueuedAt: surroundings.monotonic()))
    }
    var sent: Commit?
    while sent == nil {
      switch planner.next() {
      case .read(let keys, let consistency):
        let answer = try await store.read(
          keys, consistency: consistency, deadline: surroundings.deadline(inMilliseconds: 1_000))
        planner.learn(answer, consistency: consistency)
      case .commit(let commit) where commit.token == 0:
        let outcome = await store.commit(
          commit.operations, cursors: [:], deadline: surroundings.deadline(inMilliseconds: 1_000))
        planner.ended(commit, outcome)
      case .commit(let commit): sent = commit
      case .wait, .idle: throw TestSupportError("nothing is sent")
      }
    }
    let commit = try #require(sent)
    planner.ended(commit, .unknown("the reply was lost"))
    clock.move(to: clock.nanoseconds + 1_000_000_000)
    guard case .commit(let copy) = planner.next() else {
      Issue.record("the commit is not sent again")
      return
    }
    #expect(copy.token == commit.token)
    #expect(planner.takeResolved().map(\.ticket) == [2])
    let deadline = try #require(planner.deadline)
    #expect(deadline.nanoseconds > clock.nanoseconds)
  }
}
