// Random configurations and calls of host-local's kind, small enough that ranges fill up, requests
// meet and attachments come back. Everything is drawn from one generator, so a seed replays it.

import AddressSpace
import TestSupport

/// A random network, and random calls on it.
struct RandomScenario {
  private var random: SeededGenerator
  private(set) var version: String?
  /// The configurations of `ipam` that calls may have: the second is another operator's idea.
  private(set) var ipams: [JSON] = []
  private(set) var files: [String: String] = [:]
  private var sets: [[RandomRange]] = []

  init(seed: UInt64) {
    random = SeededGenerator(seed: seed)
    let versions = [nil, "", "0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.0.0"]
    version = pick(versions)
    drawSets()
    ipams = [ipam(sets)]
    if chance(3) { ipams.append(ipam(sets.reversed())) }
    if chance(3) { ipams.append(brokenIPAM()) }
    if chance(3) { plantFiles() }
  }

  private mutating func pick<Value>(_ values: [Value]) -> Value {
    values[Int.random(in: 0..<values.count, using: &random)]
  }

  /// True once in so many times.
  private mutating func chance(_ count: Int) -> Bool {
    Int.random(in: 0..<count, using: &random) == 0
  }

  // MARK: Configuration

  private mutating func drawSets() {
    var next = 0
    for _ in 0..<pick([1, 1, 2, 3]) {
      let family: AddressFamily = chance(2) ? .ipv4 : .ipv6
      var ranges: [RandomRange] = []
      for _ in 0..<pick([1, 1, 1, 2]) {
        ranges.append(drawRange(family, next))
        next += 1
      }
      sets.append(ranges)
    }
  }

  private mutating func drawRange(_ family: AddressFamily, _ number: Int) -> RandomRange {
    let text =
      family == .ipv4
      ? "10.\(number).0.0/\(pick([16, 24, 28, 29, 29, 30]))"
      : "fd00:\(number)::/\(pick([64, 112, 124, 125, 126]))"
    guard let subnet = try? Prefix(parsing: text) else { preconditionFailure(text) }
    var range = RandomRange(subnet)
    let usable = range.usableCount
    if chance(3) { range.start = UInt64.random(in: 1...usable, using: &random) }
    if chance(3) { range.end = UInt64.random(in: (range.start ?? 1)...usable, using: &random) }
    if chance(4) {
      range.gateway =
        chance(3) ? "192.168.0.1" : range.address(UInt64.random(in: 1...usable, using: &random))
    }
    return range
  }

  private mutating func ipam(_ sets: [[RandomRange]]) -> JSON {
    var ipam: JSON = ["ranges": .array(sets.map { .array($0.map(\.json)) })]
    if sets[0].count == 1, chance(3) {
      ipam = sets[0][0].json
      if sets.count > 1 { ipam["ranges"] = .array(sets.dropFirst().map { .array($0.map(\.json)) }) }
    }
    if chance(3) {
      ipam["routes"] = [["dst": "0.0.0.0/0"], ["dst": "fd00:99::/32", "gw": "fd00::1"]]
    }
    return ipam
  }

  private mutating func brokenIPAM() -> JSON {
    let broken: [JSON] = [
      [:], ["ranges": [[]]], ["subnet": "10.0.0.5/24"], ["subnet": "10.0.0.0/31"],
      ["subnet": "zz"], ["subnet": "10.0.0.0/29", "gateway": "zz"],
      ["subnet": "10.0.0.0/29", "rangeStart": "10.0.0.9"],
      ["subnet": "10.0.0.0/29", "rangeEnd": "10.0.1.1"],
      ["ranges": [[["subnet": "10.0.0.0/29"], ["subnet": "fd00::/64"]]]],
      ["ranges": [[["subnet": "10.0.0.0/16"]], [["subnet": "10.0.0.0/29"]]]],
      ["ranges": [[["subnet": "10.0.0.0/16"], ["subnet": "10.0.0.0/29"]]]],
      ["subnet": "10.0.0.0/29", "routes": [["dst": "nowhere"]]],
      ["subnet": "10.0.0.0/29", "resolvConf": "/nonexistent/resolv.conf"],
    ]
    return pick(broken)
  }

  private mutating func plantFiles() {
    for (index, set) in sets.enumerated() {
      if chance(2) {
        files["last_reserved_ip.\(index)"] = pick([anyAddress(set), "zz", "10.99.0.1"])
      }
      for _ in 0..<pick([0, 1, 3]) { files[anyAddress(set)] = "other\r\neth0" }
    }
    // Without an interface, as an old host-local wrote; it deletes those once for each range set.
    if sets.count == 1, chance(2) { files[anyAddress(sets[0])] = "old" }
  }

  private mutating func anyAddress(_ set: [RandomRange]) -> String {
    let range = pick(set)
    return range.address(UInt64.random(in: 1...min(range.usableCount, 12), using: &random))
  }

  // MARK: Calls

  /// The next call; its configuration lacks only the place.
  mutating func call() -> (
    command: String, container: String, interface: String,
    arguments: String?, ipam: JSON, others: JSON
  ) {
    let hasCheck = version.map { $0 >= "0.4.0" } ?? false
    let command = pick(["ADD", "ADD", "ADD", "ADD", "DEL", "DEL", hasCheck ? "CHECK" : "DEL"])
    var arguments: String?
    var others: JSON = [:]
    if command == "ADD", chance(3) {
      let address = anyRequest()
      switch pick([0, 0, 1, 2]) {
      case 0: arguments = "IP=\(address)"
      case 1: others["args"] = ["cni": ["ips": [.string(address)]]]
      default: others["runtimeConfig"] = ["ips": [.string(address)]]
      }
    } else if chance(12) {
      arguments = pick(["IgnoreUnknown=1;K8S_POD_NAME=a", "IP=", "FOO=BAR", "FOO", "IP=zz;"])
    }
    let container = command != "ADD" && chance(6) ? "old" : pick(["c1", "c2", "c3", "c4"])
    return (
      command, container, pick(["eth0", "eth0", "eth0", "eth1"]), arguments,
      chance(4) ? pick(ipams) : ipams[0], others
    )
  }

  private mutating func anyRequest() -> String {
    let set = pick(sets)
    let address = pick([
      anyAddress(set), anyAddress(set), set[0].gatewayText, set[0].subnet.first.description,
      "172.16.0.9",
    ])
    return chance(4) ? address + "/12" : address
  }
}

/// A subnet with some of its addresses, by their distance from the network address.
struct RandomRange {
  let subnet: Prefix
  var start: UInt64?
  var end: UInt64?
  var gateway: String?

  init(_ subnet: Prefix) { self.subnet = subnet }

  /// How many addresses there are beside the network and, in IPv4, the broadcast address.
  var usableCount: UInt64 {
    let hostBits = min(subnet.family.bitWidth - subnet.length, 20)
    return (1 << hostBits) - (subnet.family == .ipv4 ? 2 : 1)
  }

  func address(_ distance: UInt64) -> String {
    subnet.first.advanced(by: Offset(distance))?.description ?? subnet.first.description
  }

  var gatewayText: String { gateway ?? address(1) }

  var json: JSON {
    var json: JSON = ["subnet": .string(subnet.description)]
    if let start { json["rangeStart"] = .string(address(start)) }
    if let end { json["rangeEnd"] = .string(address(end)) }
    if let gateway { json["gateway"] = .string(gateway) }
    return json
  }
}
