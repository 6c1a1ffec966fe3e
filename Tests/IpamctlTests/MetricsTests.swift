import TestSupport
import Testing

@Suite(.needsConsul) struct MetricsTests {
  private func network(_ bench: Bench) async throws {
    try await bench.succeeds(
      "network", "create", "net", "--subnet", "10.1.0.0/24", "--subnet", "::/0")
    for number in 1...3 {
      #expect(try await bench.plugin("ADD", "net", "c\(number)").exitStatus == 0)
    }
  }

  @Test func whatItSays() async throws {
    let bench = try await Bench()
    #expect(try await bench.succeeds("metrics").isEmpty)
    try await network(bench)
    let ended = try await bench.ctl("metrics")
    #expect(ended.exitStatus == 0, "\(ended)")
    let lines = ended.output.split(separator: "\n")
    for line in [
      #"cni_ipam_consul_pool_addresses{network="net",pool="10.1.0.0/24",state="used"} 3"#,
      #"cni_ipam_consul_pool_addresses{network="net",pool="10.1.0.0/24",state="free"} 250"#,
      #"cni_ipam_consul_pool_capacity_addresses{network="net",pool="10.1.0.0/24"} 253"#,
      "# TYPE cni_ipam_consul_pool_addresses gauge",
    ] {
      #expect(lines.contains { $0 == line }, "\(line) is not in \(ended.output)")
    }
    // One HELP and one TYPE for a name, before its samples, which stand together.
    let names = lines.map { line in
      line.hasPrefix("#")
        ? line.split(separator: " ")[2] : line.prefix { $0 != "{" }
    }
    var seen: [Substring] = []
    for name in names where seen.last != name { seen.append(name) }
    #expect(Set(seen).count == seen.count, "\(seen)")
    #expect(lines.count { $0.hasPrefix("# TYPE") } == seen.count)
  }

  @Test func aFileIsReplacedWhole() async throws {
    let bench = try await Bench()
    try await network(bench)
    let path = bench.folder.path + "/pools.prom"
    try writeFile(path, "old")
    try await bench.succeeds("metrics", "net", "--write", path)
    let text = String(decoding: try readFile(path), as: UTF8.self)
    #expect(text.hasPrefix("# HELP") && text.hasSuffix("\n"), "\(text)")
    let ended = try await bench.ctl("metrics", "net", "--write", "/nowhere/pools.prom")
    #expect(ended.exitStatus == 4 && ended.errorOutput.contains("/nowhere/pools.prom"), "\(ended)")
    let unknown = try await bench.ctl("metrics", "other")
    #expect(unknown.exitStatus == 1, "\(unknown)")
  }
}
