import JSON
import TestSupport
import Testing

@Suite(.needsConsul) struct HistoryTests {
  private func history(_ bench: Bench, _ words: String...) async throws -> Execution.Ended {
    try await Execution(
      [program("ipamctl", "CNI_IPAM_CTL"), "history", "--state-dir", bench.folder.path + "/state"]
        + words
    ).run()
  }

  @Test func whoHeldAnAddressWhen() async throws {
    let bench = try await Bench()
    try await bench.succeeds(
      "network", "create", "net", "--subnet", "10.1.0.0/30", "--cooldown", "0")
    for name in ["c1", "c2"] {
      #expect(try await bench.plugin("ADD", "net", name).exitStatus == 0)
      // A repeated ADD and a DEL of nothing are no events.
      #expect(try await bench.plugin("ADD", "net", name).exitStatus == 0)
      #expect(try await bench.plugin("DEL", "net", name).exitStatus == 0)
      #expect(try await bench.plugin("DEL", "net", name).exitStatus == 0)
    }
    for format in ["table", "json"] {
      let shown = try await history(bench, "10.1.0.2", "--output", format)
      #expect(shown.exitStatus == 0, "\(shown)")
      try bench.expectGolden("history.\(format)", shown.output)
    }
    let one = try await history(bench, "c2/eth0", "--output", "json")
    #expect(try one.json.elements?.count == 2, "\(one)")
    #expect(try await history(bench, "10.1.0.3").exitStatus == 1)
    #expect(try await history(bench, "").exitStatus == 2)
    #expect(try await history(bench, "10.1.0.2", "--network", "other").exitStatus == 1)
  }

  @Test func aDirectoryHasOneToo() async throws {
    let bench = try await Bench()
    let disk =
      #""backend": "disk", "dataDir": "\#(bench.folder.path)/networks", "subnet": "10.1.0.0/24""#
    for command in ["ADD", "DEL"] {
      #expect(try await bench.plugin(command, "net", "c1", disk).exitStatus == 0)
    }
    let place = [
      "--data-dir", bench.folder.path + "/networks", "--state-dir", bench.folder.path + "/state",
    ]
    try await bench.succeeds(
      ["lease", "acquire", "net", "--container", "hand", "--subnet", "10.1.0.0/24"]
        + ["--address", "10.1.0.2"] + place)
    try await bench.succeeds(["lease", "release", "net", "--container", "hand"] + place)
    for format in ["table", "json"] {
      let shown = try await history(bench, "10.1.0.2", "--output", format)
      #expect(shown.exitStatus == 0, "\(shown)")
      try bench.expectGolden("history-disk.\(format)", shown.output)
    }
  }

