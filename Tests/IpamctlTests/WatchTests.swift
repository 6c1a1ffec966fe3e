import JSON
import TestSupport
import Testing

@Suite(.needsConsul) struct WatchTests {
  /// Seconds that a reading took differ from run to run.
  private func golden(_ bench: Bench, _ name: String, _ words: [String]) async throws {
    for format in ["table", "json"] {
      let ended = try await bench.ctl(
        ["watch", "net", "--interval", "1", "--count", "2", "--output", format] + words)
      #expect(ended.exitStatus == 0, "\(ended)")
      let text = ended.output.replacing(/in [0-9]+ s/, with: "in N s")
        .replacing(/"seconds":[0-9]+/, with: "\"seconds\":N")
      try bench.expectGolden("\(name).\(format)", text)
    }
  }

  private func network(_ bench: Bench, _ journal: Int) async throws {
    try await bench.succeeds(
      "network", "create", "net", "--subnet", "10.1.0.0/24", "--subnet", "::/0", "--journal",
      "\(journal)")
    for number in 1...3 {
      #expect(try await bench.plugin("ADD", "net", "c\(number)").exitStatus == 0)
    }
  }

  @Test(arguments: [0, 8])
  func aQuietNetwork(_ journal: Int) async throws {
    let bench = try await Bench()
    try await network(bench, journal)
    try await golden(bench, journal == 0 ? "watch" : "watch-journal", [])
  }

  @Test func aDirectory() async throws {
    let bench = try await Bench()
    let folder = bench.folder.path + "/networks"
    let disk = #""backend": "disk", "dataDir": "\#(folder)", "subnet": "10.1.0.0/24""#
    #expect(try await bench.plugin("ADD", "net", "c1", disk).exitStatus == 0)
    try await golden(bench, "watch-disk", ["--data-dir", folder, "--subnet", "10.1.0.0/24"])
  }

  /// Several nodes at one chunk while somebody watches: all readings together have each commit once,
  /// and as many conflicts as the nodes' journals, which overflow meanwhile.
  @Test func whatGoesOn() async throws {
    let bench = try await Bench()
    try await bench.succeeds(
      "network", "create", "net", "--subnet", "10.1.0.0/24", "--cooldown", "0", "--journal", "2")
    let nodes = ["n1", "n2", "n3", "n4"]
    for node in nodes {
      #expect(try await bench.plugin("ADD", "net", "first", node: node).exitStatus == 0)
    }
    let before = try lost(bench)
    let (watch, readings) = try await watching(bench)
    try await eventually("a reading before") { ((try? readings().count) ?? 0) >= 1 }
    let rounds = 5
    try await withThrowingTaskGroup(of: Void.self) { group in
      for node in nodes {
        group.addTask {
          for turn in 0..<rounds {
            for command in ["ADD", "DEL"] {
              let ended = try await bench.plugin(command, "net", "c\(turn)", node: node)
              #expect(ended.exitStatus == 0, "\(ended)")
            }
          }
        }
      }
      try await group.waitForAll()
    }
    let count = try readings().count
    try await eventually("a reading after") { try readings().count >= count + 2 }
    watch.signal(15)
    await watch.ended()
    let all = try readings()
    func sum(_ name: String) -> Int { all.compactMap { $0[name]?.integer }.reduce(0, +) }
    let writes = all.compactMap { $0["pools"]?.elements?.first?["writes"]?.integer }
    let commits = nodes.count * rounds * 2
    let lost = try lost(bench) - before
    #expect(all[0]["commits"] == .null && all[0]["conflicts"] == .null, "\(all)")
    #expect(sum("commits") == commits && writes.reduce(0, +) == commits, "\(all)")
    #expect(sum("conflicts") == lost && lost > 0, "\(lost) lost; \(all)")
  }

  /// The token is renewed in its file, by others, while somebody watches.
  @Test func aTokenThatIsRenewed() async throws {
    let guarded = try await GuardedBench()
    let (bench, token) = (guarded.bench, guarded.token)
    let (watch, readings) = try await watching(bench, ["--token-file", token])
    try await eventually("a reading by the first token") { ((try? readings().count) ?? 0) >= 1 }
    try writeFile(token, "00000000-0000-0000-0000-000000000000")
    try await eventually("a refusal") {
      String(decoding: try readFile(said(bench)), as: UTF8.self).contains("--token-file")
    }
    let count = try readings().count
    try guarded.renewToken(for: "read")
    try await eventually("a reading by the next token") { try readings().count > count }
    watch.signal(15)
    #expect(await watch.ended() == 0)
  }

  /// Watches every second, as a process of its own; what its readings are until now.
  private func watching(
    _ bench: Bench, _ words: [String] = []
  ) async throws -> (ChildProcess, readings: @Sendable () throws -> [JSONValue]) {
    let path = bench.folder.path + "/watched"
    let watch = try await ChildProcess.start(
      [
        "sh", "-c", "exec \"$0\" \"$@\" > \(path)", program("ipamctl", "CNI_IPAM_CTL"), "watch",
        "net", "--interval", "1", "--output", "json", "--consul", bench.consul.address,
        "--consul-prefix", bench.prefix,
      ] + words, output: said(bench))
    return (
      watch,
      {
        // Of the last line there may be a part yet.
        let bytes = try readFile(path)
        let whole = bytes[..<(bytes.lastIndex(of: 10) ?? 0)]
        return try whole.split(separator: 10).map { try JSONValue(parsing: Array($0)) }
      }
    )
  }

  /// What a watch says beside its readings.
  private func said(_ bench: Bench) -> String { bench.folder.path + "/said" }

  /// Races lost, by the newest entries of all nodes.
  private func lost(_ bench: Bench) throws -> Int {
    let reply = try bench.consul.request("GET", bench.key("net/journal/?recurse"))
    var newest: [String: (index: Int, lost: Int)] = [:]
    for entry in try JSONValue(parsing: Array(reply.body.utf8)).elements ?? [] {
      let node = entry["Key"]?.string?.split(separator: "/").dropLast().last.map(String.init) ?? ""
      let value = try bench.consul.request(
        "GET", "/v1/kv/\(entry["Key"]?.string ?? "")?raw"
      ).body
      let index = entry["ModifyIndex"]?.integer ?? 0
      guard index > newest[node]?.index ?? -1 else { continue }
      let lost = try JSONValue(parsing: Array(value.utf8))["lost"]?.integer ?? 0
      newest[node] = (index, lost)
    }
    return newest.values.reduce(0) { $0 + $1.lost }
  }
}
