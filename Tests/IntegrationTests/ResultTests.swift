// The life of an attachment in every version of the specification, on both stores: results as
// cni.md 1.3 has them, compared by meaning, and what goes to which stream.

import TestSupport
import Testing

/// A version that a configuration declares and what its results look like.
struct DeclaredVersion: Sendable, CustomTestStringConvertible {
  /// As declared; nil for a configuration without version, "" for an empty one.
  let declared: String?
  /// As answered.
  let answered: String
  let form: Form

  enum Form { case families, versioned, plain, extended }

  var testDescription: String { declared.map { "\"\($0)\"" } ?? "none" }
  var hasCheck: Bool { answered >= "0.4.0" }

  static let all: [DeclaredVersion] = [
    .init(declared: nil, answered: "0.1.0", form: .families),
    .init(declared: "", answered: "0.1.0", form: .families),
    .init(declared: "0.1.0", answered: "0.1.0", form: .families),
    .init(declared: "0.2.0", answered: "0.2.0", form: .families),
    .init(declared: "0.3.0", answered: "0.3.0", form: .versioned),
    .init(declared: "0.3.1", answered: "0.3.1", form: .versioned),
    .init(declared: "0.4.0", answered: "0.4.0", form: .versioned),
    .init(declared: "1.0.0", answered: "1.0.0", form: .plain),
    .init(declared: "1.1.0", answered: "1.1.0", form: .extended),
  ]

  /// The result of the first ADD of ``ResultTests/ipam``.
  var result: JSON {
    let v4: JSON = ["address": "10.7.0.10/24", "gateway": "10.7.0.1"]
    let v6: JSON = ["address": "fd00:7::10/64", "gateway": "fd00:7::1"]
    let short: [JSON] = [["dst": "0.0.0.0/0"], ["dst": "fd00:8::/32", "gw": "fd00:7::9"]]
    let dns: JSON = [
      "nameservers": ["10.7.0.53"], "domain": "example.net", "search": ["a.example", "b.example"],
      "options": ["ndots:2"],
    ]
    var result: JSON = ["cniVersion": .string(answered), "dns": dns]
    switch form {
    case .families:
      result["ip4"] = ["ip": "10.7.0.10/24", "gateway": "10.7.0.1", "routes": [short[0]]]
      result["ip6"] = ["ip": "fd00:7::10/64", "gateway": "fd00:7::1", "routes": [short[1]]]
    case .versioned:
      result["ips"] = [v4.merging(["version": "4"]), v6.merging(["version": "6"])]
      result["routes"] = .array(short)
    case .plain:
      result["ips"] = [v4, v6]
      result["routes"] = .array(short)
    case .extended:
      result["ips"] = [v4, v6]
      result["routes"] = [short[0].merging(["mtu": 1400, "priority": 7, "table": 100]), short[1]]
    }
    return result
  }
}

@Suite(.needsConsul, .needsHostLocal)
struct ResultTests {
  static let resolvConf = """
    # a comment
    nameserver 10.7.0.53
    domain example.net
    search a.example b.example
    options ndots:2

    """

  /// Two families, routes with and without gateway and with fields of 1.1.0, name servers.
  static func ipam(resolvConf: String) -> JSON {
    [
      "ranges": [
        [["subnet": "10.7.0.0/24", "rangeStart": "10.7.0.10", "rangeEnd": "10.7.0.20"]],
        [["subnet": "fd00:7::/64", "rangeStart": "fd00:7::10", "rangeEnd": "fd00:7::20"]],
      ],
      "routes": [
        ["dst": "0.0.0.0/0", "mtu": 1400, "priority": 7, "table": 100],
        ["dst": "fd00:8::/32", "gw": "fd00:7::9"],
      ],
      "resolvConf": .string(resolvConf),
    ]
  }

  @Test(arguments: StoreKind.allCases, DeclaredVersion.all)
  func life(_ kind: StoreKind, _ version: DeclaredVersion) async throws {
    let network = try await TestNetwork(kind)
    let file = network.folder.path + "/resolv.conf"
    try writeFile(file, Self.resolvConf)
    var configuration = network.configuration(
      Self.ipam(resolvConf: file), version: version.declared)

    let added = try await Call("ADD", configuration).succeeds()
    #expect(added.json == version.result)
    #expect(added.ended.errorOutput.isEmpty)
    let audit = try network.audit()
    #expect(audit.addresses(of: "c1") == ["10.7.0.10", "fd00:7::10"])
    #expect(audit.problems.isEmpty)

    configuration["prevResult"] = added.json
    let checked = try await Call("CHECK", configuration).run()
    if version.hasCheck {
      #expect(checked.succeeded && checked.ended.output.isEmpty, "\(checked)")
    } else {
      #expect(checked.code == 1 && checked.message == "config version does not allow CHECK")
    }

    for _ in 1...2 {  // a DEL of nothing succeeds
      let deleted = try await Call("DEL", configuration).run()
      #expect(deleted.succeeded, "\(deleted)")
      #expect(deleted.ended.output.isEmpty && deleted.ended.errorOutput.isEmpty, "\(deleted)")
      let rest = try network.audit()
      #expect(rest.holders.isEmpty && rest.problems.isEmpty)
    }

    if version.hasCheck {
      let missing = try await Call("CHECK", configuration).run()
      #expect(missing.isError && missing.code == 103, "\(missing)")
    }
  }

