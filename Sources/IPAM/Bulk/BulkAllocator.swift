public import AddressSpace
import BitmapAllocator

// Many addresses at once, bits only: for users of the library that keep their own records.
//
//   job  ──▶ token 0, token 1, …     each names one commit and the record that the commit leaves
//   acquire   records of the job so far; what is missing is taken, a commit and a record at a time
//   crash     the same call again goes on where the records end: no address is taken twice or lost
//   acknowledge  the caller has written down what it got: the records go, the bits stay
//
// A record is created by the very commit that takes the bits, so that its existence says whether a
// commit whose reply was lost has happened.

/// Acquires and releases addresses of a bare network (``NetworkDefinition/Kind/bare``) by the
/// thousand.
///
/// A commit takes from as many chunks as it has operations for: 100,000 addresses of a /64 are one or
/// two commits. Any number of allocators, in any number of processes, may work on one network.
public struct BulkAllocator: Sendable {
  /// The store that it works on.
  public let store: any AllocationStore
  /// The network's name.
  public let networkName: String
  let definition: NetworkDefinition?
  let node: String
  let surroundings: Surroundings

  /// An allocator for one network.
  ///
  /// - Parameters:
  ///   - store: Where the network's allocation lives.
  ///   - networkName: The network.
  ///   - definition: What to create the network with if the store has none; nil to require that it
  ///     exists.
  ///   - node: Who allocates; different nodes begin in different chunks.
  ///   - surroundings: Clock, randomness and sleep.
  public init(
    store: any AllocationStore, networkName: String, definition: NetworkDefinition?, node: String,
    surroundings: Surroundings
  ) {
    self.store = store
    self.networkName = networkName
    self.definition = definition
    self.node = node
    self.surroundings = surroundings
  }

  /// Takes units until the job holds `count` of them.
  ///
  /// Called again with the same job, after a crash or an error, it goes on where the job stands; the
  /// answer is always all that the job holds. If the network is deleted and made anew meanwhile, that is
  /// of the new one.
  ///
  /// - Parameters:
  ///   - count: How many units in all; 0 or more.
  ///   - job: A random number of the caller's, written down before the first call.
  ///   - set: The range set to take from.
  ///   - deadline: When to give up.
  /// - Returns: What the job holds, as inclusive ranges in the order of its commits.
  /// - Throws: ``AllocationError``: ``AllocationError/exhausted(_:)`` if fewer are left, in which case
  ///   the job keeps what it has.
  /// - Complexity: One commit for up to as many chunks as a commit has operations, less two.
  public func acquire(
    _ count: Int, job: UInt64, set: Int = 0, deadline: Deadline
  ) async throws(AllocationError) -> [AddressRange] {
    var loop = BulkLoop(allocator: self, set: set, deadline: deadline)
    while true {
      let incarnation = try await loop.ground().0.incarnation
      if let held = try await acquire(count, job, in: incarnation, by: &loop) { return held }
    }
  }

  /// Nil if another network of that name has taken the place of the one that the job's records are of.
  private func acquire(
    _ count: Int, _ job: UInt64, in incarnation: UInt64, by loop: inout BulkLoop
  ) async throws(AllocationError) -> [AddressRange]? {
    var held = try await records(of: job, deadline: loop.deadline)
    var layout = try await loop.ground().1
    var units = held.reduce(0) { $0 + layout.units(in: $1) }
    while units < count {
      let token = Self.token(job, held.count)
      guard let record = try await loop.commit(count - units, token: token, in: incarnation) else {
        return nil
      }
      layout = try await loop.ground().1
      units += layout.units(in: record)
      held.append(record)
    }
    return held.flatMap { layout.addresses($0) }
  }

  /// What a job holds that was not acknowledged; empty for a job that is unknown.
  ///
  /// - Throws: ``AllocationError``.
  /// - Complexity: One read for every sixteen commits of the job.
  public func held(
    by job: UInt64, set: Int = 0, deadline: Deadline
  ) async throws(AllocationError) -> [AddressRange] {
    var loop = BulkLoop(allocator: self, set: set, deadline: deadline)
    let (_, layout) = try await loop.ground()
    return try await records(of: job, deadline: deadline).flatMap { layout.addresses($0) }
  }

