import JSON
import TestSupport
import Testing

@Suite(.needsConsul) struct WhoTests {
  private func why(_ bench: Bench, _ address: String, exitStatus: Int32 = 0) async throws -> String
  {
    let ended = try await bench.ctl("who", "net", address, "--output", "json")
    #expect(ended.exitStatus == exitStatus, "\(address): \(ended)")
    return try ended.json["why"]?.string ?? ""
  }

  @Test func everyReason() async throws {
    let bench = try await Bench()
    try await bench.succeeds(
      "network", "create", "net", "--subnet", "10.1.0.0/24", "--range-end", "10.1.0.99",
      "--exclude", "10.1.0.50-10.1.0.59", "--cooldown", "3600")
    for name in ["c1", "c2"] {
      #expect(try await bench.plugin("ADD", "net", name).exitStatus == 0)
    }
    #expect(try await bench.plugin("DEL", "net", "c2").exitStatus == 0)
    #expect(try await why(bench, "10.1.0.2") == "leased")
    #expect(try await why(bench, "10.1.0.3") == "cooling")
    #expect(try await why(bench, "10.1.0.4", exitStatus: 1) == "free")
    #expect(try await why(bench, "10.1.0.1") == "gateway")
    #expect(try await why(bench, "10.1.0.0") == "reserved")
    #expect(try await why(bench, "10.1.0.255") == "reserved")
    #expect(try await why(bench, "10.1.0.55") == "excluded")
    #expect(try await why(bench, "10.1.0.100", exitStatus: 1) == "outside")
    #expect(try await why(bench, "2001:db8::1", exitStatus: 1) == "outside")
    try bench.delete(bench.key("net/addresses/0a010002"))
    #expect(try await why(bench, "10.1.0.2") == "marked")
    try bench.put(bench.key("net/addresses/0a010002"), "{")
    #expect(try await why(bench, "10.1.0.2", exitStatus: 4) == "damaged")
    let wrong = try await bench.ctl("who", "net", "10.1.0.300")
    #expect(wrong.exitStatus == 2 && wrong.errorOutput.contains("10.1.0.300"), "\(wrong)")
    #expect(try await bench.ctl("who", "nowhere", "10.1.0.2").exitStatus == 1)
  }

  @Test func whatItPrints() async throws {
    let bench = try await Bench()
    try await bench.succeeds(
      "network", "create", "net", "--subnet", "10.1.0.0/24", "--subnet", "2001:db8::/64")
    try await bench.succeeds(
      "lease", "acquire", "net", "--container", "c1", "--node", "n1", "--address", "10.1.0.7",
      "--mac", "02:00:00:00:00:07", "--label", "K8S_POD_NAME=web")
    try await bench.golden("who", ["who", "net", "10.1.0.7"])
    try await bench.golden("who-free", ["who", "net", "10.1.0.8"], exitStatus: 1)
    // The definition changes under a lease.
    try await bench.succeeds(
      "network", "update", "net", "--exclude", "10.1.0.0/28", "--force")
    try await bench.golden("who-leased-excluded", ["who", "net", "10.1.0.7"])
  }

  /// An address is all that is known, and not of which network it is.
  @Test func inAllNetworks() async throws {
    let bench = try await Bench()
    for (name, subnet) in [("a", "10.1.0.0/24"), ("b", "10.1.0.0/16"), ("c", "10.2.0.0/24")] {
      try await bench.succeeds("network", "create", name, "--subnet", subnet)
    }
    try await bench.succeeds(
      "lease", "acquire", "b", "--container", "c1", "--node", "n1", "--address", "10.1.0.7")
    try await bench.golden("who-anywhere", ["who", "10.1.0.7"])
    for (address, text) in [
      ("10.1.0.8", "nobody holds 10.1.0.8"), ("10.9.0.1", "no network has 10.9.0.1"),
    ] {
      let ended = try await bench.ctl("who", address)
      #expect(ended.exitStatus == 1 && ended.errorOutput.contains(text), "\(ended)")
    }
    #expect(try await bench.ctl("who", "b").exitStatus == 2)
    try bench.put(bench.key("d/config"), "{")
    let damaged = try await bench.ctl("who", "10.1.0.7")
    #expect(damaged.exitStatus == 4 && damaged.output.contains("c1"), "\(damaged)")
  }

  @Test func aDelegatedPrefixIsFoundByAnyOfItsAddresses() async throws {
    let bench = try await Bench()
    try await bench.succeeds(
      "network", "create", "net", "--subnet", "2001:db8::/48", "--unit-prefix-length", "64")
    try await bench.succeeds(
      "lease", "acquire", "net", "--container", "c1", "--node", "n1", "--address",
      "2001:db8:0:7::")
    let found = try await bench.ctl("who", "net", "2001:db8:0:7::99", "--output", "json")
    #expect(try found.json["address"]?.string == "2001:db8:0:7::", "\(found)")
    #expect(try found.json["lease"]?["container"]?.string == "c1", "\(found)")
  }

  @Test func aDirectory() async throws {
    let bench = try await Bench()
    let folder = bench.folder.path + "/networks"
    let disk = #""backend": "disk", "dataDir": "\#(folder)", "subnet": "10.1.0.0/24""#
    #expect(try await bench.plugin("ADD", "net", "c1", disk).exitStatus == 0)
    let place = ["--data-dir", folder]
    try await bench.golden("who-disk", ["who", "net", "10.1.0.2"] + place)
    try writeFile(folder + "/note", "")
    try await ChildProcess.run(["mkdir", folder + "/other"])
    try await bench.golden("who-disk-anywhere", ["who", "10.1.0.2"] + place)
    #expect(try await bench.ctl(["who", "10.1.0.3"] + place).exitStatus == 1)
    let free = try await bench.ctl(["who", "net", "10.1.0.1"] + place)
    #expect(free.exitStatus == 1, "\(free)")
    let gateway = try await bench.ctl(
      ["who", "net", "10.1.0.1", "--subnet", "10.1.0.0/24"] + place)
    #expect(gateway.exitStatus == 0 && gateway.output.contains("gateway"), "\(gateway)")
  }
}
