import TestSupport
import Testing

/// `ipamctl metrics --listen`, as a process of its own on a port that the system chose.
private struct Service {
  let process: ChildProcess
  let log: String
  let port: Int

  init(_ words: [String], in folder: TemporaryFolder) async throws {
    let log = folder.path + "/log"
    let process = try await ChildProcess.start(
      [program("ipamctl", "CNI_IPAM_CTL"), "metrics", "--listen", "127.0.0.1:0"] + words,
      output: log)
    var (port, text) = (Int?.none, "")
    try await eventually("the server listens") {
      text = String(decoding: (try? readFile(log)) ?? [], as: UTF8.self)
      port = text.firstMatch(of: /:([0-9]+)\/metrics\n/).flatMap { Int($0.1) }
      return port != nil || !process.isRunning
    }
    self.process = process
    self.log = log
    self.port = try #require(port, "\(text)")
  }

  func ask(_ path: String = "/metrics", _ method: String = "GET") async throws -> (
    status: Int, body: String
  ) {
    let port = port
    return try await withCheckedThrowingContinuation { answered in
      onNewThread {
        answered.resume(
          with: Result { try plainHTTP(method, "127.0.0.1", port, path, seconds: 120) })
      }
    }
  }

  /// Ends it by a signal; what it had said.
  func end(_ signal: Int32) async throws -> String {
    process.signal(signal)
    #expect(await process.ended() == 0)
    return String(decoding: try readFile(log), as: UTF8.self)
  }
}

@Suite struct MetricsServerTests {
  private let interrupt: Int32 = 2
  private let terminate: Int32 = 15

  @Test(.needsConsul) func whatIsAnswered() async throws {
    let bench = try await Bench()
    try await bench.succeeds("network", "create", "net", "--subnet", "10.1.0.0/24")
    try bench.put(bench.key("bad/config"), "no definition")
    let service = try await Service(
      ["--consul", bench.consul.address, "--consul-prefix", bench.prefix], in: bench.folder)
    let first = try await service.ask()
    #expect(first.status == 200)
    let lines = first.body.split(separator: "\n")
    for line in [
      "cni_ipam_consul_up 1", #"cni_ipam_consul_network_up{network="bad"} 0"#,
      #"cni_ipam_consul_network_up{network="net"} 1"#,
      #"cni_ipam_consul_pool_addresses{network="net",pool="10.1.0.0/24",state="used"} 0"#,
    ] {
      #expect(lines.contains { $0 == line }, "\(line) is not in \(first.body)")
    }
    #expect(first.body.contains("# the definition of network bad cannot be read"))
    // What a scrape says is read for it.
    #expect(try await bench.plugin("ADD", "net", "c1").exitStatus == 0)
    #expect(try await service.ask("/metrics?a=b").body.contains(#"state="used"} 1"#))

    for (path, method, status) in [
      ("/", "GET", 200), ("/", "HEAD", 200), ("/metrics", "HEAD", 200), ("/metrics/", "GET", 404),
      ("/metrics", "POST", 405), ("/other", "PUT", 404),
    ] {
      let answer = try await service.ask(path, method)
      #expect(answer.status == status, "\(method) \(path): \(answer)")
      #expect(answer.body.isEmpty == (method == "HEAD"), "\(method) \(path): \(answer)")
    }
    #expect(try await service.end(terminate).contains("network bad cannot be read"))
  }

