import JSON
import TestSupport
import Testing

@Suite(.needsConsul) struct DoctorTests {
  /// A node on which all is well: the plugin under two names and a configuration.
  private func node(_ bench: Bench, subnet: String = "10.1.0.0/24") async throws -> [String] {
    let folder = bench.folder.path
    try await ChildProcess.run([
      "mkdir", "-p", "\(folder)/bin", "\(folder)/net.d", "\(folder)/state",
    ])
    try await ChildProcess.run(
      ["ln", "-sf", program("cni-ipam-consul", "CNI_IPAM_PLUGIN"), "\(folder)/bin/consul"])
    try writeFile(
      "\(folder)/net.d/10-net.conflist",
      #"{"cniVersion": "1.0.0", "name": "net", "plugins": [{"type": "bridge", "ipam": "#
        + #"{"type": "consul", "subnet": "\#(subnet)"}}, {"type": "portmap"}]}"#)
    return [
      "doctor", "--conf-dir", "\(folder)/net.d", "--cni-path", "\(folder)/bin", "--state-dir",
      "\(folder)/state",
    ]
  }

  private func failures(_ ended: Execution.Ended) throws -> [String: String] {
    var found: [String: String] = [:]
    for check in try ended.json["checks"]?.elements ?? []
    where check["result"]?.string == "failed" {
      #expect(check["remedy"]?.string?.isEmpty == false, "\(ended)")
      found[check["check"]?.string ?? ""] = check["what"]?.string
    }
    return found
  }

  @Test func aHealthyNode() async throws {
    let bench = try await Bench()
    let words = try await node(bench)
    try await bench.succeeds("network", "create", "net", "--subnet", "10.1.0.0/24")
    try await bench.golden("doctor", words, replacing: [try leader(bench): "LEADER"])
  }

  private func leader(_ bench: Bench) throws -> String {
    let reply = try bench.consul.request("GET", "/v1/status/leader")
    return try #require(try JSONValue(parsing: Array(reply.body.utf8)).string)
  }

  @Test func everyFaultIsNamedWithItsRemedy() async throws {
    let bench = try await Bench()
    let folder = bench.folder.path
    let words = try await node(bench, subnet: "10.2.0.0/24")
    try await bench.succeeds("network", "create", "net", "--subnet", "10.1.0.0/24")
    try writeFile("\(folder)/net.d/20-broken.conf", #"{"name": "#)
    try await ChildProcess.run(["rm", "\(folder)/bin/consul"])
    try writeFile("\(folder)/bin/consul", "#!/bin/sh\necho no")
    try await ChildProcess.run(["chmod", "755", "\(folder)/bin/consul"])
    let ended = try await bench.ctl(words + ["--output", "json"])
    #expect(ended.exitStatus == 1, "\(ended)")
    let found = try failures(ended)
    #expect(found["configuration"]?.contains("20-broken.conf") == true, "\(found)")
    #expect(found["plugin consul"]?.contains("does not answer VERSION") == true, "\(found)")
    #expect(found["network net"]?.contains("10.2.0.0/24") == true, "\(found)")
    #expect(found.count == 3, "\(found)")
    try await bench.golden(
      "doctor-faults", words, exitStatus: 1, replacing: [try leader(bench): "LEADER"])
    try await ChildProcess.run(["chmod", "644", "\(folder)/bin/consul"])
    let notExecutable = try failures(try await bench.ctl(words + ["--output", "json"]))
    #expect(notExecutable["plugin consul"]?.contains("cannot be executed") == true)
    let nowhere = try failures(
      try await plainly(
        words + ["--consul", "127.0.0.1:1", "--timeout", "2", "--output", "json"]))
    #expect(nowhere["Consul"] != nil && nowhere["leader"] == nil, "\(nowhere)")
  }

  private func configure(_ bench: Bench, _ ipam: String) throws {
    try writeFile(
      "\(bench.folder.path)/net.d/10-net.conflist",
      #"{"cniVersion": "1.0.0", "name": "net", "plugins": [{"type": "bridge", "ipam": {\#(ipam)}}]}"#
    )
  }

  /// The file says where Consul is and what is right there; an option goes before it.
  @Test func theFileIsGoneBy() async throws {
    let bench = try await Bench()
    let words = try await node(bench) + ["--output", "json"]
    try await bench.succeeds("network", "create", "net", "--subnet", "10.1.0.0/24")
    let ipam = { (port: Int) in
      #""type": "consul", "subnet": "10.1.0.0/24", "consul_addr": "\#(bench.consul.host)", "#
        + #""consul_port": "\#(port)", "prefix": "\#(bench.prefix)""#
    }
    try configure(bench, ipam(bench.consul.port))
    let healthy = try await plainly(words)
    #expect(healthy.exitStatus == 0, "\(healthy)")
    let checks = try healthy.json["checks"]?.elements?.compactMap { $0["check"]?.string }
    #expect(checks?.contains("token for net") == true && checks?.contains("ADD on net") == true)
    try configure(bench, ipam(1))
    let nowhere = try failures(try await plainly(words))
    #expect(nowhere["Consul"]?.contains(":1:") == true, "\(nowhere)")
    #expect(try failures(try await bench.ctl(words)).isEmpty)
    // Parsed by the plugin, which would refuse it.
    try configure(bench, ipam(bench.consul.port) + #", "cooldown": "soon""#)
    let refused = try failures(try await plainly(words))
    #expect(refused["ADD on net"]?.contains("cooldown") == true, "\(refused)")
  }

  /// A node whose networks are in directories has nothing to do with Consul.
  @Test func aNodeWithoutConsul() async throws {
    let bench = try await Bench()
    let words = try await node(bench)
    let folder = bench.folder.path
    try await ChildProcess.run(["ln", "-s", "consul", folder + "/bin/host-local"])
    for (type, backend) in [("host-local", ""), ("consul", #", "backend": "disk""#)] {
      try configure(
        bench,
        #""type": "\#(type)"\#(backend), "subnet": "10.1.0.0/24", "dataDir": "\#(folder)/networks""#
      )
      let ended = try await plainly(words)
      #expect(ended.exitStatus == 0, "\(ended)")
      #expect(ended.output.contains("data directory"), "\(ended)")
      #expect(!ended.output.contains("leader"), "\(ended)")
    }
  }

  @Test func aNodeWithADirectory() async throws {
    let bench = try await Bench()
    let words = try await node(bench)
    try await bench.golden("doctor-disk", words + ["--data-dir", bench.folder.path + "/networks"])
  }

  @Test func aConsulThatIsNotThere() async throws {
    let bench = try await Bench()
    let words = try await node(bench) + ["--consul", "127.0.0.1:1"]
    for format in ["table", "json"] {
      let ended = try await plainly(words + ["--output", format])
      #expect(ended.exitStatus == 1, "\(ended)")
      try bench.expectGolden("doctor-nowhere.\(format)", ended.output)
    }
  }

  @Test func aConsulWithoutALeader() async throws {
    let bench = try await Bench(try await ConsulServer.startLeaderless())
    try await bench.golden("doctor-leaderless", try await node(bench), exitStatus: 1)
  }

  /// The answers of a real Consul, of another time.
  @Test func aClockThatIsOff() async throws {
    let bench = try await Bench()
    let words = try await node(bench)
    try await bench.succeeds("network", "create", "net", "--subnet", "10.1.0.0/24")
    let leader = try leader(bench)
    for (name, date) in [
      ("ahead", "Sun, 06 Nov 1994 08:49:37 GMT"), ("behind", "Tue, 06 Nov 2190 08:49:37 GMT"),
    ] {
      let proxy = try FaultyProxy(bench.consul) { _ in .dated(date) }
      for format in ["table", "json"] {
        let ended = try await plainly(
          words + ["--consul", proxy.address, "--consul-prefix", bench.prefix]
            + ["--output", format])
        #expect(ended.exitStatus == 1, "\(ended)")
        let text = ended.output.replacing(/is [0-9]+ s\b/, with: "is SECONDS s")
        try bench.expectGolden(
          "doctor-clock-\(name).\(format)", text,
          replacing: [proxy.address: "CONSUL", leader: "LEADER"])
      }
    }
  }

  @Test func theTokenIsExamined() async throws {
    var options = ConsulServer.Options()
    options.acl = true
    let bench = try await Bench(try await ConsulServer.start(options))
    let plain = try await node(bench)
    try await bench.golden(
      "doctor-no-token", plain, exitStatus: 1, replacing: [try leader(bench): "LEADER"])
    // What Consul hides is not taken for nothing.
    for words in [["network", "list"], ["metrics"]] {
      let ended = try await bench.ctl(words)
      #expect(ended.exitStatus == 4 && ended.errorOutput.contains("denied"), "\(ended)")
    }
    let words = plain + ["--output", "json"]
    // Nor without a network that needs it.
    let bare = ["doctor", "--conf-dir", "/nonexistent", "--output", "json"]
    #expect(try failures(try await bench.ctl(bare))["token"]?.contains("denied") == true)
    func look(_ rules: String) async throws -> [String: String] {
      let token = bench.folder.path + "/token"
      try writeFile(token, try bench.consul.makeToken(rules: rules))
      return try failures(try await bench.ctl(words + ["--token-file", token]))
    }
    let policy = String(decoding: try readRepositoryFile("docs/acl-policy.hcl"), as: UTF8.self)
      .split(separator: "\n").filter { !$0.hasPrefix("#") }.joined(separator: "\n")
      .replacing("cni-ipam-consul/", with: "\(bench.prefix)/").replacing("NETWORK", with: "net")
    #expect(try await look(policy).isEmpty)
    let reading = try await look(policy.replacing("\"write\"", with: "\"read\""))
    let denied = try #require(reading["token for net"])
    #expect(denied.contains("write \(bench.prefix)/net/config"), "\(denied)")
    #expect(!denied.contains("read \(bench.prefix)"), "\(denied)")
    let blind = try await look("key \"x\" { policy = \"read\" }")
    #expect(blind["token for net"]?.contains("read net") == true, "\(blind)")
  }
}
