import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix

// One request a connection, which is closed after the answer: a scraper comes every few seconds, and
// so everything has a bound.
//
//   64 connections at one time; more wait in the listen queue
//   a connection has the time of a reading and 20 seconds more, whatever its client does
//   a header has at most NIO's 80 KiB; a body is thrown away as it comes

/// The HTTP server of `metrics --listen`.
struct MetricsServer: Sendable {
  private typealias Connection = NIOAsyncChannel<HTTPServerRequestPart, HTTPServerResponsePart>

  private static let connections = 64

  private let listener: NIOAsyncChannel<Connection, Never>

  /// Where it listens, with the port that the system chose.
  let place: ListenAddress

  /// Listens; what comes is answered from `run` on.
  ///
  /// - Parameter timeout: Seconds that a reading may take.
  static func bind(
    _ address: ListenAddress, timeout: Int
  ) async throws(Failure) -> MetricsServer {
    do {
      guard address.host == nil else { return try await listen(address, timeout) }
      do {
        return try await listen(ListenAddress(host: "::", port: address.port), timeout)
      } catch let error as IOError where [EAFNOSUPPORT, EADDRNOTAVAIL].contains(error.errnoCode) {
        // A machine without IPv6.
        return try await listen(ListenAddress(host: "0.0.0.0", port: address.port), timeout)
      }
    } catch let error as IOError {
      let reason = String(cString: strerror(error.errnoCode))
      let help = error.errnoCode == EADDRINUSE ? "; who has it: ss -ltnp" : ""
      throw Failure(.failed, "--listen \(address): \(reason)\(help)")
    } catch is SocketAddressError.UnknownHost {
      throw Failure(.failed, "--listen \(address): no address of that name is known")
    } catch {
      throw Failure(.failed, "--listen \(address): \(error)")
    }
  }

  private static func listen(
    _ address: ListenAddress, _ timeout: Int
  ) async throws -> MetricsServer {
    let life = TimeAmount.seconds(Int64(timeout) + 20)
    let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup(numberOfThreads: 1))
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .bind(host: address.host ?? "", port: address.port) { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.configureHTTPServerPipeline()
          let end = channel.eventLoop.scheduleTask(in: life) { channel.close(promise: nil) }
          channel.closeFuture.whenComplete { _ in end.cancel() }
          return try Connection(wrappingChannelSynchronously: channel)
        }
      }
    let port = listener.channel.localAddress?.port ?? address.port
    return MetricsServer(
      listener: listener, place: ListenAddress(host: address.host ?? "", port: port))
  }

  /// Answers until its task is cancelled.
  func run(_ page: MetricsPage) async {
    try? await listener.executeThenClose { connections in
      try await withThrowingTaskGroup(of: Void.self) { group in
        var open = 0
        for try await connection in connections {
          if open == Self.connections { try await group.next() } else { open += 1 }
          // A client that went away is its own affair.
          group.addTask { try? await Self.serve(connection, page) }
        }
      }
    }
  }

  private static func serve(_ connection: Connection, _ page: MetricsPage) async throws {
    try await connection.executeThenClose { parts, writer in
      var head: HTTPRequestHead?
      for try await part in parts {
        if case .head(let received) = part { head = received }
        guard case .end = part, let head else { continue }
        let (answer, body) = await answer(head, page)
        try await writer.write(.head(answer))
        if head.method != .HEAD { try await writer.write(.body(.byteBuffer(body))) }
        try await writer.write(.end(nil))
        return
      }
    }
  }

  private static func answer(
    _ head: HTTPRequestHead, _ page: MetricsPage
  ) async -> (HTTPResponseHead, ByteBuffer) {
    let path = head.uri.prefix { $0 != "?" }
    var headers: HTTPHeaders = ["Connection": "close", "Content-Type": "text/plain; charset=utf-8"]
    var (status, text) = (HTTPResponseStatus.ok, "")
    if path != "/", path != "/metrics" {
      (status, text) = (.notFound, "\(path): there is nothing but /metrics\n")
    } else if head.method != .GET, head.method != .HEAD {
      headers.add(name: "Allow", value: "GET, HEAD")
      (status, text) = (.methodNotAllowed, "\(head.method.rawValue): GET or HEAD\n")
    } else if path == "/" {
      text = "ipamctl metrics is here; what Prometheus reads is at /metrics\n"
    } else {
      let answer = await page.scrape()
      headers.replaceOrAdd(
        name: "Content-Type", value: "text/plain; version=0.0.4; charset=utf-8")
      (status, text) = (answer.status, answer.text)
    }
    let body = ByteBuffer(string: text)
    headers.add(name: "Content-Length", value: "\(body.readableBytes)")
    return (HTTPResponseHead(version: .http1_1, status: status, headers: headers), body)
  }
}
