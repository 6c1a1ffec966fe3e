import AddressSpace
import BitmapAllocator
import IPAM
import IPAMTesting
import Synchronization
import Testing

/// A store in which somebody else writes a commit's chunks just before it, so many times.
private final class BusyStore: StoreWrapper {
  private let base: MemoryStore
  private let races: Mutex<Int>
  private let reads = Mutex(0)

  init(_ base: MemoryStore, races: Int) {
    self.base = base
    self.races = Mutex(races)
  }

  var wrapped: any AllocationStore { base }
  /// How often all of the network was read.
  var listings: Int { reads.withLock { $0 } }

  func commit(
    _ operations: [StoreOperation], cursors: [Int: IPAddress], deadline: Deadline
  ) async -> CommitOutcome {
    let isLost = races.withLock { left in
      left -= 1
      return left >= 0
    }
    for case .put(let key, .chunk, _) in operations where isLost {
      guard case .chunk(var chunk)? = base.entries[key]?.value else { continue }
      chunk.stamp(writer: 77)
      base.overwrite(key, .chunk(chunk))
    }
    return await base.commit(operations, cursors: cursors, deadline: deadline)
  }

  func list(
    _ kind: StoreListing, deadline: Deadline,
    _ visit: (StoreKey, StoreEntry) throws(StoreError) -> Void
  ) async throws(StoreError) {
    reads.withLock { $0 += 1 }
    try await base.list(kind, deadline: deadline, visit)
  }
}

/// Imports into a network that is in use.
@Suite struct AdoptionTests {
  /// What loses races is tried again without all of the network being read for each.
  @Test func aBusyChunk() async throws {
    let broken = try await Broken()
    let quiet = try await listings(broken, "quiet", address: "10.1.0.20", races: 0)
    let busy = try await listings(broken, "busy", address: "10.1.0.21", races: 60)
    #expect(busy <= quiet * 6)
  }

  private func listings(
    _ broken: Broken, _ container: String, address: String, races: Int
  ) async throws -> Int {
    let store = BusyStore(broken.store, races: races)
    let adopted = AdoptedAttachment(
      key: AttachmentKey(node: "n", container: container, interface: "eth0"),
      addresses: [try IPAddress(parsing: address)])
    let outcomes = try await Adoption(
      into: store, networkName: "net", node: Node(name: "n"), surroundings: .system
    ).adopt([adopted], dryRun: false, deadline: .far)
    #expect(outcomes.map(\.1) == [.adopted], "\(races) races")
    return store.listings
  }
}
