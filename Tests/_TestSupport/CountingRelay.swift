internal import Synchronization

/// A relay on loopback in front of a server that passes on whatever comes and counts it. It stops when
/// this object goes away.
package final class CountingRelay: Sendable {
  private final class Counts: Sendable {
    let requests = Atomic<Int>(0)
    let replied = Atomic<Int>(0)
  }

  private let listener: LoopbackSocket
  package let port: Int
  private let counts = Counts()

  /// `127.0.0.1:port`.
  package var address: String { "127.0.0.1:\(port)" }
  /// Requests so far. A client that writes a request's head in one piece, as all do, is counted right.
  package var requests: Int { counts.requests.load(ordering: .relaxed) }
  /// Bytes of answers so far, heads included.
  package var replied: Int { counts.replied.load(ordering: .relaxed) }

  /// A relay in front of a server, on an address of its own if need be.
  package init(_ server: ConsulServer, on address: String = "127.0.0.1") throws {
    (listener, port) = try LoopbackSocket.listen(address)
    onNewThread { [listener, counts, host = server.host, port = server.port] in
      while let client = listener.accept() {
        guard let upstream = try? LoopbackSocket.connect(host, port) else { continue }
        onNewThread {
          while case let part = client.read(), !part.isEmpty {
            let heads = String(decoding: part, as: UTF8.self).split(separator: " HTTP/1.1\r\n")
            counts.requests.add(heads.count - 1, ordering: .relaxed)
            guard upstream.write(part) else { break }
          }
          upstream.stop()
        }
        onNewThread {
          while case let part = upstream.read(), !part.isEmpty {
            counts.replied.add(part.count, ordering: .relaxed)
            guard client.write(part) else { break }
          }
          client.stop()
        }
      }
    }
  }

  deinit { listener.stop() }
}
