// The ancestor's three configuration files, unchanged but for the place of Consul and of the folders:
// its users must be served as before.

import TestSupport
import Testing

/// A configuration file of the ancestor and what an ADD, then a second one, must give.
struct AncestorExample: Sendable, CustomTestStringConvertible {
  let name: String
  let ipam: String
  let first: String
  let gateway: String
  var routes: JSON?
  /// Where the addresses lie.
  let prefix: String

  var testDescription: String { name }

  static let all = [
    AncestorExample(
      name: "default",
      ipam: #""subnet": "203.0.113.0/24""#,
      first: "203.0.113.2/24", gateway: "203.0.113.1", prefix: "203.0.113."),
    AncestorExample(
      name: "ipv6",
      ipam: #""subnet": "3ffe:ffff:0:01ff::/64", "range-start": "3ffe:ffff:0:01ff::0010", "#
        + #""range-end": "3ffe:ffff:0:01ff::0020", "#
        + #""routes": [ { "dst": "3ffe:ffff:0:01ff::1/64" } ]"#,
      first: "3ffe:ffff:0:1ff::10/64", gateway: "3ffe:ffff:0:1ff::1",
      routes: [["dst": "3ffe:ffff:0:1ff::1/64"]], prefix: "3ffe:ffff:0:1ff::"),
    AncestorExample(
      name: "ipv4",
      ipam: #""subnet": "203.0.113.1/24", "range-start": "203.0.113.10", "#
        + #""range-end": "203.0.113.20", "routes": [ { "dst": "203.0.113.0/24" } ]"#,
      first: "203.0.113.10/24", gateway: "203.0.113.1",
      routes: [["dst": "203.0.113.0/24"]], prefix: "203.0.113."),
  ]

  /// The file as it stands.
  func file(consulPort port: Int, _ more: String = "") -> String {
    #"{ "name": "\#(name)", "ipam": { "type": "consul", "consul_addr": "127.0.0.1", "#
      + #""consul_port": "\#(port)", "dc": "dc1", "# + ipam + more + " } }"
  }
}

@Suite(.needsConsul)
struct AncestorTests {
  /// On a Consul of its own, because the files name no prefix.
  @Test func filesWorkAsTheyStand() async throws {
    let consul = try await ConsulServer.start()
    for example in AncestorExample.all {
      let file = example.file(consulPort: consul.port)
      let first = try await Call("ADD", file).succeeds()
      let family = example.prefix.contains(":") ? "ip6" : "ip4"
      var address: JSON = ["ip": .string(example.first), "gateway": .string(example.gateway)]
      if let routes = example.routes { address["routes"] = routes }
      #expect(
        first.json == .object(["cniVersion": "0.1.0", family: address, "dns": [:]]),
        "\(example.name): \(first)")
      let warning = first.ended.errorOutput
      #expect(warning.contains("host bits") == example.ipam.contains("203.0.113.1/24"), "\(first)")
      let second = try await Call("ADD", file, ["CNI_CONTAINERID": "c2"]).succeeds()
      #expect(second.addresses.allSatisfy { $0.hasPrefix(example.prefix) }, "\(second)")
      #expect(second.addresses != first.addresses)

      for container in ["c1", "c2"] {
        let answer = try await Call("DEL", file, ["CNI_CONTAINERID": container]).succeeds()
        #expect(answer.ended.output.isEmpty && answer.ended.errorOutput.isEmpty, "\(answer)")
      }
      let left = try consul.request("GET", "/v1/kv/cni-ipam-consul/\(example.name)/addresses/?keys")
      #expect(left.status == 404, "left behind: \(left.body)")
    }
  }

  /// Nothing at the root of the store, where the ancestor kept its data, and none of its session.
  @Test func nothingOutsideThePrefixIsTouched() async throws {
    let consul = try await ConsulServer.start()
    _ = try consul.request("PUT", "/v1/session/create", body: #"{"Name":"somebody's"}"#)
    let sessions = try consul.request("GET", "/v1/session/list").body
    for example in AncestorExample.all {
      let file = example.file(consulPort: consul.port)
      try await Call("ADD", file).succeeds()
      try await Call("DEL", file).succeeds()
    }
    #expect(try consul.request("GET", "/v1/session/list").body == sessions)
    let keys = try JSON(parsing: consul.request("GET", "/v1/kv/?keys").body).elements ?? []
    #expect(!keys.isEmpty)
    #expect(keys.allSatisfy { $0.string?.hasPrefix("cni-ipam-consul/") == true }, "\(keys)")
  }

  /// The same three with `"backend": "disk"`: the configuration alone chooses the store.
  @Test(arguments: AncestorExample.all)
  func theConfigurationChoosesTheStore(_ example: AncestorExample) async throws {
    let folder = try TemporaryFolder()
    let text = example.file(
      consulPort: 1,
      #", "backend": "disk", "dataDir": "\#(folder.path)", "stateDir": "\#(folder.path)/state""#)
    var file = try JSON(parsing: text)
    if example.name == "ipv4" {
      // On disk host bits stay an error unless the type asks for Consul's leniency.
      file["ipam"]?["subnet"] = "203.0.113.0/24"
    }
    let answer = try await Call("ADD", file).succeeds()
    #expect(answer.addresses == [example.first])
    let name = String(example.first.prefix { $0 != "/" })
    let content = try readFile("\(folder.path)/\(example.name)/\(name)")
    #expect(String(decoding: content, as: UTF8.self) == "c1\r\neth0")
    try await Call("DEL", file).succeeds()
  }
}
