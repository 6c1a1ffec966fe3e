// The connections of one client, all on one event loop, so that nothing here needs a lock.
//
//   submit ─▶ an idle connection, the one used last ─▶ start
//        └──▶ waiting, oldest first ─▶ (as many new connections as wait, up to the bound)
//
// The one retry of this client is here: a connection that was kept open and turns out closed
// costs a second try, if nothing was written or the request only reads. Then the other kept
// ones are not trusted either.

internal import NIOCore
internal import NIOHTTP1

/// The bounds of ``ConsulLimits`` as NIO counts them.
struct HTTPSteps: Sendable {
  let connect, write, firstByte, body, idle: TimeAmount

  init(_ limits: ConsulLimits) {
    connect = TimeAmount(limits.connect)
    write = TimeAmount(limits.write)
    firstByte = TimeAmount(limits.firstByte)
    body = TimeAmount(limits.body)
    idle = TimeAmount(limits.idle)
  }
}

final class HTTPPool {
  let headers: HTTPHeaders
  let steps: HTTPSteps
  let tls: TLSContext?
  private let bound: Int
  private let connector: HTTPConnector
  private let counters: SharedCounters
  /// Every connection that was made and is not closed, and of these the idle ones by last use.
  private var open: [ObjectIdentifier: HTTPConnection] = [:]
  private var idle: [HTTPConnection] = []
  private var waiting: [HTTPExchange] = []
  private var connecting = 0
  private var isClosed = false

  init(_ connector: HTTPConnector, headers: HTTPHeaders, counters: SharedCounters) {
    self.connector = connector
    self.headers = headers
    self.counters = counters
    bound = max(1, connector.limits.connections)
    steps = HTTPSteps(connector.limits)
    tls = connector.tls
  }

  func submit(_ exchange: HTTPExchange) {
    guard !exchange.isFinished else { return }
    guard !isClosed else {
      return exchange.finish(.failure(.init(reason: .clientClosed, wasSent: false)))
    }
    while let connection = idle.popLast() {
      if connection.isFresh(steps.idle) { return connection.start(exchange) }
      connection.close()
    }
    exchange.onAbort = { [weak self, weak exchange] in
      self?.waiting.removeAll { $0 === exchange }
    }
    exchange.waitsFor = { [connector] in connector.waitsFor }
    exchange.enter(.connect, limit: nil)
    waiting.append(exchange)
    connectIfNeeded()
  }

  /// Opens the first connection before anything waits for it.
  func prepare() {
    if !isClosed, open.isEmpty, connecting == 0 { connect() }
  }

  private func connectIfNeeded() {
    while !isClosed, connecting < waiting.count, open.count + connecting < bound { connect() }
  }

  private func connect() {
    connecting += 1
    connector.connect(for: self) { [self] result in
      connecting -= 1
      switch result {
      case .success(let connection):
        open[ObjectIdentifier(connection)] = connection
        counters.update { $0.connections += 1 }
        if isClosed { connection.close() } else { becameIdle(connection) }
      case .failure(let failure):
        // Each attempt but the first was made for one that waits; it is the oldest who hears of it.
        if !waiting.isEmpty { waiting.removeFirst().finish(.failure(failure)) }
      }
      connectIfNeeded()
    }
  }

  /// `connection` can carry the next exchange.
  func becameIdle(_ connection: HTTPConnection) {
    if waiting.isEmpty {
      connection.wasKept = true
      idle.append(connection)
    } else {
      connection.start(waiting.removeFirst())
    }
  }

  func didClose(_ connection: HTTPConnection) {
    open[ObjectIdentifier(connection)] = nil
    idle.removeAll { $0 === connection }
    connectIfNeeded()
  }

  /// Nothing came over a connection to there: the next one goes elsewhere, if there is an elsewhere.
  func wasSilent(_ address: SocketAddress?) { connector.wasSilent(address) }

  /// `exchange` ended without a reply on `connection`, unless a new connection mends it.
  func failed(_ exchange: HTTPExchange, on connection: HTTPConnection, _ failure: HTTPFailure) {
    guard !exchange.isFinished else { return }
    let mayRepeat = !failure.wasSent || exchange.request.isRead
    let wasStale = [.closedBeforeRequest, .closedWithoutReply].contains(failure.reason)
    let wasOpen = connection.wasUsed || connection.wasKept
    guard mayRepeat, wasStale, wasOpen, !exchange.wasRetried, !isClosed else {
      return exchange.finish(.failure(failure))
    }
    let stale = idle
    idle = []
    for connection in stale { connection.close() }
    exchange.rewind()
    submit(exchange)
  }

  /// Ends everything, now and for later.
  func shutDown() {
    isClosed = true
    for exchange in waiting { exchange.abort(.clientClosed) }
    for connection in Array(open.values) { connection.shutDown() }
  }

  // MARK: Counters

  func didSend(_ request: HTTPRequest) {
    counters.update {
      $0.requests += 1
      $0.bytesSent += request.body.count
    }
  }

  func didReceive(_ bytes: Int) {
    counters.update { $0.bytesReceived += bytes }
  }
}
