// The options that host-local does not have: what they do, on both stores.

import TestSupport
import Testing

@Suite(.needsConsul)
struct OptionTests {
  @Test(arguments: StoreKind.allCases)
  func excludedAddressesAreNeverGiven(_ kind: StoreKind) async throws {
    let network = try await TestNetwork(kind)
    let configuration = network.configuration([
      "subnet": "10.7.0.0/28", "exclude": ["10.7.0.2-10.7.0.9", "10.7.0.12/30", "10.7.0.11"],
    ])
    let answer = try await Call("ADD", configuration).succeeds()
    #expect(answer.addresses == ["10.7.0.10/28"])
    let another = try await Call("ADD", configuration, container: "c2").run()
    Refusal(
      101,
      words: [
        "no IP addresses available",
        "pool 10.7.0.0/28: 16 addresses, 1 in use, 0 cooling, 15 excluded",
        "ipamctl lease list",
      ]
    ).expect(another)
    let requested = try await Call(
      "ADD", configuration, container: "c2", arguments: "IP=10.7.0.5"
    ).run()
    Refusal(7, "failed to allocate all requested IPs: 10.7.0.5").expect(requested)
    Refusal(7, words: ["exclude", "10.7.0.300"]).expect(
      try await Call(
        "ADD", network.configuration(["subnet": "10.7.0.0/28", "exclude": ["10.7.0.300"]]),
        container: "c3"
      ).run())
  }

  /// RFC 3021 and RFC 6164: all addresses of the smallest subnets are usable.
  @Test(
    arguments: StoreKind.allCases,
    [
      ("10.7.0.8/31", ["10.7.0.8/31", "10.7.0.9/31"]), ("10.7.0.8/32", ["10.7.0.8/32"]),
      ("fd00:7::8/127", ["fd00:7::8/127", "fd00:7::9/127"]), ("fd00:7::8/128", ["fd00:7::8/128"]),
    ])
  func smallSubnets(_ kind: StoreKind, _ subnet: (prefix: String, addresses: [String]))
    async throws
  {
    let network = try await TestNetwork(kind)
    var ipam: JSON = ["subnet": .string(subnet.prefix)]
    Refusal(
      7, "invalid range set 0: Network \(subnet.prefix) too small to allocate from"
    ).expect(try await Call("ADD", network.configuration(ipam)).run())
    ipam["allowSmallSubnets"] = true
    var given: [String] = []
    for index in subnet.addresses.indices {
      given += try await Call("ADD", network.configuration(ipam), container: "c\(index)")
        .succeeds().addresses
    }
    #expect(given.sorted() == subnet.addresses)
    let full = try await Call("ADD", network.configuration(ipam), container: "full").run()
    #expect(full.code == 101, "\(full)")
  }

  /// A released address rests while there are others, and is lent when there is none.
  @Test func aReleasedAddressCoolsDown() async throws {
    let network = try await TestNetwork(.consul)
    for (policy, isLent) in [("borrow", true), ("strict", false)] {
      let other = try await TestNetwork(.consul)
      var configuration = other.configuration([
        "subnet": "10.7.0.0/30", "cooldown": "1h", "cooldownPolicy": .string(policy),
      ])
      try await Call("ADD", configuration).succeeds()
      try await Call("DEL", configuration).succeeds()
      if !isLent { configuration["ipam"]?["timeout"] = "2s" }
      let again = try await Call("ADD", configuration, container: "c2").run()
      if isLent {
        #expect(again.addresses == ["10.7.0.2/30"], "\(again)")
      } else {
        #expect(again.code == 11, "\(again)")
      }
    }
    let none = network.configuration(["subnet": "10.7.0.0/30", "cooldown": 0])
    for container in ["c1", "c2"] {
      try await Call("ADD", none, container: container).succeeds()
      try await Call("DEL", none, container: container).succeeds()
    }
  }

  /// Stored beside the address, and nobody else's in this network.
  @Test func hardwareAddresses() async throws {
    let network = try await TestNetwork(.consul)
    let configuration = network.configuration(["subnet": "10.7.0.0/24"])
    let mac = "0a:58:0a:07:00:02"
    try await Call("ADD", configuration, arguments: "IgnoreUnknown=1;MAC=\(mac)").succeeds()
    let lease = try #require(try network.contents()["addresses/0a070002"])
    let text = String(decoding: lease, as: UTF8.self)
    #expect(text.contains(mac), "\(text)")

    for source: JSON in [
      ["runtimeConfig": ["mac": .string(mac)]], ["args": ["cni": ["mac": "0A-58-0A-07-00-02"]]],
    ] {
      let before = try network.contents()
      let call = Call("ADD", configuration.merging(source), container: "c2")
      Refusal(102, words: [mac]).expect(try await call.run())
      #expect(try network.contents() == before)
    }
    try await Call("DEL", configuration).succeeds()
    #expect(try network.contents().keys.allSatisfy { !$0.hasPrefix("macs/") })
    try await Call("ADD", configuration, container: "c2", arguments: "MAC=\(mac)").succeeds()
  }

  /// Who a container belongs to is stored with the lease.
  @Test func workloads() async throws {
    let network = try await TestNetwork(.consul)
    let configuration = network.configuration(["subnet": "10.7.0.0/24"])
    try await Call(
      "ADD", configuration, arguments: "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=cart-7"
    ).succeeds()
    let lease = try #require(try network.contents()["addresses/0a070002"])
    let workload = try JSON(parsing: String(decoding: lease, as: UTF8.self))["workload"]
    #expect(workload == ["K8S_POD_NAMESPACE": "shop", "K8S_POD_NAME": "cart-7"])
  }

  /// What a runtime adds for one attachment must not become the network for all, and is no reason
  /// to keep what is held.
  @Test func foreignRuntimeRangesOnConsul() async throws {
    let network = try await TestNetwork(.consul)
    let good = network.configuration(["subnet": "10.7.0.0/24"])
    let foreign = good.merging(["runtimeConfig": ["ipRanges": [[["subnet": "192.168.7.0/24"]]]]])
    try await network.refuses(Call("ADD", foreign), Refusal(7, words: ["ipRanges"]))
    try await Call("ADD", good).succeeds()
    try await Call("DEL", foreign).succeeds()
    #expect(try network.audit() == Holders())
  }

  /// Once defined in Consul, the definition there rules, and a different file is warned of.
  @Test func theDefinitionInConsulRules() async throws {
    let network = try await TestNetwork(.consul)
    try await Call("ADD", network.configuration(["subnet": "10.7.0.0/24"])).succeeds()
    let other = network.configuration(["subnet": "10.8.0.0/24"])
    let answer = try await Call("ADD", other, container: "c2").succeeds()
    #expect(answer.addresses == ["10.7.0.3/24"])
    #expect(answer.ended.errorOutput.contains("warning"), "\(answer)")
    let without = network.configuration([:])
    #expect(
      try await Call("ADD", without, container: "c3").succeeds().addresses == ["10.7.0.4/24"])
  }
}
