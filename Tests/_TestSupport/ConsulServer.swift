// A real Consul server for the tests, on loopback only, with its own ports and its own folder.

internal import Glibc
internal import Synchronization

/// A running Consul server. It ends with this object, or with the process.
package final class ConsulServer: Sendable {
  package enum Storage: Sendable {
    /// `-dev`: nothing survives the process.
    case memory
    case disk
    /// An agent that joins others and is no server.
    case nothing
  }

  package struct Options: Sendable {
    package var storage = Storage.memory
    /// Default-deny, with ``managementToken``.
    package var acl = false
    /// Also serve https, and require a client certificate if `verifiesClients`.
    package var certificates: TestCertificates?
    package var verifiesClients = false
    /// Also listen on ``socketPath``.
    package var unixSocket = false
    /// More configuration, in HCL.
    package var configuration = ""

    package init() {}
  }

  struct Ports: Sendable {
    let http, https, server, serf: Int

    init(on hosts: [String]) throws {
      let free = try freePorts(4, on: hosts)
      (http, https, server, serf) = (free[0], free[1], free[2], free[3])
    }
  }

  package let host: String
  package let port: Int
  package let httpsPort: Int
  private let serfPort: Int
  package let folder: TemporaryFolder
  private let command: [String]
  private let usesACL: Bool
  private let child: Mutex<ChildProcess>
  private let token = Mutex<String?>(nil)

  /// `host:port` of the HTTP API.
  package var address: String { "\(host):\(port)" }
  /// Where a Unix socket listens, if the options say so.
  package var socketPath: String { folder.path + "/http.sock" }
  /// Of a server with ACLs.
  package var managementToken: String? { token.withLock { $0 } }
  package var pid: Int32 { child.withLock { $0.pid } }
  package var isRunning: Bool { child.withLock { $0.isRunning } }

  private init(
    host: String, ports: Ports, folder: TemporaryFolder, command: [String], usesACL: Bool,
    child: ChildProcess
  ) {
    (self.host, port, httpsPort) = (host, ports.http, ports.https)
    serfPort = ports.serf
    (self.folder, self.command, self.usesACL) = (folder, command, usesACL)
    self.child = Mutex(child)
  }

  deinit { child.withLock { $0.signal(SIGKILL) } }

  /// Starts a server and waits until it is its own leader.
  package static func start(_ options: Options = Options()) async throws -> ConsulServer {
    var lastError: any Error = TestSupportError("not tried")
    for _ in 1...3 {
      let server = try await launch(options, host: "127.0.0.1", Ports(on: ["127.0.0.1"]))
      do {
        try await server.ready()
        return server
      } catch {
        lastError = error  // most likely somebody else took one of its ports
      }
    }
    throw lastError
  }

  /// Starts an agent that is no server itself, as the nodes of a cluster have one, and waits for it.
  package func startAgent(configuration: String) async throws -> ConsulServer {
    var options = Options()
    options.storage = .nothing
    options.configuration = configuration
    let agent = try await Self.launch(
      options, host: "127.0.0.1", Ports(on: ["127.0.0.1"]), peers: ["\(host):\(serfPort)"])
    try await agent.ready()
    return agent
  }

  /// Starts a server without waiting for it; `peers` makes it one of a cluster.
  static func launch(
    _ options: Options, host: String, _ ports: Ports, peers: [String] = []
  ) async throws -> ConsulServer {
    let folder = try TemporaryFolder()
    var command = [
      try await ConsulBinary.path(), "agent", "-bind=\(host)", "-node=node-\(host)",
      "-http-port=\(ports.http)", "-server-port=\(ports.server)",
      "-serf-lan-port=\(ports.serf)", "-serf-wan-port=-1", "-dns-port=-1", "-grpc-port=-1",
      "-disable-host-node-id", "-config-file=\(folder.path)/config.hcl",
    ]
    switch options.storage {
    case .memory: command += ["-dev"]
    case .disk:
      let count = max(1, peers.count)
      command += ["-server", "-bootstrap-expect=\(count)", "-data-dir=\(folder.path)/data"]
    case .nothing: command += ["-node=agent-\(ports.http)", "-data-dir=\(folder.path)/data"]
    }
    for peer in peers where peer != host {
      command.append("-retry-join=" + (peer.contains(":") ? peer : "\(peer):\(ports.serf)"))
    }
    let configuration = configuration(options, host: host, ports, folder)
    try writeFile(folder.path + "/config.hcl", configuration)
    let child = try await ChildProcess.start(command, output: folder.path + "/log")
    return ConsulServer(
      host: host, ports: ports, folder: folder, command: command, usesACL: options.acl,
      child: child)
  }

  private static func configuration(
    _ options: Options, host: String, _ ports: Ports, _ folder: TemporaryFolder
  ) -> String {
    let socket = options.unixSocket ? " unix://\(folder.path)/http.sock" : ""
    var lines = [
      "disable_update_check = true",
      "retry_interval = \"1s\"",
      "performance { raft_multiplier = 1 }",
      "telemetry { prometheus_retention_time = \"24h\" disable_hostname = true }",
      "client_addr = \"\(host)\"",
      "addresses { http = \"\(host)\(socket)\" }",
      options.configuration,
    ]
    if options.acl {
      lines.append("acl { enabled = true, default_policy = \"deny\" }")
    }
    if let certificates = options.certificates {
      lines += [
        "ports { https = \(ports.https) }",
        "ca_file = \"\(certificates.authority)\"",
        "cert_file = \"\(certificates.server.certificate)\"",
        "key_file = \"\(certificates.server.key)\"",
        "verify_incoming_https = \(options.verifiesClients)",
      ]
    }
    return lines.joined(separator: "\n") + "\n"
  }

  // MARK: Looking at it

  /// A plain request, on a connection of its own, that shares no code with the client under test.
  package func request(
    _ method: String, _ path: String, token: String? = nil, body: String = ""
  ) throws -> (status: Int, body: String) {
    try plainHTTP(method, host, port, path, token: token ?? managementToken, body: body)
  }

  /// What the server printed.
  package var log: String {
    String(decoding: (try? readFile(folder.path + "/log")) ?? [], as: UTF8.self)
  }

  /// Waits until the server knows a leader and answers a read that needs it.
  package func ready() async throws {
    do {
      try await eventually("Consul at \(address)") { isReady() || !isRunning }
    } catch {
      throw TestSupportError("\(error):\n\(log.suffix(2000))")
    }
    guard isRunning else { throw TestSupportError("Consul ended:\n\(log.suffix(2000))") }
    try await bootstrapACL()
  }

  private func isReady() -> Bool {
    guard let leader = try? request("GET", "/v1/status/leader"), leader.status == 200,
      leader.body.contains(":"), let read = try? request("GET", "/v1/kv/ready?consistent")
    else { return false }
    return read.status == 404 || read.status == 403
  }

  private func bootstrapACL() async throws {
    guard usesACL, managementToken == nil else { return }
    var reply = (status: 0, body: "")
    // A leader begins with the ACLs of old, until it has looked what all servers can do.
    try await eventually("the ACLs of today") {
      reply = try request("PUT", "/v1/acl/bootstrap")
      return !reply.body.contains("legacy mode")
    }
    token.withLock { $0 = reply.body.member("SecretID") }
    guard managementToken != nil else {
      throw TestSupportError("no management token: \(reply.body)")
    }
  }

  /// Transactions and other writes of keys that the server carried out, those that lost too. Of what
  /// Consul writes for itself nothing is among them.
  package func writes() throws -> Int {
    let reply = try request("GET", "/v1/agent/metrics?format=prometheus")
    guard reply.status == 200 else { throw TestSupportError("no metrics: \(reply)") }
    return reply.body.split(separator: "\n").reduce(0) { sum, line in
      let words = line.split(separator: " ")
      let isCount = line.hasPrefix("consul_fsm_txn_count") || line.hasPrefix("consul_fsm_kvs_count")
      return sum + (isCount ? words.last.flatMap { Int($0) } ?? 0 : 0)
    }
  }

  /// Makes a token with the given rules (HCL), as an operator would.
  package func makeToken(rules: String) throws -> String {
    let name = "test-\(UInt64.random(in: 0...(.max)))"
    let escaped = rules.split(separator: "\n").joined(separator: " ")
      .split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\\\"")
    let policy = try request(
      "PUT", "/v1/acl/policy", body: #"{"Name":"\#(name)","Rules":"\#(escaped)"}"#)
    let token = try request(
      "PUT", "/v1/acl/token", body: #"{"Policies":[{"Name":"\#(name)"}]}"#)
    guard policy.status == 200, let secret = token.body.member("SecretID") else {
      throw TestSupportError("no token: \(policy.body) \(token.body)")
    }
    return secret
  }

  // MARK: Doing it harm

  /// Kills it (SIGKILL) and waits until it is gone. Its folder stays.
  package func kill() async {
    let child = child.withLock { $0 }
    child.signal(SIGKILL)
    await child.ended()
  }

  /// Stops it in its tracks (SIGSTOP); connections stay open, nothing answers.
  package func pause() { child.withLock { $0.stop() } }

  /// Lets it go on (SIGCONT).
  package func resume() { child.withLock { $0.signal(SIGCONT) } }

  /// Starts it again after ``kill()``, on the same ports and the same folder; without waiting.
  package func launchAgain() async throws {
    let next = try await ChildProcess.start(command, output: folder.path + "/log")
    child.withLock { $0 = next }
  }

  /// Kills it, starts it again on what it has on its disk, and waits until it is ready.
  package func restart() async throws {
    await kill()
    try await launchAgain()
    try await ready()
  }
}

extension String {
  /// The text of a string member of a JSON object, for the few flat answers the tests look at.
  fileprivate func member(_ name: String) -> String? {
    guard let found = firstRange(of: "\"\(name)\":") else { return nil }
    let rest = self[found.upperBound...].drop { $0 == " " }
    guard rest.first == "\"" else { return nil }
    return String(rest.dropFirst().prefix { $0 != "\"" })
  }
}
