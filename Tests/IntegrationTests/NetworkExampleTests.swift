// The network configurations in Examples are run as the runtimes that they are for would run them.

internal import FoundationEssentials
import TestSupport
import Testing

@Suite(.needsConsul, .needsHostLocal)
struct NetworkExampleTests {
  /// Every example is JSON that the plugin understands, and says how it was tested.
  @Test(arguments: Example.networks)
  func isUnderstood(_ path: String) async throws {
    let text = String(decoding: try readRepositoryFile("Examples/\(path)"), as: UTF8.self)
    #expect(text.contains("Tested by"), "\(path) does not say how it was tested")
    let example = try Example.network(path)
    let network = try await TestNetwork(path.contains("podman") ? .disk : .consul)
    for var plugin in Example.plugins(example) {
      guard var ipam = plugin["ipam"] else { continue }
      // What is left out is said elsewhere: by the test's own server.
      ipam["token_file"] = nil
      plugin["ipam"] = ipam.merging(network.place)
      plugin = plugin.merging(["cniVersion": example["cniVersion"] ?? nil, "name": "net"])
      let added = try await Call("ADD", plugin).succeeds()
      #expect(added.addresses.count == ipam["ranges"]?.elements?.count, "\(added)")
      #expect(added.ended.errorOutput.isEmpty, "\(added)")
      try await Call("DEL", plugin).succeeds()
    }
  }
}

@Suite(.needsConsul)
struct ReadmeTests {
  private static func readme() throws -> String {
    String(decoding: try readRepositoryFile("README.md"), as: UTF8.self)
  }

  /// Every configuration in the README works as it stands, but for the way to the store and for what
  /// belongs to TLS.
  @Test func everyConfigurationWorks() async throws {
    let blocks = try Self.readme().components(separatedBy: "```json\n").dropFirst()
      .map { try JSON(parsing: $0.components(separatedBy: "```")[0]) }
    #expect(blocks.count == 5)
    for block in blocks {
      var ipam = try #require(block["ipam"])
      let network = try await TestNetwork(ipam["type"] == "consul" ? .consul : .disk)
      for key in ["token_file", "ca_file"] { ipam[key] = nil }
      let name: JSON = ["name": "net", "ipam": ipam.merging(network.place)]
      let added = try await Call("ADD", block.merging(name)).succeeds()
      #expect(added.addresses.count == max(1, ipam["ranges"]?.elements?.count ?? 0), "\(added)")
      try await Call("DEL", block.merging(name)).succeeds()
      #expect(try network.audit() == Holders())
    }
  }

  /// A key that the plugin reads and the README does not name is nobody's.
  @Test func everyKeyIsNamed() throws {
    let readme = try Self.readme()
    var count = 0
    for file in ["StoreSettings", "PoolSettings", "ConsulSettings"] {
      let source = String(
        decoding: try readRepositoryFile("Sources/CNI/\(file).swift"), as: UTF8.self)
      for piece in source.components(separatedBy: "(\"").dropFirst() {
        let key = piece.components(separatedBy: "\"")[0]
        let isNamed = readme.contains("`\(key)`") || readme.contains("`runtimeConfig.\(key)`")
        #expect(isNamed || key == "runtimeConfig", "README.md does not name \(key)")
        count += 1
      }
    }
    #expect(count > 30, "only \(count) keys found in the sources")
  }
}

@Suite(.needsConsul, .needsHostLocal, .needsRoot, .needsGo)
struct KubernetesExampleTests {
  private static func arguments(_ pod: String) -> String {
    "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=\(pod);"
      + "K8S_POD_INFRA_CONTAINER_ID=c1;K8S_POD_UID=0d5c0b9c-6f2c-4c8e-b1a5-\(pod)"
  }

  private func workload(_ node: TestNode, _ key: String) throws -> JSON? {
    guard let lease = try node.network.contents()["addresses/\(key)"] else { return nil }
    return try JSON(parsing: String(decoding: lease, as: UTF8.self))["workload"]
  }