  /// What the distribution's plugin answers, for the versions that it knows.
  @Test(arguments: DeclaredVersion.all.filter { $0.form != .extended })
  func hostLocalAnswersTheSame(_ version: DeclaredVersion) async throws {
    let network = try await TestNetwork(.disk)
    let file = network.folder.path + "/resolv.conf"
    try writeFile(file, Self.resolvConf)
    let configuration = network.configuration(
      Self.ipam(resolvConf: file), version: version.declared)
    let added = try await Call("ADD", configuration).by(Program.hostLocal).succeeds()
    #expect(added.json == version.result)
  }

  /// A file with everything that resolv.conf(5) and the reference's reader know, and the answer byte for
  /// byte: the order of members, indentation, what Go escapes, no newline at the end.
  @Test(arguments: StoreKind.allCases)
  func everyByte(_ kind: StoreKind) async throws {
    let network = try await TestNetwork(kind)
    let file = network.folder.path + "/resolv.conf"
    try writeFile(
      file,
      """
      ; a comment
      #nameserver 10.9.9.9
      nameserver 10.7.0.53 10.7.0.54
        nameserver\tfd00:7::53\u{20}
      nameserver
      domain one.example
      domain two.example
      search <a>&b "c"\\d
      search é/ü
      options ndots:2 timeout:1
      options rotate
      sortlist 10.0.0.0
      SEARCH upper
      """)
    let ipam: JSON = [
      "subnet": "10.7.0.0/29", "resolvConf": .string(file), "searchOrder": "sequential",
      "routes": [["dst": "10.8.0.0/16", "gw": "10.7.0.1"], ["dst": "0.0.0.0/0"]],
    ]
    let added = try await Call("ADD", network.configuration(ipam)).succeeds()
    let disk = try await TestNetwork(.disk)
    let reference = try await Call("ADD", disk.configuration(ipam)).by(Program.hostLocal)
      .succeeds()
    #expect(added.ended.output == reference.ended.output)
    #expect(added.ended.output.contains(#""\u003ca\u003e\u0026b""#), "\(added)")

    let ranges: JSON = ["subnet": "<&>\u{2028}"]
    let refused = try await Call("ADD", network.configuration(ranges)).run()
    let message = #""msg": "invalid CIDR address: \u003c\u0026\u003e\u2028""#
    #expect(refused.ended.output.contains(message), "\(refused)")
    #expect(refused.ended.output.hasSuffix("\n}"), "\(refused)")
    let other = try await Call("ADD", disk.configuration(ranges)).by(Program.hostLocal).run()
    #expect(other.ended.output.contains(message), "\(other)")
  }

  /// Without routes and name servers: no `routes`, and `dns` empty before 1.1.0.
  @Test(arguments: StoreKind.allCases, DeclaredVersion.all)
  func leastResult(_ kind: StoreKind, _ version: DeclaredVersion) async throws {
    let network = try await TestNetwork(kind)
    let configuration = network.configuration(
      ["subnet": "10.7.0.0/29"], version: version.declared)
    var expected: JSON = ["cniVersion": .string(version.answered), "dns": [:]]
    let address: JSON = ["address": "10.7.0.2/29", "gateway": "10.7.0.1"]
    switch version.form {
    case .families: expected["ip4"] = ["ip": "10.7.0.2/29", "gateway": "10.7.0.1"]
    case .versioned: expected["ips"] = [address.merging(["version": "4"])]
    case .plain: expected["ips"] = [address]
    case .extended:
      expected["ips"] = [address]
      expected["dns"] = nil
    }
    let added = try await Call("ADD", configuration).succeeds()
    #expect(added.json == expected)
    try await Call("DEL", configuration).succeeds()
  }

  /// Two interfaces of one container are two attachments.
  @Test(arguments: StoreKind.allCases)
  func interfacesAreIndependent(_ kind: StoreKind) async throws {
    let network = try await TestNetwork(kind)
    let configuration = network.configuration(["subnet": "10.7.0.0/24"])
    try await Call("ADD", configuration, interface: "eth0").succeeds()
    try await Call("ADD", configuration, interface: "eth1").succeeds()
    try await Call("DEL", configuration, interface: "eth0").succeeds()
    let audit = try network.audit()
    #expect(audit.holders == ["10.7.0.3": "c1/eth1"] && audit.problems.isEmpty, "\(audit)")
  }

  /// Nomad repeats an ADD without DEL: on Consul the same addresses, on disk the reference's error.
  @Test(arguments: StoreKind.allCases)
  func repeatedAdd(_ kind: StoreKind) async throws {
    let network = try await TestNetwork(kind)
    let configuration = network.configuration(["subnet": "10.7.0.0/24"])
    let first = try await Call("ADD", configuration).succeeds()
    let before = try network.contents()
    let second = try await Call("ADD", configuration).run()
    let third = try await Call("ADD", configuration, arguments: "IP=10.7.0.77").run()
    switch kind {
    case .consul: #expect(second.json == first.json && third.json == first.json)
    case .disk:
      #expect(
        second.message == "failed to allocate for range 0: 10.7.0.2 has been allocated to c1, "
          + "duplicate allocation is not allowed")
      #expect(second.code == 102, "\(second)")
    }
    if kind == .consul { #expect(try network.contents() == before) }
    #expect(try network.audit().problems.isEmpty)
  }
}
