// GC and STATUS of CNI 1.1.0, which no main plugin of the distribution forwards, so they are called
// directly: GC frees what the list does not name and only of this node, STATUS says whether an ADD
// could be served.

import TestSupport
import Testing

@Suite(.needsConsul)
struct CollectTests {
  private static let valid = "cni.dev/valid-attachments"
  private static let ipam: JSON = ["subnet": "10.7.0.0/29"]

  private func attachments(_ names: String...) -> JSON {
    .array(names.map { ["containerID": .string($0), "ifname": "eth0"] })
  }

  private func collect(_ network: TestNetwork, _ lists: JSON, node: String? = nil) -> Call {
    var configuration = network.configuration(Self.ipam, version: "1.1.0", lists)
    if let node { configuration["ipam"]?["node"] = .string(node) }
    return Call("GC", configuration)
  }

  /// A network with c1, c2 and c3 in it. What GC may free was made before the second in which it began.
  private func filled(_ kind: StoreKind) async throws -> TestNetwork {
    let network = try await TestNetwork(kind)
    let configuration = network.configuration(Self.ipam)
    for name in ["c1", "c2", "c3"] {
      try await Call("ADD", configuration, container: name).succeeds()
    }
    try await Task.sleep(for: .seconds(1.1))
    return network
  }

  @Test(arguments: StoreKind.allCases)
  func freesWhatTheListDoesNotName(_ kind: StoreKind) async throws {
    let network = try await filled(kind)
    let answer = try await collect(network, [Self.valid: attachments("c2")]).run()
    #expect(answer.succeeded && answer.ended.output.isEmpty, "\(answer)")
    let audit = try network.audit()
    #expect(Set(audit.holders.values) == ["c2/eth0"] && audit.problems.isEmpty, "\(audit)")

    try await collect(network, [Self.valid: attachments("c2")]).succeeds()
    #expect(try network.audit() == audit)
    try await collect(network, [Self.valid: []]).succeeds()
    #expect(try network.audit() == Holders())
  }

  /// libcni sends both keys; the older one counts only if the newer one is absent.
  @Test(arguments: StoreKind.allCases)
  func bothKeys(_ kind: StoreKind) async throws {
    let network = try await filled(kind)
    let both: JSON = [
      Self.valid: attachments("c1", "c2", "c3"), "cni.dev/attachments": attachments(),
    ]
    try await collect(network, both).succeeds()
    #expect(try network.audit().holders.count == 3)
    try await collect(network, ["cni.dev/attachments": attachments("c1")]).succeeds()
    #expect(Set(try network.audit().holders.values) == ["c1/eth0"])
  }

  /// A list that is not there says nothing about who exists: nothing is freed.
  @Test(arguments: StoreKind.allCases)
  func withoutAListNothingIsFreed(_ kind: StoreKind) async throws {
    let network = try await filled(kind)
    let before = try network.contents()
    let lists: [(JSON, Int)] = [
      ([:], 7), ([Self.valid: nil], 7), ([Self.valid: nil, "cni.dev/attachments": []], 7),
      ([Self.valid: "c1"], 6), ([Self.valid: [["containerID": "c1"]]], 7),
      ([Self.valid: ["c1"]], 6),
    ]
    for (list, code) in lists {
      Refusal(code).expect(try await collect(network, list).run())
      #expect(try network.contents() == before, "\(list)")
    }
  }

  /// The list is one node's view of the world.
  @Test func otherNodesAreNotTouched() async throws {
    let network = try await filled(.consul)
    try await collect(network, [Self.valid: []], node: "another").succeeds()
    #expect(try network.audit().holders.count == 3)
  }

  @Test(arguments: StoreKind.allCases)
  func statusTellsWhetherAnAddCanBeServed(_ kind: StoreKind) async throws {
    let network = try await TestNetwork(kind)
    let ipam: JSON = ["ranges": [[["subnet": "fd00:7::/64"]], [["subnet": "10.7.0.0/30"]]]]
    let status = Call("STATUS", network.configuration(ipam, version: "1.1.0"))
    for _ in 1...2 {
      let answer = try await status.run()
      #expect(answer.succeeded && answer.ended.output.isEmpty, "\(answer)")
      #expect(try network.audit() == Holders())
    }
    let configuration = network.configuration(ipam)
    try await Call("ADD", configuration).succeeds()
    Refusal(
      50,
      "failed to allocate for range 1: no IP addresses available in range set: 10.7.0.1-10.7.0.2"
    ).expect(try await status.run())
    try await Call("DEL", configuration).succeeds()
    #expect(try await status.run().succeeded)
  }

  @Test func statusOfABrokenConfiguration() async throws {
    let network = try await TestNetwork(.disk)
    let status = Call("STATUS", network.configuration(["subnet": "10.7.0.1/24"], version: "1.1.0"))
    let answer = try await status.run()
    #expect(answer.isError && [7, 50].contains(answer.code), "\(answer)")
  }

  /// Never 51: what an allocator cannot do now cuts nobody off who has an address. (On Consul, 50 for
  /// every trouble is in BadServerTests.)
  @Test func statusOfADirectoryThatCannotBe() async throws {
    let network = try await TestNetwork(.disk)
    let ipam: JSON = ["subnet": "10.7.0.0/24", "dataDir": "/etc/passwd"]
    let status = Call("STATUS", network.configuration(ipam, version: "1.1.0"))
    Refusal(50, words: ["/etc/passwd/net", "not a directory"]).expect(try await status.run())
  }

  /// A node's leases of an earlier boot are told when they are collected.
  @Test func collectionTellsWhatPredatesTheBoot() async throws {
    let network = try await TestNetwork(.consul)
    let consul = try #require(network.consul)
    let ipam: JSON = ["subnet": "10.7.0.0/24", "logLevel": "info"]
    for name in ["old", "young"] {
      try await Call("ADD", network.configuration(ipam), container: name).succeeds()
    }
    // The attachment as a boot before this one would have written it.
    let keys = try network.everything().filter {
      $0.contains("/attachments/") && $0.contains("/old/")
    }
    let key = try #require(keys.first)
    let stored = try consul.request("GET", "/v1/kv/\(key)?raw")
    let boot = String(
      decoding: try readFile("/proc/sys/kernel/random/boot_id").prefix { $0 > 0x20 }, as: UTF8.self)
    let changed = stored.body.replacing(boot, with: "00000000-another-boot")
    #expect(changed != stored.body, "\(stored.body)")
    _ = try consul.request("PUT", "/v1/kv/\(key)", body: changed)
    try await Task.sleep(for: .seconds(1.1))
    let collection = network.configuration(
      ipam, version: "1.1.0", ["cni.dev/valid-attachments": []])
    let answer = try await Call("GC", collection).succeeds()
    let told = answer.ended.errorOutput.split(separator: "\n").filter {
      $0.contains("earlier boot")
    }
    #expect(told.count == 1 && told.first?.contains("holder=old/eth0") == true, "\(answer)")
    #expect(try network.audit() == Holders())
  }
}
