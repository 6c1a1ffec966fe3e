// The way of a real container: the distribution's network plugins with this IPAM, in network
// namespaces that are joined by a real bridge, both families, on both stores.

import TestSupport
import Testing

@Suite(.needsConsul, .needsHostLocal, .needsRoot)
struct BridgeTests {
  private static let bridge: JSON = [
    "type": "bridge", "bridge": "cni0", "isGateway": true,
  ]

  @Test(arguments: StoreKind.allCases)
  func twoContainersOnABridge(_ kind: StoreKind) async throws {
    let node = try await TestNode(kind)
    var configuration = node.configuration(Self.bridge)
    let first = try await NetworkNamespace.make()
    let second = try await NetworkNamespace.make()

    // The first: addresses and default routes inside, and the gateway answers.
    let added = try await node.call("ADD", configuration, first).succeeds()
    #expect(Set(added.addresses).count == 2, "\(added)")
    #expect(try await first.addresses(of: "eth0") == Set(added.addresses))
    #expect(try await first.defaultGateway("-4") == "10.7.0.1")
    #expect(try await first.defaultGateway("-6") == "fd00:7::1")
    #expect(try await first.reaches("10.7.0.1"))
    #expect(try await first.reaches("fd00:7::1"))
    #expect(try node.network.audit().addresses(of: "c1") == bare(added.addresses))

    // The second: it reaches the first.
    let other = try await node.call("ADD", configuration, second, container: "c2").succeeds()
    for address in bare(added.addresses) {
      #expect(try await second.reaches(address), "\(address) from the second container")
    }
    for address in bare(other.addresses) {
      #expect(try await first.reaches(address), "\(address) from the first container")
    }

    configuration["prevResult"] = added.json
    try await node.call("CHECK", configuration, first).succeeds()
    let foreign = configuration.merging(["prevResult": other.json ?? nil])
    #expect(try await !node.call("CHECK", foreign, first).run().succeeded)

    // Both go, the second after its namespace.
    try await node.call("DEL", configuration, first).succeeds()
    configuration["prevResult"] = other.json
    try await node.call("DEL", configuration, nil, container: "c2").succeeds()
    #expect(try await first.interfaces().isEmpty)
    #expect(try node.network.audit() == Holders())
    try await node.call("DEL", configuration, second, container: "c2").succeeds()
    #expect(try await node.host.interfaces() == ["cni0"], "only the bridge itself is left")
  }

  /// An IPAM error passes through the network plugin with code, message and details.
  @Test(arguments: StoreKind.allCases)
  func errorsPassThroughTheBridge(_ kind: StoreKind) async throws {
    let node = try await TestNode(kind)
    var configuration = node.configuration(Self.bridge)
    configuration["ipam"]?["ranges"] = [[["subnet": "10.7.0.0/30"]]]
    let container = try await NetworkNamespace.make()
    try await Call("ADD", configuration, container: "first").entering(node.host).succeeds()
    let answer = try await node.call("ADD", configuration, container).run()
    #expect(answer.code == 101, "\(answer)")
    #expect(
      answer.message == "failed to allocate for range 0: no IP addresses available in range set: "
        + "10.7.0.1-10.7.0.2")
    #expect(try node.network.audit().holders == ["10.7.0.2": "first/eth0"])
  }
}
