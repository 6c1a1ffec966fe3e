import TestSupport
import Testing

// What is printed of what was done. It can be done once, so each format has a network of its own.

@Suite(.needsConsul) struct GoldenActionTests {
  @Test(arguments: Bench.formats) func inConsul(_ format: String) async throws {
    let bench = try await Bench()
    try await bench.golden(
      "network-create", format,
      ["network", "create", "net", "--subnet", "10.1.0.0/24", "--journal", "8"])
    let lease = ["net", "--container", "c1", "--node", "n1"]
    try await bench.golden("lease-acquire", format, ["lease", "acquire"] + lease)
    try await bench.golden("lease-release", format, ["lease", "release"] + lease)
    // The node is gone after this.
    #expect(try await bench.plugin("ADD", "net", "gone", node: "n2").exitStatus == 0)
    try bench.delete(bench.key("net/attachments/n2/gone/eth0"))
    try await bench.golden("check-repaired", format, ["check", "net", "--repair"])
    let reclaim = ["reclaim", "net", "--node", "n2", "--state", bench.folder.path + "/seen"]
    try await bench.succeeds(reclaim)
    try await Task.sleep(for: .seconds(2.1))
    try await bench.golden("reclaim", format, reclaim + ["--grace", "1"])
    try await bench.golden(
      "network-update", format, ["network", "update", "net", "--cooldown", "5"])
    try await Task.sleep(for: .seconds(1.1))
    try await bench.golden("network-trim", format, ["network", "trim", "net", "--older-than", "0"])
    try await bench.golden("network-delete", format, ["network", "delete", "net"])
    #expect(try bench.keys() == [])
  }

  @Test(arguments: Bench.formats) func inADirectory(_ format: String) async throws {
    let bench = try await Bench()
    let there = ["net", "--data-dir", bench.folder.path + "/networks"]
    let acquire = ["lease", "acquire", "--container", "c1", "--subnet", "10.1.0.0/24"] + there
    try await bench.golden("lease-acquire-disk", format, acquire)
    try await bench.golden(
      "lease-release-disk", format, ["lease", "release", "--container", "c1"] + there)
    try await bench.succeeds(acquire)
    let list = bench.folder.path + "/live"
    let reclaim =
      ["reclaim", "--live", list, "--grace", "1", "--state-dir", bench.folder.path] + there
    // A list as old as what it names says nothing of it.
    try await Task.sleep(for: .seconds(1.1))
    try writeFile(list, "other\n")
    try await bench.succeeds(reclaim)
    try await Task.sleep(for: .seconds(2.1))
    try await bench.golden("reclaim-disk", format, reclaim)
  }
}
