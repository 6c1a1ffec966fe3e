import JSON
import TestSupport
import Testing

@Suite(.needsConsul) struct LeaseTests {
  @Test func listsAndFilters() async throws {
    let bench = try await Bench()
    try await bench.succeeds("network", "create", "net", "--subnet", "10.1.0.0/24")
    for number in 1...3 {
      #expect(try await bench.plugin("ADD", "net", "c\(number)").exitStatus == 0)
    }
    let all = try await bench.ctl("lease", "list", "net", "--output", "json").json.elements ?? []
    #expect(all.compactMap { $0["container"]?.string }.sorted() == ["c1", "c2", "c3"])
    #expect(all.allSatisfy { $0["node"]?.string == "n1" && $0["since"]?.string != nil })
    let address = try #require(all.first?["address"]?.string)
    let table = try await bench.succeeds("lease", "list", "net", "--prefix", address + "/32")
    let lines = table.split(separator: "\n")
    #expect(lines.count == 2 && lines[0].hasPrefix("ADDRESS "), "\(table)")
    #expect(lines[1].hasPrefix(address + " "))
    for filter in [
      ["--node", "n2"], ["--container", "c9"], ["--pod", "web"], ["--older-than", "3600"],
      ["--mac", "02:00:00:00:00:01"], ["--namespace", "shop"],
    ] {
      let none = try await bench.ctl(["lease", "list", "net", "--output", "json"] + filter)
      #expect(try none.json.elements?.isEmpty == true, "\(filter) \(none)")
    }
    let one = try await bench.ctl("lease", "list", "net", "--container", "c2", "--output", "json")
    #expect(try one.json.elements?.count == 1)
    try await bench.golden("lease-list", ["lease", "list", "net"])
    let wrong = try await bench.ctl("lease", "list", "net", "--mac", "zz")
    #expect(wrong.exitStatus == 2 && wrong.errorOutput.contains("zz"), "\(wrong)")
  }

  @Test func aDirectory() async throws {
    let bench = try await Bench()
    let folder = bench.folder.path + "/networks"
    let disk = #""backend": "disk", "dataDir": "\#(folder)", "subnet": "10.1.0.0/24""#
    #expect(try await bench.plugin("ADD", "net", "c1", disk).exitStatus == 0)
    let table = try await bench.succeeds("lease", "list", "net", "--data-dir", folder)
    let lines = table.split(separator: "\n").map { $0.split(separator: " ") }
    #expect(
      lines[0] == ["ADDRESS", "CONTAINER", "INTERFACE", "NODE", "MAC", "SINCE", "WORKLOAD"])
    try await bench.golden("lease-list-disk", ["lease", "list", "net", "--data-dir", folder])
    #expect(lines.count == 2 && lines[1].prefix(5) == ["10.1.0.2", "c1", "eth0", "-", "-"])
  }

  /// A pod's name is somebody's text: no control character reaches the terminal, and none counts
  /// as less than the `?` that is printed for it (a carriage return and a line feed are one character).
  @Test func namesOfAnyKindAreListed() async throws {
    let bench = try await Bench()
    try await bench.succeeds("network", "create", "net", "--subnet", "10.1.0.0/24")
    let name = "a\r\nb\r\nc\r\nd\u{1B}[2J\u{7F}\u{9B}"
    for container in ["c" + String(repeating: "\r\n", count: 20) + "1", "c2"] {
      try await bench.succeeds(
        "lease", "acquire", "net", "--container", container, "--node", "n1",
        "--label", "K8S_POD_NAME=\(name)")
    }
    for words in [["lease", "list", "net"], ["who", "net", "10.1.0.2"]] {
      let ended = try await bench.ctl(words)
      #expect(ended.exitStatus == 0, "\(ended)")
      #expect(
        ended.output.unicodeScalars.allSatisfy { scalar in
          scalar == "\n" || scalar.value >= 0x20 && !(0x7F...0x9F).contains(scalar.value)
        }, "\(ended)")
    }
  }

  /// A lease that an earlier boot of this host left, told from one of this boot.
  @Test func beforeBoot() async throws {
    let bench = try await Bench()
    let folder = bench.folder.path + "/networks"
    let disk = #""backend": "disk", "dataDir": "\#(folder)", "subnet": "10.1.0.0/24""#
    try await bench.succeeds("network", "create", "net", "--subnet", "10.1.0.0/24")
    for container in ["old", "young"] {
      #expect(try await bench.plugin("ADD", "net", container).exitStatus == 0)
      #expect(try await bench.plugin("ADD", "net", container, disk).exitStatus == 0)
    }
    // As if written before: in Consul by the boot's id, in a directory by the file's time.
    let list = try await bench.ctl("lease", "list", "net", "--container", "old", "--output", "json")
    let address = try #require(try list.json.elements?.first?["address"]?.string)
    let hex = address.split(separator: ".").map { part in
      let digits = String(Int(part) ?? 0, radix: 16)
      return digits.count == 1 ? "0" + digits : digits
    }
    let key = bench.key("net/addresses/" + hex.joined())
    let boot = String(
      decoding: try readFile("/proc/sys/kernel/random/boot_id").prefix { $0 > 0x20 },
      as: UTF8.self)
    let lease = try bench.consul.request("GET", key + "?raw").body
    let changed = lease.replacing(boot, with: "00000000-another-boot")
    #expect(changed != lease, "\(lease)")
    try bench.put(key, changed)
    try await ChildProcess.run(["touch", "-d", "@1000000000", "\(folder)/net/10.1.0.2"])

    for place in [["--node", "n1"], ["--data-dir", folder]] {
      let words = ["lease", "list", "net", "--before-boot", "--output", "json"] + place
      let found = try await bench.ctl(words).json.elements ?? []
      #expect(found.compactMap { $0["container"]?.string } == ["old"], "\(place)")
    }
    let vague = try await bench.ctl("lease", "list", "net", "--before-boot")
    #expect(vague.exitStatus == 2 && vague.errorOutput.contains("--node"), "\(vague)")
  }
}
