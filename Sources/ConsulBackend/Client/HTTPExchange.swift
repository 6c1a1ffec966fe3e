// One request on its way to one answer. An exchange lives on the event loop and is finished
// exactly once, by whoever comes first: the reply, an error, its deadline or its caller.
//
//   waiting ──▶ write ──▶ firstByte ──▶ body ──▶ finished
//      └──────────┴─────────┴────────────┴───────▶ (failed: not sent before `write`, else unknown)

internal import NIOCore

struct HTTPRequest: Sendable {
  enum Method: Sendable { case get, put, post }

  let method: Method
  /// Path and query, percent-encoded.
  let target: String
  var body: [UInt8] = []
  /// It changes nothing on the server, so that it may be sent a second time.
  let isRead: Bool
  let replyLimit: Int
}

struct HTTPResponse: Sendable {
  let status: Int
  let location: String?
  /// It carries X-Consul-Index, as every answer of /v1/kv does, also "no such key".
  let hasIndex: Bool
  /// When the server says it answered (RFC 9110 section 6.6.1).
  let date: String?
  let body: [UInt8]
}

/// Why an exchange ended without a reply.
struct HTTPFailure: Error {
  let reason: ConsulFault.Reason
  /// The request had begun to be written.
  let wasSent: Bool
  var detail = ""
}

final class HTTPExchange {
  let request: HTTPRequest
  let deadline: NIODeadline
  private let reply: EventLoopPromise<HTTPResponse>
  private(set) var isFinished = false
  /// The pool tried once more already.
  var wasRetried = false
  /// Told when the exchange is to end early: the pool while it waits, then its connection.
  var onAbort: (() -> Void)?
  /// What the pool says that it waits for, while it does.
  var waitsFor: (() -> String)?

  private var step = ConsulStep.connect
  private var stepDeadline: NIODeadline
  private var timer: Scheduled<Void>?
  private var timerDeadline = NIODeadline.distantFuture

  init(_ request: HTTPRequest, deadline: NIODeadline, reply: EventLoopPromise<HTTPResponse>) {
    self.request = request
    self.deadline = deadline
    self.reply = reply
    stepDeadline = deadline
  }

  private var wasSent: Bool { step != .connect }

  /// Enters a step that may take `limit`, within the deadline.
  func enter(_ step: ConsulStep, limit: TimeAmount?) {
    self.step = step
    stepDeadline = limit.map { min(deadline, .now() + $0) } ?? deadline
    if stepDeadline < timerDeadline { startTimer() }
  }

  /// A later step mostly has the later deadline: then the running timer looks again when it
  /// fires, which spares most requests all timers but one.
  private func startTimer() {
    let loop = reply.futureResult.eventLoop.assumeIsolated()
    timer?.cancel()
    timerDeadline = stepDeadline
    timer = loop.scheduleTask(deadline: stepDeadline) { [self] in
      timerDeadline = .distantFuture
      if isFinished {
        return
      } else if NIODeadline.now() < stepDeadline {
        startTimer()
      } else {
        abort(.timedOut(step))
      }
    }
  }

  /// Ends the exchange from outside: its time is over, or its caller is gone.
  func abort(_ reason: ConsulFault.Reason) {
    guard !isFinished else { return }
    let onAbort = onAbort
    let detail = wasSent ? "" : waitsFor?() ?? ""
    finish(.failure(HTTPFailure(reason: reason, wasSent: wasSent, detail: detail)))
    onAbort?()
  }

  func finish(_ result: Result<HTTPResponse, HTTPFailure>) {
    guard !isFinished else { return }
    isFinished = true
    (onAbort, waitsFor) = (nil, nil)
    timer?.cancel()
    switch result {
    case .success(let response): reply.succeed(response)
    case .failure(let failure): reply.fail(failure)
    }
  }

  /// Goes back to waiting, for the one more try on a new connection.
  func rewind() {
    wasRetried = true
    enter(.connect, limit: nil)
  }
}
