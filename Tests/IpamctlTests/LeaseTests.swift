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
    let table = try await bench.succeeds("lease", "list", "net", "--within", address + "/32")
    let lines = table.split(separator: "\n")
    #expect(lines.count == 2 && lines[0].hasPrefix("ADDRESS "), "\(table)")
    #expect(lines[1].hasPrefix(address + " "))
    for filter in [
      ["--node", "n2"], ["--container", "c9"], ["--pod", "web"], ["--older-than", "3600"],
      ["--mac", "02:00:00:00:00:01"], ["--workload-namespace", "shop"],
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
}
