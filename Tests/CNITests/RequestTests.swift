// What an attachment asks for, what it was given before, which attachments exist, and resolv.conf.

import AddressSpace
import CNI
import JSON
import Testing

struct RequestTests {
  static func requests(_ others: String, _ arguments: String = "") throws -> AddressRequests {
    try configuration(others).addressRequests(arguments: CNIArguments(parsing: arguments))
  }

  @Test func unitesAllRequests() throws {
    let requests = try Self.requests(
      #""args": {"cni": {"ips": ["10.2.2.42/24", "2001:DB8::5"]}}, "#
        + #""RuntimeConfig": {"IPs": ["10.1.0.9/8", "10.2.2.42", "::ffff:10.0.0.7"]}"#,
      "IP=10.1.0.3")
    #expect(
      requests.addresses.map(\.description)
        == ["10.1.0.3", "10.2.2.42", "2001:db8::5", "10.1.0.9", "10.0.0.7"])
    #expect(requests.mac == nil)
  }

  static let macs: [(String, String, String?)] = [
    ("", "", nil),
    ("", "MAC=02:00:00:00:00:03", "02:00:00:00:00:03"),
    (
      #""args": {"cni": {"mac": "02:00:00:00:00:02"}}"#, "MAC=02:00:00:00:00:03",
      "02:00:00:00:00:02"
    ),
    (
      #""args": {"cni": {"mac": "02:00:00:00:00:02"}}, "runtimeConfig": {"mac": "0200.0000.0001"}"#,
      "MAC=02:00:00:00:00:03", "02:00:00:00:00:01"
    ),
    (#""runtimeConfig": {"mac": ""}"#, "MAC=", nil),
  ]

  @Test(arguments: macs)
  func choosesMAC(_ others: String, _ arguments: String, _ expected: String?) throws {
    #expect(try Self.requests(others, arguments).mac?.description == expected)
  }

  static let nothing = [
    #""args": null"#, #""args": {}"#, #""args": {"cni": null}"#, #""args": {"cni": {"ips": null}}"#,
    #""args": {"other": {"ips": 5}}"#, #""runtimeConfig": {"ips": [], "portMappings": [1]}"#,
  ]

  @Test(arguments: nothing)
  func asksForNothing(_ others: String) throws {
    let requests = try Self.requests(others)
    #expect(requests.addresses.isEmpty && requests.mac == nil)
  }

  static let refused: [(String, Int, String, String)] = [
    (#"{"ips": [""]}"#, 7, "cannot understand ip: IP <nil> not v4 nor v6", ".ips[0]"),
    (#"{"ips": ["10.0.0.1", "zz"]}"#, 7, "invalid IP address zz", ".ips[1]"),
    (#"{"ips": ["10.1.0.9/33"]}"#, 7, "invalid IP address 10.1.0.9/33", ".ips[0]"),
    (#"{"mac": "zz"}"#, 7, "invalid MAC address zz", ".mac"),
    (#"{"ips": [null]}"#, 6, "PATH.ips[0] must be a string, not null", ""),
    (#"{"ips": [5]}"#, 6, "PATH.ips[0] must be a string, not a number 5", ""),
    (#"{"ips": "10.1.0.9"}"#, 6, #"PATH.ips must be an array, not a string "10.1.0.9""#, ""),
    (#""x""#, 6, #"PATH must be an object, not a string "x""#, ""),
  ]

  @Test(arguments: refused)
  func refuses(_ json: String, _ code: Int, _ message: String, _ details: String) throws {
    for (text, path) in [
      (#""args": {"cni": \#(json)}"#, "args.cni"), (#""runtimeConfig": \#(json)"#, "runtimeConfig"),
    ] {
      let error = failure { try Self.requests(text) }
      #expect(error?.code.rawValue == code)
      #expect(error?.message == (message.hasPrefix("PATH") ? path + message.dropFirst(4) : message))
      #expect(error?.details == (details.isEmpty ? "" : path + details))
    }
  }

  static let previous: [(String, [String]?)] = [
    (#""other": 1"#, nil),
    (#""prevResult": null"#, nil),
    (#""prevResult": {}"#, []),
    (#""prevResult": {"ips": null}"#, []),
    (#""prevResult": {"ips": [{"interface": 0}, {"Address": "10.0.0.2/24"}]}"#, ["10.0.0.2/24"]),
  ]

  @Test(arguments: previous)
  func readsPreviousAddresses(_ others: String, _ expected: [String]?) throws {
    #expect(try configuration(others).previousAddresses()?.map(\.description) == expected)
  }

  static let wrongPrevious: [(String, CNIError)] = [
    (
      #""prevResult": "x""#,
      CNIError(.decoding, #"prevResult must be an object, not a string "x""#)
    ),
    (
      #""prevResult": {"ips": [{"address": "10.0.0.2"}]}"#,
      CNIError(
        .configuration, "invalid CIDR address: 10.0.0.2", details: "prevResult.ips[0].address")
    ),
    (
      #""prevResult": {"ip6": {"ip": "zz"}}"#,
      CNIError(.configuration, "invalid CIDR address: zz", details: "prevResult.ip6.ip")
    ),
  ]

  @Test(arguments: wrongPrevious)
  func refusesPreviousResult(_ others: String, _ expected: CNIError) {
    #expect(failure { try configuration(others).previousAddresses() } == expected)
  }

  static let attachments: [(String, [CNIAttachment])] = [
    (#""cni.dev/valid-attachments": []"#, []),
    (#""cni.dev/attachments": []"#, []),
    (
      #""cni.dev/valid-attachments": [{"containerID": "a", "ifname": "eth0"}, "#
        + #"{"ContainerId": "a", "IfName": "eth1"}], "cni.dev/attachments": []"#,
      [
        CNIAttachment(containerID: "a", interfaceName: "eth0"),
        CNIAttachment(containerID: "a", interfaceName: "eth1"),
      ]
    ),
    (
      #""cni.dev/attachments": [{"containerID": "a", "ifname": "eth0"}]"#,
      [CNIAttachment(containerID: "a", interfaceName: "eth0")]
    ),
  ]

  @Test(arguments: attachments)
  func readsAttachments(_ others: String, _ expected: [CNIAttachment]) throws {
    #expect(try configuration(others).validAttachments() == expected)
  }

  static let wrongAttachments: [(String, Int, String)] = [
    (#""other": 1"#, 7, "GC needs the list cni.dev/valid-attachments"),
    (#""cni.dev/valid-attachments": null"#, 7, "cni.dev/valid-attachments is null"),
    (
      #""cni.dev/valid-attachments": null, "cni.dev/attachments": []"#, 7,
      "cni.dev/valid-attachments is null"
    ),
    (#""cni.dev/attachments": null"#, 7, "cni.dev/attachments is null"),
    (
      #""cni.dev/valid-attachments": [{"containerID": "a"}]"#, 7,
      "cni.dev/valid-attachments[0] needs containerID and ifname"
    ),
    (
      #""cni.dev/valid-attachments": [null]"#, 6,
      "cni.dev/valid-attachments[0] must be an object, not null"
    ),
    (
      #""cni.dev/valid-attachments": {}"#, 6,
      "cni.dev/valid-attachments must be an array, not an object"
    ),
  ]

  @Test(arguments: wrongAttachments)
  func refusesAttachments(_ others: String, _ code: Int, _ message: String) {
    let error = failure { try configuration(others).validAttachments() }
    #expect(error?.code.rawValue == code)
    #expect(error?.message == message)
  }

  @Test func readsResolvConf() {
    let dns = DNS(
      resolvConf: """
        # a comment
        ; another
          nameserver 10.0.0.53 ignored\r
        nameserver\t2001:db8::53
        nameserver
        nameserverx 1.1.1.1
        domain a.example
        domain b.example c.example
        search one two
          #search not
        search three\u{b}four
        options ndots:2 timeout:3
        options edns0
        sortlist 10.0.0.0

        """)
    #expect(dns.nameservers == ["10.0.0.53", "2001:db8::53"])
    #expect(dns.domain == "b.example")
    #expect(dns.search == ["one", "two", "three", "four"])
    #expect(dns.options == ["ndots:2", "timeout:3", "edns0"])
    #expect(DNS(resolvConf: "") == DNS())
    #expect(DNS(resolvConf: "nameserver 1.1.1.1").nameservers == ["1.1.1.1"])
  }
}
