// One connection: the last handler of its pipeline, with at most one exchange at a time.
//
//   [TLS] ─ HTTP codec ─ HTTPConnection ──▶ HTTPPool (told when it is idle again, or closed)
//
//   handshaking ──▶ idle ⇄ busy ──▶ closed

internal import NIOCore
internal import NIOHTTP1
internal import NIOSSL
internal import NIOTLS

final class HTTPConnection: ChannelInboundHandler {
  typealias InboundIn = HTTPClientResponsePart
  typealias OutboundOut = HTTPClientRequestPart

  private enum State {
    case handshaking
    case idle(since: NIODeadline)
    case busy(HTTPExchange)
    case closed
  }

  private let pool: HTTPPool
  private var state: State
  private var context: ChannelHandlerContext?
  private var onReady: ((HTTPFailure?) -> Void)?
  private var handshakeTimer: Scheduled<Void>?
  private var handshakeFailure: HTTPFailure?
  /// An exchange was answered on it before.
  private(set) var wasUsed = false
  /// It waited for its first exchange. Only such a one, or a used one, can have been closed while idle.
  var wasKept = false
  // Of the exchange under way:
  private var head: HTTPResponseHead?
  private var body = ByteBuffer()
  private var isWritten = false

  init(pool: HTTPPool) {
    self.pool = pool
    state = pool.tls == nil ? .idle(since: .now()) : .handshaking
  }

  /// Calls back once, when the connection can carry a request or never will.
  func whenReady(_ call: @escaping (HTTPFailure?) -> Void) {
    switch state {
    case .handshaking: onReady = call
    case .closed:
      call(handshakeFailure ?? HTTPFailure(reason: .closedBeforeRequest, wasSent: false))
    case .idle, .busy: call(nil)
    }
  }

  func isFresh(_ limit: TimeAmount) -> Bool {
    guard case .idle(let since) = state else { return false }
    return NIODeadline.now() - since < limit
  }

  func close() {
    context?.close(promise: nil)
  }

  func shutDown() {
    if case .busy(let exchange) = state { exchange.abort(.clientClosed) }
    close()
  }

  // MARK: The exchange

