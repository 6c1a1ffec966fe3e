import TestSupport
import Testing

// What imports from other plugins print, as a table and as JSON: what would be done, what was done, and
// that a second run does nothing.

@Suite(.needsConsul) struct GoldenImportTests {
  /// The ancestor's keys stand at the root, so the network has the name of the test's own prefix.
  @Test func theAncestor() async throws {
    let bench = try await Bench()
    let name = bench.prefix
    try bench.put(
      "/v1/kv/\(name)",
      #"{"gw":"203.0.113.1","net":"203.0.113.0/24","start":"203.0.113.1","#
        + #""end":"203.0.113.20","routes":[{"dst":"0.0.0.0/0"}]}"#)
    for (key, record) in [
      ("203.0.113.2", #"{"ip":"203.0.113.2","mac":"00:00:00:00:00:00","id":"c1"}"#),
      ("203.0.113.3", #"{"ip":"203.0.113.3/24","mac":"02:00:00:00:00:03","id":"c2"}"#),
      ("203.0.113.4", #"{"ip":"203.0.113.4"}"#), ("198.51.100.1", #"{"id":"c4"}"#),
    ] {
      try bench.put("/v1/kv/\(name)/\(key)", record)
    }
    let words = ["import", "cni-ipam-consul", name, "--node", "n1"]
    try await bench.golden("import-cni-ipam-consul-dry-run", words + ["--dry-run"], exitStatus: 1)
    #expect(try bench.keys().allSatisfy { !$0.contains("/") })
    try await imported("import-cni-ipam-consul", bench, words)
    try await bench.succeeds("check", name)
  }

  @Test func aHostLocalDirectory() async throws {
    let bench = try await Bench()
    let directory = bench.folder.path + "/networks/net"
    try await ChildProcess.run(["mkdir", "-p", directory])
    for (name, text) in [
      ("10.1.0.2", "c1\r\neth0"), ("2001:db8::2", "c1\r\neth0"), ("10.1.0.3", "c2"),
      ("10.1.0.4", ""), ("10.9.0.1", "c3\r\neth0"), ("last_reserved_ip.0", "10.1.0.3"),
    ] {
      try writeFile("\(directory)/\(name)", text)
    }
    try await bench.succeeds(
      "network", "create", "net", "--subnet", "10.1.0.0/24", "--subnet", "2001:db8::/64")
    let words = ["import", "host-local", directory, "--node", "n1"]
    try await bench.golden("import-host-local-dry-run", words + ["--dry-run"], exitStatus: 1)
    try await imported("import-host-local", bench, words)
    try await bench.succeeds("check", "net")
  }

  @Test func whereabouts() async throws {
    let bench = try await Bench()
    let fixtures = "Tests/IpamctlTests/Fixtures"
    for name in ["pods", "whereabouts"] {
      try writeFile(
        "\(bench.folder.path)/\(name)", bytes: try readRepositoryFile("\(fixtures)/\(name).json"))
    }
    try await bench.succeeds(
      "network", "create", "net", "--subnet", "10.1.0.0/24", "--subnet", "2001:db8::/64")
    let words = [
      "import", "whereabouts", bench.folder.path + "/whereabouts", "--network", "net", "--pods",
      bench.folder.path + "/pods",
    ]
    try await bench.golden("import-whereabouts-dry-run", words + ["--dry-run"], exitStatus: 1)
    try await imported("import-whereabouts", bench, words)
    try await bench.succeeds("check", "net")
  }

  /// The first run, which says so, and the second, which finds all here; and the leases of both.
  private func imported(_ name: String, _ bench: Bench, _ words: [String]) async throws {
    let first = try await bench.ctl(words)
    #expect(first.exitStatus == 1, "\(first)")
    try bench.expectGolden("\(name)-first.table", first.output + first.errorOutput)
    let network = words.contains(bench.prefix) ? bench.prefix : "net"
    let before = try await bench.succeeds("lease", "list", network)
    try await bench.golden(name, words, exitStatus: 1)
    #expect(try await bench.succeeds("lease", "list", network) == before)
    try await bench.golden("\(name)-leases", ["lease", "list", network])
  }
}
