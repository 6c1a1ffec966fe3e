import AddressSpace
import BitmapAllocator
import TestSupport
import Testing

@testable import IPAM
@testable import IPAMTesting

// Searches that find nothing: the caller is told why at once, and does not wait for what cannot come.

@Suite struct DeadEndTests {
  /// Sets that share a chunk: what the wish itself has drafted there is nothing to wait for.
  private func setsOfOneChunk() throws -> PlannerDesk {
    let sets = try RangeSet.sets([
      [SubnetRange.Text(subnet: "10.1.0.0/24", rangeStart: "10.1.0.10", rangeEnd: "10.1.0.50")],
      [SubnetRange.Text(subnet: "10.1.0.0/24", rangeStart: "10.1.0.60", rangeEnd: "10.1.0.61")],
    ])
    return PlannerDesk(NetworkDefinition(name: "net", rangeSets: sets))
  }

  @Test func theSecondSetOfAChunkIsExhausted() throws {
    var desk = try setsOfOneChunk()
    for index in 0..<2 { desk.acquire("c\(index)") }
    try desk.settle()
    let third = desk.acquire("c2")
    try desk.settle(within: 1_000)
    guard case .failure(.exhausted(let proof))? = desk.answers[third] else {
      Issue.record("\(String(describing: desk.answers[third]))")
      return
    }
    #expect(proof.set == 1)
  }

  @Test func whatIsAskedForOfTheSecondSetIsTaken() throws {
    var desk = try setsOfOneChunk()
    let requested = [try IPAddress(parsing: "10.1.0.60")]
    let tickets = ["a", "b"].map {
      desk.call(.acquire(AcquireRequest(attachment: PlannerDesk.key($0), requested: requested)))
    }
    try desk.settle(within: 1_000)
    #expect(try desk.addresses(tickets[0])?.last == requested[0])
    guard case .failure(.requestedTaken(1, _, _, let holder))? = desk.answers[tickets[1]] else {
      Issue.record("\(String(describing: desk.answers[tickets[1]]))")
      return
    }
    #expect(holder == PlannerDesk.key("a"))
  }

  /// A node of the tree that cannot be read hides all chunks below it.
  @Test func aDamagedTreeNodeIsSaidToBeOne() throws {
    var desk = try PlannerDesk("10.1.0.0/22", chunkBits: 6)
    let first = desk.acquire("first")
    try desk.settle()
    guard case .acquired(let acquired)? = try desk.answers[first]?.get() else { return }
    let pool = acquired.attachment.holdings[0].pool
    desk.store.overwrite(
      .chunk(ChunkKey(pool: pool, node: pool.root)), .damaged("the checksum differs"))
    // The home chunk has 64 at most.
    let tickets = (0..<64).map { desk.acquire("c\($0)") }
    try desk.settle(within: 1_000)
    guard case .failure(.damaged(let text))? = tickets.last.flatMap({ desk.answers[$0] }) else {
      Issue.record("\(String(describing: tickets.last.flatMap { desk.answers[$0] }))")
      return
    }
    #expect(text.contains("the checksum differs"))
  }

  /// A chunk that cannot be read is passed by, which is said once, however many are served meanwhile.
  @Test func aDamagedChunkIsSaidOnce() throws {
    var desk = try PlannerDesk("10.1.0.0/22", chunkBits: 6)
    let first = desk.acquire("first")
    try desk.settle()
    guard case .acquired(let acquired)? = try desk.answers[first]?.get() else { return }
    #expect(desk.planner.takeWarnings() == [])
    let holding = acquired.attachment.holdings[0]
    let home = ChunkKey(pool: holding.pool, node: holding.pool.node(of: holding.ordinal).node)
    desk.store.overwrite(.chunk(home), .damaged("the checksum differs"))
    for round in 0..<3 {
      desk.planner.view = View()
      for index in 0..<40 { desk.acquire("c\(round).\(index)") }
      try desk.settle()
    }
    let warnings = desk.planner.takeWarnings()
    #expect(warnings.count == 1 && warnings[0].contains("the checksum differs"), "\(warnings)")
    #expect(warnings[0].contains("network net") && warnings[0].contains("\(home)"))
  }

  /// A cooling address that is leased all the same is stepped over when it is its turn to be borrowed.
  @Test func aLeasedAddressIsNotBorrowed() throws {
    let sets = try RangeSet.sets([[SubnetRange.Text(subnet: "10.1.0.0/29")]])
    let cooldown = NetworkDefinition.Cooldown(seconds: 3_600)
    var desk = PlannerDesk(NetworkDefinition(name: "net", rangeSets: sets, cooldown: cooldown))
    let tickets = (0..<5).map { desk.acquire("c\($0)") }
    try desk.settle()
    let held = try tickets[0..<2].map { try #require(try desk.addresses($0)?.first) }
    let lease = StoreKey.lease(held[0])
    let value = desk.store.entries[lease]?.value
    for index in 0..<2 { desk.release("c\(index)") }
    try desk.settle()
    desk.store.overwrite(lease, value)
    let last = desk.acquire("d")
    try desk.settle(within: 1_000)
    #expect(try desk.addresses(last) == [held[1]])
    let warnings = desk.planner.takeWarnings()
    #expect(warnings.count == 1 && warnings[0].contains("\(held[0])"), "\(warnings)")
  }

  /// A chunk that somebody emptied is mended by several commits, if there are more leases under its clear
  /// bits than one has room for.
  @Test func moreLeasesUnderClearBitsThanACommitMends() throws {
    var desk = try PlannerDesk("10.1.0.0/25", chunkBits: 7)
    let tickets = (0..<70).map { desk.acquire("c\($0)") }
    try desk.settle()
    let held = Set(try tickets.map { try #require(try desk.addresses($0)?.first) })
    let chunks = desk.store.entries.filter { $0.value.chunk != nil }
    let (key, entry) = try #require(chunks.first)
    let chunk = try #require(entry.chunk)
    desk.store.overwrite(
      key, .chunk(Chunk(chunkBits: chunk.chunkBits, incarnation: chunk.incarnation)))
    desk.planner.view = View()
    var given: Set<IPAddress> = []
    for number in 0..<55 {
      let ticket = desk.acquire("new\(number)", within: 3_600_000)
      try desk.settle(within: 3_600_000)
      given.insert(try #require(try desk.addresses(ticket)?.first))
    }
    #expect(given.count == 55 && given.isDisjoint(with: held))
    let last = desk.acquire("one more", within: 3_600_000)
    try desk.settle(within: 3_600_000)
    guard case .failure(.damaged(let text))? = desk.answers[last], text.contains("is leased") else {
      Issue.record("\(String(describing: desk.answers[last]))")
      return
    }
  }
}
