import AddressSpace
import BitmapAllocator

// The loop that performs what a bulk draft decides: read, commit, and after an unknown outcome the
// identical commit again until the record, or a chunk that moved, tells what became of it.

struct BulkLoop {
  let allocator: BulkAllocator
  let set: Int
  let deadline: Deadline
  private var view = View()
  private var known: (definition: NetworkDefinition, layout: SetLayout)?

  init(allocator: BulkAllocator, set: Int, deadline: Deadline) {
    self.allocator = allocator
    self.set = set
    self.deadline = deadline
  }

  /// The definition that rules, created if there is none, and the set's layout.
  mutating func ground() async throws(AllocationError) -> (NetworkDefinition, SetLayout) {
    if let known { return known }
    var attempts = 0
    while true {
      // Also where the store went back: a repair ends that by another incarnation of the definition.
      try await read([.definition], .consistent)
      switch view[.definition]?.value {
      case .definition(let definition):
        let ground = (definition, try layout(of: definition))
        known = ground
        return ground
      case .damaged(let text): throw .store(StoreError(.damaged, text))
      default: break
      }
      guard var definition = allocator.definition else {
        throw .undefinedNetwork(allocator.networkName)
      }
      _ = try layout(of: definition)
      try await refuseLeases()
      definition.incarnation = allocator.surroundings.random()
      // Whoever creates it, the next read tells.
      let creation = StoreOperation.put(.definition, .definition(definition), expected: .absent)
      if case .refused(let error) = await allocator.store.commit(
        [creation], cursors: [:], deadline: deadline)
      {
        throw .store(error)
      }
      attempts += 1
      try await allocator.pause(attempts, deadline, "the network could not be defined")
    }
  }

  private mutating func read(
    _ keys: Set<StoreKey>, _ consistency: Consistency
  ) async throws(AllocationError) {
    view.learn(try await allocator.read(keys, consistency, deadline), consistency: consistency)
    guard !allocator.store.traits.hasGoneBack else {
      throw .storeWentBack(network: allocator.networkName)
    }
  }

  /// A deletion that was interrupted, or a definition that was lost, leaves leases. A network that looks
  /// at none would hand their addresses out again.
  private func refuseLeases() async throws(AllocationError) {
    var count = 0
    do {
      try await allocator.store.list(.leases, deadline: deadline) {
        (_, _) throws(StoreError) in count += 1
      }
    } catch {
      throw .store(error)
    }
    guard count > 0 else { return }
    throw .invalidDefinition(
      NetworkDefinitionError(
        "\(count.counted("lease")) of an earlier network \(allocator.networkName) would be handed out "
          + "again: ipamctl network delete \(allocator.networkName) --force"))
  }

  private func layout(of definition: NetworkDefinition) throws(AllocationError) -> SetLayout {
    guard definition.kind == .bare else {
      throw .invalidDefinition(
        NetworkDefinitionError(
          "network \(definition.name) keeps leases (kind leased); bulk acquisition needs kind bare")
      )
    }
    do throws(NetworkDefinitionError) {
      try definition.checkPoolsDisjoint()
      let layouts = try definition.layouts()
      guard layouts.indices.contains(set) else {
        throw NetworkDefinitionError(
          "network \(definition.name) has no range set \(set), only \(layouts.count)")
      }
      return layouts[set]
    } catch {
      throw .invalidDefinition(error)
    }
  }

  // MARK: - One commit

