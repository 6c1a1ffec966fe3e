internal import AddressSpace
public import IPAM
import JSON

// What an operator wants to know of a Consul before anything is tried: who leads, what time it is
// there, and what the token may do. Nothing is written.

/// A Consul that answers.
public struct ConsulPresence: Hashable, Sendable {
  /// The leader's address; nil while there is none.
  public var leader: String?
  /// The time there as its HTTP header says it (RFC 9110 section 5.6.7), to the second.
  public var date: String?
}

extension ConsulNetworks {
  /// Asks for the leader, once.
  ///
  /// - Throws: ``StoreError`` if nobody answers as Consul does.
  /// - Complexity: one round trip.
  public func presence(deadline: Deadline) async throws(StoreError) -> ConsulPresence {
    do {
      let helper = store("")
      return try await client.presence(deadline: helper.instant(deadline))
    } catch {
      switch error {
      case .refused(let refusal): throw StoreError(.refused, refusal.description)
      case .notApplied(let fault), .unknown(let fault):
        throw StoreError(.unavailable, fault.description)
      }
    }
  }

  /// What the token may not do of what a node needs in a network, as `access key`.
  ///
  /// Asked of `/v1/internal/acl/authorize`, which Consul's own interface uses: it answers for the
  /// token without a key being touched, and allows all where there are no ACLs.
  ///
  /// - Throws: ``StoreError`` if Consul cannot say.
  /// - Complexity: one round trip.
  public func denied(
    network: String, node: String, deadline: Deadline
  ) async throws(StoreError) -> [String] {
    let helper = store(network)
    let base = helper.schema.base
    let owned = [
      "config", "pools/p", "addresses/a", "attachments/\(KeyName.escape(node))/c/i", "macs/m",
      "journal/\(KeyName.escape(node))/0000",
    ]
    let wanted =
      owned.flatMap { [("read", base + $0), ("write", base + $0)] } + [("list", base)]
      + [("read", network)]
    let allowed = try await helper.retrying(deadline) { () async throws(ConsulError) in
      try await client.authorize(wanted, deadline: helper.instant(deadline))
    }
    return zip(wanted, allowed).filter { !$1 }.map { "\($0.0.0) \($0.0.1)" }
  }
}

extension ConsulClient {
  fileprivate func presence(
    deadline: ContinuousClock.Instant
  ) async throws(ConsulError) -> ConsulPresence {
    let request = HTTPRequest(
      method: .get, target: target(path: "/v1/status/leader", .default), isRead: true,
      replyLimit: limits.reply)
    let response = try await transport.send(request, deadline: deadline)
    guard response.status == 200 else { throw sorting.error(response) }
    do throws(JSONError) {
      return ConsulPresence(
        leader: try ConsulReplies.leader(response.body), date: response.date)
    } catch {
      throw sorting.malformed("no leader in the answer to /v1/status/leader")
    }
  }

  /// Whether the token has each access to each key.
  fileprivate func authorize(
    _ wanted: [(access: String, key: String)], deadline: ContinuousClock.Instant
  ) async throws(ConsulError) -> [Bool] {
    let questions = wanted.map { access, key -> JSONValue in
      ["Resource": "key", "Access": .string(access), "Segment": .string(key)]
    }
    let request = HTTPRequest(
      method: .post, target: target(path: "/v1/internal/acl/authorize", .default),
      body: JSONValue.array(questions).compactBytes, isRead: true, replyLimit: limits.reply)
    let response = try await transport.send(request, deadline: deadline)
    if response.status != 200,
      String(decoding: response.body, as: UTF8.self).contains("ACL support disabled")
    {
      return wanted.map { _ in true }
    }
    guard response.status == 200 else { throw sorting.error(response) }
    let answers = (try? JSONValue(parsing: response.body))?.elements ?? []
    guard answers.count == wanted.count else {
      throw sorting.malformed("another number of answers than questions")
    }
    return answers.map { $0["Allow"] == .bool(true) }
  }
}
