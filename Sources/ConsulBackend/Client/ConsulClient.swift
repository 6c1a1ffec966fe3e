// The client: a thin face over three parts that know nothing of one another.
//
//   ConsulClient ── encodes ──▶ TransactionEncoding, RequestTarget
//        │        ── sends ───▶ HTTPTransport (pool, deadlines; NIO begins here, when first used)
//        └─────── sorts ──────▶ ConsulReplies, ReplySorting (refused, notApplied, unknown)
//
// It has no retry policy and no memory but counters and the operation limit it ran into.

internal import IPAM
internal import Synchronization

/// A connection pool to one Consul and the calls of its API that this project uses.
///
/// Nothing is opened, read or started before the first call. Every call observes task
/// cancellation and its `deadline`; without one, the configured timeout from now.
package final class ConsulClient: Sendable {
  package let configuration: ConsulConfiguration
  let limits: ConsulLimits
  let transport: HTTPTransport
  private let knownOperationLimit = Atomic<Int>(NetworkDefinition.commitLimits.upperBound)

  package init(_ configuration: ConsulConfiguration, limits: ConsulLimits = ConsulLimits()) {
    self.configuration = configuration
    self.limits = limits
    transport = HTTPTransport(configuration, limits: limits)
  }

  /// Operations that one transaction may have, as far as is known: 128 until a server refused
  /// as many with `tooManyOperations`, then what it named (64 before Consul 1.14).
  package var operationLimit: Int { knownOperationLimit.load(ordering: .relaxed) }

  /// What this client has done so far.
  package var counters: ConsulCounters { transport.counters.current }

  /// Closes all connections and ends the client's thread; calls under way fail. A process that
  /// is about to exit need not call it.
  package func shutdown() async { await transport.shutdown() }

  /// Opens a connection for the next call, which waits for it; a failure is that call's to hear of.
  package func prepare() { transport.prepare() }

  // MARK: Keys

  /// Reads one key; `nil` if it does not exist. A key that the token may not read is an error.
  package func get(
    _ key: String, consistency: ReadConsistency = .default,
    deadline: ContinuousClock.Instant? = nil
  ) async throws(ConsulError) -> KVEntry? {
    let target = target(path: "/v1/kv/\(RequestTarget.path(key))", consistency)
    let entries = try await read(target, limits.reply, deadline, ConsulReplies.entries)
    guard let entries else { return nil }
    guard entries.count == 1, entries[0].key == key else {
      throw sorting.malformed("another key than \(key)")
    }
    return entries[0]
  }

  /// Reads every key that begins with `prefix`, in order, as one atomic cut. What the token may
  /// not read is left out silently. One answer of at most `ConsulLimits.listing` bytes.
  package func list(
    _ prefix: String, consistency: ReadConsistency = .default,
    deadline: ContinuousClock.Instant? = nil
  ) async throws(ConsulError) -> [KVEntry] {
    let target = target(path: "/v1/kv/\(RequestTarget.path(prefix))", consistency, ["recurse"])
    return try await read(target, limits.listing, deadline, ConsulReplies.entries) ?? []
  }

  /// The names of the keys that begin with `prefix`, in order, as one atomic cut. With a
  /// `separator` each is cut after its first one behind the prefix, and told once.
  package func keys(
    _ prefix: String, separator: String? = nil, consistency: ReadConsistency = .default,
    deadline: ContinuousClock.Instant? = nil
  ) async throws(ConsulError) -> [String] {
    var query = ["keys"]
    if let separator { query.append("separator=\(RequestTarget.query(separator))") }
    let target = target(path: "/v1/kv/\(RequestTarget.path(prefix))", consistency, query)
    return try await read(target, limits.listing, deadline, ConsulReplies.names) ?? []
  }

  // MARK: Transactions

  /// Applies `operations`, all or none. `consistency` counts only where none of them writes.
  package func transaction(
    _ operations: [TransactionOperation], consistency: ReadConsistency = .default,
    deadline: ContinuousClock.Instant? = nil
  ) async -> TransactionOutcome {
    let isRead = !operations.contains(where: \.isWrite)
    let body = TransactionEncoding.encode(
      operations, namespace: configuration.namespace, partition: configuration.partition)
    let request = HTTPRequest(
      method: .put, target: target(path: "/v1/txn", isRead ? consistency : .default), body: body,
      isRead: isRead, replyLimit: limits.reply)
    do throws(ConsulError) {
      let response = try await transport.send(request, deadline: limit(deadline))
      let outcome = try outcome(response, operations)
      if case .committed = outcome, !isRead { transport.counters.update { $0.commits += 1 } }
      return outcome
    } catch {
      switch error {
      case .refused(let refusal):
        if case .tooManyOperations(let limit) = refusal.reason, limit > 0 {
          knownOperationLimit.store(limit, ordering: .relaxed)
        }
        return .refused(refusal)
      case .notApplied(let fault): return .notApplied(fault)
      case .unknown(let fault): return .unknown(fault)
      }
    }
  }

  private func outcome(
    _ response: HTTPResponse, _ operations: [TransactionOperation]
  ) throws(ConsulError) -> TransactionOutcome {
    switch response.status {
    case 200: break
    case 409: return sorting.conflict(response.body, operations)
    default: throw sorting.error(response)
    }
    var expected: [String] = []
    expected.reserveCapacity(operations.count)
    for operation in operations where operation.hasResult { expected.append(operation.key) }
    let results = try parse(response) { (body) throws(JSONError) in
      try ConsulReplies.results(body, expecting: expected)
    }
    var rest = results[...]
    for key in expected {
      // Trees have as many results as they have keys, between the others.
      guard let index = rest.firstIndex(where: { $0.key == key }) else {
        throw sorting.malformed("no result for \(key)")
      }
      rest = rest[(index + 1)...]
    }
    return .committed(results)
  }

  // MARK: The server

  /// The leader's Raft address; `nil` while there is none.
  package func leader(
    deadline: ContinuousClock.Instant? = nil
  ) async throws(ConsulError) -> String? {
    let target = target(path: "/v1/status/leader", .default)
    return try await read(target, limits.reply, deadline, ConsulReplies.leader) ?? nil
  }

  /// What the agent says of itself (needs `agent:read`).
  package func agent(
    deadline: ContinuousClock.Instant? = nil
  ) async throws(ConsulError) -> AgentInfo {
    let target = RequestTarget.make(configuration, path: "/v1/agent/self", query: [])
    let info = try await read(target, limits.reply, deadline, ConsulReplies.agent)
    guard let info else { throw sorting.malformed("404 for /v1/agent/self") }
    return info
  }

  // MARK: Requests

  var sorting: ReplySorting {
    ReplySorting(endpoint: configuration.endpoint, redact: transport.redact)
  }

  private func limit(_ deadline: ContinuousClock.Instant?) -> ContinuousClock.Instant {
    deadline ?? .now + configuration.timeout
  }

  func target(
    path: String, _ consistency: ReadConsistency, _ query: [String] = []
  ) -> String {
    let consistency = consistency == .default ? [] : [consistency.rawValue]
    return RequestTarget.make(configuration, path: path, query: query + consistency)
  }

  /// One GET; `nil` for a 404 with an index, which is how Consul says that there is none. A 404
  /// without is somebody else's.
  private func read<Value>(
    _ target: String, _ replyLimit: Int, _ deadline: ContinuousClock.Instant?,
    _ read: ([UInt8]) throws(JSONError) -> Value
  ) async throws(ConsulError) -> Value? {
    let request = HTTPRequest(
      method: .get, target: target, isRead: true, replyLimit: replyLimit)
    let response = try await transport.send(request, deadline: limit(deadline))
    switch response.status {
    case 200: return try parse(response, read)
    case 404 where response.hasIndex: return nil
    default: throw sorting.error(response)
    }
  }

  private func parse<Value>(
    _ response: HTTPResponse, _ read: ([UInt8]) throws(JSONError) -> Value
  ) throws(ConsulError) -> Value {
    guard !response.body.isEmpty else { throw sorting.malformed("200 with an empty body") }
    do throws(JSONError) {
      return try read(response.body)
    } catch {
      throw sorting.malformed("no \(error.expected) at byte \(error.position) of the body")
    }
  }
}

/// What the agent says of itself.
package struct AgentInfo: Hashable, Sendable {
  package var version: String
  package var node: String
  package var datacenter: String
  /// Of a server; `nil` where the agent is a client.
  package var lastLogIndex: UInt64?
}

/// What a client has done so far: what the tests count instead of measuring time.
package struct ConsulCounters: Hashable, Sendable {
  /// Requests that began to be written, repeated ones too: round trips.
  package var requests = 0
  /// Transactions with a write that were answered with success.
  package var commits = 0
  /// Connections that were opened.
  package var connections = 0
  /// Bytes of request bodies.
  package var bytesSent = 0
  /// Bytes of reply bodies.
  package var bytesReceived = 0
}