  /// Forgets a job: the caller has its own record of what it got. The addresses stay taken.
  ///
  /// - Throws: ``AllocationError``; called again, it goes on.
  public func acknowledge(_ job: UInt64, deadline: Deadline) async throws(AllocationError) {
    let count = try await records(of: job, deadline: deadline).count
    // The last first, so that what is left always begins with the first.
    for index in (0..<count).reversed() {
      try await forget(.bulk(token: Self.token(job, index)), deadline)
    }
  }

  private func forget(_ key: StoreKey, _ deadline: Deadline) async throws(AllocationError) {
    var attempts = 0
    while true {
      let entry = try await read([key], .consistent, deadline)[key] ?? .absent
      guard entry != .absent else { return }
      switch await store.commit(
        [.delete(key, expected: entry.revision)], cursors: [:], deadline: deadline)
      {
      case .committed: return
      case .refused(let error): throw .store(error)
      case .conflict, .unavailable, .tooLarge, .unknown: break
      }
      attempts += 1
      try await pause(attempts, deadline, "a record of a bulk acquisition could not be deleted")
    }
  }

  // MARK: - Records

  /// The token of a job's commit: the same whoever computes it.
  static func token(_ job: UInt64, _ index: Int) -> UInt64 {
    var hash = StableHash()
    hash.combine(job)
    hash.combine(UInt64(index))
    return hash.value
  }

  private static let recordsPerRead = 16

  private func records(
    of job: UInt64, deadline: Deadline
  ) async throws(AllocationError) -> [[OffsetRange]] {
    var records: [[OffsetRange]] = []
    while true {
      let keys = (0..<Self.recordsPerRead).map {
        StoreKey.bulk(token: Self.token(job, records.count + $0))
      }
      let entries = try await read(Set(keys), .consistent, deadline)
      for key in keys {
        switch entries[key]?.value {
        case nil: return records
        case .bulk(let ranges): records.append(ranges)
        default: throw .damaged("the record of a bulk acquisition, \(key), cannot be read")
        }
      }
    }
  }

  func read(
    _ keys: Set<StoreKey>, _ consistency: Consistency, _ deadline: Deadline
  ) async throws(AllocationError) -> [StoreKey: StoreEntry] {
    do {
      return try await store.read(keys, consistency: consistency, deadline: deadline)
    } catch {
      throw .store(error)
    }
  }

  /// Waits as somebody who lost a race does.
  func pause(
    _ attempts: Int, _ deadline: Deadline, _ trouble: String
  ) async throws(AllocationError) {
    guard surroundings.remaining(until: deadline) > 0 else {
      throw .deadlineExceeded("\(trouble) before the deadline, after \(attempts) attempts")
    }
    let wait = Backoff().wait(
      conflicts: attempts, age: 0, lifetime: .max, random: surroundings.random())
    await surroundings.sleep(min(wait, surroundings.remaining(until: deadline)))
  }
}

extension SetLayout {
  /// The units in the intervals of a record.
  func units(in record: [OffsetRange]) -> Int {
    record.reduce(0) { sum, range in
      guard let pool = pool(of: range), let addresses = addresses(range),
        let first = pool.ordinal(of: addresses.first), let last = pool.ordinal(of: addresses.last)
      else { return sum }
      return sum + Int(truncatingIfNeeded: (last.offset &- first.offset).low) + 1
    }
  }

  func addresses(_ record: [OffsetRange]) -> [AddressRange] { record.compactMap(addresses) }

  private func addresses(_ range: OffsetRange) -> AddressRange? {
    guard let family = pools.first?.geometry.subnet.family,
      let first = IPAddress(family: family, value: range.first),
      let last = IPAddress(family: family, value: range.last)
    else { return nil }
    return AddressRange(first: first, last: last)
  }

  /// The pool that an interval of addresses is from; a set has one family, its pools are disjoint.
  private func pool(of range: OffsetRange) -> PoolGeometry? {
    guard let first = addresses(range)?.first else { return nil }
    return pools.lazy.map(\.geometry).first { $0.subnet.contains(first) }
  }
}
