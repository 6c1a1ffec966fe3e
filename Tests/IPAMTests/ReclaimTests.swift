import AddressSpace
import IPAM
import Testing

// What is released for an owner that is gone: the attachment that was observed and no other.

@Suite struct ReclaimTests {
  @Test func onlyTheAttachmentObservedIsReleased() async throws {
    let fixture = try Fixture([["10.1.0.0/24"]])
    let deadline = fixture.surroundings.deadline(inMilliseconds: 600_000)
    let first = try await fixture.acquire("c1").attachment
    _ = try await fixture.release("c1")
    let second = try await fixture.acquire("c1").attachment
    let name = fixture.key("c1")
    let stale = try await fixture.allocator.release(
      name, only: AttachmentStamp(first), deadline: deadline)
    #expect(stale == nil)
    #expect(fixture.store.entries[.attachment(name)] != nil)
    let released = try await fixture.allocator.release(
      name, only: AttachmentStamp(second), deadline: deadline)
    #expect(released == second)
    let address = second.holdings[0].address
    #expect(fixture.store.entries[.attachment(name)] == nil)
    #expect(fixture.store.entries[.lease(address)] == nil)
    let again = try await fixture.allocator.release(
      name, only: AttachmentStamp(second), deadline: deadline)
    #expect(again == nil)
  }

  /// A view that is one attachment behind must not release the new one: another process makes it.
  @Test func aStaleViewReleasesNothingNew() async throws {
    let fixture = try Fixture([["10.1.0.0/24"]])
    let deadline = fixture.surroundings.deadline(inMilliseconds: 600_000)
    let seen = try await fixture.acquire("c1").attachment
    let other = NetworkAllocator(
      store: fixture.store, networkName: "net", definition: nil, node: Node(name: "other"),
      surroundings: fixture.surroundings)
    _ = try await other.release([fixture.key("c1")], deadline: deadline)
    _ = try await other.acquire(
      AcquireRequest(attachment: fixture.key("c1")), deadline: deadline)
    let released = try await fixture.allocator.release(
      fixture.key("c1"), only: AttachmentStamp(seen), deadline: deadline)
    #expect(released == nil)
    #expect(fixture.store.entries[.attachment(fixture.key("c1"))] != nil)
  }

  /// The runtime deletes a container and adds it anew while a collection is on its way.
  @Test func aCollectionLeavesWhatWasMadeAnew() async throws {
    let fixture = try Fixture([["10.1.0.0/24"]])
    let seen = try await fixture.acquire("c1").attachment
    try await fixture.acquire("c2")
    let store = HookedStore(fixture.store) {
      _ = try? await fixture.release("c1")
      _ = try? await fixture.acquire("c1")
    }
    var surroundings = fixture.surroundings
    surroundings.now = { 2_000_000 }
    let collector = NetworkAllocator(
      store: store, networkName: "net", definition: nil, node: Node(name: "n1"),
      surroundings: surroundings)
    let deadline = surroundings.deadline(inMilliseconds: 600_000)
    let collected = try await collector.collect(inUse: { _ in false }, deadline: deadline)
    #expect(collected.released == [fixture.key("c2")] && collected.failures.isEmpty)
    guard case .attachment(let left)? = fixture.store.entries[.attachment(fixture.key("c1"))]?.value
    else {
      Issue.record("what was made anew is gone")
      return
    }
    #expect(left.nonce != seen.nonce)
  }

  /// What is made while a collection goes on may be missing in the runtime's list.
  @Test func aCollectionLeavesWhatIsNotOlderThanItself() async throws {
    let fixture = try Fixture([["10.1.0.0/24"]])
    try await fixture.acquire("c1")
    let deadline = fixture.surroundings.deadline(inMilliseconds: 600_000)
    let collected = try await fixture.allocator.collect(inUse: { _ in false }, deadline: deadline)
    #expect(collected.released.isEmpty && collected.failures.isEmpty)
    #expect(fixture.store.entries[.attachment(fixture.key("c1"))] != nil)
  }

