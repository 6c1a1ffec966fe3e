import BitmapAllocator
import TestSupport
import Testing

@testable import IPAM
@testable import IPAMTesting

// What an old copy of a key may make a planner say.

@Suite struct OldCopyTests {
  /// A server that lags still shows an attachment that was released a moment ago. Its bit is clear, so
  /// that no chunk is written, and Consul counts a delete of what is gone as done: such a commit would
  /// succeed, and say that something was held.
  @Test func whatIsGoneIsNotReleasedAgain() throws {
    var desk = try PlannerDesk("10.1.0.0/24")
    desk.acquire("c")
    try desk.settle()
    let before = desk.store.entries
    desk.release("c")
    try desk.settle()
    let again = desk.release("c")
    for _ in 0..<10 {
      guard case .read(let keys, let consistency) = desk.planner.next() else { break }
      var answer = desk.store.readNow(keys)
      if consistency == .cached {
        for key in keys { if case .attachment = key { answer[key] = before[key] } }
      }
      desk.planner.learn(answer, consistency: consistency)
    }
    #expect(try desk.next().isIdle, "a commit is sent for what is gone")
    #expect(try desk.answers[again]?.get() == .released(nil))
  }
}

extension PlannerDesk.Turn {
  fileprivate var isIdle: Bool { if case .idle = self { true } else { false } }
}
