// What replies mean: the tables of Consul's own texts, and what stays unknown.

import TestSupport
import Testing

@testable import ConsulBackend

private func sorting() throws -> ReplySorting {
  let endpoint = try ConsulConfiguration(environment: [:]).endpoint
  return ReplySorting(endpoint: endpoint) { $0.replacing("hush", with: "<secret>") }
}

private func error(_ status: Int, _ body: String, location: String? = nil) throws -> ConsulError {
  let response = HTTPResponse(
    status: status, location: location, hasIndex: false, date: nil, body: Array(body.utf8))
  return try sorting().error(response)
}

/// A 409 for three operations on the key `k`.
private func conflict(_ errors: [(Int, String)]) throws -> TransactionOutcome {
  let list = errors.map { index, what in
    #"{"OpIndex":\#(index),"What":"\#(what.replacing("\"", with: "\\\""))"}"#
  }
  let body = #"{"Results":null,"Errors":[\#(list.joined(separator: ","))]}"#
  let operation = TransactionOperation.cas(key: "k", value: [], index: 1)
  return try sorting().conflict(Array(body.utf8), [operation, operation, operation])
}

@Suite struct ReplySortingTests {
  @Test(
    arguments: [
      (301, "", .refused(.redirected(to: "nowhere"))),
      (307, "x", .refused(.redirected(to: "nowhere"))),
      (400, "Bad request: Invalid query parameter: \"ns\"", .refused(.badRequest)),
      (401, "", .refused(.accessDenied)),
      (403, "Permission denied", .refused(.accessDenied)),
      (403, "ACL not found", .refused(.tokenUnknown)),
      (404, "", .refused(.notConsul)),
      (405, "method POST not allowed", .refused(.notConsul)),
      (408, "", .unknown(.serverError(status: 408))),
      (
        413, "Transaction contains too many operations (65 > 64)",
        .refused(.tooManyOperations(limit: 64))
      ),
      (
        413, "Request body(524289 bytes) too large, max size: 524288 bytes. See x.",
        .refused(.tooLarge(limit: 524_288))
      ),
      (413, "", .refused(.tooLarge(limit: nil))),
      (429, "", .notApplied(.tooManyRequests)),
      (500, "No cluster leader", .notApplied(.noLeader)),
      (500, "rpc error making call: No cluster leader", .notApplied(.noLeader)),
      (
        500,
        "rpc error getting client: failed to get conn: dial tcp <nil>->127.0.0.1:8300: "
          + "connect: connection refused",
        .notApplied(.leaderUnreachable)
      ),
      (
        500,
        "rpc error getting client: failed to get conn: rpc error: "
          + "lead thread didn't get connection",
        .notApplied(.leaderUnreachable)
      ),
      (500, "No path to datacenter", .refused(.datacenterUnknown)),
      (500, "rpc error making call: EOF", .unknown(.serverError(status: 500))),
      (500, "rpc error making call: stream closed", .unknown(.serverError(status: 500))),
      (500, "leadership lost while committing log", .unknown(.serverError(status: 500))),
      (500, "something new", .unknown(.serverError(status: 500))),
      (500, "", .unknown(.serverError(status: 500))),
      (502, "No cluster leader", .unknown(.serverError(status: 502))),
      (503, "", .unknown(.serverError(status: 503))),
      (204, "", .unknown(.replyMalformed)),
    ] as [(Int, String, Failure)])
  func statusAndText(_ status: Int, _ body: String, _ expected: Failure) throws {
    let error = try error(status, body)
    #expect(error.failure == expected)
    #expect(error.description.contains("http://127.0.0.1:8500"))
  }

  @Test func textsAreShortAndWithoutSecrets() throws {
    let long = "line\n\u{1b}[31mone\r\nhush " + String(repeating: "x", count: 100_000)
    let text = try error(503, long).description
    #expect(text.contains("line") && text.contains("<secret>") && text.count < 500)
    #expect(!text.contains("hush") && !text.contains("\n") && !text.contains("\u{1b}"))
    let redirect = try error(301, "", location: "http://h/hush").description
    #expect(redirect.contains("http://h/<secret>"))
  }

  @Test(
    arguments: [
      (#"failed to set key "k", index is stale"#, .staleIndex(current: nil)),
      (#"failed to delete key "k", index is stale"#, .staleIndex(current: nil)),
      (#"failed index check for key "k", current modify index 44 != 1"#, .staleIndex(current: 44)),
      (#"failed to check index, key "k" doesn't exist"#, .missing),
      (#"key "k" doesn't exist"#, .missing),
      (#"key "k" exists"#, .exists),
    ] as [(String, FailedOperation.Reason)])
  func lostRaces(_ what: String, _ expected: FailedOperation.Reason) throws {
    #expect(try conflict([(1, what)]).failed == [FailedOperation(operation: 1, reason: expected)])
  }

  @Test(
    arguments: [
      ("Permission denied", .accessDenied),
      (#"unknown KV verb "get-or-empty""#, .verbUnknown),
      ("Must provide key", .badRequest),
      (#"failed to lock key "k" due to lock delay until 2020"#, .other),
      (#"key "k" is enchanted"#, .other),
      (#"failed index check for key "k", current modify index oops"#, .other),
      ("", .other),
    ] as [(String, ConsulRefusal.Reason)])
  func everythingElseIsPermanent(_ what: String, _ expected: ConsulRefusal.Reason) throws {
    let stale = #"failed to set key "k", index is stale"#
    let outcome = try conflict([(0, stale), (2, what)])
    #expect(outcome.failure == .refused(expected))
    guard case .refused(let refusal) = outcome else { return }
    #expect(refusal.operation == 2 && refusal.description.contains("k"))
  }

  /// A key is somebody's text and decides nothing.
  @Test func theKeyInTheTextDoesNotCount() throws {
    let what = #"failed to set key "Permission denied", index is stale"#
    #expect(try conflict([(0, what)]).failed?.count == 1)
    let denied = #"no access to key "x", index is stale" at all"#
    #expect(try conflict([(0, denied)]).failure == .refused(.other))
  }

  @Test func allRacesAreTold() throws {
    let outcome = try conflict([
      (0, #"failed to set key "k", index is stale"#), (2, #"key "k" exists"#),
    ])
    #expect(
      outcome.failed == [
        FailedOperation(operation: 0, reason: .staleIndex(current: nil)),
        FailedOperation(operation: 2, reason: .exists),
      ])
  }

  @Test(arguments: [
    "", "conflict", "{}", #"{"Errors":null}"#, #"{"Errors":[]}"#,
    #"{"Errors":[{"OpIndex":3,"What":"key \"k\" exists"}]}"#,
    #"{"Errors":[{"What":"key \"k\" exists"}]}"#,
  ])
  func aConflictThatCannotBeReadIsPermanent(_ body: String) throws {
    let operation = TransactionOperation.get(key: "k")
    let outcome = try sorting().conflict(Array(body.utf8), [operation, operation, operation])
    #expect(outcome.failure == .refused(.other))
  }
}
