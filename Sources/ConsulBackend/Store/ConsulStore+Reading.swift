import AddressSpace
import BitmapAllocator
public import IPAM
import Synchronization

// Reads. A single key is read by plain GET, where an ACL's denial shows (in transactions and listings
// what the token may not see is left out silently). A snapshot is one read-only transaction, or two
// equal passes of several where there are more keys than a transaction may have operations.

extension ConsulStore {
  /// Reads keys in parallel, as far as the node's own copy does not serve.
  public func read(
    _ keys: Set<StoreKey>, consistency: Consistency, deadline: Deadline
  ) async throws(StoreError) -> [StoreKey: StoreEntry] {
    var answer: [StoreKey: StoreEntry] = [:]
    var asked: [StoreKey] = []
    for key in keys {
      if case .cursor(let set) = key {
        answer[key] = local.cursor(set).map { StoreEntry(.cursor($0), .absent) } ?? .absent
      } else if consistency <= .cached, let known = copy(of: key) {
        answer[key] = known
      } else if consistency > .copies {
        asked.append(key)
      }
    }
    guard !asked.isEmpty else { return answer }
    // A snapshot has room for a transaction's keys, and none for guesses.
    if consistency < .snapshot { asked += hints(asked) }
    let read =
      consistency == .snapshot
      ? try await snapshot(asked, deadline)
      : try await get(
        asked, consistency == .consistent ? .consistent : client.configuration.consistency, deadline
      )
    return answer.merging(read) { _, new in new }
  }

  private func get(
    _ keys: [StoreKey], _ consistency: ReadConsistency, _ deadline: Deadline
  ) async throws(StoreError) -> [StoreKey: StoreEntry] {
    if keys.count == 1 {
      return [keys[0]: try await get(keys[0], consistency, deadline)]
    }
    let results = await withTaskGroup(
      of: (StoreKey, Result<StoreEntry, StoreError>).self
    ) { group in
      for key in keys {
        group.addTask {
          do throws(StoreError) {
            return (key, .success(try await self.get(key, consistency, deadline)))
          } catch {
            return (key, .failure(error))
          }
        }
      }
      var results: [(StoreKey, Result<StoreEntry, StoreError>)] = []
      for await result in group { results.append(result) }
      return results
    }
    var answer: [StoreKey: StoreEntry] = [:]
    for (key, result) in results { answer[key] = try result.get() }
    return answer
  }

  func get(
    _ key: StoreKey, _ consistency: ReadConsistency, _ deadline: Deadline
  ) async throws(StoreError) -> StoreEntry {
    guard let name = schema.name(key) else { return .absent }
    let seen = newestSeen(key)
    let level = consistency == .stale && takeMoved(key) ? .default : consistency
    let entry = try await ask(name, level, deadline)
    if let entry {
      if entry.modifyIndex < seen {
        // A deposed leader may answer so for a moment; only a confirmed answer counts.
        guard consistency == .consistent else { return try await get(key, .consistent, deadline) }
        noteOlderState(key, seenAt: seen)
      }
      keep(entry, for: key)
      let stored = decode(entry.value, Revision(entry.modifyIndex), for: key)
      guard case .attachment(let attachment) = key, consistency == .consistent,
        try await fenceRelease(attachment, stored, deadline)
      else { return stored }
      return try await getFenced(key, name, deadline)
    }
    if key == .definition { try await refuseAncestorsData(deadline) }
    if case .chunk(let chunk) = key, seen > 0 {
      guard consistency == .consistent else { return try await get(key, .consistent, deadline) }
      if try await isLost(chunk, seenAt: seen, deadline) { noteOlderState(key, seenAt: seen) }
    }
    if case .attachment(let attachment) = key {
      if consistency == .consistent { local.endRelease(attachment, isGone: true) }
      if isBesideAncestor.load(ordering: .relaxed) {
        try await refuseAncestorsContainer(attachment.container, deadline)
      }
      if try await fencePending(attachment, deadline) {
        return try await getFenced(key, name, deadline)
      }
    }
    return .absent
  }

  /// A key by plain GET, again and again where the server could not serve it just now.
  func ask(
    _ name: String, _ consistency: ReadConsistency, _ deadline: Deadline
  ) async throws(StoreError) -> KVEntry? {
    try await retrying(deadline) { () async throws(ConsulError) in
      try await self.client.get(name, consistency: consistency, deadline: self.instant(deadline))
    }
  }

  /// An attachment that no late copy can change; where no file can be removed, there may be word of some.
  private func getFenced(
    _ key: StoreKey, _ name: String, _ deadline: Deadline
  ) async throws(StoreError) -> StoreEntry {
    let entry = try await ask(name, .consistent, deadline)
    return entry.map { decode($0.value, Revision($0.modifyIndex), for: key) } ?? .absent
  }

  /// Whether a chunk that this node has seen is missing only because the store went back. Nothing removes
  /// a chunk of a pool while the definition stays as it is; a change of it, or a network of that name
  /// made anew, is newer than what was seen.
  func isLost(
    _ chunk: ChunkKey, seenAt seen: UInt64, _ deadline: Deadline
  ) async throws(StoreError) -> Bool {
    let stored = try await storedDefinition(deadline: deadline)
    guard case .definition(let definition) = stored.value, stored.revision.number < seen,
      newestSeen(.chunk(chunk)) >= seen, let layouts = try? definition.layouts()
    else { return false }
    return layouts.contains { $0.pools.contains { $0.geometry == chunk.pool } }
  }

