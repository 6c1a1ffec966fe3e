// The forms of cni.md 1.3, compared by meaning.

import AddressSpace
import CNI
import JSON
import Testing

struct AddResultTests {
  static func result(_ addresses: [(String, String?)], routes: String = "[]", dns: DNS = DNS())
    throws -> AddResult
  {
    AddResult(
      addresses: try addresses.map { address, gateway in
        .init(
          try InterfaceAddress(parsing: address),
          gateway: try gateway.map { try IPAddress(parsing: $0) })
      },
      routes: try configuration(ipam: #""routes": \#(routes)"#).poolSettings().routes, dns: dns)
  }

  /// Both families, two addresses of one, routes of all kinds, name resolution.
  static func full() throws -> AddResult {
    var dns = DNS()
    dns.nameservers = ["10.0.0.53"]
    dns.domain = "example.org"
    dns.search = ["a", "b"]
    dns.options = ["ndots:2"]
    return try result(
      [
        ("2001:DB8::5/64", nil), ("10.0.0.2/24", "10.0.0.1"), ("10.1.0.2/24", "10.1.0.1"),
      ],
      routes: """
        [{"dst": "0.0.0.0/0"}, {"dst": "::/0", "gw": "2001:db8::1"},
         {"dst": "1.2.3.4/24", "gw": "10.0.0.7", "mtu": 1400, "scope": 0, "priority": null,
          "table": 100, "advmss": 1360, "other": 1}]
        """, dns: dns)
  }

  static let dns =
    #""dns": {"nameservers": ["10.0.0.53"], "domain": "example.org", "#
    + #""search": ["a", "b"], "options": ["ndots:2"]}"#
  static let oldForm = """
    "ip4": {"ip": "10.0.0.2/24", "gateway": "10.0.0.1",
      "routes": [{"dst": "0.0.0.0/0"}, {"dst": "1.2.3.4/24", "gw": "10.0.0.7"}]},
    "ip6": {"ip": "2001:db8::5/64", "routes": [{"dst": "::/0", "gw": "2001:db8::1"}]}, \(dns)
    """
  static let routes = """
    "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0", "gw": "2001:db8::1"},
      {"dst": "1.2.3.4/24", "gw": "10.0.0.7"}]
    """
  static let middleForm = """
    "ips": [{"version": "6", "address": "2001:db8::5/64"},
      {"version": "4", "address": "10.0.0.2/24", "gateway": "10.0.0.1"},
      {"version": "4", "address": "10.1.0.2/24", "gateway": "10.1.0.1"}], \(routes), \(dns)
    """
  static let newIPs = """
    "ips": [{"address": "2001:db8::5/64"}, {"address": "10.0.0.2/24", "gateway": "10.0.0.1"},
      {"address": "10.1.0.2/24", "gateway": "10.1.0.1"}]
    """
  static let newestRoutes = """
    "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0", "gw": "2001:db8::1"},
      {"dst": "1.2.3.4/24", "gw": "10.0.0.7", "mtu": 1400, "advmss": 1360, "table": 100,
       "scope": 0}]
    """

  @Test(
    arguments: zip(
      CNISpecVersion.allCases,
      [
        oldForm, oldForm, middleForm, middleForm, middleForm, "\(newIPs), \(routes), \(dns)",
        "\(newIPs), \(newestRoutes), \(dns)",
      ]))
  func hasFormOfVersion(_ version: CNISpecVersion, _ expected: String) throws {
    let reply = try Reply.result(Self.full(), version: version)
    #expect(reply.exitStatus == 0)
    #expect(
      try meaning(reply.standardOutput)
        == meaning(#"{"cniVersion": "\#(version.rawValue)", \#(expected)}"#))
  }

  /// What the distribution's host-local printed; 1.1.0 as its successor does, without empty dns.
  static let raw: [(CNISpecVersion, String)] = [
    (.v010, #"{"cniVersion":"0.1.0","ip4":{"ip":"10.0.0.2/24","gateway":"10.0.0.1"},"dns":{}}"#),
    (.v020, #"{"cniVersion":"0.2.0","ip4":{"ip":"10.0.0.2/24","gateway":"10.0.0.1"},"dns":{}}"#),
    (
      .v030,
      #"{"cniVersion":"0.3.0","ips":[{"version":"4","address":"10.0.0.2/24","#
        + #""gateway":"10.0.0.1"}],"dns":{}}"#
    ),
    (
      .v040,
      #"{"cniVersion":"0.4.0","ips":[{"version":"4","address":"10.0.0.2/24","#
        + #""gateway":"10.0.0.1"}],"dns":{}}"#
    ),
    (
      .v100,
      #"{"cniVersion":"1.0.0","ips":[{"address":"10.0.0.2/24","gateway":"10.0.0.1"}],"dns":{}}"#
    ),
    (.v110, #"{"cniVersion":"1.1.0","ips":[{"address":"10.0.0.2/24","gateway":"10.0.0.1"}]}"#),
  ]

  @Test(arguments: raw)
  func equalsRawExample(_ version: CNISpecVersion, _ expected: String) throws {
    let json = try Self.result([("10.0.0.2/24", "10.0.0.1")]).json(version: version)
    #expect(json.compact == expected)
  }

  @Test func dropsRoutesOfAbsentFamily() throws {
    let result = try Self.result([("10.0.0.2/24", nil)], routes: #"[{"dst": "::/0"}]"#)
    #expect(
      try result.json(version: .v020).compact
        == #"{"cniVersion":"0.2.0","ip4":{"ip":"10.0.0.2/24"},"dns":{}}"#)
  }

  @Test(arguments: [CNISpecVersion.v010, .v020])
  func cannotConvertNothing(_ version: CNISpecVersion) throws {
    let input = #"{"name": "net", "cniVersion": "\#(version.rawValue)"}"#
    let reply = try invocation("ADD", input).reply(result: AddResult(addresses: []))
    #expect(
      reply
        == .failure(
          CNIError(.internalFailure, "cannot convert: no valid IP addresses"), version: version))
  }

  @Test func printsAsTheReferenceDoes() throws {
    let result = try Self.result([("10.0.0.2/24", "10.0.0.1")])
    #expect(
      try Reply.result(result, version: .v100).standardOutput == """
        {
            "cniVersion": "1.0.0",
            "ips": [
                {
                    "address": "10.0.0.2/24",
                    "gateway": "10.0.0.1"
                }
            ],
            "dns": {}
        }
        """)
  }

  /// An ADD's result of any version comes back as prevResult.
  @Test(arguments: CNISpecVersion.allCases)
  func isReadBackAsPreviousResult(_ version: CNISpecVersion) throws {
    let result = try Self.full()
    let text = try result.json(version: version).compact
    let addresses = try configuration("\"prevResult\": \(text)").previousAddresses()
    let expected =
      version < .v030
      ? ["10.0.0.2/24", "2001:db8::5/64"] : ["2001:db8::5/64", "10.0.0.2/24", "10.1.0.2/24"]
    #expect(addresses?.map(\.description) == expected)
  }
}
