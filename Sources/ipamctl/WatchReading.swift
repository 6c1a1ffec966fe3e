import AddressSpace
import IPAM
import JSON

// Two readings of a network and what happened between them. Conflicts leave nothing in Consul but in the
// journals: each entry has how many commits its node had made and how many had lost a race until then.
// So the newest entry of each node is enough, and it does not matter how many were overwritten.

/// The pools and journals of a network at one time.
struct WatchReading {
  let pools: PoolReading
  /// By node; nil where no journals are kept.
  let journals: [String: NodeTotal]?
  /// Nanoseconds that it took.
  let cost: UInt64

  static func take(
    _ store: any AllocationStore, _ definition: NetworkDefinition, _ deadline: Deadline
  ) async throws(Failure) -> WatchReading {
    let begun = ConsulOptions.surroundings.monotonic()
    var totals: [String: NodeTotal]?
    if store.traits.keepsJournal, definition.journal > 0 {
      totals = try await asking { () async throws(StoreError) in
        var totals: [String: NodeTotal] = [:]
        try await store.visitInOrder(.journal(node: nil), deadline: deadline) { _, stored, _ in
          if case .journal(let entry) = stored.value {
            totals[entry.node, default: NodeTotal()].add(entry, stored.revision)
          }
        }
        return totals
      }
    }
    let pools = try await PoolReading.take(store, definition, deadline)
    return WatchReading(
      pools: pools, journals: totals, cost: ConsulOptions.surroundings.monotonic() - begun)
  }
}

/// What a node's journal has counted.
struct NodeTotal {
  private var newest = Revision.absent
  private var entries: UInt64 = 0
  private var position: UInt64 = 0
  private var lost: UInt64 = 0

  mutating func add(_ entry: JournalEntry, _ revision: Revision) {
    entries += 1
    guard revision > newest else { return }
    (newest, position, lost) = (revision, entry.position, entry.lost)
  }

  /// Since an earlier reading; since the journal began if it has none. Nil if the node began to count
  /// anew, as after the loss of its disk.
  func change(since earlier: NodeTotal?) -> (commits: UInt64, conflicts: UInt64)? {
    guard let earlier else { return (entries, lost) }
    guard position >= earlier.position, lost >= earlier.lost else { return nil }
    return (position - earlier.position, lost - earlier.lost)
  }
}

/// What happened between two readings; what cannot be known is nil.
struct WatchChange {
  let seconds: UInt64
  let growth: [String: Growth]
  let writes: [String: UInt64]
  let commits: UInt64?
  let conflicts: UInt64?
}

extension WatchReading {
  func changes(since earlier: WatchReading) -> WatchChange {
    var writes: [String: UInt64] = [:]
    let before = Dictionary(earlier.pools.pools.map { ($0.name, $0.writes) }) { first, _ in first }
    for pool in pools.pools where pools.hasBytes {
      guard let then = before[pool.name], pool.writes >= then else { continue }
      writes[pool.name] = pool.writes - then
    }
    var counts: (commits: UInt64, conflicts: UInt64)? = (0, 0)
    for (node, total) in journals ?? [:] {
      let change = total.change(since: earlier.journals?[node])
      counts = counts.flatMap { sum in
        change.map { (sum.commits &+ $0.commits, sum.conflicts &+ $0.conflicts) }
      }
    }
    if journals == nil || earlier.journals == nil { counts = nil }
    return WatchChange(
      seconds: pools.time - min(pools.time, earlier.pools.time),
      growth: UseReading(earlier.pools.pools, at: earlier.pools.time)
        .growth(to: UseReading(pools.pools, at: pools.time)),
      writes: writes, commits: counts?.commits, conflicts: counts?.conflicts)
  }

  func rows(_ change: WatchChange?) -> [[String]] {
    pools.pools.map { pool in
      let growth = change?.growth[pool.name]
      return [
        utc(pools.time), pool.name, pool.used.description, pool.cooling.description,
        pool.free.description, growth.map { "+\($0.more) -\($0.less) in \($0.seconds) s" } ?? "-",
        change?.writes[pool.name].map(String.init) ?? "-",
        change?.commits.map(String.init) ?? "-", change?.conflicts.map(String.init) ?? "-",
      ]
    }
  }

  func document(_ network: String, _ change: WatchChange?) -> JSONValue {
    let list = pools.pools.map { pool -> JSONValue in
      let growth = change?.growth[pool.name]
      return [
        "pool": .string(pool.name), "used": .exact(pool.used), "cooling": .exact(pool.cooling),
        "free": .exact(pool.free), "more": growth.map { .exact($0.more) } ?? .null,
        "less": growth.map { .exact($0.less) } ?? .null, "writes": count(change?.writes[pool.name]),
      ]
    }
    return [
      "network": .string(network), "time": .string(utc(pools.time)),
      "seconds": count(change?.seconds), "pools": .array(list), "commits": count(change?.commits),
      "conflicts": count(change?.conflicts),
    ]
  }

  private func count(_ number: UInt64?) -> JSONValue {
    number.map { .exact(ExactCount($0)) } ?? .null
  }
}
