// What the tests of this target share.

import TestSupport
import Testing

@testable import ConsulBackend

extension Trait where Self == ConditionTrait {
  /// The test needs a real Consul: it is skipped without one, and fails in CI.
  static var needsConsul: Self {
    .enabled(Comment(rawValue: ConsulBinary.reason)) { await ConsulBinary.isAvailable }
  }
}

/// One server in memory for all tests that only read and write keys below a prefix of their own.
enum Shared {
  private static let server = Task {
    var options = ConsulServer.Options()
    options.unixSocket = true
    return try await ConsulServer.start(options)
  }

  static func consul() async throws -> ConsulServer { try await server.value }

  /// A client for it, and a prefix that no other test has.
  static func client() async throws -> (client: ConsulClient, prefix: String) {
    let client = try makeClient(try await consul().address)
    return (client, "test-\(UInt64.random(in: 0...(.max)))/")
  }
}

extension ConsulLimits {
  /// For tests of connections: a busy machine may leave one idle for long between two requests.
  static var patient: ConsulLimits {
    var limits = ConsulLimits()
    limits.idle = .seconds(3_600)
    return limits
  }
}

func makeClient(
  _ address: String, limits: ConsulLimits = .patient,
  _ change: (inout ConsulSettings) -> Void = { _ in }
) throws -> ConsulClient {
  var settings = ConsulSettings()
  settings.address = address
  change(&settings)
  return ConsulClient(try ConsulConfiguration(settings, environment: [:]), limits: limits)
}

extension TransactionOutcome {
  var results: [String: KVEntry]? {
    guard case .committed(let results) = self else { return nil }
    return Dictionary(results.map { ($0.key, $0) }) { _, last in last }
  }
  var failed: [FailedOperation]? { if case .conflict(let failed) = self { failed } else { nil } }

  /// The reason in words: `refused`, `notApplied` or `unknown`, and why.
  var failure: Failure? {
    switch self {
    case .committed, .conflict: nil
    case .refused(let refusal): .refused(refusal.reason)
    case .notApplied(let fault): .notApplied(fault.reason)
    case .unknown(let fault): .unknown(fault.reason)
    }
  }

  var text: String {
    switch self {
    case .committed, .conflict: ""
    case .refused(let refusal): refusal.description
    case .notApplied(let fault), .unknown(let fault): fault.description
    }
  }
}

extension ConsulError {
  var failure: Failure {
    switch self {
    case .refused(let refusal): .refused(refusal.reason)
    case .notApplied(let fault): .notApplied(fault.reason)
    case .unknown(let fault): .unknown(fault.reason)
    }
  }
}

/// How something failed, without the text.
enum Failure: Hashable {
  case refused(ConsulRefusal.Reason)
  case notApplied(ConsulFault.Reason)
  case unknown(ConsulFault.Reason)
}

/// The error that `body` throws.
func failure(
  _ body: () async throws(ConsulError) -> some Any
) async throws -> (failure: Failure, text: String) {
  let value: Any
  do throws(ConsulError) {
    value = try await body()
  } catch {
    return (error.failure, error.description)
  }
  throw TestSupportError("no error but \(value)")
}

/// The answer of a server that carried out one `set` or `cas` of `key`.
func committedReply(_ key: String, index: Int = 7) -> String {
  #"{"Results":[{"KV":{"LockIndex":0,"Key":"\#(key)","Flags":0,"Value":null,"#
    + #""CreateIndex":\#(index),"ModifyIndex":\#(index)}}],"Errors":null}"#
}
