// Names that the specification allows, and what a runtime may say beside them.

import TestSupport
import Testing

@Suite(.needsConsul)
struct NameTests {
  /// Everything that is a valid name: some have to be written otherwise in Consul's keys, and one is
  /// the content of a file that is no reservation.
  private static let names = [
    (String(repeating: "x", count: 300), "eth0"), ("a..b", "..."), ("0._-", "-x"),
    ("10.7.0.2", "net1.100"), ("A", "ééééééé"), ("c1", "a=b%2"), ("c1", "a?b#c"),
    ("c1", "a\\b\"c"),
  ]

  @Test(arguments: StoreKind.allCases)
  func everyAttachmentIsItself(_ kind: StoreKind) async throws {
    let network = try await TestNetwork(kind)
    let configuration = network.configuration(["subnet": "10.7.0.0/24"])
    var expected: Set<String> = []
    for (container, interface) in Self.names {
      try await Call("ADD", configuration, container: container, interface: interface).succeeds()
      expected.insert("\(container)/\(interface)")
    }
    let audit = try network.audit()
    #expect(audit.problems.isEmpty && Set(audit.holders.values) == expected, "\(audit)")
    #expect(audit.holders.count == Self.names.count)
    for (container, interface) in Self.names {
      try await Call("CHECK", configuration, container: container, interface: interface).succeeds()
      try await Call("DEL", configuration, container: container, interface: interface).succeeds()
      expected.remove("\(container)/\(interface)")
      let rest = try network.audit()
      #expect(rest.problems.isEmpty && Set(rest.holders.values) == expected, "\(rest)")
    }
  }

  /// An IPAM plugin enters no namespace, so the runtime's own is as good as any; and one that cannot be
  /// opened too. The reference fails after it has allocated.
  @Test(arguments: StoreKind.allCases, ["/proc/self/ns/net", "/nonexistent"])
  func anyNamespace(_ kind: StoreKind, _ namespace: String) async throws {
    let network = try await TestNetwork(kind)
    let configuration = network.configuration(["subnet": "10.7.0.0/24"])
    for command in ["ADD", "CHECK", "DEL"] {
      var call = Call(command, configuration)
      call.variables["CNI_NETNS"] = namespace
      let answer = try await call.succeeds()
      #expect(command == "ADD" ? answer.json != nil : answer.ended.output.isEmpty, "\(answer)")
    }
    #expect(try network.audit() == Holders())
  }

  /// A DEL comes without a namespace when that is gone.
  @Test(arguments: StoreKind.allCases, [nil, ""])
  func deleteWithoutNamespace(_ kind: StoreKind, _ namespace: String?) async throws {
    let network = try await TestNetwork(kind)
    let configuration = network.configuration(["subnet": "10.7.0.0/24"])
    try await Call("ADD", configuration).succeeds()
    var call = Call("DEL", configuration)
    call.variables["CNI_NETNS"] = namespace
    #expect(try await call.succeeds().ended.output.isEmpty)
    #expect(try network.audit() == Holders())
  }

  /// Networks of different names are two worlds, also over one subnet.
  @Test(arguments: StoreKind.allCases)
  func networksAreIndependent(_ kind: StoreKind) async throws {
    let network = try await TestNetwork(kind)
    let one = network.configuration(["subnet": "10.7.0.0/30", "cooldown": 0])
    let other = one.merging(["name": "other"])
    for configuration in [one, other] {
      let added = try await Call("ADD", configuration).succeeds()
      #expect(added.addresses == ["10.7.0.2/30"], "\(added)")
    }
    try await Call("DEL", other).succeeds()
    #expect(try network.audit().holders == ["10.7.0.2": "c1/eth0"])
    try await Call("CHECK", one).succeeds()
    #expect(try await Call("CHECK", other).run().code == 103)
  }

  /// The configuration of the whole network plugin arrives, with keys that are not ours.
  @Test(arguments: StoreKind.allCases)
  func foreignKeysAreIgnored(_ kind: StoreKind) async throws {
    let network = try await TestNetwork(kind)
    let configuration = network.configuration(
      ["subnet": "10.7.0.0/24", "unheardOf": ["a": [1, nil]]],
      [
        "type": "bridge", "bridge": "cni0", "capabilities": ["portMappings": true],
        "dns": ["nameservers": ["10.9.9.9"]], "cni.dev/unheard-of": true,
        "runtimeConfig": ["portMappings": [["hostPort": 80]], "bandwidth": [:]],
        "args": ["cni": ["labels": [["key": "app", "value": "x"]]], "other": 5],
      ])
    let added = try await Call("ADD", configuration).succeeds()
    #expect(added.json?["dns"] == [:], "the network's own dns is its plugin's affair: \(added)")
    #expect(added.ended.errorOutput.isEmpty)
    try await Call("DEL", configuration).succeeds()
  }

  /// The name of the executable decides nothing, `backend` comes before `type`.
  @Test func whatChoosesTheStore() async throws {
    let node = try await TestNode(.consul)
    let disk = try await TestNetwork(.disk)
    var onConsul = node.network.configuration(["subnet": "10.7.0.0/24"])
    try await Call("ADD", onConsul).by("\(node.path)/host-local").succeeds()
    onConsul["ipam"]?["type"] = "host-local"
    onConsul["ipam"]?["backend"] = "consul"
    try await Call("ADD", onConsul, container: "c2").succeeds()
    #expect(try node.network.audit().holders.count == 2)

    var onDisk = disk.configuration(["subnet": "10.7.0.0/24"])
    try await Call("ADD", onDisk).by("\(node.path)/consul").succeeds()
    onDisk["ipam"]?["type"] = "consul"
    onDisk["ipam"]?["backend"] = "disk"
    try await Call("ADD", onDisk, container: "c2").succeeds()
    #expect(try disk.audit().holders.count == 2)
  }
}
