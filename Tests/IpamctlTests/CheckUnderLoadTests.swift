import JSON
import TestSupport
import Testing

/// Every kind of key is destroyed while containers come and go; repairs are killed and run again. One
/// fault at a time: whose lease and chunk are both gone has nothing left that says so.
@Suite(.needsConsul) struct CheckUnderLoadTests {
  @Test func everyKindOfKeyUnderLoad() async throws {
    let bench = try await Bench()
    // Two levels: leaves, and the root that says which of them are full.
    try await bench.succeeds(
      "network", "create", "net", "--subnet", "10.1.0.0/25", "--chunk-bits", "6",
      "--cooldown", "0")
    for number in 0..<40 { #expect(try await bench.acquire("base\(number)", number) != nil) }
    let leases = try bench.keys().filter { $0.hasPrefix("net/addresses/") }
    let held = try await withThrowingTaskGroup(of: [String: String].self) { group in
      for worker in 0..<3 {
        group.addTask {
          var held: [String: String] = [:]
          for round in 0..<10 {
            let name = "w\(worker)-\(round)"
            guard let address = try await bench.acquire(name, 1_000 + worker * 100 + round) else {
              continue
            }
            held[name] = address
            if round % 2 == 0, try await bench.isReleased(name) { held[name] = nil }
          }
          return held
        }
      }
      group.addTask {
        for (kind, isGone) in Self.faults {
          // A lease that cannot be read outlives its attachment, so it is one of those that stay.
          let keys = try bench.keys().filter { key in
            kind == "addresses" ? leases.contains(key) : key.hasPrefix("net/\(kind)/")
          }
          guard let key = keys.randomElement() else { continue }
          if isGone { try bench.delete(bench.key(key)) } else { try bench.put(bench.key(key), "{") }
          try await bench.repairIsKilled(afterMicroseconds: UInt32.random(in: 5_000...60_000))
          _ = try await bench.ctl("check", "net", "--repair")
        }
        return [:]
      }
      return try await group.reduce(into: [:]) { $0.merge($1) { $1 } }
    }
    let last = try await bench.ctl("check", "net", "--repair")
    #expect(last.exitStatus == 0, "\(last)")
    try await bench.succeeds("check", "net")
    #expect(Set(held.values).count == held.count, "\(held)")
    let listed = try await bench.ctl("lease", "list", "net", "--output", "json").json.elements ?? []
    let holders = Dictionary(
      listed.map { ($0["address"]?.string ?? "", $0["container"]?.string ?? "") },
      uniquingKeysWith: { first, _ in first })
    for (name, address) in held { #expect(holders[address] == name, "\(address) of \(name)") }
    for number in 0..<40 { #expect(holders.values.contains("base\(number)")) }
  }

  private static let faults = [
    ("pools", false), ("addresses", true), ("attachments", false), ("macs", true),
    ("pools", true), ("addresses", false), ("attachments", true), ("macs", false),
  ]
}

extension Bench {
  /// The address of a new attachment with a hardware address; nil if there was none to be had.
  fileprivate func acquire(_ container: String, _ number: Int) async throws -> String? {
    let hex = String(0x10000 + number, radix: 16).dropFirst()
    let ended = try await ctl(
      "lease", "acquire", "net", "--container", container, "--node", "n1", "--mac",
      "02:00:00:00:\(hex.prefix(2)):\(hex.suffix(2))", "--output", "json")
    guard ended.exitStatus == 0 else { return nil }
    return try ended.json["addresses"]?.elements?.first?["address"]?.string
  }

  fileprivate func isReleased(_ container: String) async throws -> Bool {
    try await ctl("lease", "release", "net", "--container", container, "--node", "n1")
      .exitStatus == 0
  }

  fileprivate func repairIsKilled(afterMicroseconds time: UInt32) async throws {
    var execution = Execution([
      program("ipamctl", "CNI_IPAM_CTL"), "check", "net", "--repair", "--consul", consul.address,
      "--consul-prefix", prefix, "--state-dir", stateDirectory(),
    ])
    execution.killedAfter = time
    _ = try await execution.run()
  }
}
