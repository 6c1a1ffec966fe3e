import JSON
import TestSupport
import Testing

@Suite(.needsConsul) struct NetworkTests {
  @Test func aNetworkFromItsCreationToItsEnd() async throws {
    let bench = try await Bench()
    let dry = try await bench.ctl(
      "network", "create", "net", "--subnet", "10.1.0.0/24", "--dry-run")
    #expect(dry.exitStatus == 0)
    #expect(try bench.keys().isEmpty)
    try await bench.succeeds(
      "network", "create", "net", "--subnet", "10.1.0.0/24", "--subnet", "2001:db8::/64",
      "--exclude", "10.1.0.10-10.1.0.20", "--route", "0.0.0.0/0,10.1.0.1", "--cooldown", "0")
    #expect(try bench.keys() == ["net/config"])
    let again = try await bench.ctl("network", "create", "net", "--subnet", "10.1.0.0/24")
    #expect(again.exitStatus == 1, "\(again)")

    // What is shown can be given back.
    let shown = try await bench.succeeds("network", "show", "net", "--output", "json")
    let same = try await bench.ctl("network", "update", "net", "--file", "-", input: shown)
    #expect(same.output == "network net changed: nothing\n", "\(same)")
    let table = try await bench.succeeds("network", "list")
    #expect(table.contains("net      leased  0       10.1.0.0/24 2001:db8::/64"), "\(table)")

    #expect(try await bench.plugin("ADD", "net", "c1").exitStatus == 0)
    let refused = try await bench.ctl("network", "delete", "net")
    #expect(refused.exitStatus == 1 && refused.errorOutput.contains("c1/eth0 on node n1"))
    #expect(try bench.keys().contains("net/config"))
    #expect(try await bench.plugin("DEL", "net", "c1").exitStatus == 0)
    try await bench.succeeds("network", "delete", "net", "--dry-run")
    #expect(try !bench.keys().isEmpty)
    try await bench.succeeds("network", "delete", "net")
    #expect(try bench.keys().isEmpty)
    #expect(try await bench.ctl("network", "delete", "net").exitStatus == 1)
    #expect(try await bench.ctl("network", "show", "net").exitStatus == 1)
  }

  /// As after a deletion that was killed in the middle.
  @Test func aNetworkWithoutLeasesIsNotMadeOverLeases() async throws {
    let bench = try await Bench()
    try await bench.succeeds("network", "create", "net", "--subnet", "10.1.0.0/24")
    #expect(try await bench.plugin("ADD", "net", "c1").exitStatus == 0)
    try bench.delete(bench.key("net/config"))
    let bare = ["network", "create", "net", "--subnet", "10.1.0.0/24", "--kind", "bare"]
    let refused = try await bench.ctl(bare)
    let remedy = "ipamctl network delete net --consul http://\(bench.consul.address)"
    #expect(refused.exitStatus == 1 && refused.errorOutput.contains(remedy), "\(refused)")
    #expect(try !bench.keys().contains("net/config"))
    try await bench.succeeds("network", "delete", "net", "--force")
    try await bench.succeeds(bare)
  }

  /// With a prefix that is not ours, or with none, somebody else's keys would be a network's.
  @Test func whatIsNoNetworkIsNotDeleted() async throws {
    let bench = try await Bench()
    try await bench.succeeds("network", "create", "net", "--subnet", "10.1.0.0/24")
    #expect(try await bench.plugin("ADD", "net", "c1").exitStatus == 0)
    try bench.put(bench.key("other/config"), "{}")
    let before = try bench.keys()
    let all = [
      "network", "delete", bench.prefix, "--consul", bench.consul.address, "--consul-prefix", "",
    ]
    for words in [all, all + ["--dry-run"]] {
      let refused = try await plainly(words)
      #expect(refused.exitStatus == 1 && refused.errorOutput.contains("--force"), "\(refused)")
    }
    let other = try await bench.ctl("network", "delete", "other")
    #expect(other.exitStatus == 1 && other.errorOutput.contains("other/config"), "\(other)")
    #expect(try bench.keys() == before)
    try await bench.succeeds("network", "delete", "other", "--force")
    #expect(try await plainly(all + ["--force"]).exitStatus == 0)
    #expect(try bench.keys() == [])
  }

  @Test func definitionsThatCannotBe() async throws {
    let bench = try await Bench()
    let create = ["network", "create", "net"]
    for (words, text) in [
      ([], "ipamctl: give --file or --subnet\n"),
      (["--subnet", "10.1.0.0/24", "--chunk-bits", "99"], "chunkBits: 99 is not from 6 to 14"),
      (
        ["--subnet", "10.1.0.0/24", "--unit-prefix-length", "20"],
        "unitPrefixLength: 20 is not from 24 to 32"
      ),
    ] {
      let ended = try await bench.ctl(create + words)
      #expect(ended.exitStatus == 2 && ended.errorOutput.contains(text), "\(ended)")
      #expect(!ended.errorOutput.contains("Usage"), "\(ended)")
    }
    #expect(try bench.keys() == [])
  }

