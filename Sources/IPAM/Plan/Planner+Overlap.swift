// A second commit beside one that is in flight: one round trip and one processor do not bound what a
// process can do. It leaves alone what the first one writes: it takes from other chunks, and what needs
// a busy key waits until that commit has ended. So the two never lose to each other, and each is
// planned on revisions that nobody of this process is about to change.
//
// The price is a second chunk, which may be another node's home. So it takes many waiting wishes, and
// an overlapping commit that loses a race is the last one for a while.

extension Planner {
  /// Wishes that a commit has to have where a second one could be in flight beside it; fewer are not
  /// worth a log entry more, unless no more fit into one.
  private var wishesWorthAFlight: Int { min(16, wishesOfAFullCommit) }

  /// Commits to be made, after an overlapping one lost a race, before one may overlap again.
  static let commitsAfterLostOverlap = 256

  /// Whether a commit may be planned though others are in flight.
  var mayOverlap: Bool {
    let waiting = batch.count + queue.count
    return waiting >= wishesWorthAFlight && flights.count < flightLimit(of: waiting)
      && flights.allSatisfy { !$0.grants.isEmpty }
  }

  /// How many wishes go into one commit, so that the flights share those who wait.
  var wishesPerFlight: Int {
    let limit = flightLimit(of: batch.count)
    guard limit > 1 else { return .max }
    return (batch.count + wishesInFlight + limit - 1) / limit
  }

  private var wishesInFlight: Int { flights.reduce(0) { $0 + $1.grants.count } }

  /// Commits in flight at once, as far as those who wait are enough and the search order allows: two
  /// share those who wait, more than two are full.
  private func flightLimit(of waiting: Int) -> Int {
    guard configuration.flightLimit > 1, overlapPenalty == 0,
      terms?.searchOrder != .sequential
    else { return 1 }
    let all = waiting + wishesInFlight
    let worth = max(min(2, all / wishesWorthAFlight), all / wishesOfAFullCommit)
    return max(1, min(configuration.flightLimit, worth))
  }

  /// A lease for each range set and an attachment make an operation each.
  private var wishesOfAFullCommit: Int {
    max(1, traits.operationLimit / ((terms?.rangeSets ?? 1) + 1))
  }

  /// Whether a commit that is being drafted or in flight writes the key.
  func isInWork(_ key: StoreKey, _ draft: Draft) -> Bool {
    draft.touches(key) || isBusy(key)
  }

  /// The same, apart from what only the wish at hand has drafted: it would wait for itself.
  func isInOthersWork(_ key: StoreKey, _ draft: Draft) -> Bool {
    draft.touchedBefore(key) || isBusy(key)
  }

  /// Whether a commit in flight writes the key; of leases that is not kept (``Commit/writtenKeys``).
  func isBusy(_ key: StoreKey) -> Bool {
    if busy.isEmpty { return false }
    if case .lease = key { return false }
    return busy.contains(key)
  }

  /// Flights whose outcome is not known.
  var unanswered: [Flight] {
    if doubt == nil, laterDoubts.isEmpty { return [] }
    return (doubt.map { [$0] } ?? []).map(\.flight) + laterDoubts.map(\.flight)
  }

  /// Whether it is the commit in doubt, once more, or its fence.
  func isInDoubt(_ commit: Commit) -> Bool {
    guard let doubt else { return false }
    return commit.token == doubt.flight.commit.token || commit.token == doubt.fence?.token
  }
}

extension Commit {
  /// What it writes or deletes, but for leases: whoever wants one of those looks at its chunk first.
  var writtenKeys: some Sequence<StoreKey> {
    operations.lazy.compactMap { operation in
      switch operation {
      case .check, .note, .put(.lease, _, _), .delete(.lease, _): nil
      case .put(let key, _, _), .delete(let key, _): key
      }
    }
  }

  /// The same without the hint where to go on: that is where the node's own chunk is.
  var withoutCursors: Commit { Commit(operations: operations, cursors: [:], token: token) }
}