  /// Takes up to `wanted` units in one commit; what its record says. Nil if another incarnation of the
  /// network rules.
  mutating func commit(
    _ wanted: Int, token: UInt64, in incarnation: UInt64
  ) async throws(AllocationError) -> [OffsetRange]? {
    var races = 0
    view.beginRound()
    while true {
      // Another definition may rule since a commit was lost.
      let (definition, layout) = try await ground()
      guard definition.incarnation == incarnation else { return nil }
      var draft = BulkDraft(
        definition: definition, layout: layout, node: allocator.node,
        operationLimit: allocator.store.traits.operationLimit, token: token,
        now: allocator.surroundings.now(), setsMarks: races == 0)
      switch draft.plan(wanted, view) {
      case .read(let keys, let consistency):
        try await read(keys, consistency)
        continue
      case .exhausted:
        throw .exhausted(Exhaustion(definition, set: set, layout))
      case .nothingNow:
        view = View()
        _ = try await reread()
        races += 1
        try await allocator.pause(max(races, 6), deadline, "only resting addresses are left")
      case .commit(let commit, let record):
        let limit = draft.operationLimit
        if let taken = try await send(commit, record) { return taken }
        // What was only too large is planned again at once, marks and all.
        guard allocator.store.traits.operationLimit == limit else { continue }
        races += 1
        try await allocator.pause(races, deadline, "other writers kept winning")
      }
      if let taken = try await record(token) { return taken }
    }
  }

  /// Sends a commit until its outcome is known; nil if it did not happen and never will.
  private mutating func send(
    _ commit: Commit, _ record: BulkRecord
  ) async throws(AllocationError) -> [OffsetRange]? {
    var doubts = 0
    while true {
      switch await allocator.store.commit(commit.operations, cursors: [:], deadline: deadline) {
      case .committed(let revision):
        view.apply(commit.operations, revision)
        return record.ranges
      case .conflict(let indices):
        for index in indices { view.forget(commit.operations[index].key) }
        do throws(AllocationError) {
          if let taken = try await self.record(commit.token) { return taken }
          try await reread()
        } catch {
          throw doubts == 0 ? error : .outcomeUnknown(unknown(error.description))
        }
        if doubts == 0 || isPast(commit, indices) { return nil }
        // The record came and went: only a chunk that moves keeps late copies out.
        try await fence(commit)
        return nil
      case .tooLarge, .unavailable:
        if doubts == 0 { return nil }
        guard allocator.surroundings.remaining(until: deadline) > 0 else {
          throw .outcomeUnknown(unknown("the store turned a copy away"))
        }
      case .refused(let error):
        if doubts == 0 { throw .store(error) }
        throw .outcomeUnknown(unknown(error.description))
      case .unknown(let text):
        doubts += 1
        guard allocator.surroundings.remaining(until: deadline) > 0 else {
          throw .outcomeUnknown(unknown(text))
        }
      }
      try await allocator.pause(doubts + 1, deadline, "the outcome of a commit stayed unknown")
    }
  }

  private func unknown(_ reason: String) -> String {
    "a bulk commit was sent and its outcome is not known (\(reason)); call again with the same job"
  }

  /// Whether no copy of the commit can succeed any more.
  private func isPast(_ commit: Commit, _ indices: [Int]) -> Bool {
    indices.contains { commit.operations[$0].movesForGood }
      || commit.operations.contains { operation in
        operation.movesForGood
          && view[operation.key].map { $0.revision != operation.expected } == true
      }
  }

  private mutating func fence(_ commit: Commit) async throws(AllocationError) {
    let token = allocator.surroundings.random()
    guard let fence = commit.fence(token: token, { view[$0] }) else {
      throw .outcomeUnknown(unknown("its chunks are not seen as they were"))
    }
    switch await allocator.store.commit(fence.operations, cursors: [:], deadline: deadline) {
    case .committed, .conflict: for operation in fence.operations { view.forget(operation.key) }
    case .unavailable(let text), .unknown(let text): throw .outcomeUnknown(unknown(text))
    case .refused(let error): throw .outcomeUnknown(unknown(error.description))
    case .tooLarge: throw .outcomeUnknown(unknown("the store takes no operation"))
    }
  }

  /// What the record of a token says, if it is there: the commit happened, by this process or by
  /// another of the same job.
  private mutating func record(
    _ token: UInt64
  ) async throws(AllocationError) -> [OffsetRange]? {
    let key = StoreKey.bulk(token: token)
    let entry = try await allocator.read([key], .consistent, deadline)[key]
    guard case .bulk(let ranges)? = entry?.value else { return nil }
    view = View()
    _ = try await reread()
    return ranges
  }

  private mutating func reread() async throws(AllocationError) {
    known = nil
    _ = try await ground()
  }
}
