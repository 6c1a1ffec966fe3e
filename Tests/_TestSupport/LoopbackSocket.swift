// Blocking sockets on loopback, and nothing but loopback: free ports, a minimal HTTP call that
// shares no code with the client under test, and what the scripted server stands on.

internal import Glibc
import Synchronization

/// A blocking TCP socket, closed when it goes away.
final class LoopbackSocket: Sendable {
  private let descriptor: Int32

  private init(_ descriptor: Int32) {
    self.descriptor = descriptor
  }

  deinit { close(descriptor) }

  private static func make(
    _ type: __socket_type, _ host: String, _ more: Int32 = 0
  ) throws -> LoopbackSocket {
    let flags = Int32(type.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | more
    let descriptor = socket(host.contains(":") ? AF_INET6 : AF_INET, flags, 0)
    guard descriptor >= 0 else { throw TestSupportError("no socket", errno) }
    var yes: Int32 = 1
    setsockopt(
      descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
    return LoopbackSocket(descriptor)
  }

  private static func withAddress(
    _ host: String, _ port: Int, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
  ) -> Int32 {
    precondition(host.hasPrefix("127.") || host == "::1", "loopback only")
    guard host != "::1" else {
      var address = sockaddr_in6()
      address.sin6_family = sa_family_t(AF_INET6)
      address.sin6_port = in_port_t(port).bigEndian
      address.sin6_addr = in6addr_loopback
      return withGeneric(address, body)
    }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(port).bigEndian
    inet_pton(AF_INET, host, &address.sin_addr)
    return withGeneric(address, body)
  }

  private static func withGeneric<Address>(
    _ address: Address, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
  ) -> Int32 {
    withUnsafeBytes(of: address) { bytes in
      bytes.withMemoryRebound(to: sockaddr.self) {
        body($0.baseAddress!, socklen_t(bytes.count))
      }
    }
  }

  static func connect(_ host: String, _ port: Int) throws -> LoopbackSocket {
    let made = try make(SOCK_STREAM, host)
    guard withAddress(host, port, { Glibc.connect(made.descriptor, $0, $1) }) == 0 else {
      throw TestSupportError("cannot connect to \(host):\(port)", errno)
    }
    return made
  }

  /// Begins to connect, whatever comes of it.
  static func knock(_ host: String, _ port: Int) throws -> LoopbackSocket {
    let made = try make(SOCK_STREAM, host, Int32(SOCK_NONBLOCK.rawValue))
    _ = withAddress(host, port, { Glibc.connect(made.descriptor, $0, $1) })
    return made
  }

  /// Listens on a port, one that the kernel chooses unless it is given.
  static func listen(
    _ host: String, port: Int = 0, backlog: Int32 = 128
  ) throws -> (socket: LoopbackSocket, port: Int) {
    let made = try bind(SOCK_STREAM, host, port)
    guard Glibc.listen(made.descriptor, backlog) == 0 else {
      throw TestSupportError("cannot listen on \(host)", errno)
    }
    var address = sockaddr_in()  // the port is at the same place in both
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        _ = getsockname(made.descriptor, $0, &length)
      }
    }
    return (made, Int(in_port_t(bigEndian: address.sin_port)))
  }

  /// A socket with a port that nobody else has.
  static func bind(
    _ type: __socket_type, _ host: String, _ port: Int
  ) throws -> LoopbackSocket {
    let made = try make(type, host)
    guard withAddress(host, port, { Glibc.bind(made.descriptor, $0, $1) }) == 0 else {
      throw TestSupportError("cannot have port \(port) of \(host)", errno)
    }
    return made
  }

  /// The next connection; `nil` once ``stop()`` was called.
  func accept() -> LoopbackSocket? {
    let accepted = Glibc.accept(descriptor, nil, nil)
    guard accepted >= 0 else { return nil }
    _ = fcntl(accepted, F_SETFD, FD_CLOEXEC)
    return LoopbackSocket(accepted)
  }

  /// Wakes whoever is blocked on it.
  func stop() { shutdown(descriptor, Int32(SHUT_RDWR)) }

