import JSON
import TestSupport
import Testing

@Suite(.needsConsul) struct LeaseByHandTests {
  @Test func whatIsAcquiredByHandIsWhatAnADDAcquires() async throws {
    let bench = try await Bench()
    try await bench.succeeds(
      "network", "create", "net", "--subnet", "10.1.0.0/24", "--subnet", "2001:db8::/64",
      "--cooldown", "0")
    let before = try bench.keys()
    let acquire = ["lease", "acquire", "net", "--container", "c1", "--node", "n1"]
    try await bench.golden("lease-acquire-dry-run", acquire + ["--dry-run"])
    #expect(try bench.keys() == before)
    let acquired = try await bench.ctl(acquire)
    #expect(acquired.exitStatus == 0, "\(acquired)")
    try await bench.golden("lease-acquire-repeated", acquire)
    // What it has is no answer to who asks for something else.
    for other in [["--address", "10.1.0.77"], ["--mac", "02:00:00:00:00:07"]] {
      let refused = try await bench.ctl(acquire + other)
      #expect(refused.exitStatus == 1 && refused.errorOutput.contains(other[1]), "\(refused)")
    }
    #expect(try await bench.plugin("CHECK", "net", "c1").exitStatus == 0)
    try await bench.succeeds("check", "net")
    #expect(try await bench.plugin("DEL", "net", "c1").exitStatus == 0)
    #expect(try bench.keys().allSatisfy { !$0.contains("/addresses/") })
  }

  @Test func refusals() async throws {
    let bench = try await Bench()
    try await bench.succeeds("network", "create", "net", "--subnet", "10.1.0.0/29")
    let acquire = ["lease", "acquire", "net", "--node", "n1", "--container"]
    for (address, status) in [("10.1.0.1", 1), ("10.9.0.1", 1), ("10.1.0.x", 2)] as [(_, Int32)] {
      let refused = try await bench.ctl(acquire + ["c1", "--address", address])
      #expect(refused.exitStatus == status && refused.errorOutput.contains(address), "\(refused)")
    }
    #expect(try await bench.ctl(acquire + ["c1", "--label", "web"]).exitStatus == 2)
    for number in 1...5 {
      #expect(try await bench.ctl(acquire + ["c\(number)"]).exitStatus == 0)
    }
    let full = try await bench.ctl(acquire + ["c6"])
    #expect(full.exitStatus == 1 && full.errorOutput.contains("no IP addresses"), "\(full)")
    let nowhere = try await bench.ctl("lease", "acquire", "other", "--container", "c1")
    #expect(nowhere.exitStatus == 1, "\(nowhere)")
    #expect(try !bench.keys().contains { $0.hasPrefix("other/") })
  }

  @Test func releaseNeedsForceForAnotherNode() async throws {
    let bench = try await Bench()
    try await bench.succeeds(
      "network", "create", "net", "--subnet", "10.1.0.0/24", "--cooldown", "0")
    for name in ["c1", "c2"] {
      #expect(try await bench.plugin("ADD", "net", name).exitStatus == 0)
    }
    let release = ["lease", "release", "net"]
    let before = try bench.keys()
    let foreign = try await bench.ctl(release + ["--address", "10.1.0.2", "--node", "n2"])
    #expect(foreign.exitStatus == 1 && foreign.errorOutput.contains("--node n1"), "\(foreign)")
    try await bench.golden(
      "lease-release-dry-run",
      release + ["--address", "10.1.0.2", "--node", "n2", "--force", "--dry-run"])
    #expect(try bench.keys() == before)
    let forced = try await bench.ctl(
      release + ["--address", "10.1.0.2", "--node", "n2", "--force", "--output", "json"])
    #expect(try forced.json["state"]?.string == "released", "\(forced)")
    let again = try await bench.ctl(release + ["--address", "10.1.0.2", "--force"])
    #expect(again.exitStatus == 1, "\(again)")
    try await bench.succeeds("lease", "release", "net", "--container", "c2", "--node", "n1")
    let gone = try await bench.ctl(release + ["--container", "c2", "--node", "n1"])
    #expect(gone.exitStatus == 1 && gone.errorOutput.contains("c2"), "\(gone)")
    try await bench.succeeds("check", "net")
  }

  @Test func aDirectory() async throws {
    let bench = try await Bench()
    let folder = bench.folder.path + "/networks"
    let place = ["--data-dir", folder]
    let acquire =
      ["lease", "acquire", "net", "--container", "c1", "--subnet", "10.1.0.0/24"] + place
    let rehearsed = try await bench.ctl(acquire + ["--dry-run"])
    #expect(rehearsed.exitStatus == 0 && rehearsed.output.contains("10.1.0.2"), "\(rehearsed)")
    #expect(try await bench.ctl(["lease", "list", "net"] + place).output.contains("c1") == false)
    try await bench.golden("lease-acquire-disk-dry-run", acquire + ["--dry-run"])
    #expect(try await bench.ctl(acquire).exitStatus == 0)
    let listed = try await bench.ctl(["lease", "list", "net"] + place)
    #expect(listed.output.contains("10.1.0.2  c1 "), "\(listed)")
    // The plugin knows it, and DEL releases it.
    let disk = #""backend": "disk", "dataDir": "\#(folder)", "subnet": "10.1.0.0/24""#
    #expect(try await bench.plugin("CHECK", "net", "c1", disk).exitStatus == 0)
    let release = ["lease", "release", "net", "--container", "c1"] + place
    try await bench.golden("lease-release-disk-dry-run", release + ["--dry-run"])
    #expect(try await bench.ctl(release).exitStatus == 0)
    #expect(try await bench.ctl(["who", "net", "10.1.0.2"] + place).exitStatus == 1)
  }
}
