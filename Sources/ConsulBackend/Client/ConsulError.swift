// How a request can fail, sorted by what the caller may do next and by nothing else:
//
//   refused      the answer is no, and will be no again: tell the user
//   notApplied   surely never carried out: the same request may be sent again
//   unknown      carried out or not, nobody can tell: resolve before anything else
//
// For a read the last two mean the same. Every text names the address and never a secret.

/// Why a request brought no result.
package enum ConsulError: Error, Hashable, Sendable, CustomStringConvertible {
  case refused(ConsulRefusal)
  case notApplied(ConsulFault)
  case unknown(ConsulFault)

  package var description: String {
    switch self {
    case .refused(let refusal): refusal.description
    case .notApplied(let fault), .unknown(let fault): fault.description
    }
  }
}

/// A permanent no. Sending the same request again is useless.
package struct ConsulRefusal: Hashable, Sendable, CustomStringConvertible {
  package enum Reason: Hashable, Sendable {
    /// The token may not do this.
    case accessDenied
    /// The token does not exist.
    case tokenUnknown
    /// Request or value is above the server's bound, which it named or did not.
    case tooLarge(limit: Int?)
    /// More operations in one transaction than the server takes.
    case tooManyOperations(limit: Int)
    /// This server is too old for a verb.
    case verbUnknown
    /// No path to the datacenter.
    case datacenterUnknown
    /// The server calls the request malformed.
    case badRequest
    /// A redirect, which is never followed.
    case redirected(to: String)
    /// An answer that is not Consul's, such as a proxy's.
    case notConsul
    /// A file or setting of ours cannot be used; nothing was sent.
    case configuration
    /// Anything else that the server refuses.
    case other
  }

  package let reason: Reason
  /// For a transaction: the first operation that was refused for this reason.
  package let operation: Int?
  /// The whole message.
  package let description: String
}

/// Something that went wrong on the way, or a server that could not do its work now.
package struct ConsulFault: Hashable, Sendable, CustomStringConvertible {
  package enum Reason: Hashable, Sendable {
    // Before the first byte of the request was written.
    case connectionRefused
    case hostUnknown
    case unreachable
    case tlsFailed
    case closedBeforeRequest
    // After it.
    case closedWithoutReply
    case closedInReply
    case timedOut(ConsulStep)
    case notHTTP
    case replyTooLarge(limit: Int)
    case replyMalformed
    // Either.
    case cancelled
    case clientClosed
    // What the server says of itself.
    case tooManyRequests
    case noLeader
    case leaderUnreachable
    case serverError(status: Int)
  }

  package let reason: Reason
  /// The whole message.
  package let description: String
}

/// The steps of a request, each with a bound in ``ConsulLimits`` and all below one deadline.
package enum ConsulStep: String, Hashable, Sendable {
  case connect = "connecting"
  case write = "sending the request"
  case firstByte = "waiting for the first byte of the reply"
  case body = "reading the reply"
}
