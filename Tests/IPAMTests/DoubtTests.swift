import AddressSpace
import BitmapAllocator
import TestSupport
import Testing

@testable import IPAM
@testable import IPAMTesting

// A commit in doubt, and those who wait beside it.

@Suite struct DoubtTests {
  /// A copy has the time of its own callers. By the deadline of another who waits, and is late, each
  /// would be out of time before it was sent.
  @Test func whoIsLateHoldsNobodyUp() throws {
    var desk = try PlannerDesk("10.1.0.0/24")
    // The second waits for the first one's commit, because it is about the same attachment.
    desk.acquire("c", within: 30_000)
    let second = desk.acquire("c", within: 100)
    let commit = try desk.nextCommit()
    desk.end(commit, .unknown("the reply was lost"))
    desk.wait(milliseconds: 1_000)
    let copy = try desk.nextCommit()
    #expect(copy.token == commit.token)
    #expect(Array(desk.answers.keys) == [second])
    #expect(desk.planner.deadline(of: .commit(copy))?.nanoseconds == 30_000_000_000)
  }

  /// Of several commits in doubt one after the other is cleared up; their callers are answered in time.
  @Test func doubtsThatWaitForTheirTurnHaveDeadlines() throws {
    var desk = try PlannerDesk("10.1.0.0/22", chunkBits: 6)
    let patient = (0..<16).map { desk.acquire("p\($0)", within: 30_000) }
    let impatient = (0..<16).map { desk.acquire("i\($0)", within: 100) }
    let commits = [try desk.nextCommit(), try desk.nextCommit()]
    for commit in commits { desk.end(commit, .unknown("the reply was lost")) }
    let copy = try desk.nextCommit()
    #expect(copy.token == commits[0].token)
    desk.end(copy, .unknown("the reply was lost"))
    desk.wait(milliseconds: 200)
    #expect(try desk.nextCommit().token == copy.token)
    #expect(Set(desk.answers.keys) == Set(impatient))
    #expect(desk.planner.firstDeadline?.nanoseconds == 30_000_000_000)
    #expect(patient.allSatisfy { desk.answers[$0] == nil })
  }

  /// Who comes meanwhile is not admitted before the doubt is cleared up, but has a deadline.
  @Test func whoComesMeanwhileHasADeadline() throws {
    var desk = try PlannerDesk("10.1.0.0/24")
    desk.acquire("c")
    let commit = try desk.nextCommit()
    desk.end(commit, .unknown("the reply was lost"))
    let late = desk.acquire("d", within: 100)
    desk.wait(milliseconds: 200)
    _ = try desk.next()
    guard case .failure(.deadlineExceeded)? = desk.answers[late] else {
      Issue.record("\(String(describing: desk.answers[late]))")
      return
    }
  }

  /// After slow commits waits are long. The callers' deadlines end them all the same, and nobody else
  /// is kept from his own commit for long.
  @Test(arguments: [300, 10_000] as [UInt64]) func waitsHaveAnEnd(patience: UInt64) throws {
    var desk = try PlannerDesk("10.1.0.0/24")
    for index in 0..<30 {
      desk.acquire("a\(index)", within: 600_000)
      let commit = try desk.nextCommit()
      desk.wait(milliseconds: 2_000)
      desk.end(commit, desk.perform(commit))
    }
    let ticket = desk.acquire("c", within: patience)
    let limit = desk.clock.nanoseconds + patience * 1_000_000
    while desk.clock.nanoseconds <= limit {
      switch try desk.next() {
      case .commit(let commit): desk.end(commit, .unknown("the reply was lost"))
      case .wait where desk.answers[ticket] != nil:
        #expect(desk.clock.nanoseconds == limit)
        return
      case .wait(let nanoseconds):
        #expect(nanoseconds <= 1_000_000_000)
        desk.clock.move(to: desk.clock.nanoseconds + nanoseconds)
      case .idle: throw TestSupportError("nothing is done for a caller who waits")
      }
    }
    Issue.record("no answer within \(patience) ms")
  }

