// Places that give no answer: an address that takes no connection, and name servers, silent or not.

internal import Glibc

/// An address at which nothing is heard: connections are neither taken nor refused, as behind a firewall
/// that drops them, or they are taken, as by a process that is stopped.
package final class SilentAddress: Sendable {
  private let listener: LoopbackSocket
  private let waiting: [LoopbackSocket]

  package init(_ host: String, port: Int, takesConnections: Bool = false) throws {
    // Nobody accepts. With a backlog of 0 there is room for one that waits for it: others get no answer.
    listener = try LoopbackSocket.listen(host, port: port, backlog: takesConnections ? 64 : 0)
      .socket
    waiting = try (0..<(takesConnections ? 0 : 3)).map { _ in try LoopbackSocket.knock(host, port) }
  }
}

/// A name server on port 53 of an address; it stops when this object goes away.
package final class NameServer: Sendable {
  private let socket: LoopbackSocket

  /// - Parameter answer: The IPv4 address of every name; nil for a server that never answers.
  package init(_ host: String, answer: [UInt8]?) throws {
    socket = try LoopbackSocket.bind(SOCK_DGRAM, host, 53)
    guard let answer else { return }
    onNewThread { [socket] in
      while socket.answer({ Self.reply(to: $0, answer) }) {}
    }
  }

  deinit { socket.stop() }

  /// RFC 1035 section 4: the question again, and for type A one record that points to its name.
  private static func reply(to query: [UInt8], _ address: [UInt8]) -> [UInt8]? {
    guard query.count > 12, let end = query[12...].firstIndex(of: 0), query.count >= end + 5 else {
      return nil
    }
    let isA = query[end + 1...end + 2] == [0, 1]
    let head = query[..<2] + [0x81, 0x80, 0, 1, 0, isA ? 1 : 0, 0, 0, 0, 0]
    let record: [UInt8] = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4] + address
    return Array(head) + query[12..<end + 5] + (isA ? record : [])
  }
}
