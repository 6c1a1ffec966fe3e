import AddressSpace
import BitmapAllocator
import IPAM
import Testing

// The allocator on the memory store: what callers see.

@Suite struct AllocatorTests {
  @Test func firstAddressBehindTheGateway() async throws {
    let fixture = try Fixture([["10.1.0.0/24"]])
    let acquired = try await fixture.acquire("c1")
    #expect(acquired.attachment.holdings.map(\.address.description) == ["10.1.0.2"])
    #expect(acquired.attachment.holdings[0].gateway?.description == "10.1.0.1")
    #expect(acquired.attachment.holdings[0].prefixLength == 24)
  }

  @Test func dualStackIsOneCommit() async throws {
    let fixture = try Fixture([["10.1.0.0/24"], ["2001:db8::/64"]])
    _ = try await fixture.acquire("warm-up")
    let before = fixture.store.counts
    let acquired = try await fixture.acquire("c1")
    #expect(acquired.attachment.holdings.count == 2)
    #expect(fixture.store.counts.commits == before.commits + 1)
    #expect(fixture.store.counts.reads == before.reads)
  }

  @Test func everyAddressOnceThenExhausted() async throws {
    let fixture = try Fixture([["10.1.0.0/28"]])
    var seen: Set<IPAddress> = []
    for index in 0..<13 {
      let acquired = try await fixture.acquire("c\(index)")
      #expect(seen.insert(acquired.attachment.holdings[0].address).inserted)
    }
    await #expect(throws: AllocationError.self) { try await fixture.acquire("one too many") }
    do {
      _ = try await fixture.acquire("one too many")
    } catch AllocationError.exhausted(let exhaustion) {
      #expect(exhaustion.capacity.description == "13")
    }
    #expect(try await fixture.release("c4") != nil)
    let again = try await fixture.acquire("again")
    #expect(again.attachment.holdings[0].address.description == "10.1.0.6")
  }

  @Test func treeIsClimbedAndExhaustionProved() async throws {
    // 16 chunks of 64 under a root: all of a /22 but network, broadcast and gateway.
    let fixture = try Fixture([["10.1.0.0/22"]], chunkBits: 6)
    var seen: Set<IPAddress> = []
    for index in 0..<1_021 {
      let acquired = try await fixture.acquire("c\(index)")
      #expect(seen.insert(acquired.attachment.holdings[0].address).inserted)
    }
    do {
      _ = try await fixture.acquire("one too many")
      Issue.record("exhausted was expected")
    } catch AllocationError.exhausted {}
    for index in 0..<1_021 { #expect(try await fixture.release("c\(index)") != nil) }
    for index in 0..<1_021 { _ = try await fixture.acquire("d\(index)") }
  }

  @Test func concurrentCallersShareCommits() async throws {
    let fixture = try Fixture([["10.1.0.0/16"]])
    _ = try await fixture.acquire("warm-up")
    let before = fixture.store.counts.commits
    let addresses = try await withThrowingTaskGroup(of: IPAddress.self) { group in
      for index in 0..<64 {
        group.addTask { try await fixture.acquire("c\(index)").attachment.holdings[0].address }
      }
      var addresses: Set<IPAddress> = []
      for try await address in group { addresses.insert(address) }
      return addresses
    }
    #expect(addresses.count == 64)
    #expect(fixture.store.counts.commits - before < 64)
  }

  @Test func repeatedWishGetsTheSame() async throws {
    let fixture = try Fixture([["10.1.0.0/24"]])
    let first = try await fixture.acquire("c1")
    let second = try await fixture.acquire("c1")
    #expect(second.isRepeat)
    #expect(first.attachment == second.attachment)
  }

  /// An inconsistency that no search may stumble over for ever: the bit is set by who finds it, together
  /// with the address behind it.
  @Test func anAddressLeasedUnderAClearBitIsSteppedOver() async throws {
    let fixture = try Fixture([["10.1.0.0/24"]])
    let first = try await fixture.acquire("c1").attachment.holdings[0]
    let chunk = StoreKey.chunk(
      ChunkKey(pool: first.pool, node: first.pool.node(of: first.ordinal).node))
    let before = try #require(fixture.store.entries[chunk]?.value)
    let second = try await fixture.acquire("c2").attachment.holdings[0]
    fixture.store.overwrite(chunk, before)

    let other = try Fixture([["10.1.0.0/24"]], store: fixture.store)
    let conflicts = fixture.store.counts.conflicts
    let third = try await other.acquire("c3", within: 10_000).attachment.holdings[0]
    #expect(third.address.description == "10.1.0.4")
    #expect(fixture.store.counts.conflicts == conflicts + 1)
    let bit = second.pool.node(of: second.ordinal).bit
    guard case .chunk(let after) = fixture.store.entries[chunk]?.value else {
      throw AuditorTestError()
    }
    #expect(after.isHeld(bit))
    #expect(try await other.acquire("c4").attachment.holdings[0].address.description == "10.1.0.5")
    #expect(fixture.store.counts.conflicts == conflicts + 1)
  }

  /// The same where it was the last one: nobody gets an address by setting the bit, and nobody is kept
  /// waiting for it.
  @Test func anAddressLeasedUnderAClearBitIsAllThatIsLeft() async throws {
    let fixture = try Fixture([["10.1.0.0/30"]])
    let only = try await fixture.acquire("c1").attachment.holdings[0]
    let name = StoreKey.chunk(
      ChunkKey(pool: only.pool, node: only.pool.node(of: only.ordinal).node))
    guard case .chunk(var chunk) = fixture.store.entries[name]?.value else {
      throw AuditorTestError()
    }
    chunk.bitmap.free(only.pool.node(of: only.ordinal).bit)
    fixture.store.overwrite(name, .chunk(chunk))
    let other = try Fixture([["10.1.0.0/30"]], store: fixture.store)
    for container in ["c2", "c3"] {
      do {
        _ = try await other.acquire(container, within: 20_000)
        Issue.record("10.1.0.2 is leased")
      } catch AllocationError.damaged(let text) {
        #expect(text.contains("10.1.0.2"))
      }
    }
    _ = try await fixture.release("c1")
    #expect(try await other.acquire("c4").attachment.holdings[0].address == only.address)
  }

  @Test func requestedAddress() async throws {
    let fixture = try Fixture([["10.1.0.0/24"], ["2001:db8::/64"]])
    let wanted = ["10.1.0.77", "2001:db8::99"]
    let acquired = try await fixture.acquire("c1", requested: wanted)
    #expect(acquired.attachment.holdings.map(\.address.description) == wanted)
    await fixture.expect(
      "failed to allocate for range 0: requested IP address 10.1.0.77 is not available in range set 10.1.0.1-10.1.0.254"
    ) {
      try await fixture.acquire("c2", requested: ["10.1.0.77"])
    }
    await fixture.expect(
      "failed to allocate for range 0: requested ip 10.1.0.1 is subnet's gateway"
    ) {
      try await fixture.acquire("c2", requested: ["10.1.0.1"])
    }
    await fixture.expect("failed to allocate all requested IPs: 10.2.0.1") {
      try await fixture.acquire("c2", requested: ["10.2.0.1"])
    }
  }
}

/// A network in a memory store, with a clock that stands still unless told otherwise.
struct Fixture {
  let store: MemoryStore
  let allocator: NetworkAllocator
  let surroundings: Surroundings