  /// Whether nobody uses `port` on `host`, neither for TCP nor for UDP.
  static func isFree(_ host: String, _ port: Int) -> Bool {
    [SOCK_STREAM, SOCK_DGRAM].allSatisfy { (try? bind($0, host, port)) != nil }
  }

  /// Everything that fits, or `false` once the peer is gone.
  @discardableResult
  func write(_ bytes: [UInt8]) -> Bool {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes {
        send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { return false }
      rest = rest.dropFirst(count)
    }
    return true
  }

  /// What is there, waiting for at least one byte; empty at the end.
  func read() -> [UInt8] {
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    let count = recv(descriptor, &buffer, buffer.count, 0)
    return Array(buffer.prefix(max(0, count)))
  }

  /// The next datagram, answered by what `reply` makes of it; false once ``stop()`` was called.
  func answer(_ reply: ([UInt8]) -> [UInt8]?) -> Bool {
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    var sender = sockaddr_in()
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    return withUnsafeMutablePointer(to: &sender) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { sender in
        let count = recvfrom(descriptor, &buffer, buffer.count, 0, sender, &length)
        guard count > 0 else { return false }
        guard let bytes = reply(Array(buffer[..<count])) else { return true }
        return sendto(descriptor, bytes, bytes.count, 0, sender, length) == bytes.count
      }
    }
  }

  func readToEnd() -> [UInt8] {
    var bytes: [UInt8] = []
    while case let part = read(), !part.isEmpty { bytes += part }
    return bytes
  }

  /// Bounds every later `read`.
  func limitReads(seconds: Int) {
    var limit = timeval(tv_sec: seconds, tv_usec: 0)
    setsockopt(
      descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
  }

  /// Makes the coming close a reset (RST) instead of an orderly end.
  func resetOnClose() {
    var linger = linger(l_onoff: 1, l_linger: 0)
    setsockopt(
      descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<linger>.size))
  }
}

/// `count` ports that are free on every one of `hosts`. They lie below the range that the kernel
/// takes ports for outgoing connections from, so they stay free until a server binds them; if two
/// test runs choose the same, the server that fails to start is started again on others. None is given
/// twice by this process: a server that is down comes back on its own.
func freePorts(_ count: Int, on hosts: [String]) throws -> [Int] {
  let ports = givenPorts.withLock { given in
    var ports: [Int] = []
    for _ in 0..<10_000 where ports.count < count {
      let port = Int.random(in: 10_000..<32_000)
      if !given.contains(port), hosts.allSatisfy({ LoopbackSocket.isFree($0, port) }) {
        ports.append(port)
        given.insert(port)
      }
    }
    return ports
  }
  guard ports.count == count else { throw TestSupportError("no free ports on \(hosts)") }
  return ports
}

/// A port of 127.0.0.1 where nobody listens, nor will: no server of these tests gets it.
package func unusedPort() throws -> Int { try freePorts(1, on: ["127.0.0.1"])[0] }

private let givenPorts = Mutex<Set<Int>>([])

/// One HTTP request over a connection of its own: how the tests look at a server behind the back
/// of the client under test. Who says nothing for so many seconds gives no answer.
package func plainHTTP(
  _ method: String, _ host: String, _ port: Int, _ path: String, token: String? = nil,
  body: String = "", seconds: Int = 10
) throws -> (status: Int, body: String) {
  let socket = try LoopbackSocket.connect(host, port)
  socket.limitReads(seconds: seconds)
  let header = token.map { "X-Consul-Token: \($0)\r\n" } ?? ""
  let length = "Content-Length: \(body.utf8.count)\r\n"
  let head = "\(method) \(path) HTTP/1.0\r\nHost: \(host)\r\n\(header)\(length)\r\n"
  socket.write(Array((head + body).utf8))
  let reply = String(decoding: socket.readToEnd(), as: UTF8.self)
  guard let end = reply.firstRange(of: "\r\n\r\n"),
    let status = reply.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
  else { throw TestSupportError("no answer from \(host):\(port)") }
  return (status, String(reply[end.upperBound...]))
}
