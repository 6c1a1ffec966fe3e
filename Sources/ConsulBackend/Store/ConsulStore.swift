public import AddressSpace
import BitmapAllocator
public import IPAM
import Synchronization

// One network's allocation in Consul. Values are translated, revisions are ModifyIndexes, a commit is
// one /v1/txn; what a reply means is the client's knowledge, what to do about it the planner's.

/// A network's allocation in Consul's key-value store.
public final class ConsulStore: AllocationStore {
  let client: ConsulClient
  let schema: KeySchema
  let network: String
  let prefix: String
  let local: any LocalState
  let surroundings: Surroundings
  /// Attachments of commits that were sent at least once without an answer.
  let unanswered = Mutex<Set<AttachmentKey>>([])
  /// Keys of which a commit said that they have moved: what a lagging server says of them is old.
  let moved = Mutex<Set<StoreKey>>([])

  /// Commits whose chunks stand for the definition.
  let settled = Mutex(SettledCommits())

  /// The ancestor's data were found where the network would begin.
  let isBesideAncestor = Atomic(false)

  /// Where this project's keys begin unless the configuration says otherwise.
  public static let defaultPrefix = "cni-ipam-consul"

  /// What the store's client has done so far.
  package var counters: ConsulCounters { client.counters }

  /// A store for one network.
  ///
  /// - Parameters:
  ///   - configuration: Which Consul and how to reach it.
  ///   - prefix: Where this project's keys begin.
  ///   - network: The network.
  ///   - stateDirectory: Where this node keeps copies, so that an ADD takes one round trip; nil for
  ///     nowhere.
  ///   - makesCopies: Whether to begin keeping some where there are none of this network.
  ///   - surroundings: Clock, randomness and sleep.
  public convenience init(
    _ configuration: ConsulConfiguration, prefix: String = ConsulStore.defaultPrefix,
    network: String, stateDirectory: String? = nil, makesCopies: Bool = true,
    surroundings: Surroundings
  ) {
    let schema = KeySchema(prefix: prefix, network: network)
    let local = stateDirectory.flatMap { directory -> (any LocalState)? in
      let place = "\(configuration)|\(schema.base)"
      let hash = Offset(StableHash.of(place.utf8)).hex(digits: 16)
      let name = "\(KeyName.escape(network).prefix(80))-\(hash)"
      let folder = "\(directory)/\(name)"
      guard makesCopies || NodeFile.exists(folder) else { return nil }
      return NodeState(folder: folder, bootID: NodeFile.bootID, surroundings: surroundings)
    }
    self.init(
      client: ConsulClient(configuration), prefix: prefix, network: network,
      local: local ?? NoLocalState(), surroundings: surroundings)
  }

  package init(
    client: ConsulClient, prefix: String, network: String, local: any LocalState,
    surroundings: Surroundings
  ) {
    self.client = client
    self.schema = KeySchema(prefix: prefix, network: network)
    self.network = network
    self.prefix = prefix
    self.local = local
    self.surroundings = surroundings
  }

  /// A shared store with a definition; the operation limit is what the server was found to take.
  public var traits: StoreTraits {
    var traits = StoreTraits(
      keepsDefinition: true, isShared: true, operationLimit: client.operationLimit,
      isLocal: false, keepsJournal: true)
    traits.hasGoneBack = local.hasGoneBack
    return traits
  }

  /// Runs tasks on the thread that the connections are on; nil if the configuration cannot be used,
  /// which the first request explains.
  ///
  /// Callers that run there, with an allocator that was given it too, cost no hand-over between
  /// threads: a fifth more leases for 16 callers (decision 0012). What blocks, or yields in a loop until
  /// something comes, must not run there.
  public var executor: (any TaskExecutor)? { try? client.transport.executor() }

  /// Closes the connections.
  public func shutdown() async {
    await client.shutdown()
  }

  /// Commits by one transaction; a change of the definition takes some more before it, O(n) in the chunks.
  public func commit(
    _ operations: [StoreOperation], cursors: [Int: IPAddress], deadline: Deadline
  ) async -> CommitOutcome {
    if operations.count == 1, operations[0].changesDefinition {
      return await commitChange(operations[0], deadline)
    }
    let ground = settled.withLock { $0.ground(of: operations) }
    guard let ground, surroundings.monotonic() &- ground.askedAt < SettledCommits.lifetime,
      let check = operations.firstIndex(where: \.checksDefinition),
      operations[check].expected == ground.definition
    else { return await send(operations, cursors: cursors, deadline, ground: ground) }
    var rest = operations
    rest.remove(at: check)
    let outcome = await send(rest, cursors: cursors, deadline, ground: ground)
    guard case .conflict(let lost) = outcome else { return outcome }
    return .conflict(lost.map { $0 < check ? $0 : $0 + 1 })
  }

