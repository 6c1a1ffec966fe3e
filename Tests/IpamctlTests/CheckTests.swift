import JSON
import TestSupport
import Testing

@Suite(.needsConsul) struct CheckTests {
  /// Keys of a network with one attachment, each to be destroyed in turn.
  @Test(arguments: ["addresses", "attachments", "pools"], [true, false])
  func aKeyThatIsGoneOrGarbageIsMended(_ kind: String, isGone: Bool) async throws {
    let bench = try await Bench()
    try await bench.succeeds("network", "create", "net", "--subnet", "10.1.0.0/24")
    #expect(try await bench.plugin("ADD", "net", "c1").exitStatus == 0)
    let before = try bench.keys()
    let key = try #require(before.first { $0.hasPrefix("net/\(kind)/") })
    if isGone { try bench.delete(bench.key(key)) } else { try bench.put(bench.key(key), "{") }

    let found = try await bench.ctl("check", "net", "--output", "json")
    #expect(found.exitStatus == 1, "\(found)")
    let findings = try found.json["findings"]?.elements ?? []
    #expect(!findings.isEmpty && findings.allSatisfy { $0["repair"]?.string?.isEmpty == false })
    let elsewhere = bench.folder.path + "/elsewhere"
    let repaired = try await bench.ctl("check", "net", "--repair", "--state-dir", elsewhere)
    #expect(repaired.exitStatus == 0, "\(repaired)")
    #expect(try bench.keys() == before)
    // A machine that is no node does not become one by it.
    #expect(try await ChildProcess.run(["ls", bench.folder.path]) == "state\n")
    try await bench.succeeds("check", "net")
    #expect(try await bench.plugin("CHECK", "net", "c1").exitStatus == 0)
    #expect(try await bench.plugin("DEL", "net", "c1").exitStatus == 0)
    try await bench.succeeds("check", "net")
    #expect(try !bench.keys().contains { $0.contains("/addresses/") })
  }

  @Test func aRestoredSnapshotIsMended() async throws {
    let consul = try await ConsulServer.start()
    let bench = try await Bench(consul)
    try await bench.succeeds("network", "create", "net", "--subnet", "10.1.0.0/24")
    #expect(try await bench.plugin("ADD", "net", "c1").exitStatus == 0)
    let snapshot = bench.folder.path + "/snapshot"
    let binary = try await ConsulBinary.path()
    try await ChildProcess.run(
      [binary, "snapshot", "save", "-http-addr=\(consul.address)", snapshot])
    for number in 2...4 {
      #expect(try await bench.plugin("ADD", "net", "c\(number)").exitStatus == 0)
    }
    try await ChildProcess.run(
      [binary, "snapshot", "restore", "-http-addr=\(consul.address)", snapshot])
    try await consul.ready()
    // The node's copy is newer than what is there now; it is asked for again after a conflict.
    let refused = try await bench.plugin("ADD", "net", "c5")
    #expect(refused.exitStatus == 1 && refused.output.contains("--repair"), "\(refused)")
    let state = ["--state-dir", bench.folder.path + "/state"]
    let checked = try await bench.ctl(["check", "net"] + state)
    #expect(checked.exitStatus == 1 && checked.errorOutput.contains("older state"), "\(checked)")
    let repaired = try await bench.ctl(["check", "net", "--repair"] + state)
    #expect(repaired.exitStatus == 0 && repaired.output.contains("new incarnation"), "\(repaired)")
    let added = try await bench.plugin("ADD", "net", "c5")
    #expect(added.exitStatus == 0, "\(added)")
    try await bench.succeeds("check", "net")
  }

  /// Containers come and go while keys are destroyed and mended; no living one loses its address.
  @Test func repairBesideLiveTraffic() async throws {
    let bench = try await Bench()
    try await bench.succeeds(
      "network", "create", "net", "--subnet", "10.1.0.0/24", "--cooldown", "0")
    let held = try await withThrowingTaskGroup(of: [String: String].self) { group in
      for worker in 0..<3 {
        group.addTask {
          var held: [String: String] = [:]
          for round in 0..<8 {
            let name = "w\(worker)-\(round)"
            let added = try await bench.plugin("ADD", "net", name)
            guard added.exitStatus == 0, let address = added.firstAddress else { continue }
            held[name] = address
            if round % 2 == 0, try await bench.plugin("DEL", "net", name).exitStatus == 0 {
              held[name] = nil
            }
          }
          return held
        }
      }
      group.addTask {
        for round in 0..<6 {
          let chunk = try bench.keys().first { $0.contains("/pools/") }
          if let chunk, round % 2 == 0 { try bench.put(bench.key(chunk), "garbage") }
          _ = try await bench.ctl("check", "net", "--repair")
        }
        return [:]
      }
      return try await group.reduce(into: [:]) { $0.merge($1) { $1 } }
    }
    let last = try await bench.ctl("check", "net", "--repair")
    #expect(last.exitStatus == 0, "\(last)")
    #expect(Set(held.values).count == held.count, "\(held)")
    for name in held.keys {
      #expect(try await bench.plugin("CHECK", "net", name).exitStatus == 0, "\(name)")
    }
  }
}

extension Execution.Ended {
  /// The first address of a plugin's result.
  fileprivate var firstAddress: String? {
    (try? json)?["ips"]?.elements?.first?["address"]?.string
  }
}
