import JSON
import TestSupport
import Testing

@Suite(.needsConsul) struct PoolTests {
  @Test func whatItPrints() async throws {
    let bench = try await Bench()
    try await bench.succeeds(
      "network", "create", "net", "--subnet", "10.1.0.0/16", "--subnet", "::/0",
      "--exclude", "10.1.128.0/17", "--cooldown", "3600")
    // One in the middle of all that is free, one that cools.
    for (name, address) in [("c1", "10.1.64.0"), ("c2", "10.1.0.2")] {
      try await bench.succeeds(
        "lease", "acquire", "net", "--container", name, "--node", "n1", "--address", address,
        "--address", "2001:db8::\(name.dropFirst())")
    }
    try await bench.succeeds(
      "lease", "release", "net", "--container", "c2", "--node", "n1")
    try await bench.golden("pool-show", ["pool", "show", "net"])
  }

  @Test func countsAgreeWithTheLeasesUntilNothingIsFree() async throws {
    let bench = try await Bench()
    try await bench.succeeds(
      "network", "create", "net", "--subnet", "10.1.0.0/27", "--cooldown", "0")
    let state = bench.folder.path + "/reading"
    func pool() async throws -> JSONValue {
      let ended = try await bench.ctl(
        "pool", "show", "net", "--output", "json", "--state", state)
      #expect(ended.exitStatus == 0, "\(ended)")
      return try #require(try ended.json["pools"]?.elements?.first)
    }
    let empty = try await pool()
    #expect(empty["capacity"]?.integer == 29 && empty["excluded"]?.integer == 3)
    #expect(empty["free"]?.integer == 29 && empty["growthPerHour"] == nil)
    #expect(empty["largestFree"]?["first"]?.string == "10.1.0.2")
    for number in 1...29 {
      #expect(try await bench.plugin("ADD", "net", "c\(number)").exitStatus == 0)
    }
    // Readings of one second tell no growth.
    try await Task.sleep(for: .seconds(1))
    let full = try await pool()
    #expect(full["used"]?.integer == 29 && full["free"]?.integer == 0)
    #expect(full["chunksFull"]?.integer == 1 && full["largestFree"] == nil)
    // 29 of 29 came since the first reading: exhausted at once.
    #expect(full["exhaustedInSeconds"]?.integer == 0, "\(full)")
    try bench.put(bench.key("net/pools/0a010000-27-32-8/0/0"), "garbage")
    let damaged = try await bench.ctl("pool", "show", "net")
    #expect(damaged.exitStatus == 4 && damaged.output.contains("chunks damaged"), "\(damaged)")
  }

  /// 60 addresses in the ten hours since the reading that a file keeps, and one is left. What the test
  /// itself takes, up to a minute, is rounded away.
  @Test(arguments: ["", "-disk"]) func growthAndTimeToExhaustion(_ place: String) async throws {
    let bench = try await Bench()
    let directory = bench.folder.path + "/networks/net"
    try await ChildProcess.run(["mkdir", "-p", directory])
    let subnet = ["--subnet", "10.1.0.0/26"]
    var words = ["pool", "show", "net"]
    if place.isEmpty {
      try await bench.succeeds(["network", "create", "net"] + subnet)
    } else {
      words += ["--data-dir", bench.folder.path + "/networks"] + subnet
    }
    let state = bench.folder.path + "/state-of-pool"
    try await bench.succeeds(words + ["--state", state])
    let kept = String(decoding: try readFile(state), as: UTF8.self)
    let time = try #require(kept.firstMatch(of: /"time": ([0-9]+)/).flatMap { Int($0.1) })
    let earlier = kept.replacing("\(time)", with: "\(time - 36_000)")
    for number in 2...61 { try writeFile("\(directory)/10.1.0.\(number)", "c\(number)\r\neth0") }
    if place.isEmpty {
      try await bench.succeeds("import", "host-local", directory, "--node", "n1")
    }
    // A run keeps its reading for the next.
    for format in ["table", "json"] {
      try writeFile(state, earlier)
      let shown = try await bench.succeeds(words + ["--state", state, "--output", format])
      try bench.expectGolden("pool-show-rate\(place).\(format)", shown)
    }
    #expect(try readFile(state) != Array(earlier.utf8))
  }

  @Test func twoReadingsInOneRun() async throws {
    let bench = try await Bench()
    try await bench.succeeds("network", "create", "net", "--subnet", "10.1.0.0/24")
    let ends = Counter()
    let showing = Task {
      defer { ends.add() }
      return try await bench.ctl("pool", "show", "net", "--interval", "3", "--output", "json")
    }
    // All the time, as nobody knows when the first reading is.
    for number in 1...250 where ends.value == 0 {
      _ = try await bench.plugin("ADD", "net", "c\(number)")
    }
    let pool = try #require(try await showing.value.json["pools"]?.elements?.first)
    #expect(pool["growthPerHour"] != nil && pool["exhaustedInSeconds"] != nil, "\(pool)")
  }

  @Test func aDirectory() async throws {
    let bench = try await Bench()
    let folder = bench.folder.path + "/networks"
    let disk = #""backend": "disk", "dataDir": "\#(folder)", "subnet": "10.1.0.0/24""#
    for name in ["c1", "c2", "c3"] {
      #expect(try await bench.plugin("ADD", "net", name, disk).exitStatus == 0)
    }
    #expect(try await bench.plugin("DEL", "net", "c2", disk).exitStatus == 0)
    let words = ["pool", "show", "net", "--data-dir", folder]
    try await bench.golden("pool-show-disk", words + ["--subnet", "10.1.0.0/24"])
    #expect(try await bench.ctl(words).exitStatus == 2)
  }
}
