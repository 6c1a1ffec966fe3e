import JSON
import TestSupport
import Testing

// What the commands print that other suites only ask single words of, as a table and as JSON: what an
// operator reads, for people to read too.

@Suite(.needsConsul) struct GoldenTests {
  @Test func networks() async throws {
    let bench = try await Bench()
    let create = [
      "network", "create", "net", "--subnet", "10.1.0.0/24", "--subnet", "2001:db8::/64",
      "--exclude", "10.1.0.10-10.1.0.20", "--route", "0.0.0.0/0,10.1.0.1",
    ]
    try await bench.golden("network-create-dry-run", create + ["--dry-run"])
    try await bench.succeeds(create)
    let shown = try await bench.ctl("network", "show", "net", "--output", "json").json
    let incarnation = try #require(shown["incarnation"]?.string)
    try await bench.golden(
      "network-show", ["network", "show", "net"],
      replacing: [incarnation: String(repeating: "0", count: 16)])
    let update = ["network", "update", "net", "--cooldown", "5", "--exclude", "10.1.0.7"]
    try await bench.golden("network-update-dry-run", update + ["--dry-run"])
    try await bench.succeeds("network", "create", "wide", "--subnet", "::/0", "--kind", "bare")
    #expect(try await bench.plugin("ADD", "net", "c1").exitStatus == 0)
    try bench.put(bench.key("broken/config"), "no definition")
    try await bench.golden("network-list", ["network", "list"])
    let refused = try await bench.ctl("network", "update", "net", "--subnet", "10.9.0.0/24")
    #expect(refused.exitStatus == 1)
    try bench.expectGolden("network-update-refused.table", refused.errorOutput)
    let held = try await bench.ctl("network", "delete", "net")
    #expect(held.exitStatus == 1)
    try bench.expectGolden("network-delete-refused.table", held.errorOutput)
    try await bench.golden(
      "network-delete-dry-run", ["network", "delete", "net", "--force", "--dry-run"])
    try await bench.succeeds("network", "update", "net", "--journal", "8")
    #expect(try await bench.plugin("ADD", "net", "c2").exitStatus == 0)
    try await Task.sleep(for: .seconds(1.1))
    let trim = ["network", "trim", "net", "--older-than", "0", "--dry-run"]
    try await bench.golden("network-trim-dry-run", trim)
  }

  @Test func findings() async throws {
    let bench = try await Bench()
    try await bench.succeeds("network", "create", "net", "--subnet", "10.1.0.0/24")
    for number in 1...6 {
      try await bench.succeeds(
        "lease", "acquire", "net", "--container", "c\(number)", "--node", "n1", "--mac",
        "02:00:00:00:00:0\(number)")
    }
    try await bench.golden("check", ["check", "net"])
    let keys = try bench.keys().filter { $0.contains("/addresses/") }
    try #require(keys.count == 6)
    try bench.delete(bench.key(keys[0]))
    try bench.put(bench.key(keys[1]), "{")
    try bench.delete(bench.key("net/attachments/n1/c3/eth0"))
    try bench.put(bench.key("net/attachments/n1/c4/eth0"), "garbage")
    let macs = try bench.keys().filter { $0.contains("/macs/") }
    try #require(macs.count == 6)
    try bench.delete(bench.key(macs[4]))
    try await bench.golden("check-records", ["check", "net"], exitStatus: 1)
    let chunk = try #require(try bench.keys().first { $0.contains("/pools/") })
    try bench.put(bench.key(chunk), "garbage")
    try await bench.golden("check-chunk", ["check", "net"], exitStatus: 1)
    try await bench.golden(
      "check-dry-run", ["check", "net", "--repair", "--dry-run"], exitStatus: 1)
    let repaired = try await bench.ctl("check", "net", "--repair")
    #expect(repaired.exitStatus == 0, "\(repaired)")
    // What depends on nothing is mended in any order.
    let steps = repaired.output.split(separator: "\n").sorted().map { $0 + "\n" }.joined()
    try bench.expectGolden("check-repair.table", steps)
  }

