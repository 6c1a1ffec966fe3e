import JSON
import TestSupport
import Testing

@Suite(.needsConsul) struct ReclaimTests {
  private func state(_ bench: Bench) -> [String] {
    ["--grace", "1", "--state", "\(bench.folder.path)/seen"]
  }

  @Test func whatARuntimeDoesNotListIsReleasedAtTheSecondSight() async throws {
    let bench = try await Bench()
    try await bench.succeeds("network", "create", "net", "--subnet", "10.1.0.0/24")
    for container in ["live", "gone", "again"] {
      #expect(try await bench.plugin("ADD", "net", container).exitStatus == 0)
    }
    let words = ["reclaim", "net", "--node", "n1", "--live", "-"] + state(bench)
    let list = "live # the only one\n"
    let dry = try await bench.ctl(words + ["--dry-run"], input: list)
    #expect(dry.exitStatus == 0 && dry.output.contains("waits 1 s"), "\(dry)")
    let first = try await bench.ctl(words, input: list)
    #expect(first.exitStatus == 0 && !first.output.contains("released"), "\(first)")
    // Made anew meanwhile: another attachment of the same name.
    #expect(try await bench.plugin("DEL", "net", "again").exitStatus == 0)
    #expect(try await bench.plugin("ADD", "net", "again").exitStatus == 0)
    try await Task.sleep(for: .seconds(2.2))
    // A list that is cut off, and one that is empty, release nothing.
    let empty = try await bench.ctl(words, input: "\n")
    #expect(empty.exitStatus == 2, "\(empty)")
    let torn = try await bench.ctl(words + ["--format", "crictl"], input: #"{"items": [{"id""#)
    #expect(torn.exitStatus == 2 && torn.errorOutput.contains("at byte"), "\(torn)")
    // Nor does one of another format, in which nothing would look alive.
    for text in [#"{"items": [{"id": "live"}]}"#, "[\n{\"id\": \"live\"}]", "\u{1}live\n"] {
      let other = try await bench.ctl(words, input: text)
      #expect(other.exitStatus == 2 && other.errorOutput.contains("--format"), "\(other)")
    }
    // And a file that is none of its own is not written over.
    let precious = bench.folder.path + "/precious"
    try writeFile(precious, "{}")
    let foreign = try await bench.ctl(words + ["--state", precious], input: list)
    #expect(foreign.exitStatus == 4 && foreign.errorOutput.contains(precious), "\(foreign)")
    #expect(try readFile(precious) == Array("{}".utf8))
    #expect(try bench.keys().count { $0.contains("/addresses/") } == 3)
    let second = try await bench.ctl(words, input: list)
    #expect(second.exitStatus == 0, "\(second)")
    #expect(second.output.contains("gone/eth0 on node n1"), "\(second)")
    let left = try bench.keys().filter { $0.contains("/attachments/") }
    #expect(left == ["net/attachments/n1/again/eth0", "net/attachments/n1/live/eth0"])
    try await bench.succeeds("check", "net")
  }

  /// Another machine with this one's name, or another runtime on it: its containers are in no list here.
  @Test func twoThatGoByOneName() async throws {
    let bench = try await Bench()
    try await bench.succeeds("network", "create", "net", "--subnet", "10.1.0.0/24")
    #expect(try await bench.plugin("ADD", "net", "mine").exitStatus == 0)
    // Times are kept in seconds.
    try await Task.sleep(for: .seconds(1.1))
    let elsewhere = #""stateDir": "\#(bench.folder.path)/elsewhere""#
    #expect(try await bench.plugin("ADD", "net", "theirs", elsewhere).exitStatus == 0)
    let words = ["reclaim", "net", "--node", "n1", "--live", "-"] + state(bench)
    for _ in 0..<2 {
      let ended = try await bench.ctl(words, input: "mine\n")
      #expect(ended.exitStatus == 0 && !ended.output.contains("theirs"), "\(ended)")
      #expect(ended.errorOutput.contains("not judged by this list: 1 attachment"), "\(ended)")
      #expect(ended.errorOutput.contains("theirs/eth0 on node n1"), "\(ended)")
      try await Task.sleep(for: .seconds(1.2))
    }
    let doctor = try await bench.ctl(
      ["doctor", "--conf-dir", bench.folder.path, "--state-dir", bench.stateDirectory()])
    #expect(!doctor.output.contains("goes by this name"), "no configuration: \(doctor)")
    try writeFile(
      bench.folder.path + "/net.conf",
      #"{"cniVersion": "1.0.0", "name": "net", "type": "bridge", "ipam": {"type": "consul"}}"#)
    let warned = try await bench.ctl(
      ["doctor", "--conf-dir", bench.folder.path, "--state-dir", bench.stateDirectory()])
    #expect(warned.exitStatus == 1 && warned.output.contains("node n1 "), "\(warned)")
    #expect(warned.output.contains("theirs/eth0 on node n1"), "\(warned)")
    #expect(try await bench.plugin("DEL", "net", "theirs", elsewhere).exitStatus == 0)
    let healthy = try await bench.ctl(
      ["doctor", "--conf-dir", bench.folder.path, "--state-dir", bench.stateDirectory()])
    #expect(!healthy.output.contains("node n1 "), "\(healthy)")
  }

  @Test func aNodeThatMakesAttachmentsIsNotGone() async throws {
    let bench = try await Bench()
    try await bench.succeeds("network", "create", "net", "--subnet", "10.1.0.0/24")
    #expect(try await bench.plugin("ADD", "net", "c1").exitStatus == 0)
    // Another node's attachments are nobody's business here.
    let words = ["reclaim", "net"] + state(bench)
    let other = try await bench.succeeds(
      "reclaim", "net", "--node", "n2", "--state", bench.folder.path + "/other")
    #expect(other == "network net: nothing is without an owner\n")
    #expect(try await bench.ctl(words + ["--node", "n1"]).exitStatus == 0)
    #expect(try await bench.plugin("ADD", "net", "c2").exitStatus == 0)
    try await Task.sleep(for: .seconds(2.2))
    let alive = try await bench.ctl(words + ["--node", "n1"])
    #expect(alive.exitStatus == 1 && alive.errorOutput.contains("is not gone"), "\(alive)")
    #expect(try bench.keys().count { $0.contains("/addresses/") } == 2)
    #expect(try await bench.ctl(words + ["--node", "n1"]).exitStatus == 0)
    try await Task.sleep(for: .seconds(2.2))
    let gone = try await bench.ctl(words + ["--node", "n1", "--output", "json"])
    #expect(try gone.json["released"]?.elements?.count == 2, "\(gone)")
    #expect(try bench.keys().count { $0.contains("/addresses/") } == 0)
    try await bench.succeeds("check", "net")
  }

  /// The clock was set back since: what is made until it is that late again would be judged by the list.
  @Test func aListFromTheFuture() async throws {
    let bench = try await Bench()
    try await bench.succeeds("network", "create", "net", "--subnet", "10.1.0.0/24")
    let list = bench.folder.path + "/live"
    try writeFile(list, "# nothing lives\n")
    try await ChildProcess.run(["touch", "-d", "+1 hour", list])
    #expect(try await bench.plugin("ADD", "net", "young").exitStatus == 0)
    let words = ["reclaim", "net", "--node", "n1", "--live", list] + state(bench)
    for _ in 0..<2 {
      let refused = try await bench.ctl(words)
      #expect(refused.exitStatus == 4 && refused.errorOutput.contains(list), "\(refused)")
      try await Task.sleep(for: .seconds(1.1))
    }
    #expect(try bench.keys().contains { $0.contains("/attachments/n1/young") })
    // Written again, it is a word about it.
    try await ChildProcess.run(["touch", list])
    #expect(try await bench.ctl(words).exitStatus == 0)
    try await Task.sleep(for: .seconds(2.2))
    #expect(try await bench.succeeds(words).contains("young/eth0"))
  }

  @Test func aDirectory() async throws {
    let folder = try TemporaryFolder()
    try await ChildProcess.run(["mkdir", "\(folder.path)/net"])
    for (address, container) in [("10.1.0.2", "live"), ("10.1.0.3", "gone")] {
      try writeFile("\(folder.path)/net/\(address)", "\(container)\r\neth0")
    }
    func reclaim() async throws -> Execution.Ended {
      var execution = Execution([
        program("ipamctl", "CNI_IPAM_CTL"), "reclaim", "net", "--data-dir", folder.path,
        "--grace", "1", "--live", "-", "--state-dir", folder.path,
      ])
      execution.input = .text("live")
      return try await execution.run()
    }
    let first = try await reclaim()
    #expect(
      first.output == """
        ATTACHMENT  ADDRESSES  STATE
        gone/eth0   10.1.0.3   waits 1 s

        """)
    try await Task.sleep(for: .seconds(2.2))
    let second = try await reclaim()
    #expect(
      second.output == """
        ATTACHMENT  ADDRESSES  STATE
        gone/eth0   10.1.0.3   released

        """)
    let left = try await ChildProcess.run(["ls", "\(folder.path)/net"])
    #expect("\(left)".contains("10.1.0.2") && !"\(left)".contains("10.1.0.3"))
    let history = try await Execution([
      program("ipamctl", "CNI_IPAM_CTL"), "history", "gone", "--state-dir", folder.path,
    ]).run()
    #expect(history.output.contains("  release  net      10.1.0.3 "), "\(history)")
  }

