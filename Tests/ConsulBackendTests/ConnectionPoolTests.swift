// Which connection a request takes, when a new one is made, and the one thing that is tried twice.

import TestSupport
import Testing

@testable import ConsulBackend

private let commit: [TransactionOperation] = [.cas(key: "k", value: [1], index: 0)]
private let entry = #"[{"Key":"k","Value":"aGk=","CreateIndex":3,"ModifyIndex":4,"Flags":0}]"#

extension ScriptedServer.Connection {
  /// Answers as Consul would to a read of `k` and to a commit of it.
  fileprivate func answer(_ request: String, headers: String = "") {
    reply(200, request.hasPrefix("GET") ? entry : committedReply("k"), headers: headers)
  }

  /// Reads and answers until the client closes.
  fileprivate func serve() {
    while let request = request() { answer(request) }
  }
}

@Suite struct ConnectionPoolTests {
  @Test func oneConnectionServesManyRequests() async throws {
    let server = try ScriptedServer { $0.serve() }
    let client = try makeClient(server.address)
    for _ in 1...20 {
      #expect(await client.transaction(commit).results?["k"]?.modifyIndex == 7)
      #expect(try await client.get("k")?.value == [0x68, 0x69])
    }
    #expect(server.connections == 1)
    #expect(client.counters.requests == 40 && client.counters.commits == 20)
    #expect(client.counters.connections == 1)
  }

