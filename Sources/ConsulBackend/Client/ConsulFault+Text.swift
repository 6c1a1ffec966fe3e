// What a user reads when there is no answer: where, what, and what to look at.

extension ConsulFault {
  init(_ reason: Reason, _ description: String) {
    self.init(reason: reason, description: description)
  }

  init(_ failure: HTTPFailure, endpoint: ConsulEndpoint) {
    let detail = failure.detail.isEmpty ? "" : " (\(failure.detail))"
    let text =
      switch failure.reason {
      case .connectionRefused:
        "nothing listens at \(endpoint)\(detail): is Consul's agent running there? Else "
          + endpoint.whatToCheck
      case .hostUnknown:
        "no address found for the host of \(endpoint)\(detail): \(endpoint.whatToCheck), "
          + "and /etc/hosts and /etc/resolv.conf"
      case .unreachable: "cannot connect to Consul at \(endpoint)\(detail)"
      case .tlsFailed:
        "no TLS with \(endpoint)\(detail): check "
          + ["ca_file", "cert_file", "key_file", "tls_server_name"]
          .map { endpoint.names($0) }.joined(separator: ", ") + ", and that the port speaks https"
      case .closedBeforeRequest: "\(endpoint) closed the connection before a request was sent"
      case .closedWithoutReply:
        "\(endpoint) closed the connection without an answer\(detail): has the agent stopped, "
          + "does the port speak https, or is its limit of connections "
          + "(http_max_conns_per_client) reached?"
      case .closedInReply: "\(endpoint) closed the connection within its answer\(detail)"
      case .timedOut(let step):
        "no time left while \(step.rawValue): Consul at \(endpoint)\(detail)"
      case .notHTTP: "\(endpoint) does not answer in HTTP\(detail): is it Consul's HTTP port?"
      case .replyTooLarge(let limit): "the answer of \(endpoint) is larger than \(limit) bytes"
      case .cancelled: "cancelled while speaking to Consul at \(endpoint)"
      case .clientClosed: "the client for \(endpoint) is shut down"
      case .replyMalformed, .tooManyRequests, .noLeader, .leaderUnreachable, .serverError:
        "Consul at \(endpoint) failed\(detail)"
      }
    self.init(failure.reason, text)
  }
}
