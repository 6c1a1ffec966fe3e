internal import AddressSpace
internal import BitmapAllocator
public import IPAM

// Removing a network beside nodes that still use it. The definition goes first, by its revision and
// after it was announced: from then on no commit that goes by it can happen. Only then is it known
// for sure whether anybody holds an address; if so the definition is put back as it was. Everything
// else goes at the revisions listed after that, so that a network which is made again meanwhile
// under the same name keeps what is its own.

/// What became of a removal.
public enum NetworkRemoval: Hashable, Sendable {
  /// All keys are gone; how many there were.
  case removed(keys: Int)
  /// There was none.
  case absent
  /// Addresses are held, or marked in a network without leases; nothing was removed.
  case inUse([StoreKey: StoreEntry])
  /// So many keys are none of a network's, and one of them; nothing was removed.
  case foreign(keys: Int, first: String)
  /// The definition changed meanwhile; nothing was removed.
  case changed
  /// The network was made again while the old one's keys were removed.
  case madeAgain(removed: Int)
}

extension ConsulStore {
  /// Removes all keys of the network.
  ///
  /// - Parameters:
  ///   - force: Also if addresses are held, or keys there are none of a network's.
  ///   - dryRun: Only look.
  /// - Throws: ``StoreError``; what was removed until then stays so, and the call can be repeated.
  /// - Complexity: O(n) in the keys; one commit for as many keys as a transaction may have.
  public func removeNetwork(
    force: Bool, dryRun: Bool, deadline: Deadline
  ) async throws(StoreError) -> NetworkRemoval {
    let definition = try await storedDefinition(deadline: deadline)
    var keys = try await allKeys(deadline)
    if keys.isEmpty { return .absent }
    let foreign = foreigners(keys, definition)
    if let first = foreign.first, !force { return .foreign(keys: foreign.count, first: first) }
    var held = holdings(keys, definition)
    if !held.isEmpty, !force { return .inUse(held) }
    if dryRun { return .removed(keys: keys.count) }

    var removed = 0
    if definition != .absent {
      guard let announced = try await announceChange(of: definition.revision, deadline),
        try await delete([(name(.definition), announced.number)], deadline) == 1
      else { return .changed }
      removed += 1
      keys = try await allKeys(deadline)
      held = holdings(keys, definition)
      if !held.isEmpty, !force {
        try await putBack(definition, deadline)
        return .inUse(held)
      }
    }
    for _ in 0..<Self.removalPasses {
      if keys.contains(where: { $0.key == name(.definition) }) {
        return .madeAgain(removed: removed)
      }
      if keys.isEmpty { return .removed(keys: removed) }
      removed += try await delete(keys.map { ($0.key, $0.modifyIndex) }, deadline)
      keys = try await allKeys(deadline)
    }
    throw StoreError(
      .unavailable, "keys below \(schema.base) are written faster than they can be removed")
  }

  /// Late releases move keys between the listing and the deletion; more often than this they do
  /// not.
  private static let removalPasses = 8

  private func name(_ key: StoreKey) -> String { schema.name(key) ?? "" }

  private func allKeys(_ deadline: Deadline) async throws(StoreError) -> [KVEntry] {
    try await retrying(deadline) { () async throws(ConsulError) in
      try await client.list(schema.base, consistency: .consistent, deadline: instant(deadline))
    }
  }

  /// The names that no network's key has: with a prefix that is not ours, all of somebody else's data
  /// would look like one. So would a single key `config`, but not with our definition in it.
  private func foreigners(_ keys: [KVEntry], _ definition: StoreEntry) -> [String] {
    var isDamaged = false
    if case .damaged = definition.value { isDamaged = true }
    return keys.map(\.key).filter { name in
      schema.key(name) == nil || (isDamaged && name == self.name(.definition))
    }
  }

  /// Leases, and in a network without leases chunks with bits.
  private func holdings(
    _ keys: [KVEntry], _ definition: StoreEntry
  ) -> [StoreKey: StoreEntry] {
    var isBare = false
    if case .definition(let known) = definition.value { isBare = known.kind == .bare }
    var found: [StoreKey: StoreEntry] = [:]
    for entry in keys {
      guard let key = schema.key(entry.key) else { continue }
      let value = decode(entry.value, Revision(entry.modifyIndex), for: key)
      switch (key, value.value) {
      case (.lease, _): found[key] = value
      case (.chunk(let name), .chunk(let chunk))
      where name.node.level == 0
        && (isBare || chunk.features.incompatible.contains(.bare))
        && chunk.bitmap.takenCount > chunk.cooling.count:
        found[key] = value
      default: continue
      }
    }
    return found
  }

  /// Deletes keys at these indices, as many as a transaction takes at a time; a batch that lost a
  /// race is left for the next listing. How many went.
  func delete(
    _ keys: [(name: String, index: UInt64)], _ deadline: Deadline
  ) async throws(StoreError) -> Int {
    var rest = keys[...]
    var deleted = 0
    while !rest.isEmpty {
      let batch = rest.prefix(client.operationLimit)
      let outcome = await client.transaction(
        batch.map { .deleteCAS(key: $0.name, index: $0.index) }, deadline: instant(deadline))
      switch outcome {
      case .committed:
        deleted += batch.count
        rest = rest.dropFirst(batch.count)
      case .conflict(let failed):
        // Those that moved are left; the others of the batch go again.
        let moved = Set(failed.map { batch.startIndex + $0.operation })
        let still = batch.indices.filter { !moved.contains($0) }.map { keys[$0] }
        deleted += still.isEmpty ? 0 : try await delete(still, deadline)
        rest = rest.dropFirst(batch.count)
      case .refused(let refusal):
        if case .tooManyOperations = refusal.reason, batch.count > client.operationLimit {
          continue
        }
        throw StoreError(.refused, refusal.description)
      case .notApplied(let fault), .unknown(let fault):
        // Sent again: a key that is gone already counts as deleted.
        guard !fault.reason.isUnreachable, surroundings.remaining(until: deadline) > 0 else {
          throw StoreError(.unavailable, fault.description)
        }
        await surroundings.sleep(20_000_000)
      }
    }
    return deleted
  }

  private func putBack(_ definition: StoreEntry, _ deadline: Deadline) async throws(StoreError) {
    guard let value = definition.value else { return }
    while true {
      let outcome = await commit(
        [.put(.definition, value, expected: .absent)], cursors: [:], deadline: deadline)
      switch outcome {
      case .committed, .conflict: return
      case .refused(let error): throw error
      case .tooLarge: throw StoreError(.refused, "a single operation is too large")
      case .unavailable(let text), .unknown(let text):
        guard surroundings.remaining(until: deadline) > 0 else {
          throw StoreError(
            .unavailable,
            "\(text); the definition was not put back: create the network again with its file")
        }
        await surroundings.sleep(20_000_000)
      }
    }
  }
}