  @Test func connectionsAreBounded() async throws {
    let server = try ScriptedServer { $0.serve() }
    let client = try makeClient(server.address)
    await withDiscardingTaskGroup { group in
      for _ in 1...200 {
        group.addTask { #expect(await client.transaction(commit).results != nil) }
      }
    }
    #expect(client.counters.requests == 200 && server.requests.count == 200)
    #expect((1...8).contains(server.connections))
  }

  @Test func aConnectionClosedWhileIdleCostsNothing() async throws {
    let server = try ScriptedServer { connection in
      if let request = connection.request() { connection.answer(request) }
    }
    let client = try makeClient(server.address)
    for round in 1...20 {
      let outcome = await client.transaction(commit)
      // The close may cross the next commit: then that one is unknown, and never repeated.
      #expect(outcome.results != nil || outcome.failure == .unknown(.closedWithoutReply))
      #expect(client.counters.requests == round)
    }
    #expect(server.requests.count <= 20)
  }

  /// A kept connection that dies under a request: a read is sent again on a new connection...
  @Test func aReadOnADeadKeptConnectionIsRepeatedOnce() async throws {
    let server = try ScriptedServer { connection in
      guard let request = connection.request() else { return }
      connection.answer(request)
      if connection.number == 0 { _ = connection.request() } else { connection.serve() }
    }
    let client = try makeClient(server.address)
    #expect(try await client.get("k") != nil)
    #expect(try await client.get("k") != nil)
    #expect(server.requests.count == 3 && server.connections == 2)
    let snapshot = await client.transaction([.get(key: "k")])
    #expect(snapshot.results?["k"] != nil)
  }

  /// ...a read-only transaction too, but only once...
  @Test func aRepeatedReadIsNotRepeatedAgain() async throws {
    let server = try ScriptedServer { connection in
      guard let request = connection.request(), connection.number == 0 else { return }
      connection.answer(request)
      _ = connection.request()
    }
    let client = try makeClient(server.address)
    #expect(await client.transaction([.get(key: "k")]).results != nil)
    let second = await client.transaction([.get(key: "k")])
    #expect(second.failure == .unknown(.closedWithoutReply))
    #expect(server.requests.count == 3)
  }

  /// ...and a commit never: it may have been carried out.
  @Test func aCommitOnADeadKeptConnectionIsUnknown() async throws {
    let server = try ScriptedServer { connection in
      guard let request = connection.request() else { return }
      connection.answer(request)
      _ = connection.request()
    }
    let client = try makeClient(server.address)
    #expect(await client.transaction(commit).results != nil)
    #expect(await client.transaction(commit).failure == .unknown(.closedWithoutReply))
    #expect(server.requests.count == 2)
    #expect(await client.transaction(commit).results != nil)
  }

  @Test(arguments: ["Connection: close\r\n", "connection: Close\r\n"])
  func closeIsHonoured(_ header: String) async throws {
    let server = try ScriptedServer { connection in
      if let request = connection.request() { connection.answer(request, headers: header) }
      connection.waitForClose()
    }
    let client = try makeClient(server.address)
    for _ in 1...3 { #expect(await client.transaction(commit).results != nil) }
    #expect(server.connections == 3)
  }

  @Test func anIdleConnectionThatIsTooOldIsNotUsed() async throws {
    let server = try ScriptedServer { $0.serve() }
    var limits = ConsulLimits()
    limits.idle = .zero
    let client = try makeClient(server.address, limits: limits)
    for _ in 1...3 { #expect(await client.transaction(commit).results != nil) }
    #expect(server.connections == 3)
  }

  @Test func bytesThatNobodyAskedForEndAConnection() async throws {
    let server = try ScriptedServer { connection in
      while let request = connection.request() {
        connection.answer(request)
        connection.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]")
      }
    }
    let client = try makeClient(server.address)
    for _ in 1...10 {
      let outcome = await client.transaction(commit)
      #expect(outcome.results?["k"] != nil || outcome.failure != nil)
      if case .unknown? = outcome.failure { continue }
      #expect(outcome.failure == nil)
    }
    // A reply of the wrong request would have been read as a commit without a result.
    #expect(client.counters.requests == 10)
  }

  @Test(arguments: [
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n[\r\nBODY\r\n1\r\n]\r\n0\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: LENGTH\r\n\r\n[BODY]",
    "HTTP/1.0 200 OK\r\n\r\n[BODY]",
  ])
  func wholeRepliesInEveryFraming(_ template: String) async throws {
    let body = String(entry.dropFirst().dropLast())
    let size = String(body.utf8.count, radix: 16)
    let reply = template.replacing("\r\nBODY", with: "\r\n\(size)\r\n\(body)")
      .replacing("BODY", with: body).replacing("LENGTH", with: "\(body.utf8.count + 2)")
    let server = try ScriptedServer { connection in
      if connection.request() != nil { connection.write(reply) }
    }
    let client = try makeClient(server.address)
    #expect(try await client.get("k")?.value == [0x68, 0x69])
  }

  /// A reply comes to the request that asked for it, in whatever order they are asked.
  @Test func repliesFindTheirRequests() async throws {
    let server = try ScriptedServer { connection in
      while let request = connection.request() {
        let key = request.dropFirst("GET /v1/kv/".count).prefix { $0 != " " && $0 != "?" }
        connection.reply(200, #"[{"Key":"\#(key)","Value":null,"ModifyIndex":4}]"#)
      }
    }
    let client = try makeClient(server.address)
    await withDiscardingTaskGroup { group in
      for number in 1...300 {
        group.addTask {
          let entry = try? await client.get("key-\(number)")
          #expect(entry?.key == "key-\(number)")
        }
      }
    }
  }

  @Test func nothingHappensBeforeTheFirstRequest() async throws {
    let server = try ScriptedServer { $0.serve() }
    let client = try makeClient(server.address) { $0.tokenFile = "/nonexistent/token" }
    #expect(server.connections == 0 && client.counters == ConsulCounters())
    let outcome = await client.transaction(commit)
    #expect(outcome.failure == .refused(.configuration))
    #expect(outcome.text.contains("token_file") && outcome.text.contains("/nonexistent/token"))
    #expect(server.connections == 0)
    await client.shutdown()
  }

  /// Its user need not shut it down: connections and thread go with it.
  @Test(arguments: ["127.0.0.1", "localhost"])
  func aClientThatIsDropped(_ host: String) async throws {
    let ended = Counter()
    let server = try ScriptedServer { connection in
      connection.serve()
      ended.add()
    }
    var client: ConsulClient? = try makeClient("\(host):\(server.port)")
    _ = try await client?.get("k")
    #expect(server.connections == 1 && ended.value == 0)
    client = nil
    try await eventually("the end of the connection") { ended.value == 1 }
  }

  @Test func nobodyThere() async throws {
    let port = try unusedPort()
    let client = try makeClient("127.0.0.1:\(port)")
    let outcome = await client.transaction(commit)
    #expect(outcome.failure == .notApplied(.connectionRefused))
    #expect(outcome.text.contains("127.0.0.1:\(port)") && outcome.text.contains("consul_addr"))
    let socket = try makeClient("unix:///nonexistent/socket")
    #expect(await socket.transaction(commit).failure == .notApplied(.unreachable))
    let name = try makeClient("no-such-host.invalid")
    #expect(await name.transaction(commit).failure == .notApplied(.hostUnknown))
    let v6 = try makeClient("[::1]:\(port)")
    let expected: [Failure?] = [.notApplied(.connectionRefused), .notApplied(.unreachable)]
    let failure = await v6.transaction(commit).failure
    #expect(expected.contains(failure), "refused, or a machine without IPv6")
    #expect(client.counters.requests == 0)
  }
}