  init(
    _ subnets: [[String]], chunkBits: Int? = nil, node: String = "n1",
    store: MemoryStore = MemoryStore()
  ) throws {
    let sets = try RangeSet.sets(subnets.map { $0.map { SubnetRange.Text(subnet: $0) } })
    let definition = NetworkDefinition(name: "net", rangeSets: sets, chunkBits: chunkBits)
    self.store = store
    surroundings = Surroundings(
      now: { 1_000_000 }, monotonic: { monotonicNanoseconds() },
      random: { UInt64.random(in: 1...UInt64.max) },
      sleep: { try? await Task.sleep(for: .nanoseconds(Int64(min($0, 1 << 40)))) })
    allocator = NetworkAllocator(
      store: store, networkName: "net", definition: definition, node: Node(name: node),
      surroundings: surroundings)
  }

  @discardableResult
  func acquire(
    _ container: String, requested: [String] = [], within milliseconds: UInt64 = 600_000
  ) async throws -> Acquired {
    try await allocator.acquire(
      AcquireRequest(
        attachment: key(container), requested: try requested.map { try IPAddress(parsing: $0) }),
      deadline: surroundings.deadline(inMilliseconds: milliseconds))
  }

  func release(_ container: String) async throws -> IPAM.Attachment? {
    try await allocator.release(
      [key(container)], deadline: surroundings.deadline(inMilliseconds: 600_000))
  }

  func key(_ container: String) -> AttachmentKey {
    AttachmentKey(node: "n1", container: container, interface: "eth0")
  }

  func expect(_ text: String, _ body: () async throws -> Acquired) async {
    do {
      _ = try await body()
      Issue.record("expected: \(text)")
    } catch {
      #expect("\(error)" == text)
    }
  }
}

/// Nanoseconds since the tests began.
func monotonicNanoseconds() -> UInt64 {
  let start = beginning
  let (seconds, attoseconds) = (ContinuousClock.now - start).components
  return UInt64(seconds) * 1_000_000_000 + UInt64(attoseconds / 1_000_000_000)
}

private let beginning = ContinuousClock.now