  /// The fixtures name `live` in the way of each tool; what only Nomad says to have ended is gone.
  @Test(arguments: ["crictl", "podman", "nomad"])
  func formats(_ format: String) async throws {
    let bench = try await Bench()
    try await bench.succeeds("network", "create", "net", "--subnet", "10.1.0.0/24")
    for container in ["fefe81d0-08b2-4eca-fae6-6560cde46d31", "gone-1"] {
      #expect(try await bench.plugin("ADD", "net", container).exitStatus == 0)
    }
    let list = try readRepositoryFile("Tests/IpamctlTests/Fixtures/\(format).json")
    let ended = try await bench.ctl(
      "reclaim", "net", "--node", "n1", "--format", format, "--dry-run", "--output", "json",
      "--live", "-", input: String(decoding: list, as: UTF8.self))
    let waiting = try ended.json["waiting"]?.elements?.compactMap { $0["container"]?.string }
    #expect(waiting == ["gone-1"], "\(ended)")
  }
}

@Suite(.needsConsul) struct ReclaimServiceTests {
  /// The names are libcni's: network, container and interface; what is in the files does not count.
  @Test func theResultCacheOfLibcni() async throws {
    let bench = try await Bench()
    try await bench.succeeds("network", "create", "net", "--subnet", "10.1.0.0/24")
    for container in ["live", "other", "gone"] {
      #expect(try await bench.plugin("ADD", "net", container).exitStatus == 0)
    }
    let cache = bench.folder.path + "/results"
    let words = [
      "reclaim", "net", "--node", "n1", "--live-cache", cache, "--grace", "1", "--state",
      bench.folder.path + "/seen",
    ]
    #expect(try await bench.ctl(words).exitStatus == 4)
    try await ChildProcess.run(["mkdir", cache])
    let empty = try await bench.ctl(words)
    #expect(empty.exitStatus == 2, "\(empty)")
    try writeFile("\(cache)/net-live-eth0", "")
    // On another interface of another network, the container lives all the same.
    try writeFile("\(cache)/loopback-other-lo", #"{"kind": "cniCacheV1"}"#)
    #expect(try await bench.ctl(words).exitStatus == 0)
    try await Task.sleep(for: .seconds(2.2))
    try await bench.succeeds(words)
    let left = try bench.keys().filter { $0.contains("/attachments/") }
    #expect(left == ["net/attachments/n1/live/eth0", "net/attachments/n1/other/eth0"])
    try await bench.succeeds("check", "net")
  }

  @Test func whatAnEarlierBootLeft() async throws {
    let bench = try await Bench()
    try await bench.succeeds("network", "create", "net", "--subnet", "10.1.0.0/24")
    for container in ["now", "then", "foreign"] {
      #expect(try await bench.plugin("ADD", "net", container).exitStatus == 0)
    }
    let boot = String(decoding: try readFile("/proc/sys/kernel/random/boot_id"), as: UTF8.self)
      .split(separator: "\n")[0]
    // As they would stand after a reboot, and if another host of this name had made one.
    for (container, part, other) in [
      ("then", "\(boot)", "before"), ("foreign", "\"instance\":\"", "\"instance\":\"x"),
    ] {
      let key = bench.key("net/attachments/n1/\(container)/eth0")
      let value = try bench.consul.request("GET", key + "?raw").body
      var changed = value.replacing(part, with: other)
      if container == "foreign" { changed = changed.replacing("\(boot)", with: "before") }
      #expect(changed != value)
      try bench.put(key, changed)
    }
    let words = [
      "reclaim", "net", "--before-boot", "--grace", "1", "--state", bench.folder.path + "/seen",
    ]
    let nobody = try await bench.ctl(words + ["--state-dir", bench.folder.path + "/none"])
    #expect(nobody.exitStatus == 1, "\(nobody)")
    let here = words + ["--state-dir", bench.folder.path + "/state"]
    #expect(try await bench.ctl(here).exitStatus == 0)
    try await Task.sleep(for: .seconds(2.2))
    let second = try await bench.succeeds(here)
    #expect(second.contains("then/eth0"), "\(second)")
    let left = try bench.keys().filter { $0.contains("/attachments/") }
    #expect(left == ["net/attachments/n1/foreign/eth0", "net/attachments/n1/now/eth0"])
  }

  /// As a service, under load: what dies is released, what lives keeps its address, and it ends when
  /// it is told to.
  @Test func aServiceBesideLiveTraffic() async throws {
    let bench = try await Bench()
    try await bench.succeeds("network", "create", "net", "--subnet", "10.1.0.0/24")
    for number in 1...6 {
      #expect(try await bench.plugin("ADD", "net", "dead\(number)").exitStatus == 0)
    }
    #expect(try await bench.plugin("ADD", "net", "kept").exitStatus == 0)
    try await Task.sleep(for: .seconds(1.1))
    let list = bench.folder.path + "/live"
    try writeFile(list, "kept\n")
    let log = bench.folder.path + "/log"
    let service = try await ChildProcess.start(
      [
        program("ipamctl", "CNI_IPAM_CTL"), "reclaim", "net", "--node", "n1", "--live", list,
        "--watch", "--interval", "1", "--grace", "1", "--state-dir", bench.folder.path,
        "--consul", bench.consul.address, "--consul-prefix", bench.prefix,
      ], output: log)
    // Made after the list was written, so that it says nothing of them.
    var living: Set<String> = []
    for number in 1...12 {
      let added = try await bench.plugin("ADD", "net", "new\(number)")
      #expect(added.exitStatus == 0, "\(added)")
      if number % 3 == 0 {
        #expect(try await bench.plugin("DEL", "net", "new\(number)").exitStatus == 0)
      } else {
        living.insert("net/attachments/n1/new\(number)/eth0")
      }
    }
    living.insert("net/attachments/n1/kept/eth0")
    try await eventually("the dead are released") {
      try bench.keys().count { $0.contains("/attachments/n1/dead") } == 0
    }
    service.signal(15)
    #expect(await service.ended() == 0)
    let text = String(decoding: try readFile(log), as: UTF8.self)
    #expect(text.contains("dead6/eth0") && !text.contains("new"), "\(text)")
    #expect(Set(try bench.keys().filter { $0.contains("/attachments/") }) == living)
    try await bench.succeeds("check", "net")
  }
}
