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
    #expect(try await history(bench, "10.1.0.2", "--network", "other").exitStatus == 1)
  }

  @Test func aDirectoryHasOneToo() async throws {
    let bench = try await Bench()
    let disk =
      #""backend": "disk", "dataDir": "\#(bench.folder.path)/networks", "subnet": "10.1.0.0/24""#
    for command in ["ADD", "DEL"] {
      #expect(try await bench.plugin(command, "net", "c1", disk).exitStatus == 0)
    }
    let shown = try await history(bench, "10.1.0.2", "--output", "json")
    #expect(
      try shown.json.elements?.compactMap { $0["event"]?.string } == ["acquire", "release"])
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
