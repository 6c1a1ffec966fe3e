// What a real Consul cannot be made to do: replies of every wrong kind, each against both a
// transaction (whose outcome must stay unknown once a byte was sent) and a read.

import TestSupport
import Testing

@testable import ConsulBackend

/// A bound so short that a test sees it reached, and no other that it sees.
private func limits(short bound: WritableKeyPath<ConsulLimits, Duration>) -> ConsulLimits {
  var limits = ConsulLimits.patient
  limits[keyPath: bound] = .milliseconds(300)
  return limits
}

private let commit: [TransactionOperation] = [.cas(key: "k", value: [1], index: 0)]

@Suite struct ScriptedServerTests {
  @Test func aChunkThatIsTooLarge() async throws {
    try await brokenReplies(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7000\r\n"
        + String(repeating: " ", count: 0x7000), .replyTooLarge(limit: 10_000))
  }

  @Test(
    arguments: [
      ("SSH-2.0-OpenSSH_9.2\r\n", .notHTTP),
      ("\u{15}\u{3}\u{1}\u{0}\u{2}\u{2}F", .notHTTP),
      ("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", .notHTTP),
      ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", .replyMalformed),
      ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", .replyMalformed),
      ("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", .replyMalformed),
      ("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnull", .replyMalformed),
      ("HTTP/1.1 204 No Content\r\n\r\n", .replyMalformed),
      ("HTTP/1.1 200 OK\r\nContent-Le", .closedInReply),
      ("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"Results\":", .closedInReply),
      ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"Re", .closedInReply),
      ("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", .replyTooLarge(limit: 10_000)),
      ("", .closedWithoutReply),
      ("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", .serverError(status: 503)),
    ] as [(String, ConsulFault.Reason)])
  func brokenReplies(_ bytes: String, _ expected: ConsulFault.Reason) async throws {
    // Elsewhere the client closes: a server's close could cross the read, which is then sent again.
    let closes = [.closedInReply, .closedWithoutReply].contains(expected)
    let server = try ScriptedServer { connection in
      while connection.request() != nil && connection.write(bytes) && !closes {}
    }
    var limits = ConsulLimits.patient
    limits.reply = 10_000
    let client = try makeClient(server.address, limits: limits)
    let outcome = await client.transaction(commit)
    #expect(outcome.failure == .unknown(expected))
    #expect(outcome.text.contains(server.address))
    let read = try await failure { () async throws(ConsulError) in try await client.get("k") }
    #expect(read.failure == .unknown(expected))
    #expect(server.requests.count == 2, "nothing is sent twice on a new connection")
    #expect(client.counters.requests == 2 && client.counters.commits == 0)
    await client.shutdown()
  }

  @Test func resetsAreUnknown() async throws {
    let server = try ScriptedServer { connection in
      _ = connection.request()
      connection.reset()
    }
    let client = try makeClient(server.address)
    #expect(await client.transaction(commit).failure == .unknown(.closedWithoutReply))
    #expect(server.requests.count == 1)
  }

  @Test(
    arguments: [
      (301, "", .refused(.redirected(to: "http://h/<secret>"))),
      (429, "", .notApplied(.tooManyRequests)),
      (500, "No cluster leader", .notApplied(.noLeader)),
      (500, "rpc error making call: EOF", .unknown(.serverError(status: 500))),
      (404, "", .refused(.notConsul)),
      (409, "no JSON", .refused(.other)),
    ] as [(Int, String, Failure)])
  func statuses(_ status: Int, _ body: String, _ expected: Failure) async throws {
    let server = try ScriptedServer.always(status, body, headers: "Location: http://h/hush\r\n")
    let client = try makeClient(server.address) { $0.token = ConsulSecret("hush") }
    #expect(await client.transaction(commit).failure == expected)
    #expect(server.requests.count == 1, "a redirect is not followed, nothing is repeated")
  }

  @Test func aServerThatEchoesTheTokenIsNotQuoted() async throws {
    let server = try ScriptedServer { connection in
      while let request = connection.request() { connection.reply(500, request) }
    }
    let client = try makeClient(server.address) { $0.token = ConsulSecret("hush") }
    let outcome = await client.transaction(commit)
    #expect(server.requests.first?.contains("X-Consul-Token: hush\r\n") == true)
    #expect(outcome.text.contains("<secret>") && !outcome.text.contains("hush"))
    let conflict = try ScriptedServer.always(
      409, #"{"Errors":[{"OpIndex":0,"What":"ACL hush is bad"}]}"#)
    let other = try makeClient(conflict.address) { $0.token = ConsulSecret("hush") }
    #expect(await other.transaction(commit).text.contains("ACL <secret> is bad"))
  }

  // MARK: Slow servers

  @Test func noFirstByte() async throws {
    let server = try ScriptedServer { $0.waitForClose() }
    let client = try makeClient(server.address, limits: limits(short: \.firstByte))
    #expect(await client.transaction(commit).failure == .unknown(.timedOut(.firstByte)))
  }

  /// A head, then a body, that goes on and never ends.
  @Test(arguments: [
    ("HTTP/1.1 200 OK\r\nX-Slow:", ConsulStep.firstByte),
    ("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", .body),
  ])
  func slowDrip(_ start: String, _ step: ConsulStep) async throws {
    let server = try ScriptedServer { connection in
      _ = connection.request()
      connection.write(start)
      while connection.write(" ") { blockThread(milliseconds: 20) }
    }
    let short = step == .body ? limits(short: \.body) : limits(short: \.firstByte)
    let client = try makeClient(server.address, limits: short)
    #expect(await client.transaction(commit).failure == .unknown(.timedOut(step)))
  }

  @Test func aRequestThatIsNotRead() async throws {
    let isOver = Gate()
    defer { isOver.open() }
    let server = try ScriptedServer { _ in isOver.wait() }
    let client = try makeClient(server.address, limits: limits(short: \.write))
    let value = [UInt8](repeating: 0, count: 12 << 20)
    let outcome = await client.transaction([.set(key: "k", value: value)])
    #expect(outcome.failure == .unknown(.timedOut(.write)))
  }

  @Test func theDeadlineBoundsEveryStep() async throws {
    let server = try ScriptedServer { $0.waitForClose() }
    let client = try makeClient(server.address)
    // With a connection at hand it is sent, however late that is.
    client.prepare()
    while client.counters.connections == 0 { await Task.yield() }
    let outcome = await client.transaction(commit, deadline: .now + .milliseconds(300))
    #expect(outcome.failure == .unknown(.timedOut(.firstByte)))
    let late = await client.transaction(commit, deadline: .now - .seconds(1))
    #expect(late.failure == .notApplied(.timedOut(.connect)))
    #expect(server.requests.isEmpty && client.counters.requests == 1)
  }

  @Test func aHandshakeThatNeverComes() async throws {
    let server = try ScriptedServer { $0.waitForClose() }
    let client = try makeClient("https://\(server.address)", limits: limits(short: \.connect))
    for attempts in 1...4 {
      #expect(await client.transaction(commit).failure == .notApplied(.timedOut(.connect)))
      try await eventually("the connection is accepted") { server.connections >= attempts }
      #expect(server.connections == attempts)
    }
  }

  @Test func aHandshakeThatIsCutShort() async throws {
    let server = try ScriptedServer { _ in }
    let client = try makeClient("https://\(server.address)")
    #expect(await client.transaction(commit).failure == .notApplied(.tlsFailed))
  }

  /// The one connection is busy; who waits for it was never sent.
  @Test func waitingForAConnectionIsNotSending() async throws {
    let server = try ScriptedServer { $0.waitForClose() }
    var limits = ConsulLimits.patient
    limits.connections = 1
    limits.firstByte = .seconds(60)
    let client = try makeClient(server.address, limits: limits)
    let first = Task { await client.transaction(commit, deadline: .now + .seconds(60)) }
    while client.counters.requests == 0 { await Task.yield() }
    let second = await client.transaction(commit, deadline: .now + .milliseconds(100))
    #expect(second.failure == .notApplied(.timedOut(.connect)))
    try await eventually("the connection is accepted") { server.connections > 0 }
    #expect(server.connections == 1 && client.counters.connections == 1)
    first.cancel()
    #expect(await first.value.failure == .unknown(.cancelled))
  }

  @Test func cancellation() async throws {
    let server = try ScriptedServer { $0.waitForClose() }
    let client = try makeClient(server.address)
    let task = Task { await client.transaction(commit) }
    while client.counters.requests == 0 { await Task.yield() }
    task.cancel()
    #expect(await task.value.failure == .unknown(.cancelled))
    let before = Task {
      withUnsafeCurrentTask { $0?.cancel() }
      return await client.transaction(commit)
    }
    #expect(await before.value.failure == .notApplied(.cancelled))
    #expect(client.counters.requests == 1)
  }

  @Test func shutdownEndsWhatIsUnderWay() async throws {
    let server = try ScriptedServer { $0.waitForClose() }
    let client = try makeClient(server.address)
    let task = Task { await client.transaction(commit) }
    while client.counters.requests == 0 { await Task.yield() }
    await client.shutdown()
    #expect(await task.value.failure == .unknown(.clientClosed))
    #expect(await client.transaction(commit).failure == .notApplied(.clientClosed))
  }
}
