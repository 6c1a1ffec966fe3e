// Consul's host by its name: one that has several addresses of which some do not answer, and name servers
// that do not. The plugin gets to an address that works within its time, or says which it has tried.

import TestSupport
import Testing

@Suite(.needsConsul, .needsRoot)
struct HostNameTests {
  /// A network whose configuration says `consul.example`, and what this machine knows of names.
  private struct Place: Sendable {
    let network: TestNetwork
    let port: Int
    var addresses: [String] = []
    var nameServers: [String] = []
    /// Nothing is near but the loopback device.
    var isAlone = false

    func call(_ command: String, timeout: String) throws -> Call {
      let (hosts, resolv) = (network.folder.path + "/hosts", network.folder.path + "/resolv")
      try writeFile(hosts, addresses.map { "\($0) consul.example\n" }.joined())
      try writeFile(resolv, nameServers.map { "nameserver \($0)\n" }.joined())
      let ipam: JSON = [
        "subnet": "10.7.0.0/24", "consul_addr": "consul.example", "consul_port": .number(port),
        "timeout": .string(timeout),
      ]
      var call = Call(command, network.configuration(ipam))
      let script =
        [(hosts, "/etc/hosts"), (resolv, "/etc/resolv.conf")]
        .map { "mount --bind \($0) \($1)" } + (isAlone ? ["ip link set lo up"] : [])
        + ["exec \"$0\""]
      call.entering = [
        "unshare", isAlone ? "-mn" : "-m", "sh", "-c", script.joined(separator: " && "),
      ]
      call.variables["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
      return call
    }

    func expectService(
      timeout: String, _ location: SourceLocation = #_sourceLocation
    ) async throws {
      for command in ["ADD", "CHECK", "DEL"] {
        var answer = try await call(command, timeout: timeout).run()
        // A machine may be that slow by itself, but not each time.
        for _ in 0..<4 where !answer.succeeded {
          answer = try await call(command, timeout: timeout).run()
        }
        #expect(answer.succeeded, "\(command): \(answer)", sourceLocation: location)
      }
      #expect(try network.audit() == Holders(), sourceLocation: location)
    }

    func expectRefusals(
      timeout: String, _ words: [String], _ location: SourceLocation = #_sourceLocation
    ) async throws {
      for command in ["ADD", "DEL"] {
        let began = ContinuousClock.now
        let answer = try await call(command, timeout: timeout).run()
        Refusal(11, words: ["consul.example:\(port)"] + words).expect(answer, location)
        #expect(ContinuousClock.now - began < .seconds(10), sourceLocation: location)
      }
      #expect(try network.everything().isEmpty, sourceLocation: location)
    }
  }

  /// Most of these would not be done in time if an address that is silent had the whole bound on
  /// connecting, five seconds.
  @Test(arguments: [
    (bad: "127.0.0.2", isSilent: false, good: "127.0.0.3"), ("127.0.0.2", true, "127.0.0.3"),
    ("::1", false, "127.0.0.3"), ("::1", true, "127.0.0.3"), ("127.0.0.2", true, "::1"),
  ])
  func anotherAddress(_ bad: String, _ isSilent: Bool, _ good: String) async throws {
    let consul = try await SharedConsul.get()
    let relay = try CountingRelay(consul, on: good)
    let silent = isSilent ? try SilentAddress(bad, port: relay.port) : nil
    defer { withExtendedLifetime(silent) {} }
    let network = try await TestNetwork(.consul, consul: consul)
    try await Place(network: network, port: relay.port, addresses: [bad, good])
      .expectService(timeout: "4s")
    #expect(relay.requests > 0)
  }

  /// An agent that is stopped: its kernel takes the connection, and then nothing comes for fifteen seconds.
  @Test func anAddressThatSaysNothing() async throws {
    let consul = try await SharedConsul.get()
    let relay = try CountingRelay(consul, on: "127.0.0.3")
    let silent = try SilentAddress("127.0.0.2", port: relay.port, takesConnections: true)
    defer { withExtendedLifetime(silent) {} }
    let network = try await TestNetwork(.consul, consul: consul)
    let place = Place(
      network: network, port: relay.port, addresses: ["127.0.0.2", "127.0.0.3"])
    try await place.call("ADD", timeout: "28s").succeeds()
    #expect(try network.audit().addresses.count == 1)
  }

  @Test func noAddressThatAnswers() async throws {
    let network = try await TestNetwork(.consul)
    let addresses = ["127.0.0.2", "::1", "127.0.0.4"]
    var place = Place(network: network, port: 1, addresses: addresses)
    try await place.expectRefusals(timeout: "30s", ["nothing listens"] + addresses)
    place.addresses = ["192.0.2.1", "127.0.0.4"]
    place.isAlone = true
    try await place.expectRefusals(
      timeout: "30s", ["192.0.2.1: Network is unreachable", "127.0.0.4: Connection refused"])
    place.isAlone = false
    let silent = try addresses[...1].map { try SilentAddress($0, port: 1) }
    defer { withExtendedLifetime(silent) {} }
    place.addresses = addresses
    try await place.expectRefusals(timeout: "2s", ["connecting"] + addresses)
  }

  /// Before the resolver of the C library has given up, and after.
  @Test func nameServersThatAreNotThere() async throws {
    let network = try await TestNetwork(.consul)
    let silent = try NameServer("127.0.0.70", answer: nil)
    defer { withExtendedLifetime(silent) {} }
    var place = Place(network: network, port: 8500, nameServers: ["127.0.0.70"])
    try await place.expectRefusals(timeout: "2s", ["/etc/resolv.conf"])
    place.nameServers = ["127.0.0.71"]
    try await place.expectRefusals(
      timeout: "30s", ["consul_addr", "/etc/hosts", "/etc/resolv.conf"])
  }

  /// The C library asks the second server after five seconds, for each question anew: as long as a
  /// connection may take once the address is known.
  @Test func theSecondNameServer() async throws {
    let consul = try await SharedConsul.get()
    let servers = [
      try NameServer("127.0.0.72", answer: nil),
      try NameServer("127.0.0.73", answer: [127, 0, 0, 1]),
    ]
    defer { withExtendedLifetime(servers) {} }
    let network = try await TestNetwork(.consul, consul: consul)
    let place = Place(
      network: network, port: consul.port, nameServers: ["127.0.0.72", "127.0.0.73"])
    try await place.call("ADD", timeout: "30s").succeeds()
    #expect(try network.audit().addresses.count == 1)
  }
}
