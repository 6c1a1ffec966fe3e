// The configuration's keys: host-local's, the ancestor's and ours.

import AddressSpace
import CNI
import JSON
import Testing

struct NetworkConfigurationTests {
  @Test func readsEveryKeyOfTheStore() throws {
    let settings = try NetworkConfiguration(parsing: Array(HostileInputTests.input.utf8))
      .storeSettings()
    #expect(settings.backend == .consul)
    #expect(settings.dataDirectory == "/tmp/x")
    #expect(settings.sync == true)
    #expect(settings.node == "n1")
    #expect(settings.stateDirectory == "/var/lib/x")
    #expect(settings.timeout == .seconds(5))
    #expect(settings.logLevel == .debug)
    #expect(settings.logFile == "/var/log/x")
    let consul = settings.consul
    #expect(consul.address == "127.0.0.1")
    #expect(consul.port == 8500)
    #expect(consul.datacenter == "dc1")
    #expect(consul.scheme == .https)
    #expect(consul.token == "s3cret")
    #expect(consul.tokenFile == "/t")
    #expect(consul.caFile == "/ca")
    #expect(consul.certificateFile == "/cert")
    #expect(consul.keyFile == "/key")
    #expect(consul.tlsServerName == "consul")
    #expect(consul.namespace == "ns")
    #expect(consul.partition == "p")
    #expect(consul.prefix == "pre")
    #expect(consul.consistency == .stale)
  }

