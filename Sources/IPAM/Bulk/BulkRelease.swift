public import AddressSpace
import BitmapAllocator

// Giving many addresses back. A commit clears the bits of as many chunks as it has operations for,
// with the parents' bits where a chunk was reported full. A bit that was cleared may be somebody
// else's at once, so an outcome that cannot be proved is told to the caller, never guessed: the last
// four writers of a chunk tell, as long as no more than four have written since.

extension BulkAllocator {
  /// Gives units back: those whose addresses all lie in `ranges`.
  ///
  /// - Parameters:
  ///   - ranges: Inclusive ranges that the caller holds.
  ///   - set: The range set that they were taken from.
  ///   - deadline: When to give up.
  /// - Throws: ``AllocationError``: ``AllocationError/requestedElsewhere(_:)`` with the first address
  ///   that the set does not hand out or nobody holds. What was given back before stays so; the
  ///   ranges are given back in their order.
  /// - Complexity: One commit for up to half as many chunks as a commit has operations.
  public func release(
    _ ranges: [AddressRange], set: Int = 0, deadline: Deadline
  ) async throws(AllocationError) {
    var loop = BulkLoop(allocator: self, set: set, deadline: deadline)
    let (definition, layout) = try await loop.ground()
    var pieces: [(key: ChunkKey, bits: ClosedRange<Int>)] = []
    for range in ranges { pieces += try layout.pieces(of: range) }
    while !pieces.isEmpty {
      // A chunk and its parent are two operations.
      let room = max(1, store.traits.operationLimit / 2)
      var keys: Set<ChunkKey> = []
      let count =
        pieces.firstIndex { piece in
          keys.insert(piece.key)
          return keys.count > room
        } ?? pieces.count
      try await release(Array(pieces[..<count]), definition, deadline)
      pieces.removeFirst(count)
    }
  }

  private func release(
    _ pieces: [(key: ChunkKey, bits: ClosedRange<Int>)], _ definition: NetworkDefinition,
    _ deadline: Deadline
  ) async throws(AllocationError) {
    var attempts = 0
    while true {
      let (commit, seen) = try await releaseDraft(pieces, definition, deadline)
      switch try await outcome(of: commit, seen, deadline) {
      case .happened: return
      case .lost: attempts += 1
      }
      try await pause(attempts, deadline, "other writers kept winning")
    }
  }

  private typealias Seen = [StoreKey: StoreEntry]

  private func releaseDraft(
    _ pieces: [(key: ChunkKey, bits: ClosedRange<Int>)], _ definition: NetworkDefinition,
    _ deadline: Deadline
  ) async throws(AllocationError) -> (Commit, Seen) {
    var keys: Set<StoreKey> = []
    for piece in pieces {
      var node: TreeNode? = piece.key.node
      while let next = node {
        keys.insert(.chunk(ChunkKey(pool: piece.key.pool, node: next)))
        node = piece.key.pool.parent(of: next)?.node
      }
    }
    let seen = try await read(keys, .consistent, deadline)
    var chunks: [ChunkKey: Chunk] = [:]
    for piece in pieces {
      guard var chunk = chunks[piece.key] ?? seen[.chunk(piece.key)]?.chunk,
        chunk.incarnation == definition.incarnation
      else { throw notHeld(piece.key, piece.bits.lowerBound) }
      for bit in piece.bits {
        let isReleased = chunk.release(
          bit, now: surroundings.now(), cooldown: UInt64(definition.cooldown.seconds))
        guard isReleased else { throw notHeld(piece.key, bit) }
      }
      chunks[piece.key] = chunk
      clearMarks(above: piece.key, seen, &chunks)
    }
    let token = surroundings.random()
    let operations = chunks.map { key, chunk in
      var chunk = chunk
      chunk.stamp(writer: token)
      return StoreOperation.put(
        .chunk(key), .chunk(chunk), expected: seen[.chunk(key)]?.revision ?? .absent)
    }
    return (Commit(operations: operations, cursors: [:], token: token), seen)
  }