  @Test func reclaim() async throws {
    let bench = try await Bench()
    try await bench.succeeds("network", "create", "net", "--subnet", "10.1.0.0/24")
    for container in ["gone", "live"] {
      #expect(try await bench.plugin("ADD", "net", container).exitStatus == 0)
    }
    let list = bench.folder.path + "/live"
    try writeFile(list, "live\n")
    let state = bench.folder.path + "/seen"
    let words = ["reclaim", "net", "--node", "n1", "--live", list, "--state", state]
    try await Task.sleep(for: .seconds(1.1))
    try writeFile(list, "live\n")
    try await bench.golden("reclaim-dry-run-first", words + ["--dry-run"])
    try await bench.succeeds(words)
    try await Task.sleep(for: .seconds(2.1))
    try await bench.golden("reclaim-dry-run-second", words + ["--grace", "1", "--dry-run"])
    try await bench.succeeds(words + ["--grace", "1"])
    try await bench.golden("reclaim-nothing", words)
  }

  @Test func exportAndImport() async throws {
    let bench = try await Bench()
    try await bench.succeeds("network", "create", "net", "--subnet", "10.1.0.0/24")
    for container in ["c1", "c2"] {
      #expect(try await bench.plugin("ADD", "net", container).exitStatus == 0)
    }
    #expect(try await bench.plugin("DEL", "net", "c2").exitStatus == 0)
    let export = try await bench.succeeds("export", "net")
    try bench.expectGolden("export.lines", export.withoutChance)
    let file = bench.folder.path + "/export"
    try writeFile(file, export)
    let into = ["import", file, "--network", "copy"]
    try await bench.golden("import-export-dry-run", into + ["--dry-run"])
    try await bench.golden("import-export", into)
  }

  /// A network without leases: what is taken comes back by its lines, through the program.
  @Test func aNetworkWithoutLeasesIsRestored() async throws {
    let bench = try await Bench()
    let lines = [
      #"{"header":{"format":"cni-ipam-consul","version":1,"network":"wide","#
        + #""id":"0123456789abcdef","exportedAt":"2026-01-01T00:00:00Z"}}"#,
      #"{"definition":{"ranges":[[{"subnet":"10.0.0.0/8"}],[{"subnet":"::/0"}]],"kind":"bare"}}"#,
      #"{"taken":{"first":"10.1.0.0","last":"10.1.255.255"}}"#,
      #"{"taken":{"first":"10.200.0.7","last":"10.200.0.7"}}"#,
      #"{"taken":{"first":"2001:db8::1","last":"2001:db8::1:0"}}"#,
      #"{"end":{"attachments":0,"cooling":0,"taken":3}}"#,
    ]
    let text = lines.map { $0 + "\n" }.joined()
    let restored = try await bench.ctl("import", "-", input: text)
    #expect(restored.exitStatus == 0, "\(restored)")
    let export = try await bench.succeeds("export", "wide")
    let taken = export.split(separator: "\n").filter { $0.contains("taken") }.map(String.init)
    // A run ends where its chunk does: the addresses are compared, not the lines.
    let pools = try await bench.ctl("pool", "show", "wide", "--output", "json").json["pools"]
    let used = pools?.elements?.compactMap { $0["used"]?.integer }
    #expect(used == [65_537, 65_536], "\(pools.debugDescription)")
    #expect(taken.contains(#"{"taken":{"first":"10.1.0.0","last":"10.1.15.255"}}"#), "\(taken)")
    #expect(taken.contains(lines[3]), "\(taken)")
    try await bench.succeeds("check", "wide")
    // Once more, from what was written.
    let copied = try await bench.ctl("import", "-", "--network", "copy", input: export)
    #expect(copied.exitStatus == 0, "\(copied)")
    let again = try await bench.succeeds("export", "copy").split(separator: "\n")
    #expect(again.filter { $0.contains("taken") }.map(String.init) == taken)
    try await bench.succeeds("check", "copy")
  }

