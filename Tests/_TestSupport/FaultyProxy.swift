// A proxy between a client and a real Consul that does what networks and agents do to requests: it
// delays, cuts and answers in another's name, drops replies, and sends a request on long after its
// sender was cut off. It decides request by request, so every reply closes its connection.

internal import Synchronization

/// A proxy on 127.0.0.1 with faults. It stops when this object goes away.
package final class FaultyProxy: Sendable {
  /// What becomes of a request.
  package enum Fate: Hashable, Sendable {
    case pass
    /// Sent on, and the reply comes this many milliseconds late.
    case slow(milliseconds: Int)
    /// Sent on, and the reply comes when the gate is open.
    case held(Gate)
    /// Sent on, and the reply has this in its Date header.
    case dated(String)
    /// Never sent on; the client's connection is closed.
    case cut
    /// Never sent on; the client's connection is reset.
    case reset
    /// Sent on; the client's connection is closed without the reply.
    case dropReply
    /// Kept; the client's connection is closed. ``deliverLate()`` sends it on.
    case late
    /// Kept; the client waits in vain. ``deliverLate()`` sends it on.
    case lateWithoutEnd
    /// Answered by the proxy; before that it is sent on, or not.
    case answer(status: Int, body: String, isSentOn: Bool)
  }

  /// What a rule sees of a request.
  package struct Request: Sendable {
    /// Head and body.
    package let text: String
    /// 0 for the first request of its kind (transactions and others are counted apart).
    package let number: Int

    package var isTransaction: Bool { text.hasPrefix("PUT /v1/txn") }
    /// Of a transaction.
    package var operations: Int {
      isTransaction
        ? text.split(separator: "\"Verb\"", omittingEmptySubsequences: false).count - 1 : 0
    }
    /// A transaction that makes attachments.
    package var makesAttachments: Bool { isTransaction && text.contains("/attachments/") }
  }

  private let core: ProxyCore
  private let server: ScriptedServer

  /// `127.0.0.1:port`.
  package var address: String { server.address }
  package var port: Int { server.port }
  /// How many requests wait for ``deliverLate()``.
  package var kept: Int { core.state.withLock { $0.kept.count } }
  /// All requests so far.
  package var requests: [String] { server.requests }

  /// A proxy in front of a server; the rule decides each request's fate, at any thread.
  package init(
    _ consul: ConsulServer, rule: @escaping @Sendable (Request) -> Fate = { _ in .pass }
  ) throws {
    let core = ProxyCore(consul, rule)
    self.core = core
    server = try ScriptedServer { connection in
      while let text = connection.request() {
        guard core.serve(text, connection) else { return }
      }
    }
  }

  /// Another rule from now on; the counts begin again.
  package func setRule(_ rule: @escaping @Sendable (Request) -> FaultyProxy.Fate) {
    core.state.withLock { state in
      state.rule = rule
      (state.transactions, state.others) = (0, 0)
    }
  }

  /// Waits until nothing is under way: a request whose sender is gone may still be on its way to the
  /// server, or in it.
  package func settle() async throws {
    while core.state.withLock({ $0.underWay > 0 }) { try await Task.sleep(for: .milliseconds(5)) }
  }

  /// Sends on what was kept; the statuses that the server answered with.
  @discardableResult
  package func deliverLate() throws -> [Int] {
    let kept = core.state.withLock { state in
      defer { state.kept.removeAll() }
      return state.kept
    }
    return try kept.map { text in
      let reply = try core.forward(text)
      return reply.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
    }
  }
}

private struct ProxyState {
  var rule: @Sendable (FaultyProxy.Request) -> FaultyProxy.Fate
  var kept: [String] = []
  var transactions = 0
  var others = 0
  /// Requests whose fate has not ended.
  var underWay = 0
}

private final class ProxyCore: Sendable {
  let host: String
  let port: Int
  let state: Mutex<ProxyState>

  init(
    _ server: ConsulServer, _ rule: @escaping @Sendable (FaultyProxy.Request) -> FaultyProxy.Fate
  ) {
    (host, port) = (server.host, server.port)
    state = Mutex(ProxyState(rule: rule))
  }
}

extension ProxyCore {
  /// Serves one request; whether the connection may go on.
  func serve(_ text: String, _ connection: ScriptedServer.Connection) -> Bool {
    state.withLock { $0.underWay += 1 }
    defer { state.withLock { $0.underWay -= 1 } }
    switch fate(text) {
    case .pass: relay(text, connection)
    case .slow(let milliseconds):
      let reply = try? forward(text)
      blockThread(milliseconds: milliseconds)
      if let reply { connection.write(reply) }
    case .held(let gate):
      let reply = try? forward(text)
      gate.wait()
      if let reply { connection.write(reply) }
    case .dated(let date):
      if let reply = try? forward(text) {
        connection.write(reply.replacing(/\r\nDate: [^\r]*/, with: "\r\nDate: \(date)"))
      }
    case .cut: break
    case .reset: connection.reset()
    case .dropReply: _ = try? forward(text)
    case .late: keep(text)
    case .lateWithoutEnd:
      keep(text)
      connection.waitForClose()
    case .answer(let status, let body, let isSentOn):
      if isSentOn { _ = try? forward(text) }
      connection.reply(status, body)
      return true
    }
    return false
  }

  private func relay(_ text: String, _ connection: ScriptedServer.Connection) {
    if let reply = try? forward(text) { connection.write(reply) }
  }

  private func fate(_ text: String) -> FaultyProxy.Fate {
    let (rule, request) = state.withLock { state in
      let isTransaction = text.hasPrefix("PUT /v1/txn")
      let number = isTransaction ? state.transactions : state.others
      if isTransaction { state.transactions += 1 } else { state.others += 1 }
      return (state.rule, FaultyProxy.Request(text: text, number: number))
    }
    return rule(request)
  }

  private func keep(_ text: String) {
    state.withLock { $0.kept.append(text) }
  }

  /// Sends a request on a connection of its own, which ends with the reply.
  func forward(_ text: String) throws -> String {
    let socket = try LoopbackSocket.connect(host, port)
    socket.limitReads(seconds: 60)
    guard let head = text.firstRange(of: "\r\n") else { return "" }
    let whole = text[..<head.upperBound] + "Connection: close\r\n" + text[head.upperBound...]
    socket.write(Array(whole.utf8))
    return String(decoding: socket.readToEnd(), as: UTF8.self)
  }
}
