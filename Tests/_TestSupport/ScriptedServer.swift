// A server that does what a real Consul cannot be made to do: for every connection it runs a
// script, a few lines that read requests and write bytes, right or wrong.

internal import Synchronization

/// A scripted server on 127.0.0.1. It stops when this object goes away.
package final class ScriptedServer: Sendable {
  /// What a script sees of one connection.
  package struct Connection: Sendable {
    fileprivate let socket: LoopbackSocket
    fileprivate let record: Record
    /// 0 for the first connection.
    package let number: Int

    /// The next request, head and body; `nil` when the client has closed.
    package func request() -> String? {
      var bytes: [UInt8] = []
      while case let part = socket.read(), !part.isEmpty {
        bytes += part
        let text = String(decoding: bytes, as: UTF8.self)
        guard let end = text.firstRange(of: "\r\n\r\n") else { continue }
        let head = text[..<end.lowerBound].lowercased()
        let length = head.firstRange(of: "content-length: ").flatMap {
          Int(head[$0.upperBound...].prefix { $0.isNumber })
        }
        if text[end.upperBound...].utf8.count >= length ?? 0 {
          record.requests.withLock { $0.append(text) }
          return text
        }
      }
      return nil
    }

    /// Writes `text` as it is; `false` once the client is gone.
    @discardableResult
    package func write(_ text: String) -> Bool { socket.write(Array(text.utf8)) }

    /// A whole answer with its length.
    package func reply(_ status: Int, _ body: String, headers: String = "") {
      write(
        "HTTP/1.1 \(status) Scripted\r\nContent-Length: \(body.utf8.count)\r\n\(headers)\r\n\(body)"
      )
    }

    /// Waits until the client closes.
    package func waitForClose() { while !socket.read().isEmpty {} }

    /// Makes the end of the script a reset instead of an orderly close.
    package func reset() { socket.resetOnClose() }
  }

  fileprivate final class Record: Sendable {
    let requests = Mutex<[String]>([])
    let connections = Mutex<Int>(0)
  }

  package let port: Int
  private let listener: LoopbackSocket
  private let record = Record()

  /// `127.0.0.1:port`.
  package var address: String { "127.0.0.1:\(port)" }
  /// All requests that scripts have read so far.
  package var requests: [String] { record.requests.withLock { $0 } }
  /// Connections accepted so far.
  package var connections: Int { record.connections.withLock { $0 } }

  /// Listens, and runs `script` on a thread of its own for each connection, which ends with it.
  package init(_ script: @escaping @Sendable (Connection) -> Void) throws {
    (listener, port) = try LoopbackSocket.listen("127.0.0.1")
    onNewThread { [listener, record] in
      while let socket = listener.accept() {
        let number = record.connections.withLock { count in
          defer { count += 1 }
          return count
        }
        onNewThread { script(Connection(socket: socket, record: record, number: number)) }
      }
    }
  }

  deinit { listener.stop() }

  /// Answers every request of every connection with the same bytes.
  package static func always(
    _ status: Int, _ body: String, headers: String = ""
  ) throws -> ScriptedServer {
    try ScriptedServer { connection in
      while connection.request() != nil { connection.reply(status, body, headers: headers) }
    }
  }
}
