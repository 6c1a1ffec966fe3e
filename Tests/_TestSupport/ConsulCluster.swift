// Three real Consul servers on 127.0.0.1, .2 and .3, on disk.

/// A cluster of three servers, of which one may fail.
package struct ConsulCluster: Sendable {
  package let servers: [ConsulServer]

  /// Starts three servers and waits until each of them knows the leader.
  package static func start(_ options: ConsulServer.Options = .init()) async throws -> ConsulCluster
  {
    var options = options
    options.storage = .disk
    let hosts = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
    var lastError: any Error = TestSupportError("not tried")
    for _ in 1...3 {
      let ports = try ConsulServer.Ports(on: hosts)
      var servers: [ConsulServer] = []
      for host in hosts {
        servers.append(try await ConsulServer.launch(options, host: host, ports, peers: hosts))
      }
      do {
        for server in servers { try await server.ready() }
        return ConsulCluster(servers: servers)
      } catch {
        lastError = error  // most likely somebody else took one of the ports
      }
    }
    throw lastError
  }

  /// The server that all others call the leader, as soon as there is one.
  package func leader() async throws -> ConsulServer {
    var leader: ConsulServer?
    try await eventually("a leader") {
      let replies = servers.compactMap { try? $0.request("GET", "/v1/status/leader").body }
      leader = servers.first { server in
        server.isRunning && replies.contains { $0.hasPrefix("\"\(server.host):") }
      }
      return leader != nil
    }
    guard let leader else { throw TestSupportError("no leader") }
    return leader
  }

  /// The leader, once it is not `server`, which is a caller's only way to the cluster.
  package func leader(otherThan server: ConsulServer) async throws -> ConsulServer {
    while true {
      let leader = try await leader()
      if leader !== server { return leader }
      try await server.restart()
    }
  }

  /// The servers other than the leader.
  package func followers() async throws -> [ConsulServer] {
    let leader = try await leader()
    return servers.filter { $0 !== leader }
  }
}
