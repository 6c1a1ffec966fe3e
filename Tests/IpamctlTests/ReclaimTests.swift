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
    #expect(torn.exitStatus == 2, "\(torn)")
    #expect(try bench.keys().count { $0.contains("/addresses/") } == 3)
    let second = try await bench.ctl(words, input: list)
    #expect(second.exitStatus == 0, "\(second)")
    #expect(second.output.contains("gone/eth0 on node n1"), "\(second)")
    let left = try bench.keys().filter { $0.contains("/attachments/") }
    #expect(left == ["net/attachments/n1/again/eth0", "net/attachments/n1/live/eth0"])
    try await bench.succeeds("check", "net")
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

  @Test func aDirectory() async throws {
    let folder = try TemporaryFolder()
    try await ChildProcess.run(["mkdir", "\(folder.path)/net"])
    for (address, container) in [("10.1.0.2", "live"), ("10.1.0.3", "gone")] {
      try writeFile("\(folder.path)/net/\(address)", "\(container)\r\neth0")
    }
    func reclaim() async throws -> Execution.Ended {
      var execution = Execution([
        program("ipamctl", "CNI_IPAM_CTL"), "reclaim", "net", "--data-dir", folder.path,
        "--grace", "1", "--live", "-", "--state", "\(folder.path)/seen",
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
