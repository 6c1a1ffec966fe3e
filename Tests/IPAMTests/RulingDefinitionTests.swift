import AddressSpace
import BitmapAllocator
import IPAM
import Testing

// The definition in the store rules, at the moment of each commit and for each chunk.

@Suite struct RulingDefinitionTests {
  private func overwrite(
    _ key: StoreKey, _ store: MemoryStore, _ change: (StoreValue?) throws -> StoreValue
  ) async throws {
    let entry = store.entries[key]
    let outcome = await store.commit(
      [.put(key, try change(entry?.value), expected: entry?.revision ?? .absent)], cursors: [:],
      deadline: Deadline(nanoseconds: .max))
    guard case .committed = outcome else {
      Issue.record("\(outcome)")
      return
    }
  }

  /// An operator excludes addresses between two ADDs of a process that knows the definition.
  @Test func aChangeCountsFromTheNextCommitOn() async throws {
    let fixture = try Fixture([["10.1.0.0/24"]])
    let first = try await fixture.acquire("c0").attachment.holdings[0].address
    let half = try AddressRange(parsing: "10.1.0.0-10.1.0.127")
    #expect(half.contains(first), "else the next one proves nothing")
    try await overwrite(.definition, fixture.store) { value in
      guard case .definition(var definition)? = value else { return .damaged("") }
      definition.exclusions = [half]
      return .definition(definition)
    }
    let next = try await fixture.acquire("c1").attachment.holdings[0].address
    #expect(!half.contains(next))
  }

  /// A chunk that an earlier network of this name left, or that a restored store brought back.
  @Test func aChunkOfAnotherIncarnationIsLeftAlone() async throws {
    let fixture = try Fixture([["10.1.0.0/24"]])
    let held = try await fixture.acquire("c0").attachment.holdings[0]
    let key = ChunkKey(pool: held.pool, node: held.pool.node(of: held.ordinal).node)
    try await overwrite(.chunk(key), fixture.store) { value in
      guard case .chunk(var chunk)? = value else { return .damaged("") }
      chunk.incarnation ^= 1
      return .chunk(chunk)
    }
    let other = NetworkAllocator(
      store: fixture.store, networkName: "net", definition: nil, node: Node(name: "n2"),
      surroundings: fixture.surroundings)
    let request = AcquireRequest(
      attachment: AttachmentKey(node: "n2", container: "c1", interface: "eth0"))
    let deadline = fixture.surroundings.deadline(inMilliseconds: 600_000)
    await #expect {
      try await other.acquire(request, deadline: deadline)
    } throws: { error in
      guard case AllocationError.damaged(let text) = error else { return false }
      return text.contains("another definition")
    }
  }

  /// It is passed by as if it were full, and named when nothing else is left.
  @Test func aDamagedChunkIsLeftAlone() async throws {
    let fixture = try Fixture([["10.1.0.0/25"]], chunkBits: 6)
    let held = try await fixture.acquire("c0").attachment.holdings[0]
    let key = ChunkKey(pool: held.pool, node: held.pool.node(of: held.ordinal).node)
    fixture.store.overwrite(.chunk(key), .damaged("test"))
    let other = NetworkAllocator(
      store: fixture.store, networkName: "net", definition: nil, node: Node(name: "n1"),
      surroundings: fixture.surroundings)
    let deadline = fixture.surroundings.deadline(inMilliseconds: 600_000)
    for index in 1...80 {
      do throws(AllocationError) {
        let holding = try await other.acquire(
          AcquireRequest(attachment: fixture.key("c\(index)")), deadline: deadline
        ).attachment.holdings[0]
        #expect(holding.pool.node(of: holding.ordinal).node != key.node)
      } catch {
        guard case .damaged = error, index > 60 else { throw error }
        #expect(fixture.store.entries[.chunk(key)]?.value == .damaged("test"))
        return
      }
    }
    Issue.record("there is no end")
  }

  /// CHECK looks at the leases too, not only at what the attachment says.
  @Test func aLeaseThatIsGoneIsNotHeld() async throws {
    let fixture = try Fixture([["10.1.0.0/24"]])
    let address = try await fixture.acquire("c0").attachment.holdings[0].address
    let deadline = fixture.surroundings.deadline(inMilliseconds: 600_000)
    try await fixture.allocator.check([fixture.key("c0")], expected: nil, deadline: deadline)
    let lease = try #require(fixture.store.entries[.lease(address)])
    _ = await fixture.store.commit(
      [.delete(.lease(address), expected: lease.revision)], cursors: [:], deadline: deadline)
    await #expect(throws: AllocationError.notHeld(fixture.key("c0"), address)) {
      try await fixture.allocator.check([fixture.key("c0")], expected: nil, deadline: deadline)
    }
  }
}
