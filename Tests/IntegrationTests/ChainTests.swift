// Other network plugins of the distribution over this IPAM: ptp, macvlan, and portmap chained behind
// bridge, all in namespaces and in both families.

internal import Glibc
import TestSupport
import Testing

@Suite(.needsConsul, .needsHostLocal, .needsRoot)
struct ChainTests {
  /// Every container has a wire of its own to the host, which routes between them.
  @Test(arguments: StoreKind.allCases)
  func pointToPoint(_ kind: StoreKind) async throws {
    let node = try await TestNode(kind)
    let configuration = node.configuration(["type": "ptp"])
    try await expectTwoContainersToMeet(node, configuration) { namespace in
      let gateways = try await (
        namespace.reaches("10.7.0.1"), namespace.reaches("fd00:7::1")
      )
      #expect(gateways.0 && gateways.1, "the gateway does not answer")
    }
  }

  /// Containers directly on a link of the host; nobody is the gateway there.
  @Test(arguments: StoreKind.allCases)
  func macvlan(_ kind: StoreKind) async throws {
    let node = try await TestNode(kind)
    try await node.host.runs(
      "ip", "link", "add", "wire0", "type", "veth", "peer", "name", "wire1")
    for end in ["wire0", "wire1"] { try await node.host.runs("ip", "link", "set", end, "up") }
    let configuration = node.configuration(["type": "macvlan", "master": "wire0"])
    try await expectTwoContainersToMeet(node, configuration) { _ in }
  }

  private func expectTwoContainersToMeet(
    _ node: TestNode, _ configuration: JSON,
    _ look: (NetworkNamespace) async throws -> Void
  ) async throws {
    var members: [(name: String, namespace: NetworkNamespace, addresses: [String])] = []
    let before = try await node.host.interfaces()
    for name in ["c1", "c2"] {
      let namespace = try await NetworkNamespace.make()
      let answer = try await node.call("ADD", configuration, namespace, container: name).succeeds()
      #expect(try await namespace.addresses(of: "eth0") == Set(answer.addresses))
      members.append((name, namespace, answer.addresses))
      try await look(namespace)
    }
    for (one, other) in [(members[0], members[1]), (members[1], members[0])] {
      for address in bare(other.addresses) {
        #expect(try await one.namespace.reaches(address), "\(address) from \(one.name)")
      }
    }
    for member in members {
      try await node.call("DEL", configuration, member.namespace, container: member.name)
        .succeeds()
      #expect(try await member.namespace.interfaces().isEmpty)
    }
    #expect(try await node.host.interfaces() == before)
    #expect(try node.network.audit() == Holders())
  }

  /// A list of two plugins as a runtime runs it: the result of the first is the second's prevResult.
  @Test(arguments: StoreKind.allCases)
  func portMapping(_ kind: StoreKind) async throws {
    let node = try await TestNode(kind)
    let bridge = node.configuration(["type": "bridge", "bridge": "cni0", "isGateway": true])
    let container = try await NetworkNamespace.make()
    let added = try await node.call("ADD", bridge, container).succeeds()
    let mapping: JSON = ["hostPort": 8080, "containerPort": 80, "protocol": "tcp"]
    let portmap: JSON = [
      "cniVersion": "1.0.0", "name": "net", "type": "portmap",
      "capabilities": ["portMappings": true],
      "runtimeConfig": ["portMappings": [mapping]], "prevResult": added.json ?? nil,
    ]
    let chained = try await node.call("ADD", portmap, container).succeeds()
    #expect(Set(chained.addresses) == Set(added.addresses))

    let greeting = "from the container"
    try await container.inside { try serveOnce(greeting, port: 80) }
    let heard = try await node.host.runs(
      "bash", "-c", "exec 3<>/dev/tcp/10.7.0.1/8080; cat <&3")
    #expect(heard == greeting)

    for configuration in [portmap, bridge.merging(["prevResult": added.json ?? nil])] {
      try await node.call("DEL", configuration, container).succeeds()
    }
    #expect(try await container.interfaces().isEmpty)
    #expect(try node.network.audit() == Holders())
    #expect(try await !node.host.runs("iptables-save", "-t", "nat").contains("8080"))
  }
}

/// Listens on all addresses of the namespace that the calling thread is in; another thread then says
/// `greeting` to the first that connects.
private func serveOnce(_ greeting: String, port: UInt16) throws {
  let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
  let listener = socket(AF_INET, type, 0)
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_port = port.bigEndian
  let bound = withUnsafePointer(to: address) { pointer in
    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      bind(listener, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
    }
  }
  guard bound == 0, listen(listener, 1) == 0 else {
    throw TestSupportError("cannot listen in the container", errno)
  }
  onNewThread {
    let peer = accept(listener, nil, nil)
    _ = write(peer, greeting, greeting.utf8.count)
    close(peer)
    close(listener)
  }
}