  @Test func whatCannotBeReadIsInUse() async throws {
    let fixture = try Fixture([["10.1.0.0/24"]])
    let deadline = fixture.surroundings.deadline(inMilliseconds: 600_000)
    let seen = try await fixture.acquire("c1").attachment
    let key = StoreKey.attachment(fixture.key("c1"))
    fixture.store.overwrite(key, .damaged("test"))
    let found = try await fixture.store.orphans(
      ofNode: nil, inUse: { _, _ in false }, deadline: deadline)
    #expect(found.stamps.isEmpty && found.strangers.isEmpty)
    let fresh = NetworkAllocator(
      store: fixture.store, networkName: "net", definition: nil, node: Node(name: "other"),
      surroundings: fixture.surroundings)
    let released = try await fresh.release(
      fixture.key("c1"), only: AttachmentStamp(seen), deadline: deadline)
    #expect(released == nil && fixture.store.entries[key] != nil)
  }

  /// Two machines or runtimes go by one name, and a list is of one of them. What a node made before it
  /// lost its state directory is its own all the same.
  @Test func aListSpeaksForWhoKnowsIt() async throws {
    let fixture = try Fixture([["10.1.0.0/24"]])
    let deadline = fixture.surroundings.deadline(inMilliseconds: 600_000)
    try await fixture.acquire("first")
    _ = try await fixture.release("first")
    func add(_ container: String, by instance: String, at seconds: UInt64) async throws {
      var surroundings = fixture.surroundings
      surroundings.now = { seconds }
      _ = try await NetworkAllocator(
        store: fixture.store, networkName: "net", definition: nil,
        node: Node(name: "n1", instance: instance), surroundings: surroundings
      ).acquire(AcquireRequest(attachment: fixture.key(container)), deadline: deadline)
    }
    try await add("before", by: "lost", at: 1_000)
    try await add("here", by: "mine", at: 2_000)
    try await add("gone", by: "mine", at: 2_001)
    try await add("byHand", by: "", at: 2_002)
    try await add("there", by: "theirs", at: 2_003)
    let isInUse = { (name: AttachmentKey, _: IPAM.Attachment) in name.container == "here" }
    let listed = try await fixture.store.orphans(
      ofNode: "n1", inUse: isInUse, isList: true, deadline: deadline)
    #expect(Set(listed.stamps.keys) == Set(["before", "gone", "byHand"].map(fixture.key)))
    #expect(listed.strangers == [fixture.key("there")])
    // The whole node is said to be gone, or all that is in use is known otherwise.
    let all = try await fixture.store.orphans(
      ofNode: "n1", inUse: isInUse, deadline: deadline)
    #expect(all.stamps.count == 4 && all.strangers.isEmpty)
  }

  @Test func twoObservationsOfTheSameOne() throws {
    let key = AttachmentKey(node: "n", container: "c", interface: "eth0")
    func stamp(_ nonce: UInt64) -> AttachmentStamp {
      AttachmentStamp(nonce: nonce, createdAt: 1, addresses: [])
    }
    let first = Orphan.merge([key: stamp(1)], after: [], now: 100)
    #expect(!first[0].isDue(now: 100, grace: 600) && !first[0].isDue(now: 699, grace: 600))
    let second = Orphan.merge([key: stamp(1)], after: first, now: 700)
    #expect(second[0].firstSeen == 100 && second[0].isDue(now: 700, grace: 600))
    // Made anew, or not seen in between: the grace period begins again.
    #expect(Orphan.merge([key: stamp(2)], after: first, now: 700)[0].firstSeen == 700)
    let gap = Orphan.merge([:], after: first, now: 300)
    #expect(Orphan.merge([key: stamp(1)], after: gap, now: 700)[0].firstSeen == 700)
    // A clock that went back.
    #expect(Orphan.merge([key: stamp(1)], after: first, now: 50)[0].firstSeen == 50)
  }
}

/// A store in which something happens as soon as a listing is over.
private final class HookedStore: StoreWrapper {
  let wrapped: any AllocationStore
  private let hook: @Sendable () async -> Void

  init(_ wrapped: any AllocationStore, _ hook: @escaping @Sendable () async -> Void) {
    self.wrapped = wrapped
    self.hook = hook
  }

  func list(
    _ kind: StoreListing, deadline: Deadline,
    _ visit: (StoreKey, StoreEntry) throws(StoreError) -> Void
  ) async throws(StoreError) {
    try await wrapped.list(kind, deadline: deadline, visit)
    await hook()
  }
}