  /// What a directory's commands print where it is not what they print of Consul.
  @Test func aDirectory() async throws {
    let bench = try await Bench()
    let folder = bench.folder.path + "/networks"
    let disk = #""backend": "disk", "dataDir": "\#(folder)", "subnet": "10.1.0.0/24""#
    for container in ["gone", "live"] {
      #expect(try await bench.plugin("ADD", "net", container, disk).exitStatus == 0)
    }
    let there = ["net", "--data-dir", folder]
    let metrics = try await bench.succeeds(["metrics"] + there + ["--subnet", "10.1.0.0/24"])
    try bench.expectGolden("metrics-disk.prom", metrics.withoutMoment)
    try await bench.golden("network-list-disk", ["network", "list", "--data-dir", folder])
    let export = try await bench.succeeds(["export"] + there)
    // In the order of the directory, which is nobody's.
    let lines = export.withoutChance.split(separator: "\n").sorted().map { $0 + "\n" }.joined()
    try bench.expectGolden("export-disk.lines", lines)
    let file = bench.folder.path + "/export"
    try writeFile(file, export)
    let into = ["import", file, "--data-dir", bench.folder.path + "/other"]
    try await bench.golden("import-export-disk-dry-run", into + ["--dry-run"])
    try await bench.golden("import-export-disk", into)

    let list = bench.folder.path + "/live"
    let state = ["--state-dir", bench.folder.path]
    let words = ["reclaim"] + there + ["--live", list, "--grace", "1"] + state
    try await Task.sleep(for: .seconds(1.1))  // a list as old as what it names says nothing of it
    try writeFile(list, "live\n")
    try await bench.golden("reclaim-disk-dry-run-first", words + ["--dry-run"])
    try await bench.succeeds(words)
    try await Task.sleep(for: .seconds(2.1))
    try writeFile(list, "live\n")
    try await bench.golden("reclaim-disk-dry-run-second", words + ["--dry-run"])
    try await bench.succeeds(words)
    try await bench.golden("reclaim-disk-nothing", words)
  }

  @Test func metricsAndGrowth() async throws {
    let bench = try await Bench()
    try await bench.succeeds(
      "network", "create", "net", "--subnet", "10.1.0.0/24", "--subnet", "::/0")
    for number in 1...3 {
      #expect(try await bench.plugin("ADD", "net", "c\(number)").exitStatus == 0)
    }
    let metrics = try await bench.succeeds("metrics")
    try bench.expectGolden("metrics.prom", metrics.withoutMoment)
    let state = bench.folder.path + "/reading"
    try writeFile(
      state, #"{"network": "net", "time": 1000000000, "pools": {"10.1.0.0/24": "3", "::/0": "3"}}"#)
    let grown = ["pool", "show", "net", "--state"]
    // Each run keeps its reading for the next, so each format has a file of its own.
    for format in ["table", "json"] {
      let file = "\(state).\(format)"
      try writeFile(file, bytes: try readFile(state))
      let shown = try await bench.succeeds(grown + [file, "--output", format])
      try bench.expectGolden("pool-show-growth.\(format)", shown)
    }
  }
}

extension String {
  /// Metrics without the time of the reading.
  fileprivate var withoutMoment: String {
    replacing(/timestamp_seconds(.*) [0-9]+\n/) { "timestamp_seconds\($0.1) SECONDS\n" }
  }

  /// An export without its numbers and times.
  fileprivate var withoutChance: String {
    replacing(/"(id|incarnation|nonce|instance|bootID)":"[0-9a-f-]+"/) { "\"\($0.1)\":\"…\"" }
      .replacing(/"(createdAt|since|until|freedAt)":[0-9]+/) { "\"\($0.1)\":0" }
  }
}
