public import AddressSpace
import BitmapAllocator

// A network that an export describes, made again where nothing is. While it is incomplete nobody may
// be given an address that the export says is held, so the definition that stands meanwhile excludes
// every address:
//
//   nothing ──▶ closed definition ──▶ attachments and marks, a commit at a time ──▶ the definition
//                    └ interrupted: the same export goes on from here
//
// What tells that it is the same export is the definition's incarnation, which the caller derives from
// it. Attachments are taken over by ``Adoption``; what has no attachment is marked here.

/// What an export says of addresses that no attachment holds.
public enum RestoredMark: Hashable, Sendable {
  /// Released at this time, in seconds since 1970; not to be handed out until it has cooled down.
  case cooling(IPAddress, since: UInt64)
  /// Taken, in a network without leases; whole units of its pool.
  case taken(AddressRange)
}

/// Makes a network again in a store that keeps its definition.
public struct Restoration: Sendable {
  /// What stood there when it began.
  public enum Beginning: Hashable, Sendable {
    /// Nothing; the closed definition stands now.
    case fresh
    /// A restoration of the same export that was interrupted.
    case resumed
    /// The restored network: nothing is left to do.
    case complete
    /// Something else: nothing was changed.
    case occupied
  }

  private let repairer: Repairer
  private let definition: NetworkDefinition

  /// A restoration.
  ///
  /// - Parameters:
  ///   - definition: What the network will be; its incarnation is the same for each run over one
  ///     export and for nothing else.
  ///   - store: The network's store.
  ///   - surroundings: Clock, randomness and sleep.
  public init(
    of definition: NetworkDefinition, in store: any AllocationStore, surroundings: Surroundings
  ) {
    self.definition = definition
    repairer = Repairer(of: store, networkName: definition.name, surroundings: surroundings)
  }

  private var store: any AllocationStore { repairer.store }
  private var surroundings: Surroundings { repairer.surroundings }

  /// The definition with every address excluded.
  package var closed: NetworkDefinition {
    var closed = definition
    closed.exclusions = definition.rangeSets.flatMap(\.ranges).map(\.subnet.range)
    return closed
  }

  /// Finds out what is there, and closes an empty place.
  ///
  /// - Parameter dryRun: Only find out.
  /// - Throws: ``AllocationError`` if the store fails.
  /// - Complexity: O(n) in the network's keys if it has no definition, else one round trip.
  public func begin(dryRun: Bool, deadline: Deadline) async throws(AllocationError) -> Beginning {
    while true {
      let entry = try await stored(deadline)
      switch entry.value {
      case .definition(definition): return .complete
      case .definition(closed): return .resumed
      case nil where try await isEmpty(deadline):
        if dryRun { return .fresh }
        let put = StoreOperation.put(.definition, .definition(closed), expected: .absent)
        if try await repairer.commit([put], deadline) != nil { return .fresh }
      default: return .occupied
      }
      try checkTime(deadline)
    }
  }

  /// Marks addresses, a chunk's all in one commit; those that are taken already stay as they are,
  /// and those that have cooled down meanwhile are free.
  ///
  /// - Returns: Marks that were made or found.
  /// - Throws: ``AllocationError``; of marks outside the pools ``AllocationError/damaged(_:)``.
  /// - Complexity: O(n) in the marked bits; a commit for each chunk.
  public func mark(
    _ marks: [RestoredMark], deadline: Deadline
  ) async throws(AllocationError) -> Int {
    let now = surroundings.now()
    let cooldown = UInt64(definition.cooldown.seconds)
    var wanted: [ChunkKey: [Wish]] = [:]
    var count = 0
    for mark in marks {
      if case .cooling(_, let since) = mark, since.addingSaturated(cooldown) <= now { continue }
      try place(mark) { (key, wish) throws(AllocationError) in
        wanted[key, default: []].append(wish)
        guard wanted.count <= Self.largestChunkCount else {
          throw .damaged("what is taken lies in more than \(Self.largestChunkCount) chunks")
        }
      }
      count += 1
    }
    for (key, wishes) in wanted {
      let sorted = wishes.sorted { ($0.since ?? 0) < ($1.since ?? 0) }
      while try await !mark(key, sorted, cooldown, deadline) { try checkTime(deadline) }
    }
    return count
  }

  /// Opens the network: the definition as it was exported takes the place of the closed one.
  ///
  /// - Throws: ``AllocationError``; ``AllocationError/damaged(_:)`` if somebody changed it meanwhile.
  /// - Complexity: two round trips.
  public func finish(deadline: Deadline) async throws(AllocationError) {
    while true {
      let entry = try await stored(deadline)
      if entry.value == .definition(definition) { return }
      guard entry.value == .definition(closed) else {
        throw .damaged("somebody changed the definition during the import")
      }
      let put = StoreOperation.put(
        .definition, .definition(definition), expected: entry.revision)
      if try await repairer.commit([put], deadline) != nil { return }
      try checkTime(deadline)
    }
  }