  func start(_ exchange: HTTPExchange) {
    guard let context, case .idle = state, context.channel.isActive else {
      pool.failed(exchange, on: self, .init(reason: .closedBeforeRequest, wasSent: false))
      return
    }
    state = .busy(exchange)
    (head, isWritten) = (nil, false)
    body.clear()
    exchange.onAbort = { [weak self] in self?.abandon() }
    exchange.enter(.write, limit: pool.steps.write)
    pool.didSend(exchange.request)

    let request = exchange.request
    var head = HTTPRequestHead(
      version: .http1_1, method: request.method.word, uri: request.target)
    head.headers = pool.headers
    if request.method != .get {
      head.headers.add(name: "Content-Length", value: String(request.body.count))
    }
    context.write(wrapOutboundOut(.head(head)), promise: nil)
    if !request.body.isEmpty {
      let bytes = context.channel.allocator.buffer(bytes: request.body)
      context.write(wrapOutboundOut(.body(.byteBuffer(bytes))), promise: nil)
    }
    let written = context.eventLoop.makePromise(of: Void.self)
    written.futureResult.assumeIsolated().whenComplete { [self] in didWrite(exchange, $0) }
    context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: written)
  }

  /// Nobody waits for the answer any more.
  private func abandon() {
    if isWritten, head == nil { pool.wasSilent(context?.remoteAddress) }
    close()
  }

  private func didWrite(_ exchange: HTTPExchange, _ result: Result<Void, any Error>) {
    guard case .busy(let current) = state, current === exchange else { return }
    switch result {
    case .success:
      isWritten = true
      if head == nil { exchange.enter(.firstByte, limit: pool.steps.firstByte) }
    case .failure(let error): fail(failure(error))
    }
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard case .busy(let exchange) = state, !exchange.isFinished else {
      return close()  // nobody asked for this
    }
    switch unwrapInboundIn(data) {
    case .head(let head):
      self.head = head
      exchange.enter(.body, limit: pool.steps.body)
      let announced = head.headers.first(name: "Content-Length").flatMap { Int($0) } ?? 0
      if announced > exchange.request.replyLimit { failTooLarge(exchange) }
    case .body(var part):
      if body.readableBytes + part.readableBytes > exchange.request.replyLimit {
        failTooLarge(exchange)
      } else if body.readableBytes == 0 {
        body = part
      } else {
        body.writeBuffer(&part)
      }
    case .end: complete(exchange)
    }
  }

  private func failTooLarge(_ exchange: HTTPExchange) {
    fail(.init(reason: .replyTooLarge(limit: exchange.request.replyLimit), wasSent: true))
  }

  private func complete(_ exchange: HTTPExchange) {
    guard let head else { return }
    let response = HTTPResponse(
      status: Int(head.status.code), location: head.headers.first(name: "Location"),
      hasIndex: head.headers.contains(name: "X-Consul-Index"),
      date: head.headers.first(name: "Date"), body: Array(buffer: body))
    pool.didReceive(body.readableBytes)
    wasUsed = true
    // A server that answers before it has the whole request will not read the rest of it.
    if head.isKeepAlive && isWritten {
      state = .idle(since: .now())
      exchange.finish(.success(response))
      pool.becameIdle(self)
    } else {
      exchange.finish(.success(response))
      close()
    }
  }

  // MARK: Ends

  func handlerAdded(context: ChannelHandlerContext) {
    self.context = context
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    self.context = nil
  }

  func channelActive(context: ChannelHandlerContext) {
    if case .handshaking = state {
      handshakeTimer = context.eventLoop.assumeIsolated().scheduleTask(in: pool.steps.connect) {
        [self] in
        fail(.init(reason: .timedOut(.connect), wasSent: false))
      }
    }
    context.fireChannelActive()
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if case .handshaking = state, case .handshakeCompleted? = event as? TLSUserEvent {
      didHandshake(context)
    }
    context.fireUserInboundEventTriggered(event)
  }

  private func didHandshake(_ context: ChannelHandlerContext) {
    let pipeline = context.pipeline.syncOperations
    let certificate = try? pipeline.handler(type: NIOSSLClientHandler.self).peerCertificate
    guard pool.tls?.accepts(certificate) == true else {
      return fail(
        .init(reason: .tlsFailed, wasSent: false, detail: "the certificate has another name"))
    }
    handshakeTimer?.cancel()
    state = .idle(since: .now())
    takeOnReady()?(nil)
  }

  private func takeOnReady() -> ((HTTPFailure?) -> Void)? {
    defer { onReady = nil }
    return onReady
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    fail(failure(error))
  }

  func channelInactive(context: ChannelHandlerContext) {
    let reason: ConsulFault.Reason = head == nil ? .closedWithoutReply : .closedInReply
    fail(.init(reason: reason, wasSent: true))
    pool.didClose(self)
    context.fireChannelInactive()
  }

  /// Ends whatever is under way, and the connection.
  private func fail(_ failure: HTTPFailure) {
    let before = state
    state = .closed
    switch before {
    case .handshaking:
      handshakeTimer?.cancel()
      let isLate = failure.reason == .timedOut(.connect)
      if isLate { pool.wasSilent(context?.remoteAddress) }
      let failure = HTTPFailure(
        reason: isLate ? failure.reason : .tlsFailed, wasSent: false, detail: failure.detail)
      handshakeFailure = failure
      takeOnReady()?(failure)
    case .busy(let exchange): pool.failed(exchange, on: self, failure)
    case .idle, .closed: break
    }
    close()
  }

  /// Sorts an error of the pipeline.
  private func failure(_ error: any Error) -> HTTPFailure {
    let detail = HTTPConnector.detail(of: error)
    switch error {
    case HTTPParserError.invalidEOFState:
      return .init(reason: .closedInReply, wasSent: true)
    case is HTTPParserError, is NIOHTTPDecoderError:
      return .init(reason: .notHTTP, wasSent: true, detail: detail)
    default:
      // With TLS 1.3 a server judges the client's certificate after the handshake has ended for
      // the client. Having refused it, the server never looks at the request.
      if !wasUsed, head == nil, pool.tls != nil, TLSContext.isCertificateAlert(detail) {
        return .init(reason: .tlsFailed, wasSent: false, detail: detail)
      }
      return .init(
        reason: head == nil ? .closedWithoutReply : .closedInReply, wasSent: true, detail: detail)
    }
  }
}

extension HTTPRequest.Method {
  fileprivate var word: HTTPMethod {
    switch self {
    case .get: .GET
    case .put: .PUT
    case .post: .POST
    }
  }
}
