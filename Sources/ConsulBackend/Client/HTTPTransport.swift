// The door between Swift's tasks and the event loop. It is closed until the first request: then
// token and certificates are read, and one thread with one event loop starts.

internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import Synchronization

final class HTTPTransport: Sendable {
  private struct Running: Sendable {
    let own: ClientLoop
    let pool: NIOLoopBoundBox<HTTPPool>
    let executor: LoopExecutor
    /// What must not appear in any text.
    let secrets: [String]
  }

  private struct State: Sendable {
    /// `nil` until the first request.
    var running: Running?
    var isClosed = false
  }

  let counters = SharedCounters()
  private let configuration: ConsulConfiguration
  private let limits: ConsulLimits
  private let state = Mutex(State())

  init(_ configuration: ConsulConfiguration, limits: ConsulLimits) {
    self.configuration = configuration
    self.limits = limits
  }

  /// Sends `request` and waits for the reply, whatever its status, until `deadline`.
  func send(
    _ request: HTTPRequest, deadline: ContinuousClock.Instant
  ) async throws(ConsulError) -> HTTPResponse {
    let running = try start()
    // NIO counts nanoseconds in 64 bits; a day is forever here.
    let timeLeft = TimeAmount(min(deadline - .now, .seconds(86_400)))
    let loop = running.own.loop
    let reply = loop.makePromise(of: HTTPResponse.self)
    let exchange = NIOLoopBoundBox.makeBoxSendingValue(
      HTTPExchange(request, deadline: .now() + timeLeft, reply: reply), eventLoop: loop)
    do {
      return try await withTaskCancellationHandler {
        loop.execute { running.pool.value.submit(exchange.value) }
        return try await reply.futureResult.get()
      } onCancel: {
        loop.execute { exchange.value.abort(.cancelled) }
      }
    } catch let failure as HTTPFailure {
      let fault = ConsulFault(failure, endpoint: configuration.endpoint)
      throw failure.wasSent ? .unknown(fault) : .notApplied(fault)
    } catch {
      // A promise of ours fails with nothing else; if it does, nothing is known.
      let failure = HTTPFailure(reason: .clientClosed, wasSent: true, detail: "\(error)")
      throw .unknown(ConsulFault(failure, endpoint: configuration.endpoint))
    }
  }

  /// Runs tasks on the thread of the event loop.
  func executor() throws(ConsulError) -> any TaskExecutor { try start().executor }

  /// Begins to open a connection, unless there is one.
  func prepare() {
    guard let running = try? start() else { return }
    running.own.loop.execute { running.pool.value.prepare() }
  }

  private func start() throws(ConsulError) -> Running {
    let result = state.withLock { state -> Result<Running, ConsulError> in
      if state.isClosed {
        let failure = HTTPFailure(reason: .clientClosed, wasSent: false)
        return .failure(.notApplied(ConsulFault(failure, endpoint: configuration.endpoint)))
      }
      if let running = state.running { return .success(running) }
      do throws(ConsulConfigurationError) {
        let running = try makeRunning()
        state.running = running
        return .success(running)
      } catch {
        let text = "cannot speak to Consul: \(error)"
        return .failure(
          .refused(.init(reason: .configuration, operation: nil, description: text)))
      }
    }
    return try result.get()
  }

  private func makeRunning() throws(ConsulConfigurationError) -> Running {
    let endpoint = configuration.endpoint
    let credentials = try configuration.credentials.resolve()
    var tls: TLSContext?
    if endpoint.usesTLS, case .tcp(let host, _) = endpoint.place {
      tls = try TLSContext(configuration.tls, host: host)
    }
    var headers = HTTPHeaders([("Host", endpoint.authority), ("User-Agent", "cni-ipam-consul")])
    headers.add(contentsOf: credentials.headers)
    let own = ClientLoop()
    let connector = HTTPConnector(endpoint, tls, limits, own)
    let pool = HTTPPool(connector, headers: headers, counters: counters)
    return Running(
      own: own, pool: .makeBoxSendingValue(pool, eventLoop: own.loop),
      executor: LoopExecutor(own.loop),
      secrets: credentials.secrets)
  }

  /// `text` without the secrets that a server may have echoed.
  func redact(_ text: String) -> String {
    state.withLock { state in
      state.running?.secrets.reduce(text) { $0.replacing($1, with: "<secret>") } ?? text
    }
  }

  /// Closes every connection; what is under way or comes later fails. The thread goes with this
  /// object, which every call under way holds: so none can find the event loop gone.
  func shutdown() async {
    let before = state.withLock { state in
      defer { state.isClosed = true }
      return state
    }
    guard let running = before.running else { return }
    try? await running.own.loop.submit { running.pool.value.shutDown() }.get()
  }
}

/// Counters that the event loop writes and anyone reads.
final class SharedCounters: Sendable {
  private let values = Mutex(ConsulCounters())

  func update(_ change: (inout ConsulCounters) -> Void) {
    values.withLock { change(&$0) }
  }

  var current: ConsulCounters { values.withLock { $0 } }
}

/// The event loop of a client. Its thread ends with the last that needs it.
final class ClientLoop: Sendable {
  let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)

  var loop: any EventLoop { group.any() }

  deinit { group.shutdownGracefully { _ in } }
}
