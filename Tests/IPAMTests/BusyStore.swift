import AddressSpace
import BitmapAllocator
import IPAM
import IPAMTesting
import Synchronization

/// A store in which somebody else is faster: the chunks that a commit writes or depends on have been
/// written just before it, so many times, and all chunks before each listing of them, if asked for.
final class BusyStore: StoreWrapper {
  private let base: MemoryStore
  private let races: Mutex<Int>
  private let reads = Mutex(0)
  private let isListingDisturbed: Bool
  /// Left out of all listings, as if it came and went with each of them.
  private let unlisted: StoreKey?
  /// What happens before the first commit.
  private let event: @Sendable (MemoryStore) async -> Void
  private let isFirst = Mutex(true)

  init(
    _ base: MemoryStore, races: Int = 0, isListingDisturbed: Bool = false,
    unlisted: StoreKey? = nil,
    beforeFirst event: @escaping @Sendable (MemoryStore) async -> Void = { _ in }
  ) {
    self.event = event
    self.base = base
    self.races = Mutex(races)
    self.isListingDisturbed = isListingDisturbed
    self.unlisted = unlisted
  }

  var wrapped: any AllocationStore { base }
  /// Listings of one kind: four make one reading of all of the network.
  var listings: Int { reads.withLock { $0 } }

  func commit(
    _ operations: [StoreOperation], cursors: [Int: IPAddress], deadline: Deadline
  ) async -> CommitOutcome {
    let isFirst = isFirst.withLock { first in
      defer { first = false }
      return first
    }
    if isFirst { await event(base) }
    let isLost = races.withLock { left in
      left -= 1
      return left >= 0
    }
    if isLost { for operation in operations { write(operation.key) } }
    return await base.commit(operations, cursors: cursors, deadline: deadline)
  }

  private func write(_ key: StoreKey) {
    guard case .chunk(var chunk)? = base.entries[key]?.value else { return }
    chunk.stamp(writer: 77)
    base.overwrite(key, .chunk(chunk))
  }

  func list(
    _ kind: StoreListing, deadline: Deadline,
    _ visit: (StoreKey, StoreEntry) throws(StoreError) -> Void
  ) async throws(StoreError) {
    reads.withLock { $0 += 1 }
    if kind == .chunks, isListingDisturbed { for key in base.entries.keys { write(key) } }
    try await base.list(kind, deadline: deadline) { (key, entry) throws(StoreError) in
      if key != unlisted { try visit(key, entry) }
    }
  }
}