  /// What the system would read as another path.
  @Test(arguments: [
    "dataDir", "stateDir", "logFile", "token_file", "ca_file", "cert_file", "key_file",
    "resolvConf",
  ])
  func aPathHasNoNUL(_ key: String) throws {
    let text = #"{"name": "net", "ipam": {"\#(key)": "/tmp/a\u0000b"}}"#
    let configuration = try NetworkConfiguration(parsing: Array(text.utf8))
    let error = #expect(throws: CNIError.self) {
      _ = try configuration.storeSettings()
      _ = try configuration.poolSettings()
    }
    #expect(error?.code == .configuration)
    #expect(
      error?.message
        == #"ipam.\#(key) is "/tmp/a\u0000b", but must be a path without a NUL character"#)
  }

  /// It stands in a line of the file that keeps the node's names.
  @Test(arguments: [
    ("a\\nname b", false), ("a\\r\\ninstance 0", false), ("\\u0000", false), ("a\\u007f", false),
    (String(repeating: "n", count: 256), false), (String(repeating: "n", count: 255), true),
    ("a b", true), ("\u{E4}", true),
  ])
  func aNodesNameIsOfOneLine(_ name: String, isValid: Bool) throws {
    let text = #"{"name": "net", "ipam": {"node": "\#(name)"}}"#
    let configuration = try NetworkConfiguration(parsing: Array(text.utf8))
    guard !isValid else {
      #expect(try configuration.storeSettings().node == name)
      return
    }
    let error = #expect(throws: CNIError.self) { try configuration.storeSettings() }
    #expect(error?.code == .configuration)
    #expect(error?.message.hasPrefix("ipam.node is ") == true)
  }

  @Test func readsEveryKeyOfThePool() throws {
    let settings = try NetworkConfiguration(parsing: Array(HostileInputTests.input.utf8))
      .poolSettings()
    #expect(
      settings.allRangeSets == [
        [RangeText(subnet: "10.7.0.0/24", gateway: "10.7.0.1")],
        [
          RangeText(
            subnet: "10.1.0.0/24", rangeStart: "10.1.0.10", rangeEnd: "10.1.0.20",
            gateway: "10.1.0.1")
        ],
        [RangeText(subnet: "2001:db8::/64")],
        [RangeText(subnet: "10.9.0.0/16")],
      ])
    #expect(settings.rangeSets.count == 3)
    #expect(settings.exclusions.map(\.description) == ["10.1.0.3-10.1.0.5"])
    #expect(settings.routes.map(\.destination.description) == ["0.0.0.0/0"])
    #expect(settings.routes.map(\.gateway?.description) == ["10.1.0.1"])
    #expect(settings.routes.map(\.mtu) == [1400])
    #expect(settings.resolvConf == "/etc/resolv.conf")
    #expect(settings.allowSmallSubnets)
    #expect(settings.cooldown == .seconds(90))
    #expect(settings.cooldownPolicy == .strict)
    #expect(settings.searchOrder == .sequential)
    #expect(settings.chunkBits == 8)
    #expect(settings.unitPrefixLength == 32)
    #expect(settings.journal == 64)
  }

  /// Nothing given, given as null, given as the empty string: all the same.
  @Test func defaultsToNothing() throws {
    let none = try configuration()
    let keys = [
      "dataDir", "node", "timeout", "logLevel", "consul_addr", "consul_port", "token", "scheme",
      "cooldown", "cooldownPolicy", "resolvConf", "range-start", "gateway", "consistency",
    ]
    for empty in ["null", #""""#] {
      let ipam = keys.map { "\"\($0)\": \(empty)" }.joined(separator: ", ")
      let given = try configuration(
        ipam: ipam + #", "ranges": null, "routes": null, "exclude": null, "chunkBits": null"#)
      #expect(try given.storeSettings() == none.storeSettings())
      #expect(try given.poolSettings() == none.poolSettings())
    }
    #expect(try none.storeSettings().backend == .consul)
    #expect(try none.poolSettings().allRangeSets.isEmpty)
  }

  static let backends: [(String, BackendKind)] = [
    (#""type": "host-local""#, .disk),
    (#""type": "consul""#, .consul),
    (#""type": "cni-ipam-consul""#, .consul),
    ("", .consul),
    (#""type": "consul", "backend": "disk""#, .disk),
    (#""type": "host-local", "backend": "consul""#, .consul),
    (#""type": "host-local", "backend": """#, .disk),
  ]

  @Test(arguments: backends)
  func choosesBackend(_ ipam: String, _ expected: BackendKind) throws {
    #expect(try configuration(ipam: ipam).storeSettings().backend == expected)
  }

  /// The ancestor's documented configurations, as they stand.
  @Test func readsTheAncestorsFiles() throws {
    let text = """
      { "name": "ipv6", "ipam": { "type": "consul", "consul_addr": "127.0.0.1",
        "consul_port": "8500", "dc": "dc1", "subnet": "3ffe:ffff:0:01ff::/64",
        "range-start": "3ffe:ffff:0:01ff::0010", "range-end": "3ffe:ffff:0:01ff::0020",
        "routes": [ { "dst": "3ffe:ffff:0:01ff::1/64" } ] } }
      """
    let configuration = try invocation("ADD", text).configuration
    #expect(try configuration.storeSettings().consul.port == 8500)
    let settings = try configuration.poolSettings()
    #expect(
      settings.rangeSets == [
        [
          RangeText(
            subnet: "3ffe:ffff:0:01ff::/64", rangeStart: "3ffe:ffff:0:01ff::0010",
            rangeEnd: "3ffe:ffff:0:01ff::0020")
        ]
      ])
    #expect(settings.routes.map(\.destination.description) == ["3ffe:ffff:0:1ff::1/64"])
  }

  static let rangeSets: [(String, [[RangeText]])] = [
    (#""SUBNET": "a", "RangeStart": "b""#, [[RangeText(subnet: "a", rangeStart: "b")]]),
    (#""subnet": "a", "Subnet": "b""#, [[RangeText(subnet: "b")]]),
    (#""subnet": """#, [[RangeText(subnet: "")]]),
    (#""rangeStart": "10.0.0.9""#, []),
    (
      #""rangeStart": "x", "range-start": "x", "subnet": "a""#,
      [[RangeText(subnet: "a", rangeStart: "x")]]
    ),
    (#""ranges": []"#, []),
    (
      #""ranges": [null, [], [null], [{}]]"#,
      [[], [], [RangeText(subnet: nil)], [RangeText(subnet: nil)]]
    ),
    (#""ranges": [[{"range-end": "z"}]]"#, [[RangeText(subnet: nil, rangeEnd: "z")]]),
  ]

  @Test(arguments: rangeSets)
  func keepsRangesAsText(_ ipam: String, _ expected: [[RangeText]]) throws {
    #expect(try configuration(ipam: ipam).poolSettings().rangeSets == expected)
  }

  static let wrongPools: [(String, Int, String, String)] = [
    (
      #""range-start": "a", "rangeStart": "b", "subnet": "s""#, 7,
      #"ipam.rangeStart is "b", but range-start is "a""#, "give one of the two"
    ),
    (#""rangeStart": "x""#, 7, "invalid IP address: x", "ipam.rangeStart"),
    (#""subnet": 5"#, 6, "ipam.subnet must be a string, not a number 5", ""),
    (#""ranges": {}"#, 6, "ipam.ranges must be an array, not an object", ""),
    (#""ranges": [{}]"#, 6, "ipam.ranges[0] must be an array, not an object", ""),
    (#""ranges": [[], ["x"]]"#, 6, #"ipam.ranges[1][0] must be an object, not a string "x""#, ""),
    (
      #""ranges": [[{"Gateway": true}]]"#, 6,
      "ipam.ranges[0][0].gateway must be a string, not a boolean true", ""
    ),
    (#""routes": [{"dst": "zz"}]"#, 7, "invalid CIDR address: zz", "ipam.routes[0].dst"),
    (
      #""routes": [{"dst": "1.0.0.0/8", "gw": "zz"}]"#, 7, "invalid IP address: zz",
      "ipam.routes[0].gw"
    ),
    (#""routes": [{}]"#, 7, #"ipam.routes[0] has no "dst""#, ""),
    (#""routes": [null]"#, 6, "ipam.routes[0] must be an object, not null", ""),
    (
      #""routes": [{"dst": "1.0.0.0/8", "mtu": "x"}]"#, 6,
      #"ipam.routes[0].mtu must be an integer, not a string "x""#, ""
    ),
    (
      #""exclude": ["10.0.0.300"]"#, 7,
      #"ipam.exclude[0]: "10.0.0.300": octet above 255 at position 7"#, ""
    ),
    (#""exclude": "10.0.0.3""#, 6, #"ipam.exclude must be an array, not a string "10.0.0.3""#, ""),
    (#""journal": 4097"#, 7, "ipam.journal is 4097, but must be from 0 to 4096", ""),
    (#""chunkBits": 5"#, 7, "ipam.chunkBits is 5, but must be from 6 to 14", ""),
    (#""chunkBits": 8.5"#, 6, "ipam.chunkBits must be an integer, not a number 8.5", ""),
    (
      #""searchOrder": "best""#, 7,
      #"ipam.searchOrder is "best", but must be one of "homeChunk", "sequential""#, ""
    ),
    (
      #""allowSmallSubnets": "yes""#, 6,
      #"ipam.allowSmallSubnets must be true or false, not a string "yes""#, ""
    ),
    (
      #""cooldown": "1y""#, 7,
      #"ipam.cooldown is "1y", but must be a time such as "60s" or a number of seconds, "#
        + "at most a year", ""
    ),
  ]

  @Test(arguments: wrongPools)
  func refusesPool(_ ipam: String, _ code: Int, _ message: String, _ details: String) throws {
    let error = failure { try configuration(ipam: ipam).poolSettings() }
    #expect(error == CNIError(.init(rawValue: code), message, details: details))
    // A DEL goes on: the store can be reached all the same.
    _ = try configuration(ipam: ipam).storeSettings()
  }

  static let wrongStores: [(String, Int, String)] = [
    (#""type": 5"#, 6, "ipam.type must be a string, not a number 5"),
    (#""backend": "etcd""#, 7, #"ipam.backend is "etcd", but must be one of "disk", "consul""#),
    (
      #""consul_port": "85OO""#, 7,
      #"ipam.consul_port is "85OO", but must be a port from 1 to 65535"#
    ),
    (#""consul_port": "+1""#, 7, #"ipam.consul_port is "+1", but must be a port from 1 to 65535"#),
    (#""consul_port": 0"#, 7, "ipam.consul_port is 0, but must be from 1 to 65535"),
    (#""consul_port": []"#, 6, "ipam.consul_port must be an integer, not an array"),
    (
      #""timeout": 0"#, 7,
      #"ipam.timeout is 0, but must be a time such as "60s" or a number of seconds, "#
        + "above 0 and at most a year"
    ),
    (#""dataDir": {"a": 1}"#, 6, #"ipam.dataDir must be a string, not an object"#),
  ]

  @Test(arguments: wrongStores)
  func refusesStore(_ ipam: String, _ code: Int, _ message: String) {
    let error = failure { try configuration(ipam: ipam).storeSettings() }
    #expect(error == CNIError(.init(rawValue: code), message))
  }

  @Test(arguments: [#"{"name": "net"}"#, #"{"name": "net", "ipam": null}"#])
  func needsIPAM(_ text: String) throws {
    let configuration = try NetworkConfiguration(parsing: Array(text.utf8))
    let expected = CNIError(.configuration, "IPAM config missing 'ipam' key")
    #expect(failure { try configuration.storeSettings() } == expected)
    #expect(failure { try configuration.poolSettings() } == expected)
  }

  static let durations: [(String, Duration)] = [
    ("0", .zero), ("60", .seconds(60)), ("0.25", .milliseconds(250)), ("1e2", .seconds(100)),
    (#""60s""#, .seconds(60)), (#""1m30s""#, .seconds(90)), (#""1.5h""#, .seconds(5400)),
    (#""250ms""#, .milliseconds(250)), (#""0s""#, .zero), (#""8784h""#, .seconds(31_622_400)),
  ]

  @Test(arguments: durations)
  func readsDuration(_ text: String, _ expected: Duration) throws {
    #expect(try configuration(ipam: "\"cooldown\": \(text)").poolSettings().cooldown == expected)
  }

  @Test(arguments: [
    "-1", "1e10", #""60""#, #""s""#, #""1 s""#, #""-1s""#, #""1s1""#, #""..s""#, #""9000h""#,
    #""8784h1ms""#, #""1e3s""#, #""é""#,
  ])
  func refusesDuration(_ text: String) throws {
    let error = failure { try configuration(ipam: "\"cooldown\": \(text)").poolSettings() }
    #expect(error?.code == .configuration)
  }

  @Test func oldVersionsHoldOneAddressPerFamily() throws {
    func message(_ version: String?, _ families: [AddressFamily]) throws -> String? {
      let declared = version.map { "\"cniVersion\": \"\($0)\"" } ?? ""
      let configuration = try configuration(declared)
      return failure { try configuration.requireRoom(for: families) }?.message
    }
    let two: [AddressFamily] = [.ipv6, .ipv4, .ipv4]
    #expect(
      try message("0.2.0", two)
        == "CNI version 0.2.0 does not support more than 1 address per family")
    #expect(
      try message(nil, two) == "CNI version  does not support more than 1 address per family")
    #expect(try message("0.3.0", two) == nil)
    #expect(try message("0.1.0", [.ipv6, .ipv4]) == nil)
  }
}