  /// More than 64 operations in a commit: 1.8.7 refuses, and nothing is written; newer ones take it.
  @Test func whatAnOlderConsulDoesNotTake() async throws {
    let bench = try await Bench()
    func subnets(_ count: Int) -> [String] {
      (0..<count).flatMap { ["--subnet", "10.\($0).0.0/24"] }
    }
    let text =
      "the definition of network net: an attachment of 31 range sets may need 65 operations in one "
      + "commit, and this Consul takes 64 (1.14 and newer take 128): use fewer range sets"
    let refused = try await bench.ctl(["network", "create", "net"] + subnets(31))
    #expect(refused.exitStatus == 4 && refused.errorOutput.contains(text), "\(refused)")
    #expect(try bench.keys().isEmpty)
    try await bench.succeeds(["network", "create", "net"] + subnets(30))
    let grown = try await bench.ctl(["network", "update", "net"] + subnets(31))
    #expect(grown.exitStatus == 4 && grown.errorOutput.contains(text), "\(grown)")
    #expect(try await !bench.succeeds("network", "show", "net").contains("10.30.0.0"))

    let newer = try NewerConsul()
    for words in [["create", "net"] + subnets(31), ["update", "net"] + subnets(62)] {
      let ended = try await Execution(
        [program("ipamctl", "CNI_IPAM_CTL"), "network"] + words + ["--consul", newer.address]
      ).run()
      #expect(ended.exitStatus == 0, "\(ended)")
    }
    #expect(newer.transactionSizes == [65, 1, 127], "a change is announced before")
  }

  @Test func anUpdateStrandsNobody() async throws {
    let bench = try await Bench()
    try await bench.succeeds("network", "create", "net", "--subnet", "10.1.0.0/24")
    #expect(try await bench.plugin("ADD", "net", "c1").exitStatus == 0)
    let away = ["network", "update", "net", "--subnet", "10.9.0.0/24"]
    let refused = try await bench.ctl(away)
    #expect(refused.exitStatus == 1 && refused.errorOutput.contains("c1/eth0 on node n1"))
    let leases = try await bench.ctl("lease", "list", "net", "--output", "json").json
    let held = try #require(leases.elements?.first?["address"]?.string)
    let excluded = try await bench.ctl("network", "update", "net", "--exclude", held)
    #expect(
      excluded.exitStatus == 1 && excluded.errorOutput.contains("\(held)  c1/eth0 on node n1"))
    let recut = try await bench.ctl("network", "update", "net", "--chunk-bits", "6", "--force")
    #expect(recut.exitStatus == 1 && recut.errorOutput.contains("1 lease "), "\(recut)")
    let delegated = try await bench.ctl(
      "network", "update", "net", "--unit-prefix-length", "28", "--force")
    #expect(delegated.exitStatus == 1, "\(delegated)")
    #expect(try await bench.ctl(away + ["--force", "--dry-run"]).exitStatus == 0)
    #expect(
      try await bench.succeeds("network", "show", "net").contains("of 10.1.0.0/24"))
    #expect(try await bench.ctl(away + ["--force"]).exitStatus == 0)
    #expect(try await bench.plugin("DEL", "net", "c1").exitStatus == 0)
    let next = try await bench.plugin("ADD", "net", "c2")
    #expect(next.output.contains("10.9.0."), "\(next)")
  }

  @Test func ofManyCreationsOneWins() async throws {
    let bench = try await Bench()
    let ends = try await withThrowingTaskGroup(of: Int32?.self) { group in
      for index in 0..<6 {
        group.addTask {
          try await bench.ctl("network", "create", "net", "--subnet", "10.\(index).0.0/24")
            .exitStatus
        }
      }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    #expect(ends.count { $0 == 0 } == 1 && ends.count { $0 == 1 } == 5, "\(ends)")
  }

  @Test(arguments: [
    (#"{"ranges": [[{"subnet": "10.1.0.0/24", "rangeend": "10.1.0.9"}]]}"#, "rangeend"),
    (#"{"ranges": [[{"subnet": "10.1.0.1/24"}]]}"#, "host bits"),
    (#"{"ranges": [[{"subnet": "10.1.0.0/16"}], [{"subnet": "10.1.2.0/24"}]]}"#, "overlap"),
    (#"{"ranges": [[{"subnet": "10.1.0.0/24"}]], "chunkBits": 99}"#, "chunk"),
    (#"{"ranges": [[{"subnet": "10.1.0.0/24"}]], "name": "other"}"#, "other"),
    (#"{"ranges": [[{"subnet": "10.1.0.0/24"}]], "cooldown": {"seconds": -1}}"#, "cooldown"),
    (#"{"ranges": "all"}"#, "ranges"), ("[]", "object"), ("{", "JSON"), ("{}", "ranges"),
  ])
  func aBadDefinitionIsNamed(_ document: String, _ word: String) async throws {
    let bench = try await Bench()
    let ended = try await bench.ctl("network", "create", "net", "-f", "-", input: document)
    #expect(ended.exitStatus == 2, "\(ended)")
    #expect(ended.errorOutput.contains(word), "\(ended)")
    #expect(try bench.keys().isEmpty)
  }

  @Test func exitStatuses() async throws {
    let bench = try await Bench()
    #expect(try await bench.ctl("network", "frobnicate").exitStatus == 2)
    #expect(try await bench.ctl("check", "no-such-network").exitStatus == 1)
    let gone = try await Execution(
      [program("ipamctl", "CNI_IPAM_CTL"), "network", "list", "--consul", "127.0.0.1:1"]
    ).run()
    #expect(gone.exitStatus == 3, "\(gone)")
    let help = try await Execution([program("ipamctl", "CNI_IPAM_CTL"), "--help"]).run()
    #expect(help.exitStatus == 0 && help.output.contains("EXIT STATUS"), "\(help)")
  }
}
