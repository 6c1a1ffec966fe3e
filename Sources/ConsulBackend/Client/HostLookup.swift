// The addresses of Consul's host. The C library blocks whoever asks it, and takes its time: where the first
// of two name servers is silent, it asks the second after five seconds, each time. So it is asked in a
// thread of its own, once for all connections that wait for it, and as long as a request may wait; the
// bound on connecting begins when the addresses are known.
//
//   idle ──▶ asking (a thread in getaddrinfo) ──▶ idle, and the addresses of the last answer

internal import Dispatch
#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#endif
internal import NIOCore
internal import NIOPosix

/// Looks up the addresses of one host, on the event loop of whoever asks.
final class HostLookup {
  /// Why there is none, in the words of the C library.
  struct Failure: Error {
    let text: String
  }

  private let host: String
  private let port: Int
  private let loop: any EventLoop
  /// Its connections have this lookup in the end: it would keep itself.
  private weak var clientLoop: ClientLoop?
  private var underWay: EventLoopFuture<[SocketAddress]>?
  /// What the last lookup found.
  private(set) var found: [SocketAddress] = []
  /// Who took a connection and then said nothing: the others come first, as long as there are some.
  private var silent: Set<SocketAddress> = []

  /// Nobody has said yet what addresses the host has.
  var isAsking: Bool { underWay != nil }

  init(_ host: String, port: Int, on clientLoop: ClientLoop) {
    (self.host, self.port, self.clientLoop, loop) = (host, port, clientLoop, clientLoop.loop)
  }

  func addresses() -> EventLoopFuture<[SocketAddress]> {
    if let underWay { return underWay }
    guard let clientLoop else { return loop.makeFailedFuture(ChannelError.ioOnClosedChannel) }
    let answer = loop.makePromise(of: [SocketAddress].self)
    underWay = answer.futureResult
    answer.futureResult.assumeIsolated().whenComplete { [self] result in
      underWay = nil
      found = (try? result.get()) ?? []
    }
    // The loop outlives the question, which nothing can break off.
    DispatchQueue(label: "host").async { [host, port, clientLoop] in
      let result = Result { try Self.ask(host, port) }
      clientLoop.loop.execute { [clientLoop] in
        answer.completeWith(result)
        withExtendedLifetime(clientLoop) {}
      }
    }
    return answer.futureResult
  }

  /// Where to connect to, of what was found.
  func candidates(_ addresses: [SocketAddress]) -> [SocketAddress] {
    let others = addresses.filter { !silent.contains($0) }
    if others.isEmpty { silent = [] }
    return others.isEmpty ? addresses : others
  }

  func wasSilent(_ address: SocketAddress) { silent.insert(address) }

  /// No connection could be opened to the others.
  func forgive() { silent = [] }

  private static func ask(_ host: String, _ port: Int) throws(Failure) -> [SocketAddress] {
    var hints = addrinfo()
    hints.ai_protocol = Int32(IPPROTO_TCP)  // else each address comes once for each kind of socket
    var list: UnsafeMutablePointer<addrinfo>?
    let code = getaddrinfo(host, nil, &hints, &list)
    guard code == 0 else { throw Failure(text: String(cString: gai_strerror(code))) }
    defer { freeaddrinfo(list) }
    var addresses: [SocketAddress] = []
    for entry in sequence(first: list, next: { $0?.pointee.ai_next }) {
      guard let entry, let bytes = UnsafeRawPointer(entry.pointee.ai_addr) else { break }
      var address: SocketAddress?
      switch entry.pointee.ai_family {
      case AF_INET: address = SocketAddress(bytes.loadUnaligned(as: sockaddr_in.self), host: host)
      case AF_INET6: address = SocketAddress(bytes.loadUnaligned(as: sockaddr_in6.self), host: host)
      default: continue
      }
      address?.port = port
      if let address { addresses.append(address) }
    }
    return addresses
  }
}

/// What is known already, for NIO's race between addresses (RFC 8305).
struct KnownAddresses: Resolver {
  let addresses: [SocketAddress]
  let loop: any EventLoop

  func initiateAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> {
    loop.makeSucceededFuture(addresses.filter { $0.protocol == .inet })
  }

  func initiateAAAAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> {
    loop.makeSucceededFuture(addresses.filter { $0.protocol == .inet6 })
  }

  func cancelQueries() {}
}