  /// A view forgets chunks when it has many. The commit in doubt is fenced all the same.
  @Test func aFenceNeedsNoMemory() throws {
    var desk = try PlannerDesk("10.0.0.0/14", chunkBits: 6)
    desk.acquire("c", within: 1_000)
    let commit = try desk.nextCommit()
    let pool = try #require(
      commit.operations.lazy.compactMap { operation -> PoolGeometry? in
        if case .put(.chunk(let key), _, _) = operation { key.pool } else { nil }
      }.first)
    let nodes = (0..<UInt64(View.retainedEntries + 1)).map {
      StoreKey.chunk(ChunkKey(pool: pool, node: TreeNode(level: 0, index: ChunkIndex($0))))
    }
    desk.planner.learn(
      Dictionary(nodes.map { ($0, .absent) }) { first, _ in first }, consistency: .cached)
    // So many that another commit is sent beside the first.
    for index in 0..<32 { desk.acquire("d\(index)", within: 500) }
    let other = try desk.nextCommit()
    desk.end(other, desk.perform(other))
    desk.end(commit, .unknown("the commit is late"))
    desk.wait(milliseconds: 2_000)
    try desk.settle()
    let gone = desk.release("c")
    try desk.settle()
    #expect(try desk.answers[gone]?.get() == .released(nil))
    _ = desk.perform(commit)
    #expect(desk.stored("c") == nil, "a late copy came through")
  }

  /// A chunk that is there and was not seen has bits that an empty one in its place would free.
  @Test func aFenceReplacesNothingUnseen() throws {
    var desk = try PlannerDesk("10.1.0.0/24")
    desk.acquire("c")
    let first = try desk.nextCommit()
    desk.end(first, desk.perform(first))
    desk.acquire("d")
    let second = try desk.nextCommit()
    #expect(first.fence(token: 7) { _ in nil } != nil, "it made the chunk")
    #expect(second.fence(token: 7) { _ in nil } == nil)
    let fence = try #require(second.fence(token: 7) { desk.store.entries[$0] })
    let before = desk.stored("c")
    guard case .committed = desk.perform(fence) else { throw TestSupportError("not fenced") }
    guard case .conflict = desk.perform(second) else { throw TestSupportError("a late copy") }
    #expect(desk.stored("c") == before && desk.stored("d") == nil)
  }

  /// A chunk names its last few writers. A release that others have covered may have happened, and
  /// where the store does not serve the next look, that nothing was changed would be a guess.
  @Test func aReleaseThatOthersCoveredStaysOpen() throws {
    var desk = try PlannerDesk("10.1.0.0/24")
    desk.acquire("c")
    try desk.settle()
    desk.release("c")
    let commit = try desk.nextCommit()
    _ = desk.perform(commit)
    for _ in 0..<Chunk.writerLimit { desk.spoil(commit) }
    desk.end(commit, .unknown("the answer was lost"))
    let copy = try desk.nextCommit()
    desk.end(copy, desk.perform(copy))
    guard case .read(let keys, let consistency) = desk.planner.next() else {
      throw TestSupportError("nobody looks whether it has happened")
    }
    desk.planner.learn(desk.store.readNow(keys), consistency: consistency)
    guard case .read = desk.planner.next() else {
      throw TestSupportError("nobody looks whether something is held")
    }
    desk.planner.readFailed(StoreError(.unavailable, "no leader"))
    let answer = try #require(desk.planner.takeResolved().first?.result)
    guard case .failure(.outcomeUnknown) = answer else {
      Issue.record("told \(answer)")
      return
    }
  }

  /// A network that cannot be created, because each reply is lost at once, is not created for ever.
  @Test func creationsAreNotSentInALoop() throws {
    let sets = try RangeSet.sets([[SubnetRange.Text(subnet: "10.1.0.0/24")]])
    var desk = PlannerDesk(NetworkDefinition(name: "net", rangeSets: sets))
    desk.acquire("c")
    var commits = 0
    while commits < 10 {
      switch desk.planner.next() {
      case .read(let keys, let consistency):
        desk.planner.learn(
          consistency == .copies ? [:] : desk.store.readNow(keys), consistency: consistency)
      case .commit(let commit):
        commits += 1
        desk.planner.ended(commit, .unknown("the connection was cut"))
      case .wait(let nanoseconds):
        #expect(commits == 1 && nanoseconds > 0)
        return
      case .idle: throw TestSupportError("nothing is done for a caller who waits")
      }
    }
    Issue.record("\(commits) commits within no time")
  }
}