  /// Commits by one transaction as it stands.
  ///
  /// - Parameter ground: That of the commits that wrote its chunks as they are, if it is one.
  func send(
    _ operations: [StoreOperation], cursors: [Int: IPAddress] = [:], _ deadline: Deadline,
    ground: SettledCommits.Ground? = nil
  ) async -> CommitOutcome {
    var transaction: [TransactionOperation] = []
    transaction.reserveCapacity(operations.count)
    var made: [AttachmentKey] = []
    var removed: [AttachmentKey] = []
    let note = await place(of: operations, deadline)
    do {
      for operation in operations {
        transaction.append(try translate(operation, note))
        if case .put(.attachment(let key), _, _) = operation { made.append(key) }
        if case .delete(.attachment(let key), _) = operation { removed.append(key) }
      }
    } catch {
      return .refused(StoreError(.refused, "a value cannot be encoded: \(error)"))
    }
    do {
      try await fenceEarlier(made, operations, transaction, deadline)
    } catch {
      return .refused(error)
    }
    expect(made, operations, transaction)
    for key in removed { local.beginRelease(key) }
    let rehearsal = rehearsal(of: operations)
    let check = operations.firstIndex(where: \.checksDefinition)
    let askedAt = check == nil ? 0 : surroundings.monotonic()
    let outcome = await client.transaction(
      rehearsal.isEmpty ? transaction : rehearsal + transaction, deadline: instant(deadline))
    settle(made, removed, operations, outcome)
    if let note { settle(note, outcome) }
    switch outcome {
    case .committed(let results):
      // Deletes report nothing; a commit of deletes alone writes nothing whose revision matters.
      let revision = Revision(results.reduce(0) { max($0, $1.modifyIndex) })
      remember(operations, transaction, cursors, revision)
      var ground = ground
      if let check {
        let isSteady = isSteady(transaction[check].key, in: results)
        ground = isSteady ? .init(definition: operations[check].expected, askedAt: askedAt) : nil
      }
      if let ground { settled.withLock { $0.settle(revision, on: ground) } }
      return .committed(revision)
    case .conflict(let failed):
      let failed = Set(failed.map { max(0, $0.operation - rehearsal.count) }).sorted()
      forget(failed.map { operations[$0].key })
      return .conflict(failed)
    case .refused(let refusal):
      let count = rehearsal.count + operations.count
      if case .tooManyOperations = refusal.reason, count > client.operationLimit {
        return .tooLarge
      }
      return .refused(StoreError(.refused, refusal.description))
    case .unknown(let fault): return .unknown(text(of: fault, made))
    case .notApplied(let fault):
      let text = text(of: fault, made)
      return fault.reason.isUnreachable
        ? .refused(StoreError(.unavailable, text)) : .unavailable(text)
    }
  }

  /// What went wrong; and where word of a commit without an outcome could not be left, that a DEL which
  /// finds nothing will not know what to fence.
  private func text(of fault: ConsulFault, _ made: [AttachmentKey]) -> String {
    guard let trouble = local.unwritable,
      unanswered.withLock({ !$0.isDisjoint(with: made) })
    else { return fault.description }
    return fault.description
      + "; \(trouble), so what comes of it after a DEL is left for a GC or ipamctl reclaim"
  }

  /// What goes before a definition to make its transaction as large as any of its attachments can
  /// need: a server that would refuse those refuses the network. It asks nothing new, only for
  /// the revision that the definition itself is written at.
  private func rehearsal(of operations: [StoreOperation]) -> [TransactionOperation] {
    guard operations.count == 1,
      case .put(.definition, .definition(let definition), let revision) = operations[0],
      definition.kind == .leased, let name = schema.name(.definition),
      let size = try? definition.largestCommit(), size > NetworkDefinition.commitLimits.lowerBound
    else { return [] }
    let check: TransactionOperation =
      revision == .absent
      ? .checkNotExists(key: name) : .checkIndex(key: name, index: revision.number)
    return Array(repeating: check, count: size - 1)
  }

  private func translate(
    _ operation: StoreOperation, _ place: NotePlace?
  ) throws -> TransactionOperation {
    if case .note(let entry, let slots) = operation, let place {
      return set(entry, slots, place)
    }
    guard let name = schema.name(operation.key) else {
      throw RecordError("\(operation.key) is not kept in Consul")
    }
    switch operation {
    case .check(_, .absent): return .checkNotExists(key: name)
    case .check(_, let revision): return .checkIndex(key: name, index: revision.number)
    case .delete(_, let revision): return .deleteCAS(key: name, index: revision.number)
    case .put(_, let value, let revision):
      return .cas(key: name, value: try encode(value, as: name), index: revision.number)
    case .note: throw RecordError("a commit has one note")
    }
  }

  /// The bytes of a value under the key of that name.
  func encode(_ value: StoreValue, as name: String) throws -> [UInt8] {
    if case .chunk(let chunk) = value {
      return ChunkCodec.encode(chunk, key: schema.relativeName(name))
    }
    guard let bytes = RecordCodec.encode(value) else {
      throw RecordError("a value of \(name) is not kept in Consul")
    }
    return bytes
  }

  func decode(_ bytes: [UInt8], _ revision: Revision, for key: StoreKey) -> StoreEntry {
    guard case .chunk(let chunk) = key, let name = schema.relativeName(key) else {
      return StoreEntry(RecordCodec.decode(bytes, for: key), revision)
    }
    do {
      let decoded = try ChunkCodec.decode(bytes, key: name, chunkBits: chunk.pool.chunkBits)
      return StoreEntry(.chunk(decoded), revision)
    } catch {
      return StoreEntry(.damaged(error.description), revision)
    }
  }

  func instant(_ deadline: Deadline) -> ContinuousClock.Instant {
    let left = min(surroundings.remaining(until: deadline), 1 << 60)
    return .now + .nanoseconds(Int64(left))
  }

  /// Runs the body while other processes of this node wait for a bounded time.
  public func withTurn<Result: Sendable>(
    deadline: Deadline, _ body: () async throws(AllocationError) -> Result
  ) async throws(AllocationError) -> Result {
    await local.beginTurn(deadline: deadline) { client.prepare() }
    defer { local.endTurn() }
    return try await body()
  }
}

extension ConsulFault.Reason {
  /// Nobody was there to speak to: a runtime may try later, waiting here would only hide it.
  var isUnreachable: Bool {
    switch self {
    case .connectionRefused, .hostUnknown, .unreachable, .tlsFailed: true
    default: false
    }
  }
}