  private func clearMarks(
    above key: ChunkKey, _ seen: Seen, _ chunks: inout [ChunkKey: Chunk]
  ) {
    var key = key
    while var child = chunks[key] ?? seen[.chunk(key)]?.chunk,
      let mark = TreeMark.toClear(for: key.node, child, in: key.pool)
    {
      let above = ChunkKey(pool: key.pool, node: mark.parent)
      guard var parent = chunks[above] ?? seen[.chunk(above)]?.chunk else { return }
      mark.clear(child: &child, parent: &parent)
      chunks[key] = child
      chunks[above] = parent
      key = above
    }
  }

  private func notHeld(_ key: ChunkKey, _ bit: Int) -> AllocationError {
    .requestedElsewhere([key.pool.address(of: key.pool.ordinal(of: key.node, bit: bit))])
  }

  private enum Ending {
    case happened
    case lost
  }

  private func outcome(
    of commit: Commit, _ seen: Seen, _ deadline: Deadline
  ) async throws(AllocationError) -> Ending {
    var doubts = 0
    while true {
      let text: String
      switch await store.commit(commit.operations, cursors: [:], deadline: deadline) {
      case .committed: return .happened
      case .conflict:
        return doubts == 0 ? .lost : try await judge(commit, deadline)
      case .refused(let error):
        if doubts == 0 { throw .store(error) }
        throw .outcomeUnknown(unknown(error.description))
      case .tooLarge, .unavailable:
        if doubts == 0 { return .lost }
        text = "the store turned a copy away"
      case .unknown(let reason):
        doubts += 1
        text = reason
      }
      guard surroundings.remaining(until: deadline) > 0 else {
        throw .outcomeUnknown(unknown(text))
      }
      try await pause(doubts + 1, deadline, "the outcome of a release stayed unknown")
    }
  }

  /// After a conflict no copy can succeed any more, since chunks only move on: was one of them ours?
  private func judge(
    _ commit: Commit, _ deadline: Deadline
  ) async throws(AllocationError) -> Ending {
    let now: Seen
    do {
      now = try await read(Set(commit.operations.map(\.key)), .consistent, deadline)
    } catch {
      throw .outcomeUnknown(unknown(error.description))
    }
    if let hasHappened = commit.hasHappened({ now[$0] }) { return hasHappened ? .happened : .lost }
    throw .outcomeUnknown(unknown("others have written too often since"))
  }

  private func unknown(_ reason: String) -> String {
    "a bulk release was sent and its outcome is not known (\(reason)); the addresses may be "
      + "somebody else's by now and must not be given back again without a look"
  }
}

extension SetLayout {
  /// A range, cut into the bits of chunks.
  ///
  /// - Throws: ``AllocationError/requestedElsewhere(_:)`` if it is not of whole units that the set
  ///   hands out.
  func pieces(
    of range: AddressRange
  ) throws(AllocationError) -> [(key: ChunkKey, bits: ClosedRange<Int>)] {
    guard let space = pools.first(where: { $0.geometry.subnet.contains(range.first) }),
      let first = space.geometry.ordinal(of: range.first),
      let last = space.geometry.ordinal(of: range.last),
      space.geometry.prefix(of: first).first == range.first,
      space.geometry.prefix(of: last).last == range.last,
      let ordinals = OffsetRange(first: first.offset, last: last.offset),
      space.allowed.contains(ordinals)
    else { throw .requestedElsewhere([range.first]) }
    let pool = space.geometry
    var pieces: [(key: ChunkKey, bits: ClosedRange<Int>)] = []
    var next = ordinals.first
    while true {
      let (node, bit) = pool.node(of: Ordinal(next))
      let left = ordinals.last &- next
      let room = Offset(UInt64(1 << pool.chunkBits - 1 - bit))
      let step = min(left, room)
      pieces.append((ChunkKey(pool: pool, node: node), bit...bit + Int(step.low)))
      if step == left { return pieces }
      next = next &+ step &+ .one
    }
  }
}
