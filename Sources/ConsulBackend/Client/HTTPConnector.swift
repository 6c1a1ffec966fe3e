// Opens connections: TCP or Unix socket, TLS where the endpoint wants it, and the HTTP codec.

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
        done(.failure(Self.sort(error)))
      }
    }
  }

  private func open(_ bootstrap: ClientBootstrap) -> EventLoopFuture<any Channel> {
    switch endpoint.place {
    case .unix(let path): return bootstrap.connect(unixDomainSocketPath: path)
    case .tcp(let host, let port):
      // An IP address needs neither the resolver nor its thread.
      if let address = try? SocketAddress(ipAddress: host, port: port) {
        return bootstrap.connect(to: address)
      }
      return bootstrap.connect(host: host, port: port)
    }
  }

  private static func sort(_ error: any Error) -> HTTPFailure {
    switch error {
    case let error as IOError where error.errnoCode == ECONNREFUSED:
      return .init(reason: .connectionRefused, wasSent: false)
    case ChannelError.connectTimeout:
      return .init(reason: .timedOut(.connect), wasSent: false)
    case let error as NIOConnectionError:
      // Happy eyeballs tried every address of the name; the first failure stands for all.
      if let first = error.connectionErrors.first { return sort(first.error) }
      let dnsError = error.dnsAError ?? error.dnsAAAAError ?? error
      return .init(reason: .hostUnknown, wasSent: false, detail: detail(of: dnsError))
    default: return .init(reason: .unreachable, wasSent: false, detail: detail(of: error))
    }
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
