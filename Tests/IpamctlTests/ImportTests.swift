import TestSupport
import Testing

@Suite(.needsConsul) struct ImportTests {
  @Test func theAncestorsDataIsTakenOverAndLeftAlone() async throws {
    let bench = try await Bench(try await ConsulServer.start())
    let settings =
      #"{"gw":"203.0.113.1","net":"203.0.113.0/24","start":"203.0.113.1","#
      + #""end":"203.0.113.20","routes":[{"dst":"0.0.0.0/0"}]}"#
    try bench.put("/v1/kv/default", settings)
    for number in 1...5 {
      try bench.put(
        "/v1/kv/default/203.0.113.\(number)",
        #"{"ip":"203.0.113.\#(number)","mac":"00:00:00:00:00:00","id":"c\#(number)"}"#)
    }
    let before = try bench.consul.request("GET", "/v1/kv/default?recurse").body

    let early = try await bench.plugin("ADD", "default", "new", #""subnet": "203.0.113.0/24""#)
    #expect(early.exitStatus == 1 && early.output.contains("\"code\": 7"), "\(early)")
    let refused = try await bench.ctl("network", "create", "default", "--subnet", "10.0.0.0/24")
    #expect(refused.exitStatus != 0, "\(refused)")
    #expect(try bench.keys().isEmpty)
    try await bench.succeeds("import", "cni-ipam-consul", "default", "--node", "n1", "--dry-run")
    #expect(try bench.keys().isEmpty)

    let first = try await bench.succeeds("import", "cni-ipam-consul", "default", "--node", "n1")
    #expect(first == "5 addresses imported, 0 here already\n")
    let keys = try bench.keys()
    let again = try await bench.succeeds("import", "cni-ipam-consul", "default", "--node", "n1")
    #expect(again == "0 addresses imported, 5 here already\n")
    #expect(try bench.keys() == keys)
    #expect(keys.contains("default/attachments/n1/c3/eth0"))
    #expect(!keys.contains { $0.contains("/macs/") })
    #expect(try bench.consul.request("GET", "/v1/kv/default?recurse").body == before)
    try await bench.succeeds("check", "default")

    let late = try await bench.plugin("ADD", "default", "new", #""subnet": "203.0.113.0/24""#)
    #expect(late.exitStatus == 0 && late.output.contains("203.0.113."), "\(late)")
    for number in 1...5 {
      #expect(!late.output.contains("203.0.113.\(number)/"), "\(late)")
      #expect(try await bench.plugin("DEL", "default", "c\(number)").exitStatus == 0)
    }
    try await bench.succeeds("check", "default")
    #expect(try bench.keys().count { $0.contains("/addresses/") } == 1)
  }

  /// It ends when the network is defined and no address taken over: none of them is handed out.
  @Test func theAncestorsDataHalfTakenOver() async throws {
    let bench = try await Bench(try await ConsulServer.start())
    try bench.put(
      "/v1/kv/default", #"{"net":"203.0.113.0/24","start":"203.0.113.2","end":"203.0.113.4"}"#)
    for number in 2...3 {
      try bench.put(
        "/v1/kv/default/203.0.113.\(number)", #"{"ip":"203.0.113.\#(number)","id":"c\#(number)"}"#)
    }
    let proxy = try FaultyProxy(bench.consul) { request in
      guard request.isTransaction, request.number > 0 else { return .pass }
      return .answer(status: 500, body: "No cluster leader", isSentOn: false)
    }
    let words = ["import", "cni-ipam-consul", "default", "--node", "n1"]
    let halted = try await Execution(
      [program("ipamctl", "CNI_IPAM_CTL")] + words + [
        "--consul", proxy.address, "--consul-prefix", bench.prefix, "--timeout", "2",
        "--state-dir", bench.folder.path + "/none",
      ]
    ).run()
    #expect(halted.exitStatus != 0, "\(halted)")
    #expect(try bench.keys() == ["default/config"])
    let early = try await bench.plugin("ADD", "default", "new", #""subnet": "203.0.113.0/24""#)
    #expect(early.exitStatus == 1 && early.output.contains("no IP addresses"), "\(early)")

    #expect(try await bench.succeeds(words) == "2 addresses imported, 0 here already\n")
    let late = try await bench.plugin("ADD", "default", "new", #""subnet": "203.0.113.0/24""#)
    #expect(late.exitStatus == 0 && late.output.contains("203.0.113.4/"), "\(late)")
    #expect(try await bench.succeeds(words) == "0 addresses imported, 2 here already\n")
    try await bench.succeeds("check", "default")
  }

  @Test func aHostLocalDirectory() async throws {
    let bench = try await Bench()
    let directory = bench.folder.path + "/net"
    try await ChildProcess.run(["mkdir", directory])
    for (name, text) in [
      ("10.1.0.2", "c1\r\neth0"), ("2001:db8::2", "c1\r\neth0"), ("10.1.0.3", "c2"),
      ("lock", ""), ("last_reserved_ip.0", "10.1.0.3"), ("10.9.0.1", "c3\r\neth0"),
    ] {
      try writeFile("\(directory)/\(name)", text)
    }
    let snapshot = [
      "sh", "-c", "cd \"$0\" && ls -lA --time-style=full-iso | tail -n +2 && cat *", directory,
    ]
    let before = try await ChildProcess.run(snapshot)
    let words = ["import", "host-local", directory, "--node", "n1"]
    #expect(try await bench.ctl(words).exitStatus == 1)
    try await bench.succeeds(
      "network", "create", "net", "--subnet", "10.1.0.0/24", "--subnet", "2001:db8::/64")
    let first = try await bench.ctl(words)
    #expect(first.exitStatus == 1 && first.output.contains("3 addresses imported"), "\(first)")
    #expect(first.output.contains("10.9.0.1 lies in none of the network's pools"), "\(first)")
    #expect(try await ChildProcess.run(snapshot) == before, "the files are only read")
    let again = try await bench.ctl(words)
    #expect(again.output.contains("0 addresses imported, 3 here already"), "\(again)")
    try await bench.succeeds("check", "net")
    #expect(try await bench.plugin("DEL", "net", "c1").exitStatus == 0)
    #expect(try bench.keys().count { $0.contains("/addresses/") } == 1)
    try await bench.succeeds("check", "net", "--data-dir", bench.folder.path)
  }

  /// The reply to a commit of an import is lost: what it made is what the import has taken over.
  @Test func aReplyThatIsLost() async throws {
    let bench = try await Bench()
    let directory = bench.folder.path + "/net"
    try await ChildProcess.run(["mkdir", directory])
    for number in 2...4 {
      try writeFile("\(directory)/10.1.0.\(number)", "c\(number)\r\neth0")
    }
    try await bench.succeeds("network", "create", "net", "--subnet", "10.1.0.0/24")
    // It is a node, and has 10.1.0.2.
    let added = try await bench.plugin("ADD", "net", "first")
    #expect(added.exitStatus == 0, "\(added)")
    let proxy = try FaultyProxy(bench.consul) { request in
      request.makesAttachments && request.number == 0 ? .dropReply : .pass
    }
    let ended = try await Execution([
      program("ipamctl", "CNI_IPAM_CTL"), "import", "host-local", directory, "--node", "n1",
      "--consul", proxy.address, "--consul-prefix", bench.prefix, "--timeout", "60",
      "--state-dir", bench.stateDirectory(),
    ]).run()
    #expect(ended.output.contains("2 addresses imported, 0 here already"), "\(ended)")
    let journal = try String(
      decoding: readFile(bench.stateDirectory() + "/journal/net"), as: UTF8.self)
    for number in 3...4 {
      let lines = journal.split(separator: "\n").filter { $0.contains("10.1.0.\(number)") }
      #expect(lines.count == 1, "\(journal)")
    }
    try await bench.succeeds("check", "net")
  }
}
