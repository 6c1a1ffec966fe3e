import AddressSpace
import BitmapAllocator
import IPAM
import IPAMTesting
import Synchronization
import TestSupport
import Testing

// What bulk callers are told when things go wrong at the worst moment.

/// A memory store in which something happens at chosen commits and reads.
private final class ScriptedStore: StoreWrapper {
  let base = MemoryStore()
  private let script = Mutex<[@Sendable (MemoryStore, [StoreOperation]) -> CommitOutcome?]>([])
  private let readsFail = Mutex(false)
  var wrapped: any AllocationStore { base }

  /// What becomes of the next commits; nil for what the base makes of it.
  func next(_ steps: (@Sendable (MemoryStore, [StoreOperation]) -> CommitOutcome?)...) {
    script.withLock { $0 = steps }
  }

  func failReads(_ fail: Bool) { readsFail.withLock { $0 = fail } }

  func read(
    _ keys: Set<StoreKey>, consistency: Consistency, deadline: Deadline
  ) async throws(StoreError) -> [StoreKey: StoreEntry] {
    if readsFail.withLock({ $0 }) { throw StoreError(.unavailable, "no leader") }
    return try await base.read(keys, consistency: consistency, deadline: deadline)
  }

  func commit(
    _ operations: [StoreOperation], cursors: [Int: IPAddress], deadline: Deadline
  ) async -> CommitOutcome {
    let step = script.withLock { $0.isEmpty ? nil : $0.removeFirst() }
    if let outcome = step?(base, operations) { return outcome }
    return await base.commit(operations, cursors: cursors, deadline: deadline)
  }
}

@Suite struct BulkTroubleTests {
  private static var deadline: Deadline { Surroundings.system.deadline(inMilliseconds: 60_000) }

  private func allocator(_ store: ScriptedStore) throws -> BulkAllocator {
    let definition = NetworkDefinition(
      name: "bulk", kind: .bare,
      rangeSets: try RangeSet.sets([[SubnetRange.Text(subnet: "10.1.0.0/24")]]))
    return BulkAllocator(
      store: store, networkName: "bulk", definition: definition, node: "n", surroundings: .system)
  }

  /// Left by a deletion that was cut off: their chunk is gone, and bulk looks at no leases.
  @Test func leasesOfAnEarlierNetworkAreNotHandedOut() async throws {
    let store = ScriptedStore()
    let lease = Lease(
      attachment: AttachmentKey(node: "n", container: "c", interface: "eth0"),
      node: Node(name: "n"), mac: nil, workload: Workload(), nonce: 1, createdAt: 1)
    store.base.overwrite(.lease(try IPAddress(parsing: "10.1.0.9")), .lease(lease))
    let bulk = try allocator(store)
    await #expect { _ = try await bulk.acquire(250, job: 1, deadline: Self.deadline) } throws: {
      "\($0)".contains("1 lease of an earlier network bulk")
    }
    #expect(store.base.entries.count == 1, "nothing was defined")
    store.base.overwrite(.lease(try IPAddress(parsing: "10.1.0.9")), nil)
    #expect(try await bulk.acquire(250, job: 1, deadline: Self.deadline).count > 0)
  }

  /// Deleted and made anew by somebody while a job is at work: what it held of the old one is gone.
  @Test func anotherNetworkOfThatName() async throws {
    let store = ScriptedStore()
    let bulk = try allocator(store)
    let old = try await bulk.acquire(4, job: 1, deadline: Self.deadline)
    let narrow = try RangeSet.sets([[SubnetRange.Text(subnet: "10.2.0.0/24")]])
    store.next { base, _ in
      guard case .definition(var definition)? = base.entries[.definition]?.value else { return nil }
      for key in base.entries.keys { base.overwrite(key, nil) }
      definition.incarnation &+= 1
      definition.rangeSets = narrow
      base.overwrite(.definition, .definition(definition))
      return nil
    }
    let new = try await bulk.acquire(8, job: 1, deadline: Self.deadline)
    #expect(Set(new).isDisjoint(with: old))
    #expect(try await bulk.held(by: 1, deadline: Self.deadline) == new)
    #expect(new.allSatisfy { "\($0)".hasPrefix("10.2.0.") }, "\(new)")
  }

  /// An exclusion that comes while a commit is on its way is kept by the next.
  @Test func anotherDefinitionRulesAtOnce() async throws {
    let store = ScriptedStore()
    let bulk = try allocator(store)
    _ = try await bulk.acquire(4, job: 1, deadline: Self.deadline)
    let excluded = try AddressRange(parsing: "10.1.0.0-10.1.0.99")
    store.next { base, _ in
      guard case .definition(var definition)? = base.entries[.definition]?.value else { return nil }
      definition.exclusions = [excluded]
      base.overwrite(.definition, .definition(definition))
      return nil
    }
    let ranges = try await bulk.acquire(4, job: 2, deadline: Self.deadline)
    #expect(!ranges.contains { $0.overlaps(excluded) }, "\(ranges)")
  }

  /// A release that happened without an answer, and of which nothing can be read: if the caller were
  /// told that it only failed, it would give back what may be somebody else's by then.
  @Test func aReleaseThatMayHaveHappenedIsNotOnlyAFailure() async throws {
    let store = ScriptedStore()
    let bulk = try allocator(store)
    let ranges = try await bulk.acquire(4, job: 1, deadline: Self.deadline)
    store.next(
      { base, operations in
        _ = base.commitNow(operations, cursors: [:])
        return .unknown("the answer was lost")
      },
      { [store] base, operations in
        store.failReads(true)
        return base.commitNow(operations, cursors: [:])
      })
    do throws(AllocationError) {
      try await bulk.release(ranges, deadline: Self.deadline)
    } catch .outcomeUnknown {
      return
    } catch {
      Issue.record("told that \(error)")
    }
  }
}
