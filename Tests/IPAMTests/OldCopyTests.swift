import AddressSpace
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

  /// An old copy says that somebody holds what another one takes in the same commit. A delete of what is
  /// gone counts as done, so the address would be held without its bit.
  @Test func whatIsTakenIsNotReleasedAlong() throws {
    var desk = try PlannerDesk("10.1.0.0/24")
    let address = try IPAddress(parsing: "10.1.0.10")
    func acquisition(_ container: String) -> Wish.Body {
      .acquire(AcquireRequest(attachment: PlannerDesk.key(container), requested: [address]))
    }
    desk.call(acquisition("c"))
    try desk.settle()
    let before = desk.store.entries
    desk.release("c")
    try desk.settle()
    let old = desk.release("c")
    let new = desk.call(acquisition("d"))
    loop: for _ in 0..<10 {
      switch desk.planner.next() {
      case .read(let keys, let consistency):
        var answer = desk.store.readNow(keys)
        if consistency <= .cached {
          for key in keys { if case .attachment = key { answer[key] = before[key] ?? .absent } }
        }
        desk.planner.learn(answer, consistency: consistency)
      case .commit(let commit):
        for case .put(_, .chunk(let chunk), _) in commit.operations {
          #expect(chunk.bitmap.isTaken(10), "held without its bit")
        }
        desk.end(commit, desk.perform(commit))
      case .wait, .idle: break loop
      }
    }
    try desk.settle()
    #expect(try desk.addresses(new) == [address])
    #expect(desk.stored("d") == [address])
    #expect(try desk.answers[old]?.get() == .released(nil))
  }

  /// Who holds something and asks again gets that, whatever he asks for. That somebody else has the
  /// hardware address is no answer before it is known that nothing is held.
  @Test func aRepeatIsNotRefused() throws {
    var desk = try PlannerDesk("10.1.0.0/24")
    let mac = try MACAddress(parsing: "02:00:00:00:00:01")
    desk.call(.acquire(AcquireRequest(attachment: PlannerDesk.key("a"), mac: mac)))
    let first = desk.acquire("b")
    try desk.settle()
    let again = desk.call(.acquire(AcquireRequest(attachment: PlannerDesk.key("b"), mac: mac)))
    desk.release("q")
    guard case .read(let keys, let consistency) = desk.planner.next() else {
      throw TestSupportError("nothing is read for the release")
    }
    desk.planner.learn(desk.store.readNow(keys), consistency: consistency)
    // More may come than was asked for.
    desk.planner.learn(desk.store.readNow([.mac(mac)]), consistency: .consistent)
    try desk.settle()
    #expect(try desk.addresses(again) == desk.addresses(first))
  }

  /// What is confirmed stays so when the same key comes along again in an answer that may be old.
  @Test func whatWasConfirmedIsNotReplaced() throws {
    var desk = try PlannerDesk("10.1.0.0/24")
    desk.acquire("c")
    try desk.settle()
    let key = StoreKey.attachment(PlannerDesk.key("c"))
    let old = desk.store.readNow([key])
    desk.release("c")
    try desk.settle()
    let again = desk.acquire("c")
    desk.release("q")
    guard case .read = desk.planner.next() else {
      throw TestSupportError("nothing is read for the release")
    }
    desk.planner.learn(desk.store.readNow([key]), consistency: .consistent)
    desk.planner.learn(old, consistency: .cached)
    try desk.settle()
    #expect(try desk.addresses(again) != nil)
    #expect(try desk.addresses(again) == desk.stored("c"))
  }

  /// A hardware address that was seen, to judge a commit in doubt, is not taken from who has it.
  @Test func whatWasSeenIsNotReplaced() throws {
    var desk = try PlannerDesk("10.1.0.0/24")
    let mac = try MACAddress(parsing: "02:00:00:00:00:01")
    let first = desk.call(.acquire(AcquireRequest(attachment: PlannerDesk.key("a"), mac: mac)))
    // Waits for that, so that what is read meanwhile is kept for it.
    desk.acquire("a")
    let commit = try desk.nextCommit()
    _ = desk.perform(commit)
    desk.end(commit, .unknown("the answer was lost"))
    let copy = try desk.nextCommit()
    let second = desk.call(.acquire(AcquireRequest(attachment: PlannerDesk.key("b"), mac: mac)))
    desk.end(copy, desk.perform(copy))
    try desk.settle()
    #expect(try desk.addresses(first) == desk.stored("a"))
    #expect(desk.answers[second] == .failure(.macTaken(mac, holder: PlannerDesk.key("a"))))
  }
}

extension PlannerDesk.Turn {
  fileprivate var isIdle: Bool { if case .idle = self { true } else { false } }
}