  private func snapshot(
    _ keys: [StoreKey], _ deadline: Deadline
  ) async throws(StoreError) -> [StoreKey: StoreEntry] {
    let limit = client.operationLimit
    if keys.count <= limit { return try await snapshotPass(keys, deadline) }
    var before = try await snapshotPasses(keys, limit, deadline)
    while true {
      let after = try await snapshotPasses(keys, limit, deadline)
      if before == after { return after }
      before = after
      if surroundings.remaining(until: deadline) == 0 {
        throw StoreError(.unavailable, "no two equal readings of \(keys.count) keys in time")
      }
    }
  }

  private func snapshotPasses(
    _ keys: [StoreKey], _ limit: Int, _ deadline: Deadline
  ) async throws(StoreError) -> [StoreKey: StoreEntry] {
    var answer: [StoreKey: StoreEntry] = [:]
    for start in stride(from: 0, to: keys.count, by: limit) {
      let part = Array(keys[start..<min(start + limit, keys.count)])
      answer.merge(try await snapshotPass(part, deadline)) { _, new in new }
    }
    return answer
  }

  /// One transaction. A missing key fails it, so it is sent again with that key checked for absence,
  /// until a transaction finds all as expected: then they were so at one moment.
  private func snapshotPass(
    _ keys: [StoreKey], _ deadline: Deadline
  ) async throws(StoreError) -> [StoreKey: StoreEntry] {
    var missing: Set<Int> = []
    let names = keys.compactMap(schema.name)
    guard names.count == keys.count else {
      throw StoreError(.refused, "a snapshot of keys that are not kept in Consul")
    }
    let seen = keys.map(newestSeen)
    while true {
      let operations = names.indices.map { index -> TransactionOperation in
        missing.contains(index) ? .checkNotExists(key: names[index]) : .get(key: names[index])
      }
      let outcome = await client.transaction(
        operations, consistency: .consistent, deadline: instant(deadline))
      switch outcome {
      case .committed(let results):
        var answer: [StoreKey: StoreEntry] = [:]
        let found = Dictionary(results.map { ($0.key, $0) }) { first, _ in first }
        for (key, name) in zip(keys, names) {
          answer[key] =
            found[name].map { decode($0.value, Revision($0.modifyIndex), for: key) } ?? .absent
        }
        // What is older than it was seen is judged, and remembered, when it is read by itself.
        for (key, seen) in zip(keys, seen) where (answer[key]?.revision.number ?? 0) < seen {
          _ = try await get(key, .consistent, deadline)
        }
        return answer
      case .conflict(let failed): missing.formSymmetricDifference(failed.map(\.operation))
      case .refused(let refusal):
        guard case .tooManyOperations = refusal.reason, keys.count > client.operationLimit else {
          throw StoreError(.refused, refusal.description)
        }
        return try await snapshot(keys, deadline)
      case .notApplied(let fault), .unknown(let fault):
        guard !fault.reason.isUnreachable, surroundings.remaining(until: deadline) > 0 else {
          throw StoreError(.unavailable, fault.description)
        }
        await surroundings.sleep(2_000_000 + surroundings.random() % 20_000_000)
      }
    }
  }

  /// Visits the entries of a kind, one `?recurse` answer in all.
  public func list(
    _ kind: StoreListing, deadline: Deadline,
    _ visit: (StoreKey, StoreEntry) throws(StoreError) -> Void
  ) async throws(StoreError) {
    let entries = try await retrying(deadline) { () async throws(ConsulError) in
      try await self.client.list(
        self.schema.prefix(of: kind), consistency: .consistent,
        deadline: self.instant(deadline))
    }
    for entry in entries {
      guard let key = schema.key(entry.key) else { continue }
      try visit(key, decode(entry.value, Revision(entry.modifyIndex), for: key))
    }
  }

  /// Repeats a read that the server could not serve just now, until the deadline; a server that is
  /// not there at all is reported at once. What it said tells more than that the last time was too short.
  func retrying<Value: Sendable>(
    _ deadline: Deadline, _ body: () async throws(ConsulError) -> Value
  ) async throws(StoreError) -> Value {
    var pause: UInt64 = 2_000_000
    var answer: ConsulFault?
    while true {
      do throws(ConsulError) {
        return try await body()
      } catch {
        switch error {
        case .refused(let refusal): throw StoreError(.refused, refusal.description)
        case .notApplied(let fault), .unknown(let fault):
          if case .timedOut = fault.reason {} else { answer = fault }
          let left = surroundings.remaining(until: deadline)
          if fault.reason.isUnreachable || fault.reason == .cancelled || left <= pause {
            throw StoreError(.unavailable, (answer ?? fault).description)
          }
        }
      }
      await surroundings.sleep(pause / 2 + surroundings.random() % pause)
      pause = min(pause * 2, 500_000_000)
    }
  }
}
