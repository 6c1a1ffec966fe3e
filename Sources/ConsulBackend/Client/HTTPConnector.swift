// Opens connections: TCP or Unix socket, TLS where the endpoint wants it, and the HTTP codec. Of the
// addresses of a name each has a quarter of a second before the next one is tried too.

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#endif
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import NIOSSL

struct HTTPConnector {
  let endpoint: ConsulEndpoint
  let tls: TLSContext?
  let limits: ConsulLimits
  let loop: any EventLoop
  /// Of a host that is given by its name: an IP address needs no lookup and no thread for it.
  private let lookup: HostLookup?

  init(_ endpoint: ConsulEndpoint, _ tls: TLSContext?, _ limits: ConsulLimits, _ own: ClientLoop) {
    (self.endpoint, self.tls, self.limits, loop) = (endpoint, tls, limits, own.loop)
    if case .tcp(let host, let port) = endpoint.place, Self.address(host, port) == nil {
      lookup = HostLookup(host, port: port, on: own)
    } else {
      lookup = nil
    }
  }

  /// Opens one connection for `pool`, on its event loop. `done` is called there, once.
  func connect(
    for pool: HTTPPool, _ done: @escaping (Result<HTTPConnection, HTTPFailure>) -> Void
  ) {
    let bound = NIOLoopBound(pool, eventLoop: loop)
    let bootstrap = ClientBootstrap(group: loop)
      .connectTimeout(TimeAmount(limits.connect))
      .channelInitializer { [tls] channel in
        channel.eventLoop.makeCompletedFuture {
          let pipeline = channel.pipeline.syncOperations
          if let tls { try pipeline.addHandler(tls.makeHandler()) }
          // What stands in headers was looked at when it was read: not again for each request.
          try pipeline.addHTTPClientHandlers(enableOutboundHeaderValidation: false)
          try pipeline.addHandler(HTTPConnection(pool: bound.value))
        }
      }
    open(bootstrap).assumeIsolated().whenComplete { result in
      do {
        let channel = try result.get()
        let pipeline = channel.pipeline.syncOperations
        let connection = try pipeline.handler(type: HTTPConnection.self)
        connection.whenReady { failure in
          done(failure.map { .failure($0) } ?? .success(connection))
        }
      } catch {
        lookup?.forgive()
        done(.failure(sort(error)))
      }
    }
  }

  private func open(_ bootstrap: ClientBootstrap) -> EventLoopFuture<any Channel> {
    switch endpoint.place {
    case .unix(let path): return bootstrap.connect(unixDomainSocketPath: path)
    case .tcp(let host, let port):
      if let address = Self.address(host, port) { return bootstrap.connect(to: address) }
      guard let lookup else { preconditionFailure("a name has a lookup") }
      return lookup.addresses().assumeIsolated().flatMap { [loop] addresses in
        let known = KnownAddresses(addresses: lookup.candidates(addresses), loop: loop)
        return bootstrap.resolver(known).connect(host: host, port: port)
      }.nonisolated()
    }
  }

  private static func address(_ host: String, _ port: Int) -> SocketAddress? {
    try? SocketAddress(ipAddress: host, port: port)
  }

  /// What a connection that is being opened waits for, for who has no time left.
  var waitsFor: String {
    guard let lookup else { return "" }
    return lookup.isAsking
      ? "the name servers have not said yet where that is: check /etc/resolv.conf"
      : Self.list(lookup.found)
  }

  /// A connection to there brought nothing within a step's bound.
  func wasSilent(_ address: SocketAddress?) {
    if let lookup, let address { lookup.wasSilent(address) }
  }

  private func sort(_ error: any Error) -> HTTPFailure {
    switch error {
    case let error as IOError where error.errnoCode == ECONNREFUSED:
      return .init(reason: .connectionRefused, wasSent: false)
    case ChannelError.connectTimeout:
      return .init(reason: .timedOut(.connect), wasSent: false, detail: waitsFor)
    case let error as HostLookup.Failure:
      return .init(reason: .hostUnknown, wasSent: false, detail: error.text)
    case let error as NIOConnectionError: return sort(error.connectionErrors)
    default: return .init(reason: .unreachable, wasSent: false, detail: Self.detail(of: error))
    }
  }

  /// Every address of the name was tried.
  private func sort(_ failures: [SingleConnectionFailure]) -> HTTPFailure {
    let reasons = Set(failures.map { sort($0.error).reason })
    if reasons == [.connectionRefused] {
      let addresses = Self.list(failures.map(\.target))
      return .init(reason: .connectionRefused, wasSent: false, detail: addresses)
    }
    let texts = failures.map { "\(Self.list([$0.target])): \(Self.detail(of: $0.error))" }
    return .init(
      reason: reasons.first { $0 == .timedOut(.connect) } ?? .unreachable, wasSent: false,
      detail: texts.joined(separator: ", "))
  }

  private static func list(_ addresses: [SocketAddress]) -> String {
    addresses.compactMap(\.ipAddress).joined(separator: ", ")
  }

  /// An error in words: a system call's in the system's, BoringSSL's by the name of its reason,
  /// such as CERTIFICATE_VERIFY_FAILED.
  static func detail(of error: any Error) -> String {
    if let error = error as? IOError { return String(cString: strerror(error.errnoCode)) }
    let text = String(describing: error)
    guard let library = text.firstRange(of: "OPENSSL_internal:") else { return text }
    return String(text[library.upperBound...].prefix { !$0.isWhitespace })
  }
}
