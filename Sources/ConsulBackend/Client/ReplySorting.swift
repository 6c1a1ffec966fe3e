// What a reply means. Consul's status alone does not say it: 409 carries lost races and missing
// permissions alike, 500 both "nothing happened" and "it may have". Texts are matched only where
// a mistake is safe: a text that is not known makes a 409 permanent and a 500 unknown.

/// Sorts the replies of one Consul.
struct ReplySorting {
  let endpoint: ConsulEndpoint
  /// Takes out what must not be shown.
  let redact: (String) -> String

  /// The error that a reply with a status other than 200 (or 404 where that means "none") is.
  func error(_ response: HTTPResponse) -> ConsulError {
    let text = excerpt(response.body)
    switch response.status {
    case 300..<400:
      let location = redact(response.location ?? "nowhere")
      return refused(
        .redirected(to: location),
        "\(endpoint) redirects to \(location), which is not followed: "
          + "check \(endpoint.origin ?? endpoint.names("consul_addr")), or the key for // and ..")
    case 400: return refused(.badRequest, "Consul at \(endpoint) calls the request wrong: \(text)")
    case 401, 403: return forbidden(text)
    case 413: return tooLarge(text)
    case 429:
      return notApplied(
        .tooManyRequests, "Consul at \(endpoint) has too many requests (429): \(text)")
    case 408, 500...: return serverError(response.status, text)
    case 400..<500:
      return refused(
        .notConsul,
        "\(endpoint) answers \(response.status), as Consul does not: is it Consul? It says: \(text)"
      )
    default: return malformed("status \(response.status)")
    }
  }

  private func forbidden(_ text: String) -> ConsulError {
    if text.contains("ACL not found") {
      return refused(
        .tokenUnknown,
        "Consul at \(endpoint) does not know the token (\(endpoint.names.ofToken)): \(text)")
    }
    return refused(
      .accessDenied,
      "Consul at \(endpoint) denies access: \(text); the token needs write on the keys' prefix")
  }

  private func tooLarge(_ text: String) -> ConsulError {
    // "Transaction contains too many operations (65 > 64)"
    if text.contains("too many operations"), let limit = text.number(after: " > ") {
      return refused(
        .tooManyOperations(limit: limit), "Consul at \(endpoint) refuses the transaction: \(text)")
    }
    // "Request body(524289 bytes) too large, max size: 524288 bytes"
    return refused(
      .tooLarge(limit: text.number(after: "max size: ")),
      "Consul at \(endpoint) refuses the request for its size: \(text)")
  }

  private func serverError(_ status: Int, _ text: String) -> ConsulError {
    let said = "Consul at \(endpoint) answers \(status): \(text)"
    guard status == 500 else { return .unknown(.init(.serverError(status: status), said)) }
    if text.contains("No path to datacenter") { return refused(.datacenterUnknown, said) }
    // "No leader errors are always safe to retry since no state could have been changed", says
    // Consul's forwarding code, which goes by this text itself.
    if text.hasSuffix("No cluster leader") { return notApplied(.noLeader, said) }
    // The connection to the leader failed before a request was put on it.
    if text.contains("rpc error getting client: failed to get conn") {
      return notApplied(.leaderUnreachable, said)
    }
    return .unknown(.init(.serverError(status: 500), said))
  }

  /// An answer with success that cannot be read. Whatever was asked for may have been done.
  func malformed(_ problem: String) -> ConsulError {
    .unknown(
      .init(.replyMalformed, "\(endpoint) answers what Consul does not: \(problem); is it Consul?"))
  }

  private func refused(_ reason: ConsulRefusal.Reason, _ text: String) -> ConsulError {
    .refused(.init(reason: reason, operation: nil, description: text))
  }

  private func notApplied(_ reason: ConsulFault.Reason, _ text: String) -> ConsulError {
    .notApplied(.init(reason, text))
  }

  /// The beginning of a server's message on one line.
  func excerpt(_ body: [UInt8]) -> String {
    excerpt(String(decoding: body.prefix(2000), as: UTF8.self))
  }

  private func excerpt(_ text: String) -> String {
    let line = text.split { $0.isWhitespace || $0.asciiValue.map { $0 < 0x20 } == true }
    return line.isEmpty ? "(no text)" : String(redact(line.joined(separator: " ")).prefix(300))
  }

  // MARK: 409

  /// What a 409 to `operations` means: a lost race only if every failure is one.
  func conflict(_ body: [UInt8], _ operations: [TransactionOperation]) -> TransactionOutcome {
    guard let errors = try? ConsulReplies.errors(body), !errors.isEmpty,
      errors.allSatisfy({ operations.indices.contains($0.operation) })
    else {
      let text = "Consul at \(endpoint) refuses the transaction: \(excerpt(body))"
      return .refused(.init(reason: .other, operation: nil, description: text))
    }
    var failed: [FailedOperation] = []
    for (operation, what) in errors {
      guard let reason = Self.race(what) else {
        return .refused(refusal(what, operation, operations[operation]))
      }
      failed.append(FailedOperation(operation: operation, reason: reason))
    }
    return .conflict(failed)
  }

  /// The lost race that `what` tells of. The text names the key, which may contain anything, so
  /// only its end counts.
  private static func race(_ what: String) -> FailedOperation.Reason? {
    if what.hasSuffix("index is stale") { return .staleIndex(current: nil) }
    if what.hasSuffix(" doesn't exist") { return .missing }
    if what.hasSuffix("\" exists") { return .exists }
    // `failed index check for key "x", current modify index 44 != 1`
    let end = what.split(separator: "\"").last ?? ""
    if end.hasPrefix(", current modify index "), let index = end.number(after: "index ") {
      return .staleIndex(current: UInt64(index))
    }
    return nil
  }

  private func refusal(
    _ what: String, _ index: Int, _ operation: TransactionOperation
  ) -> ConsulRefusal {
    let text = "Consul at \(endpoint) refuses to touch \(operation.key): \(excerpt(what))"
    let reason: ConsulRefusal.Reason =
      if what.hasPrefix("Permission denied") {
        .accessDenied
      } else if what.hasPrefix("unknown KV verb") {
        .verbUnknown
      } else if what.hasPrefix("Must provide key") {
        .badRequest
      } else {
        .other
      }
    return ConsulRefusal(reason: reason, operation: index, description: text)
  }
}

extension StringProtocol {
  /// The number that follows the last `mark`.
  fileprivate func number(after mark: String) -> Int? {
    guard var found = firstRange(of: mark) else { return nil }
    while let next = self[found.upperBound...].firstRange(of: mark) { found = next }
    return Int(self[found.upperBound...].prefix { $0.isASCII && $0.isNumber })
  }
}
