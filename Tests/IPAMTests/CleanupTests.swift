import AddressSpace
import BitmapAllocator
import TestSupport
import Testing

@testable import IPAM
@testable import IPAMTesting

// What was committed for a caller who went away is released again, and nothing else: whoever repeats
// the wish is not promised what is about to be released, and what is made anew under the name stays.

@Suite struct CleanupTests {
  @Test func whoRepeatsAfterACancellationKeepsWhatHeGets() throws {
    var desk = try PlannerDesk("10.1.0.0/24")
    let first = desk.acquire("c")
    let commit = try desk.nextCommit()
    desk.planner.withdraw(first)
    let second = desk.acquire("c")
    desk.end(commit, desk.perform(commit))
    try desk.settle()
    try expectHeld(by: "c", told: second, desk)
  }

  @Test func whoRepeatsAfterADoubtKeepsWhatHeGets() throws {
    var desk = try PlannerDesk("10.1.0.0/24")
    let first = desk.acquire("c", within: 100)
    let commit = try desk.nextCommit()
    _ = desk.perform(commit)
    desk.end(commit, .unknown("the answer was lost"))
    desk.wait(milliseconds: 200)
    let second = desk.acquire("c")
    try desk.settle()
    guard case .failure(.outcomeUnknown)? = desk.answers[first] else {
      Issue.record("\(String(describing: desk.answers[first]))")
      return
    }
    try expectHeld(by: "c", told: second, desk)
  }

  /// The cleanup loses races until its attachment was released by somebody else and made anew.
  @Test func whatIsMadeAnewStays() throws {
    var desk = try PlannerDesk("10.1.0.0/24")
    let first = desk.acquire("c")
    var commit = try desk.nextCommit()
    desk.planner.withdraw(first)
    desk.end(commit, desk.perform(commit))
    for _ in 0..<10 {
      guard case .commit(let cleanup) = try desk.next() else { break }
      desk.spoil(cleanup)
      desk.end(cleanup, desk.perform(cleanup))
    }
    guard case .wait = try desk.next() else {
      Issue.record("the cleanup does not wait after lost races")
      return
    }
    let release = desk.release("c")
    commit = try desk.nextCommit()
    desk.end(commit, desk.perform(commit))
    guard case .released(.some)? = try desk.answers[release]?.get() else {
      Issue.record("\(String(describing: desk.answers[release]))")
      return
    }
    let second = desk.acquire("c")
    try desk.settle()
    try expectHeld(by: "c", told: second, desk)
  }

  /// Nobody repeats a cleanup that the store could not serve, so the planner does, and does not hurry.
  @Test func readsThatFailDoNotEndIt() throws {
    var desk = try PlannerDesk("10.1.0.0/24")
    let first = desk.acquire("c")
    let commit = try desk.nextCommit()
    desk.planner.withdraw(first)
    desk.end(commit, desk.perform(commit))
    var reads = 0
    while desk.clock.nanoseconds < 20_000_000_000 {
      switch desk.planner.next() {
      case .read:
        reads += 1
        desk.planner.readFailed(StoreError(.unavailable, "no leader"))
      case .wait(let nanoseconds): desk.clock.move(to: desk.clock.nanoseconds + nanoseconds)
      default: throw TestSupportError("it is given up after \(reads) reads")
      }
    }
    #expect(reads < 100)
    try desk.settle()
    #expect(desk.stored("c") == nil)
  }

  private func expectHeld(by container: String, told ticket: UInt64, _ desk: PlannerDesk) throws {
    let told = try desk.addresses(ticket)
    #expect(told != nil && desk.stored(container) == told, "told \(told ?? []), stored otherwise")
  }
}
