import IPAM

// Which commits can do without asking for the definition. A commit that takes an address depends on the
// revision of its chunk and on that of the definition. If a commit of this process wrote the chunk as
// it stands, and the definition that this one goes by ruled then, it still does: whoever changes a
// definition announces it first, in the key's flags, and then gives every chunk another index
// (`ConsulStore+Change`). So a chunk that has not moved says that nothing has changed.
//
//   commit   asks for the definition, of index 40     ──▶ the chunk has index 57, settled by 40
//   commit   CAS of the chunk at 57                   ──▶ 58, settled by 40
//   change   the flag: 41, each chunk: 60             ──▶ CAS at 58 fails; the next commit asks: 40 fails
//
// An operation less for each commit of a process that goes on. After a second it asks again, so that a
// definition that was written by other means than ours, which announce nothing, is noticed soon.

/// The latest commits of this process by the revision that their chunks have, with the definition that
/// ruled.
struct SettledCommits {
  /// That a definition ruled when a commit happened.
  struct Ground {
    let definition: Revision
    /// When the store was asked last, by the monotonic clock.
    let askedAt: UInt64
  }

  /// Nanoseconds after which the definition is asked for again.
  static let lifetime: UInt64 = 1_000_000_000

  private static let limit = 64

  /// Oldest first.
  private var commits: [(revision: Revision, ground: Ground)] = []

  /// What all chunks that the operations write were written on; nil if one of them was not, or by
  /// somebody else, or if there are none. O(operations), a chunk of an older commit O(commits).
  func ground(of operations: [StoreOperation]) -> Ground? {
    if commits.isEmpty { return nil }
    var oldest: Ground?
    for operation in operations {
      guard case .put(.chunk, _, let revision) = operation else { continue }
      guard let commit = commits.last(where: { $0.revision == revision }),
        oldest == nil || oldest?.definition == commit.ground.definition
      else { return nil }
      if oldest == nil || commit.ground.askedAt < oldest?.askedAt ?? 0 { oldest = commit.ground }
    }
    return oldest
  }

  /// Takes in that a commit happened.
  mutating func settle(_ revision: Revision, on ground: Ground) {
    if revision == .absent { return }
    if commits.count == Self.limit { commits.removeFirst(Self.limit / 2) }
    commits.append((revision, ground))
  }
}
