// What a runtime or an operator can get wrong, on both stores: a clear error with the right code, and
// the store is as it was before.

import TestSupport
import Testing

@Suite(.needsConsul)
struct BadInputTests {
  private static let good: JSON = ["subnet": "10.7.0.0/29"]

  @Test(arguments: StoreKind.allCases)
  func truncatedJSON(_ kind: StoreKind) async throws {
    let network = try await TestNetwork(kind)
    let whole = network.configuration(Self.good).text
    for length in [0, 1, whole.utf8.count / 2, whole.utf8.count - 1] {
      try await network.refuses(
        Call("ADD", String(whole.prefix(length))),
        Refusal(6, "error unmarshall network config: unexpected end of JSON input"))
    }
  }

  @Test(arguments: StoreKind.allCases)
  func bytesThatAreNoText(_ kind: StoreKind) async throws {
    let network = try await TestNetwork(kind)
    for text in ["\u{0}", "{\"name\":}", "[]", "\"net\"", "{}{}", "\u{feff}{}"] {
      let answer = try await Call("ADD", text).run()
      #expect(answer.isError && (answer.code == 6 || answer.code == 7), "\(text): \(answer)")
    }
    #expect(try network.everything().isEmpty)
  }

  @Test(arguments: StoreKind.allCases)
  func unknownVersion(_ kind: StoreKind) async throws {
    let network = try await TestNetwork(kind)
    try await network.refuses(
      Call("ADD", network.configuration(Self.good, version: "9.9.9")),
      Refusal(1, "incompatible CNI versions", words: ["9.9.9", "\"1.1.0\""]))
  }

  @Test(arguments: StoreKind.allCases)
  func rangeOutsideItsSubnet(_ kind: StoreKind) async throws {
    let network = try await TestNetwork(kind)
    let ranges: [(JSON, String)] = [
      (
        ["subnet": "10.7.0.0/24", "rangeStart": "10.8.0.1"],
        "RangeStart 10.8.0.1 not in network 10.7.0.0/24"
      ),
      (
        ["subnet": "10.7.0.0/24", "rangeEnd": "10.7.1.0"],
        "RangeEnd 10.7.1.0 not in network 10.7.0.0/24"
      ),
      (
        ["subnet": "fd00:7::/64", "rangeStart": "10.7.0.1"],
        "RangeStart 10.7.0.1 not in network fd00:7::/64"
      ),
    ]
    for (range, text) in ranges {
      try await network.refuses(
        Call("ADD", network.configuration(["ranges": [[range]]])),
        Refusal(7, "invalid range set 0: \(text)"))
    }
  }

  @Test(arguments: StoreKind.allCases)
  func noRanges(_ kind: StoreKind) async throws {
    let network = try await TestNetwork(kind)
    let call = Call("ADD", network.configuration([:]))
    if kind == .disk {
      try await network.refuses(call, Refusal(7, "no IP ranges specified"))
    } else {
      // In Consul the definition may come from there, so without one this is what is missing.
      let before = try network.everything()
      Refusal(7, "network net is not defined", words: ["subnet"]).expect(try await call.run())
      #expect(try network.everything() == before)
    }
  }