  @Test func podsOnABridge() async throws {
    let node = try await TestNode(.consul, network: "pods")
    let runtime = try await LibcniRuntime(node)
    let list = Example.placed(try Example.network("kubernetes/10-pods.conflist"), on: node)
    let (cart, till) = (try await NetworkNamespace.make(), try await NetworkNamespace.make())
    let port: JSON = ["hostPort": 8080, "containerPort": 80, "protocol": "tcp"]
    let added = try await runtime.succeeds(
      "ADD", list, cart, arguments: Self.arguments("cart"), capabilities: ["portMappings": [port]])
    let other = try await runtime.succeeds(
      "ADD", list, till, container: "c2", arguments: Self.arguments("till"))
    #expect(try await cart.addresses(of: "eth0") == Set(added.addresses))
    for address in bare(other.addresses) { #expect(try await cart.reaches(address)) }
    for gateway in ["10.64.0.1", "fd00:64::1"] { #expect(try await till.reaches(gateway)) }

    // Nothing that is excluded, and every pod's name with its lease.
    for address in bare(added.addresses + other.addresses) {
      #expect(!address.hasPrefix("10.64.0.") && address != "fd00:64::2", "\(address)")
    }
    let leases = try node.network.contents().keys.filter { $0.hasPrefix("addresses/") }
    let pods = try leases.map { try workload(node, String($0.dropFirst(10)))?["K8S_POD_NAME"] }
    #expect(Set(pods) == ["cart", "till"] && pods.count == 4, "\(pods)")

    try await runtime.succeeds("CHECK", list, cart, arguments: Self.arguments("cart"))
    try await runtime.succeeds("DEL", list, cart, arguments: Self.arguments("cart"))
    try await runtime.succeeds("DEL", list, nil, container: "c2")
    #expect(try node.network.audit() == Holders())
  }

  /// Multus adds its networks to a pod that has the first one already.
  @Test func secondNetworkByMultus() async throws {
    let node = try await TestNode(.consul, network: "storage")
    let runtime = try await LibcniRuntime(node)
    try await node.host.runs("ip", "link", "add", "eth1", "type", "veth", "peer", "name", "wire")
    for end in ["eth1", "wire"] { try await node.host.runs("ip", "link", "set", end, "up") }
    let network = Example.placed(
      try Example.network("kubernetes/storage-network.yaml"), on: node)
    let (cart, till) = (try await NetworkNamespace.make(), try await NetworkNamespace.make())
    let mac = "0a:58:c0:a8:81:07"
    let added = try await runtime.succeeds(
      "ADD", network, cart, interface: "net1", arguments: Self.arguments("cart"),
      capabilities: ["mac": .string(mac), "ips": ["192.168.129.7/18"]])
    #expect(added.addresses == ["192.168.129.7/18"], "\(added)")
    #expect(try await cart.addresses(of: "net1") == Set(added.addresses))
    #expect(try await cart.ip("link", "show", "dev", "net1").first?["address"] == .string(mac))
    #expect(try node.network.contents().keys.contains { $0.hasPrefix("macs/") })
    let other = try await runtime.succeeds(
      "ADD", network, till, container: "c2", interface: "net1", arguments: Self.arguments("till"))
    for address in bare(other.addresses) { #expect(try await cart.reaches(address)) }
    #expect(try workload(node, "c0a88107")?["K8S_POD_NAME"] == "cart")

    try await runtime.succeeds("CHECK", network, cart, interface: "net1")
    for (namespace, container) in [(cart, "c1"), (till, "c2")] {
      try await runtime.succeeds(
        "DEL", network, namespace, container: container, interface: "net1")
    }
    #expect(try node.network.audit() == Holders())
  }
}

@Suite(.needsConsul, .needsHostLocal, .needsRoot, .needsGo)
struct NomadExampleTests {
  private static let identity = [
    "NOMAD_REGION": "global", "NOMAD_NAMESPACE": "default", "NOMAD_JOB_ID": "web",
    "NOMAD_GROUP_NAME": "web", "NOMAD_ALLOC_ID": "6b235529-8111-4bbe-520b-d639b1d2a94e",
  ]

  /// Nomad tries an ADD three times without a DEL between, and deletes without CNI_ARGS. Here the
  /// plugin behind ours fails twice: the address was given and must not be lost or doubled.
  @Test func addThreeTimesThenDelete() async throws {
    let node = try await TestNode(.consul, network: "pods")
    let runtime = try await LibcniRuntime(node)
    let list = Example.placed(try Example.network("nomad/pods.conflist"), on: node)
    let namespace = try await NetworkNamespace.make()
    let allocation = try #require(Self.identity["NOMAD_ALLOC_ID"])
    let arguments =
      "IgnoreUnknown=true;"
      + Self.identity.map { "\($0)=\($1)" }.sorted().joined(separator: ";")
    let ports: JSON = [
      "portMappings": [["HostPort": 23456, "ContainerPort": 8080, "Protocol": "tcp"]]
    ]

    let ipam = try #require(list["plugins"]?.elements?.first)
      .merging(["cniVersion": "1.0.0", "name": "pods"])
    let first = try await Call("ADD", ipam, container: allocation, arguments: arguments)
      .entering(node.host).succeeds()
    for _ in 2...3 {
      let again = try await Call("ADD", ipam, container: allocation, arguments: arguments)
        .entering(node.host).succeeds()
      #expect(again.json == first.json, "another answer")
    }
    // The third attempt of the whole list: bridge and all.
    let added = try await runtime.succeeds(
      "ADD", list, namespace, container: allocation, arguments: arguments, capabilities: ports)
    #expect(Set(added.addresses) == Set(first.addresses), "\(added)")
    #expect(try await namespace.addresses(of: "eth0") == Set(first.addresses))

    let audit = try node.network.audit()
    #expect(audit.addresses == bare(first.addresses) && audit.problems.isEmpty, "\(audit)")
    for (key, bytes) in try node.network.contents() where key.hasPrefix("addresses/") {
      let lease = try JSON(parsing: String(decoding: bytes, as: UTF8.self))
      #expect(lease["workload"] == .object(Self.identity.mapValues { .string($0) }), "\(key)")
    }
    try await runtime.succeeds("DEL", list, namespace, container: allocation, capabilities: ports)
    #expect(try await namespace.interfaces().isEmpty)
    #expect(try node.network.audit() == Holders())
  }
}
