import JSON
import Synchronization
import TestSupport
import Testing

/// An export of attachments that nobody made, each with one address of 10.1.0.0/16.
private func madeUpExport(_ count: Int) -> [String] {
  let head = [
    #"{"header":{"format":"cni-ipam-consul","version":1,"network":"net","#
      + #""id":"0123456789abcdef","exportedAt":"2026-01-01T00:00:00Z"}}"#,
    #"{"definition":{"ranges":[[{"subnet":"10.1.0.0/16"}]]}}"#,
  ]
  let lines = (0..<count).map { number in
    #"{"attachment":{"node":"n1","container":"c\#(number)","interface":"eth0","#
      + #""addresses":["10.1.\#(number / 200 + 1).\#(number % 200 + 1)"]}}"#
  }
  return head + lines
    + [#"{"end":{"attachments":\#(count),"cooling":0,"taken":0}}"#]
}

extension [String] {
  fileprivate var text: String { map { $0 + "\n" }.joined() }
}

@Suite(.needsConsul) struct ExportTests {
  private let sets = ["--subnet", "10.1.0.0/24", "--subnet", "2001:db8::/64"]

  /// The lines but for what differs between two exports of the same: the header's number and time,
  /// and the definition's incarnation.
  private func comparable(_ export: String) throws -> [JSONValue] {
    try export.split(separator: "\n").map { line in
      let value = try JSONValue(parsing: Array(line.utf8))
      guard case .object(let members) = value, let member = members.first,
        case .object(let fields) = member.value
      else { return value }
      let changing = ["id", "exportedAt", "incarnation", "network", "name"]
      return .object([.init(member.key, .object(fields.filter { !changing.contains($0.key) }))])
    }.sorted { $0.compact < $1.compact }
  }

  @Test func aNetworkIsRestoredAsItWas() async throws {
    let bench = try await Bench()
    try await bench.succeeds(["network", "create", "net", "--cooldown", "3600"] + sets)
    for number in 1...4 {
      let arguments = #""args": {"cni": {"mac": "02:00:00:00:00:0\#(number)"}}"#
      let added = try await bench.plugin("ADD", "net", "c\(number)", arguments)
      #expect(added.exitStatus == 0, "\(added)")
    }
    #expect(try await bench.plugin("DEL", "net", "c4").exitStatus == 0)
    let file = bench.folder.path + "/export"
    try await bench.succeeds("export", "net", "--file", file)
    let export = String(decoding: try readFile(file), as: UTF8.self)
    #expect(export == (try await bench.succeeds("export", "net")).keepingHeader(of: export))
    #expect(export.contains(#"{"end":{"attachments":3,"cooling":2,"taken":0}}"#), "\(export)")

    let into = ["import", file, "--network", "copy"]
    let before = try bench.keys()
    let dry = try await bench.succeeds(into + ["--dry-run"])
    #expect(dry == "network copy: 3 attachments, 2 cooling addresses would be restored\n")
    #expect(try bench.keys() == before)
    let restored = try await bench.succeeds(into)
    #expect(restored == "network copy: 3 attachments, 2 cooling addresses restored\n")
    let copy = try await bench.succeeds("export", "copy")
    #expect(try comparable(copy) == comparable(export))
    // Again, it is there; another export does not go over it, nor over what it came from.
    let again = try await bench.ctl(into)
    #expect(again.exitStatus == 0 && again.errorOutput.contains("already"), "\(again)")
    let other = try await bench.ctl(["import", "-", "--network", "copy"], input: copy)
    #expect(other.exitStatus == 1 && other.errorOutput.contains("is not empty"), "\(other)")
    #expect(try await bench.ctl("import", file).exitStatus == 1)
    // It lives: what was restored is released, and what is free is handed out.
    #expect(try await bench.plugin("DEL", "copy", "c1").exitStatus == 0)
    #expect(try await bench.plugin("ADD", "copy", "new").exitStatus == 0)
    try await bench.succeeds("check", "copy")
  }

  @Test func brokenFilesChangeNothing() async throws {
    let bench = try await Bench()
    var lines = madeUpExport(30)
    let whole = lines
    lines[16] = String(lines[16].dropLast())
    let broken = try await bench.ctl("import", "-", input: lines.text)
    #expect(broken.exitStatus == 2 && broken.errorOutput.contains("- line 17: "), "\(broken)")
    let cut = try await bench.ctl("import", "-", input: whole.dropLast().map(\.self).text)
    #expect(cut.exitStatus == 2 && cut.errorOutput.contains("was cut off"), "\(cut)")
    let torn = try await bench.ctl("import", "-", input: String(whole.text.dropLast(9)))
    #expect(torn.exitStatus == 2 && torn.errorOutput.contains("line 33"), "\(torn)")
    let missing = try await bench.ctl(
      "import", "-", input: (whole.prefix(9) + whole.dropFirst(10)).map(\.self).text)
    #expect(missing.exitStatus == 2 && missing.errorOutput.contains("29 attachments"), "\(missing)")
    lines = whole
    lines[20] = lines[10].replacing("\"c8\"", with: "\"c0\"")
    let twice = try await bench.ctl("import", "-", input: lines.text)
    #expect(twice.exitStatus == 2 && twice.errorOutput.contains("on line 3 already"), "\(twice)")
    let newer = try await bench.ctl(
      "import", "-", input: whole.text.replacing("\"version\":1", with: "\"version\":2"))
    #expect(newer.exitStatus == 2 && newer.errorOutput.contains("version 2"), "\(newer)")
    let outside = try await bench.ctl(
      "import", "-", input: whole.text.replacing("10.1.0.0/16", with: "10.2.0.0/16"))
    #expect(
      outside.exitStatus == 2 && outside.errorOutput.contains("30 addresses in none of"),
      "\(outside)")
    let named = try await bench.ctl("import", "-", "--network", "n t", input: whole.text)
    #expect(named.exitStatus == 2 && named.errorOutput.contains("as CNI wants it"), "\(named)")
    #expect(try bench.keys() == [])
  }

  @Test func aFullDiskIsAnError() async throws {
    let bench = try await Bench()
    try await bench.succeeds("network", "create", "net", "--subnet", "10.1.0.0/24")
    let words = "\(program("ipamctl", "CNI_IPAM_CTL")) export net --consul-prefix \(bench.prefix)"
    let full = try await Execution([
      "/bin/sh", "-c", "\(words) --consul \(bench.consul.address) >/dev/full",
    ]).run()
    #expect(full.exitStatus == 4 && full.errorOutput.contains("No space left"), "\(full)")
    let nowhere = try await bench.ctl("export", "net", "--file", "/nowhere/file")
    #expect(nowhere.exitStatus == 4, "\(nowhere)")
  }

  /// The import ends in the middle, in each of two ways; the next one ends it.
  @Test(arguments: [true, false]) func anInterruptedImportGoesOn(_ isServerKilled: Bool)
    async throws
  {
    var options = ConsulServer.Options()
    options.storage = .disk
    let consul = try await ConsulServer.start(options)
    let bench = try await Bench(consul)
    let file = bench.folder.path + "/export"
    try writeFile(file, madeUpExport(300).text)
    let kill = Mutex<Task<Void, Never>?>(nil)
    let proxy = try FaultyProxy(consul) { request in
      guard request.isTransaction, request.number >= 4 else { return .pass }
      guard isServerKilled else { return request.number == 4 ? .dropReply : .cut }
      kill.withLock { $0 = $0 ?? Task { await consul.kill() } }
      return .cut
    }
    let words = ["import", file, "--consul-prefix", bench.prefix, "--timeout", "12"]
    let interrupted = try await plainly(words + ["--consul", proxy.address])
    // 3 where the time was over first, 1 where a commit had been tried often enough.
    #expect([1, 3].contains(interrupted.exitStatus), "\(interrupted)")
    await kill.withLock { $0 }?.value
    if isServerKilled { try await consul.launchAgain() }
    try await consul.ready()
    let partial = try bench.keys().count { $0.contains("/addresses/") }
    #expect((1..<300).contains(partial))
    // Half a network gives nobody an address.
    let added = try await bench.plugin("ADD", "net", "new")
    #expect(added.exitStatus == 1, "\(added)")
    // What was begun with other data is not taken for this file's.
    let smaller = madeUpExport(300).text.replacing("10.1.0.0/16", with: "10.1.0.0/17")
    let other = try await bench.ctl("import", "-", input: smaller)
    #expect(other.exitStatus == 1 && other.errorOutput.contains("is not empty"), "\(other)")
    let rest = try await bench.ctl("import", file)
    #expect(rest.exitStatus == 0 && rest.errorOutput.contains("going on"), "\(rest)")
    #expect(try bench.keys().count { $0.contains("/addresses/") } == 300)
    try await bench.succeeds("check", "net")
    #expect(try await bench.plugin("ADD", "net", "new").exitStatus == 0)
  }

  /// What a restore into a directory did before it was killed is in the journal, but for one commit.
  @Test func aKilledRestoreHasNotedWhatItDid() async throws {
    let folder = try TemporaryFolder()
    let state = folder.path + "/state"
    try await ChildProcess.run(["mkdir", state])
    let file = folder.path + "/export"
    let (count, commit) = (20_000, 1_024)
    try writeFile(file, madeUpExport(count).text)
    let restore = try await ChildProcess.start([
      program("ipamctl", "CNI_IPAM_CTL"), "import", file, "--data-dir", folder.path, "--state-dir",
      state,
    ])
    func restored() async throws -> Set<Substring> {
      let names = try await ChildProcess.run(["sh", "-c", "ls '\(folder.path)/net' || true"])
      return Set(names.split(separator: "\n").filter { $0.hasPrefix("10.1.") })
    }
    try await eventually("some commits") {
      try await restored().count > 2 * commit || !restore.isRunning
    }
    restore.signal(9)
    await restore.ended()
    let journal = try await ChildProcess.run(["sh", "-c", "cat '\(state)'/journal/net*"])
    let noted = Set(journal.matches(of: /10\.1\.[0-9]+\.[0-9]+/).map(\.output))
    let done = try await restored()
    #expect(done.count > 2 * commit)
    #expect(noted.isSubset(of: done))
    #expect(done.count - noted.count <= commit, "\(done.count) restored, \(noted.count) noted")
  }

  @Test func directories() async throws {
    let bench = try await Bench()
    let folder = bench.folder.path
    try await ChildProcess.run(["mkdir", "-p", "\(folder)/from/net"])
    for (address, container) in [("10.1.0.2", "c1"), ("2001:db8::2", "c1"), ("10.1.0.3", "c2")] {
      try writeFile("\(folder)/from/net/\(address)", "\(container)\r\neth0")
    }
    let file = folder + "/export"
    let exported = try await plainly(
      ["export", "net", "--data-dir", "\(folder)/from", "--file", file])
    #expect(exported.exitStatus == 0, "\(exported)")
    let lines = String(decoding: try readFile(file), as: UTF8.self)
      .split(separator: "\n").dropFirst().map(String.init).sorted()
    #expect(
      lines == [
        #"{"attachment":{"node":"","container":"c1","interface":"eth0","#
          + #""addresses":["10.1.0.2","2001:db8::2"]}}"#,
        #"{"attachment":{"node":"","container":"c2","interface":"eth0","#
          + #""addresses":["10.1.0.3"]}}"#,
        #"{"end":{"attachments":2,"cooling":0,"taken":0}}"#,
      ])
    for _ in 1...2 {
      let into = try await plainly(["import", file, "--data-dir", "\(folder)/to"])
      #expect(into.output == "network net: 2 attachments restored\n", "\(into)")
    }
    let left = try await ChildProcess.run(["ls", "\(folder)/to/net"])
    #expect(
      left.split(separator: "\n").filter { $0 != "lock" } == [
        "10.1.0.2", "10.1.0.3", "2001:db8::2",
      ])
    try writeFile("\(folder)/to/net/10.1.0.9", "c9\r\neth0")
    let occupied = try await plainly(["import", file, "--data-dir", "\(folder)/to"])
    #expect(occupied.exitStatus == 1 && occupied.errorOutput.contains("10.1.0.9"), "\(occupied)")

    // Into Consul, where it needs a definition and a node.
    #expect(try await bench.ctl("import", file).exitStatus == 2)
    #expect(try await bench.ctl("import", file, "--node", "n1").exitStatus == 1)
    try await bench.succeeds(["network", "create", "net"] + sets)
    try await bench.succeeds("import", file, "--node", "n1")
    try await bench.succeeds("check", "net")
    #expect(try await bench.plugin("DEL", "net", "c1").exitStatus == 0)
    #expect(try bench.keys().count { $0.contains("/addresses/") } == 1)
  }

  @Test func whereabouts() async throws {
    let bench = try await Bench()
    let fixtures = "Tests/IpamctlTests/Fixtures"
    let pools = String(
      decoding: try readRepositoryFile("\(fixtures)/whereabouts.json"), as: UTF8.self)
    let pods = bench.folder.path + "/pods"
    try writeFile(pods, bytes: try readRepositoryFile("\(fixtures)/pods.json"))
    try await bench.succeeds(["network", "create", "net"] + sets)
    let words = ["import", "whereabouts", "-", "--network", "net", "--pods", pods]
    let first = try await bench.ctl(words, input: pools)
    #expect(
      first.output == """
        3 addresses imported, 0 here already
        REFUSED          REASON
        2001:db8:: + -1  the offset is no number within the family

        """, "\(first)")
    #expect(first.exitStatus == 1 && first.errorOutput.contains("172.16.0.0-16"), "\(first)")
    let leases = try await bench.ctl("lease", "list", "net", "--output", "json")
    let held = try leases.json.elements?.map { lease in
      ["address", "container", "interface", "node"].map { lease[$0]?.string ?? "-" }
    }
    #expect(
      held == [
        ["10.1.0.1", "c1", "net1", "n1"], ["10.1.0.7", "c2", "eth0", "-"],
        ["2001:db8::ffff:ffff:ffff:ffff", "c1", "net1", "n1"],
      ], "\(leases)")
    let again = try await bench.ctl(words, input: pools)
    #expect(again.output.hasPrefix("0 addresses imported, 3 here already"), "\(again)")
    let hostile = try await bench.ctl(words, input: #"{"kind": "Pod"}"#)
    #expect(hostile.exitStatus == 2, "\(hostile)")
    try await bench.succeeds("check", "net")
  }
}

extension String {
  /// With the first line of another.
  fileprivate func keepingHeader(of other: String) -> String {
    String(other.prefix { $0 != "\n" }) + self[(firstIndex(of: "\n") ?? endIndex)...]
  }
}