  // MARK: - Chunks

  /// Chunks that marks may lie in: 2^20 of them are 256 million addresses, and more than Consul holds
  /// well. A line of an export can name all of IPv6.
  static let largestChunkCount = 1 << 20

  private struct Wish {
    let bits: ClosedRange<Int>
    let since: UInt64?
  }

  /// Cuts a mark at the edges of its chunks.
  private func place(
    _ mark: RestoredMark, _ add: (ChunkKey, Wish) throws(AllocationError) -> Void
  ) throws(AllocationError) {
    let (first, last, since): (IPAddress, IPAddress, UInt64?) =
      switch mark {
      case .cooling(let address, let since): (address, address, since)
      case .taken(let range): (range.first, range.last, nil)
      }
    for pool in try pools() {
      guard let low = pool.ordinal(of: first), let high = pool.ordinal(of: last) else { continue }
      var next = low.offset
      while true {
        let (node, bit) = pool.node(of: Ordinal(next))
        let inChunk = pool.ordinals(of: node).last
        let end = min(inChunk, high.offset)
        let count = (end &- next).int ?? 0
        try add(
          ChunkKey(pool: pool, node: node), Wish(bits: bit...bit + count, since: since))
        if end == high.offset { return }
        next = end &+ .one
      }
    }
    throw .damaged("\(first) lies in none of the network's pools")
  }

  private func pools() throws(AllocationError) -> Set<PoolGeometry> {
    do {
      return Set(try definition.layouts().flatMap(\.pools).map(\.geometry))
    } catch {
      throw .invalidDefinition(error)
    }
  }

  /// Whether the chunk is as wanted now; false to look again.
  private func mark(
    _ key: ChunkKey, _ wishes: [Wish], _ cooldown: UInt64, _ deadline: Deadline
  ) async throws(AllocationError) -> Bool {
    let now = surroundings.now()
    let current = try await stored(deadline)
    let entry = try await read(.chunk(key), deadline)
    var chunk: Chunk
    if entry == .absent {
      let isBare = definition.kind == .bare
      chunk = Chunk(
        chunkBits: key.pool.chunkBits, incarnation: definition.incarnation,
        features: ChunkFeatures(incompatible: isBare ? [.bare] : []))
    } else if let stored = entry.chunk, stored.incarnation == definition.incarnation {
      chunk = stored
    } else {
      throw .damaged("\(key) cannot be read: repair the network first")
    }
    var isChanged = false
    for wish in wishes {
      for bit in wish.bits where !chunk.bitmap.isTaken(bit) {
        // A release at the time it happened; the buckets take it, oldest first.
        let time = wish.since ?? now
        isChanged = chunk.acquire(bit: bit, now: time, cooldown: cooldown) || isChanged
        if wish.since != nil { chunk.release(bit, now: time, cooldown: cooldown) }
      }
    }
    guard isChanged else { return true }
    chunk.stamp(writer: surroundings.random())
    let operations: [StoreOperation] = [
      .check(.definition, current.revision),
      .put(.chunk(key), .chunk(chunk), expected: entry.revision),
    ]
    return try await repairer.commit(operations, deadline) != nil
  }

  // MARK: - Reading

  private func stored(_ deadline: Deadline) async throws(AllocationError) -> StoreEntry {
    try await read(.definition, deadline)
  }

  private func read(
    _ key: StoreKey, _ deadline: Deadline
  ) async throws(AllocationError) -> StoreEntry {
    do {
      return try await store.read([key], consistency: .consistent, deadline: deadline)[key]
        ?? .absent
    } catch {
      throw .store(error)
    }
  }

  private func isEmpty(_ deadline: Deadline) async throws(AllocationError) -> Bool {
    var isEmpty = true
    for kind in [StoreListing.chunks, .leases, .attachments(node: nil), .macs] where isEmpty {
      do {
        try await store.list(kind, deadline: deadline) { _, _ in isEmpty = false }
      } catch {
        throw .store(error)
      }
    }
    return isEmpty
  }

  private func checkTime(_ deadline: Deadline) throws(AllocationError) {
    guard surroundings.remaining(until: deadline) > 0 else {
      throw .deadlineExceeded("other writers kept winning; run the import again")
    }
  }
}

extension UInt64 {
  fileprivate func addingSaturated(_ other: UInt64) -> UInt64 {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? .max : sum
  }
}