  /// Two nodes, an operator on a machine that is none, and what stands on disk and in Consul: each
  /// event once, in the order of the commits.
  @Test func inConsulAllNodesAndOperators() async throws {
    let bench = try await Bench()
    try await bench.succeeds(
      "network", "create", "net", "--subnet", "10.1.0.0/30", "--cooldown", "0", "--journal", "8")
    for node in ["n1", "n2"] {
      for command in ["ADD", "DEL"] {
        let ended = try await bench.plugin(command, "net", "c-\(node)", node: node)
        #expect(ended.exitStatus == 0, "\(ended)")
      }
    }
    let nowhere = ["--state-dir", bench.folder.path + "/nowhere"]
    try await bench.succeeds(
      ["lease", "acquire", "net", "--container", "hand", "--node", "n3", "--label", "A=1"]
        + nowhere)
    try await bench.succeeds(
      ["lease", "release", "net", "--address", "10.1.0.2", "--node", "n3"] + nowhere)
    #expect(try await bench.plugin("ADD", "net", "gone", node: "n2").exitStatus == 0)
    let reclaim = ["reclaim", "net", "--node", "n2", "--grace", "1"] + nowhere
    let seen = ["--state", bench.folder.path + "/seen"]
    try await bench.succeeds(reclaim + seen)
    try await Task.sleep(for: .seconds(2.2))
    try await bench.succeeds(reclaim + seen)
    try await bench.golden(
      "history-consul",
      ["history", "10.1.0.2", "--state-dir", bench.stateDirectory("n2")])
    // Only what this node knows.
    let local = try await history(bench, "10.1.0.2", "--output", "json")
    #expect(try local.json.elements?.count == 2, "\(local)")
    let none = try await bench.ctl(["history", "10.1.0.2", "--network", "other"] + nowhere)
    #expect(none.exitStatus == 1, "\(none)")
    #expect(
      try bench.keys().filter { $0.contains("/journal/") } == [
        "net/journal/=/0000", "net/journal/=/0001", "net/journal/=/0002",
        "net/journal/n1/0000", "net/journal/n1/0001", "net/journal/n2/0000",
        "net/journal/n2/0001", "net/journal/n2/0002",
      ])
    try await bench.succeeds("check", "net")
    let export = try await bench.succeeds("export", "net")
    #expect(!export.contains("c-n1") && export.contains("\"journal\":8"), "\(export)")
    let trim = ["network", "trim", "net", "--older-than"]
    let kept = try await bench.succeeds(trim + ["3600"])
    #expect(kept == "network net: 0 entries of the journal removed\n")
    try await Task.sleep(for: .seconds(1.1))
    let dry = try await bench.succeeds(trim + ["0", "--dry-run"])
    #expect(dry == "network net: 8 entries of the journal would be removed\n")
    #expect(try bench.keys().count { $0.contains("/journal/") } == 8)
    // All but what reclaim noted at the end are older than this.
    try await bench.succeeds(trim + ["2"])
    let left = try bench.keys().filter { $0.contains("/journal/") }
    #expect(left.allSatisfy { $0 == "net/journal/=/0002" }, "\(left)")
    try await bench.succeeds("network", "delete", "net")
    #expect(try bench.keys() == [])
  }

  /// What an import takes over and a repair takes away is history too, in Consul and on this machine.
  @Test func importsAndRepairs() async throws {
    let bench = try await Bench()
    try await bench.succeeds(
      "network", "create", "net", "--subnet", "10.1.0.0/24", "--journal", "8")
    #expect(try await bench.plugin("ADD", "net", "c1").exitStatus == 0)
    let state = ["--state-dir", bench.stateDirectory()]
    let directory = bench.folder.path + "/old"
    try await ChildProcess.run(["mkdir", directory])
    for number in 8...9 { try writeFile("\(directory)/10.1.0.\(number)", "c\(number)\r\neth0") }
    try await bench.succeeds(
      ["import", "host-local", directory, "--node", "n2", "--network", "net"] + state)
    // A lease that an earlier attachment of c8 left behind.
    let lease = try bench.consul.request("GET", bench.key("net/addresses/0a010008") + "?raw").body
    let other = lease.replacing(/"nonce":"[0-9a-f]+"/, with: #""nonce":"00000000000000ff""#)
    try #require(other != lease)
    try bench.put(bench.key("net/addresses/0a010009"), other)
    try bench.delete(bench.key("net/attachments/n2/c9/eth0"))
    let repaired = try await bench.succeeds(["check", "net", "--repair"] + state)
    #expect(repaired.contains("release 10.1.0.9, left over"), "\(repaired)")
    for address in ["10.1.0.8", "10.1.0.9"] {
      try await bench.golden("history-import-\(address)", ["history", address] + state)
      let local = try await history(bench, address, "--output", "json")
      #expect(try local.json.elements?.count == (address == "10.1.0.8" ? 1 : 2), "\(local)")
    }
    #expect(try bench.keys().count { $0.hasPrefix("net/journal/=/") } == 2)
    // A directory keeps its journal here alone.
    let export = bench.folder.path + "/export"
    try writeFile(
      export,
      try await bench.succeeds("export", "old", "--data-dir", bench.folder.path))
    let restore = ["import", export, "--network", "new", "--data-dir", bench.folder.path] + state
    for _ in 1...2 { try await bench.succeeds(restore) }
    let restored = try await history(bench, "10.1.0.8", "--network", "new", "--output", "json")
    #expect(try restored.json.elements?.count == 1, "\(restored)")
  }

  /// A node that has the definition at hand as it was notes its next ADD all the same, and after that
  /// definition is taken back no more.
  @Test func theDefinitionSwitchesIt() async throws {
    let bench = try await Bench()
    try await bench.succeeds("network", "create", "net", "--subnet", "10.1.0.0/24")
    for (number, journal) in ["0", "8", "0"].enumerated() {
      try await bench.succeeds("network", "update", "net", "--journal", journal)
      #expect(try await bench.plugin("ADD", "net", "c\(number)").exitStatus == 0)
      #expect(try await bench.plugin("DEL", "net", "c\(number)").exitStatus == 0)
    }
    let nowhere = ["--state-dir", bench.folder.path + "/nowhere", "--output", "json"]
    for number in 0..<3 {
      let ended = try await bench.ctl(["history", "c\(number)"] + nowhere)
      #expect(try ended.json.elements?.count == (number == 1 ? 2 : 0), "\(ended)")
    }
  }

  /// Consul is down: what this node knows is told all the same.
  @Test func withoutConsulTheDiskIsLeft() async throws {
    let bench = try await Bench()
    let disk =
      #""backend": "disk", "dataDir": "\#(bench.folder.path)/networks", "subnet": "10.1.0.0/24""#
    #expect(try await bench.plugin("ADD", "net", "c1", disk).exitStatus == 0)
    let ended = try await history(bench, "c1", "--consul", "127.0.0.1:1")
    #expect(ended.exitStatus == 3 && ended.output.contains("10.1.0.2"), "\(ended)")
    #expect(ended.errorOutput.contains("127.0.0.1:1"), "\(ended)")
  }

  /// A journal that cannot be written fails nobody.
  @Test func aLostEventFailsNoADD() async throws {
    let bench = try await Bench()
    try await bench.succeeds("network", "create", "net", "--subnet", "10.1.0.0/24")
    #expect(try await bench.plugin("ADD", "net", "c1").exitStatus == 0)
    // A folder where the file should be.
    _ = try await ChildProcess.run(["rm", "-r", bench.folder.path + "/state/journal"])
    _ = try await ChildProcess.run(["mkdir", "-p", bench.folder.path + "/state/journal/net"])
    #expect(try await bench.plugin("ADD", "net", "c2").exitStatus == 0)
    #expect(try await bench.plugin("DEL", "net", "c2").exitStatus == 0)
  }
}