  @Test(arguments: StoreKind.allCases)
  func noIPAM(_ kind: StoreKind) async throws {
    let network = try await TestNetwork(kind)
    for ipam in ["", #", "ipam": null"#] {
      try await network.refuses(
        Call("ADD", #"{"cniVersion": "1.0.0", "name": "net"\#(ipam)}"#),
        Refusal(7, "IPAM config missing 'ipam' key"))
    }
  }

  /// Two range sets: what the first gave is not kept when the second is exhausted.
  @Test(arguments: StoreKind.allCases)
  func exhausted(_ kind: StoreKind) async throws {
    let network = try await TestNetwork(kind)
    let configuration = network.configuration([
      "ranges": [[["subnet": "fd00:7::/64"]], [["subnet": "10.7.0.0/30"]]]
    ])
    try await network.refuses(
      Call("ADD", configuration),
      Refusal(
        101,
        "failed to allocate for range 1: no IP addresses available in range set: "
          + "10.7.0.1-10.7.0.2"),
      good: configuration)
    #expect(try network.audit().holders.values.allSatisfy { $0 == "first/eth0" })
  }

  @Test(arguments: StoreKind.allCases)
  func requestedAddressIsTaken(_ kind: StoreKind) async throws {
    let network = try await TestNetwork(kind)
    let configuration = network.configuration(Self.good)
    try await network.refuses(
      Call("ADD", configuration, arguments: "IP=10.7.0.2"),
      Refusal(
        102,
        "failed to allocate for range 0: requested IP address 10.7.0.2 is not available in "
          + "range set 10.7.0.1-10.7.0.6"),
      good: configuration)
  }

  @Test(arguments: StoreKind.allCases)
  func requestedAddressIsTheGateway(_ kind: StoreKind) async throws {
    let network = try await TestNetwork(kind)
    let configuration = network.configuration(Self.good)
    try await network.refuses(
      Call("ADD", configuration, arguments: "IP=10.7.0.1"),
      Refusal(
        102, "failed to allocate for range 0: requested ip 10.7.0.1 is subnet's gateway"),
      good: configuration)
  }

  @Test(arguments: StoreKind.allCases)
  func requestedAddressIsOutside(_ kind: StoreKind) async throws {
    let network = try await TestNetwork(kind)
    let configuration = network.configuration(Self.good)
    for address in ["10.7.0.0", "10.7.0.7", "10.7.0.99", "fd00::5"] {
      try await network.refuses(
        Call("ADD", configuration, arguments: "IP=\(address)"),
        Refusal(7, "failed to allocate all requested IPs: \(address)"), good: configuration)
    }
  }

  @Test(arguments: StoreKind.allCases)
  func badArguments(_ kind: StoreKind) async throws {
    let network = try await TestNetwork(kind)
    let configuration = network.configuration(Self.good)
    let rows = [
      ("FOO", #"ARGS: invalid pair "FOO""#),
      ("IP=10.7.0.3;", #"ARGS: invalid pair """#),
      ("a=b=c", #"ARGS: invalid pair "a=b=c""#),
      ("FOO=BAR", #"ARGS: unknown args ["FOO=BAR"]"#),
      ("ip=10.7.0.3", #"ARGS: unknown args ["ip=10.7.0.3"]"#),
      (
        "IgnoreUnknown=yes",
        #"ARGS: error parsing value of pair "IgnoreUnknown=yes": boolean unmarshal error: "#
          + "invalid input yes"
      ),
      ("IP=zz", #"ARGS: error parsing value of pair "IP=zz": invalid IP address zz"#),
    ]
    for (arguments, message) in rows {
      let before = try network.everything()
      Refusal(4, message).expect(
        try await Call("ADD", configuration, arguments: arguments).run())
      #expect(try network.everything() == before)
    }

    // A DEL is not kept from releasing, whatever the arguments are.
    try await Call("ADD", configuration).succeeds()
    try await Call("DEL", configuration, arguments: "FOO;;a=b=c").succeeds()
    #expect(try network.audit() == Holders())
  }

  /// A DEL works whatever has become of the configuration.
  @Test(arguments: StoreKind.allCases)
  func deleteWithABrokenConfiguration(_ kind: StoreKind) async throws {
    let network = try await TestNetwork(kind)
    let broken: [JSON] = [
      [:], ["subnet": "10.7.0.1/29"], ["subnet": "zz"], ["ranges": [[]]],
      ["subnet": "10.7.0.0/29", "routes": [["dst": "zz"]]], ["ranges": "none"],
      ["subnet": "10.7.0.0/29", "rangeStart": "1.2.3.4"],
      ["subnet": "10.7.0.0/29", "resolvConf": "/nonexistent/resolv.conf"],
    ]
    for (index, ipam) in broken.enumerated() {
      try await Call("ADD", network.configuration(Self.good), container: "c\(index)").succeeds()
      let answer = try await Call("DEL", network.configuration(ipam), container: "c\(index)").run()
      #expect(answer.succeeded && answer.ended.output.isEmpty, "\(ipam): \(answer)")
      #expect(try network.audit() == Holders(), "\(ipam)")
    }
  }

  @Test(arguments: StoreKind.allCases)
  func resolvConfThatIsMissing(_ kind: StoreKind) async throws {
    let network = try await TestNetwork(kind)
    let ipam = Self.good.merging(["resolvConf": "/nonexistent/resolv.conf"])
    try await network.refuses(
      Call("ADD", network.configuration(ipam)),
      Refusal(5, "open /nonexistent/resolv.conf: no such file or directory"))
  }
}
