// The CNI project's own library as the runtime: it chains plugins, keeps results and hands them to
// CHECK and DEL as prevResult, and shows errors as it understands them.

import TestSupport
import Testing

@Suite(.needsConsul, .needsHostLocal, .needsRoot, .needsGo)
struct LibcniTests {
  /// Versions with network lists whose plugins the distribution has, and whether they have CHECK.
  private static let versions = [("0.3.1", false), ("0.4.0", true), ("1.0.0", true)]

  private func list(_ node: TestNode, version: String = "1.0.0", subnet: String = "10.7.0.0/24")
    -> JSON
  {
    let ipam = node.placed([
      "ranges": [[["subnet": .string(subnet)]], [["subnet": "fd00:7::/64"]]],
      "routes": [["dst": "0.0.0.0/0"], ["dst": "::/0"]],
    ])
    return [
      "cniVersion": .string(version), "name": "net",
      "plugins": [
        [
          "type": "bridge", "bridge": "cni0", "isGateway": true, "ipam": ipam,
          "capabilities": ["ips": true],
        ],
        ["type": "portmap", "capabilities": ["portMappings": true]],
      ],
    ]
  }

  @Test(arguments: StoreKind.allCases, versions)
  func life(_ kind: StoreKind, _ version: (text: String, hasCheck: Bool)) async throws {
    let node = try await TestNode(kind)
    let runtime = try await LibcniRuntime(node)
    let list = list(node, version: version.text)
    let (first, second) = (try await NetworkNamespace.make(), try await NetworkNamespace.make())
    let asked: JSON = ["ips": ["10.7.0.77/24", "fd00:7::77"]]

    let added = try await runtime.succeeds("ADD", list, first, capabilities: asked)
    #expect(added.json?["cniVersion"] == .string(version.text), "\(added)")
    #expect(Set(added.addresses) == ["10.7.0.77/24", "fd00:7::77/64"], "\(added)")
    #expect(try await first.addresses(of: "eth0") == Set(added.addresses))
    #expect(runtime.keptResults() == ["net-c1-eth0"])
    let kept = try await runtime.succeeds("CACHED", list, first)
    #expect(kept.json == added.json, "\(kept)")

    let other = try await runtime.succeeds("ADD", list, second, container: "c2")
    for address in bare(other.addresses) { #expect(try await first.reaches(address)) }
    for address in bare(added.addresses) { #expect(try await second.reaches(address)) }

    let checked = try await runtime.run("CHECK", list, first)
    #expect(checked.succeeded == version.hasCheck, "\(checked)")
    for _ in 1...2 { try await runtime.succeeds("DEL", list, first) }
    #expect(try await first.interfaces().isEmpty)
    #expect(try node.network.audit().addresses == bare(other.addresses))
    #expect(runtime.keptResults() == ["net-c2-eth0"])
    try await runtime.succeeds("DEL", list, nil, container: "c2")  // its namespace is gone
    #expect(try node.network.audit() == Holders())
    #expect(runtime.keptResults().isEmpty)
  }

  /// CHECK compares what is held with the result that libcni kept.
  @Test(arguments: StoreKind.allCases)
  func checkNoticesAnAddressThatIsGone(_ kind: StoreKind) async throws {
    let node = try await TestNode(kind)
    let runtime = try await LibcniRuntime(node)
    let list = list(node)
    let container = try await NetworkNamespace.make()
    let added = try await runtime.succeeds("ADD", list, container)
    try await runtime.succeeds("CHECK", list, container)

    // Behind the runtime's back the attachment is released and made again, with other addresses.
    var plain = try #require(list["plugins"]?.elements?.first)
    plain = plain.merging(["cniVersion": "1.0.0", "name": "net"])
    try await Call("DEL", plain).entering(node.host).succeeds()
    let gone = try await runtime.run("CHECK", list, container)
    #expect(gone.code == 103, "\(gone)")
    try await Call("ADD", plain, arguments: "IP=10.7.0.99").entering(node.host).succeeds()
    let changed = try await runtime.run("CHECK", list, container)
    #expect(changed.code == 103, "\(changed)")
    let address = bare(added.addresses).first { !$0.contains(":") }
    #expect(changed.message?.contains(address ?? "?") == true, "\(changed)")
    try await runtime.succeeds("DEL", list, container)
    #expect(try node.network.audit() == Holders())
  }

  /// What we say is what the runtime's user reads.
  @Test(arguments: StoreKind.allCases)
  func errorsReachTheRuntime(_ kind: StoreKind) async throws {
    let node = try await TestNode(kind)
    let runtime = try await LibcniRuntime(node)
    let list = list(node, subnet: "10.7.0.0/30")
    let (first, second) = (try await NetworkNamespace.make(), try await NetworkNamespace.make())
    try await runtime.succeeds("ADD", list, first)
    let refused = try await runtime.run("ADD", list, second, container: "c2")
    #expect(refused.code == 101, "\(refused)")
    #expect(
      refused.message == "failed to allocate for range 0: no IP addresses available in range set: "
        + "10.7.0.1-10.7.0.2")
    #expect(refused.details?.isEmpty == false)
    // A runtime deletes after a failed ADD.
    try await runtime.succeeds("DEL", list, second, container: "c2")
    #expect(Set(try node.network.audit().holders.values) == ["c1/eth0"])
  }
}
