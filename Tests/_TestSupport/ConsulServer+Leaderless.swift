extension ConsulServer {
  /// Starts one server of three whose others never come, and waits until it says that nobody leads.
  package static func startLeaderless() async throws -> ConsulServer {
    var options = Options()
    options.storage = .nothing
    options.configuration = "server = true\nbootstrap_expect = 3"
    let server = try await launch(options, host: "127.0.0.1", Ports(on: ["127.0.0.1"]))
    try await eventually("Consul at \(server.address), without a leader") {
      let reply = try? server.request("GET", "/v1/status/leader")
      return reply?.status == 200 && reply?.body.hasPrefix("\"\"") == true
    }
    return server
  }
}