  @Test(.needsConsul) func scrapesAtOneTimeAreOneReading() async throws {
    let bench = try await Bench()
    try await bench.succeeds("network", "create", "net", "--subnet", "10.1.0.0/24")
    let proxy = try FaultyProxy(bench.consul) { _ in .slow(milliseconds: 500) }
    let service = try await Service(
      ["net", "--consul", proxy.address, "--consul-prefix", bench.prefix], in: bench.folder)
    // More than there are connections at one time.
    let answers = try await withThrowingTaskGroup(of: (status: Int, body: String).self) { group in
      for _ in 0..<100 { group.addTask { try await service.ask() } }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    #expect(answers.allSatisfy { $0.status == 200 && $0.body.contains(#"state="free"} 253"#) })
    let readings = proxy.requests.count { $0.contains("/net/config") }
    #expect((1...10).contains(readings), "\(readings) readings for 100 scrapes")
    _ = try await service.end(interrupt)
  }

  @Test(.needsConsul) func aConsulThatIsGone() async throws {
    let bench = try await Bench()
    try await bench.succeeds("network", "create", "net", "--subnet", "10.1.0.0/24")
    let proxy = try FaultyProxy(bench.consul) { _ in .lateWithoutEnd }
    let service = try await Service(
      ["--consul", proxy.address, "--consul-prefix", bench.prefix, "--timeout", "3"],
      in: bench.folder)
    for _ in 0..<2 {
      let silent = try await service.ask()
      #expect(silent.status == 503, "\(silent)")
      #expect(silent.body.contains("\ncni_ipam_consul_up 0\n# no time left"), "\(silent)")
      #expect(!silent.body.contains("network_up"))
    }
    #expect(try await service.ask("/").status == 200)
    proxy.setRule { _ in .pass }
    // Three seconds may be too short for the first of them.
    try await eventually("Consul is read again") { try await service.ask().status == 200 }
    let log = try await service.end(terminate)
    // Each change once.
    #expect(log.split(separator: "\n").count == 3 && log.hasSuffix("can be read again\n"), "\(log)")
  }

  /// Tokens and certificates are renewed in their files, by others, while the service goes on.
  @Test(.needsConsul) func aTokenThatIsRenewed() async throws {
    let guarded = try await GuardedBench()
    let (bench, token) = (guarded.bench, guarded.token)
    try writeFile(token, "00000000-0000-0000-0000-000000000000")
    let service = try await Service(
      [
        "--consul", bench.consul.address, "--consul-prefix", bench.prefix, "--token-file", token,
      ], in: bench.folder)
    let refused = try await service.ask()
    #expect(refused.status == 503 && refused.body.contains("--token-file"), "\(refused)")
    try guarded.renewToken(for: "read")
    let served = try await service.ask()
    #expect(served.status == 200 && served.body.contains(#"state="free"} 253"#), "\(served)")
    try writeFile(token, "")
    #expect(try await service.ask().body.contains("253") == false)
    _ = try await service.end(terminate)
  }

  @Test func aSignalEndsAReading() async throws {
    let silent = try ScriptedServer { $0.waitForClose() }
    let folder = try TemporaryFolder()
    let service = try await Service(
      ["--consul", silent.address, "--timeout", "600"], in: folder)
    async let scrape = try? service.ask()
    try await eventually("the reading begins") { silent.connections > 0 }
    _ = try await service.end(terminate)
    _ = await scrape
  }

  @Test func aDirectory() async throws {
    let folder = try TemporaryFolder()
    let words = ["net", "--data-dir", folder.path, "--subnet", "10.1.0.0/24"]
    let acquired = try await plainly(["lease", "acquire", "--container", "c1"] + words)
    #expect(acquired.exitStatus == 0, "\(acquired)")
    let service = try await Service(words, in: folder)
    let answer = try await service.ask()
    #expect(answer.status == 200 && answer.body.contains(#"state="used"} 1"#), "\(answer)")
    #expect(!answer.body.contains("stored_bytes"))

    let second = try await Execution(
      [program("ipamctl", "CNI_IPAM_CTL"), "metrics", "--listen", "127.0.0.1:\(service.port)"]
        + words
    ).run()
    #expect(second.exitStatus == 4, "\(second)")
    #expect(
      second.errorOutput.contains("127.0.0.1:\(service.port): Address already in use"),
      "\(second)")
    _ = try await service.end(interrupt)
  }

  @Test(arguments: ["9119", "::1:9119", "[::1]", ":", "host:", "a:b", "[]:1", "h:65536", "x/y:1"])
  func noAddress(_ text: String) async throws {
    let ended = try await Execution(
      [program("ipamctl", "CNI_IPAM_CTL"), "metrics", "--listen", text]
    ).run()
    #expect(ended.exitStatus == 2 && ended.errorOutput.contains("'\(text)'"), "\(ended)")
  }
}
