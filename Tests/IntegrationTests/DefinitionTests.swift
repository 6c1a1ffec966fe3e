// Who defines a network in Consul: the first ADD, once, whole, and whoever comes later goes by it and
// is told in one line in what his file differs.

import TestSupport
import Testing

@Suite(.needsConsul)
struct DefinitionTests {
  /// Everything that a file can say of a network.
  private static let whole: JSON = [
    "ranges": [
      [
        [
          "subnet": "10.7.0.0/24", "rangeStart": "10.7.0.9", "rangeEnd": "10.7.0.99",
          "gateway": "10.7.0.254",
        ]
      ],
      [["subnet": "fd00:7::/64"]],
    ],
    "exclude": ["10.7.0.20", "10.7.0.30-10.7.0.31", "10.7.0.40/30"],
    "routes": [["dst": "0.0.0.0/0", "gw": "10.7.0.254"], ["dst": "::/0"]],
    "cooldown": "90s", "cooldownPolicy": "strict", "searchOrder": "sequential", "chunkBits": 7,
    "journal": 64,
  ]

  private func definition(_ network: TestNetwork) throws -> JSON {
    let bytes = try #require(try network.contents()["config"])
    return try JSON(parsing: String(decoding: bytes, as: UTF8.self))
  }

  /// The key holds all of it, and a node whose file says nothing gets the same results by it.
  @Test func theFirstFileIsKeptWhole() async throws {
    let network = try await TestNetwork(.consul)
    let resolv = network.folder.path + "/resolv.conf"
    try writeFile(resolv, "nameserver 10.7.0.2\nsearch a.test b.test\noptions ndots:2\n")
    let configuration = network.configuration(
      Self.whole.merging(["resolvConf": .string(resolv)]))
    let first = try await Call("ADD", configuration).succeeds()
    #expect(first.ended.errorOutput.isEmpty, "\(first)")
    #expect(first.addresses == ["10.7.0.9/24", "fd00:7::2/64"])

    let kept = try definition(network)
    #expect(
      kept["ranges"] == [
        [
          [
            "subnet": "10.7.0.0/24", "rangeStart": "10.7.0.9", "rangeEnd": "10.7.0.99",
            "gateway": "10.7.0.254",
          ]
        ],
        [
          [
            "subnet": "fd00:7::/64", "rangeStart": "fd00:7::1",
            "rangeEnd": "fd00:7::ffff:ffff:ffff:ffff", "gateway": "fd00:7::1",
          ]
        ],
      ])
    #expect(kept["exclude"] == ["10.7.0.20", "10.7.0.30-10.7.0.31", "10.7.0.40-10.7.0.43"])
    #expect(kept["routes"] == Self.whole["routes"])
    #expect(
      kept["dns"] == [
        "nameservers": ["10.7.0.2"], "search": ["a.test", "b.test"], "options": ["ndots:2"],
      ])
    #expect(kept["cooldown"] == ["seconds": 90, "policy": "strict"])
    #expect(kept["searchOrder"] == "sequential" && kept["chunkBits"] == 7)
    #expect(kept["journal"] == 64)
    #expect(kept["name"] == "net" && kept["kind"] == "leased" && kept["schema"] == 1)
    #expect(kept["incarnation"]?.string?.count == 16)

    let bare = network.configuration([:])
    let second = try await Call("ADD", bare, container: "c2").succeeds()
    #expect(second.ended.errorOutput.isEmpty, "\(second)")
    #expect(second.json?["dns"] == first.json?["dns"])
    #expect(second.json?["routes"] == first.json?["routes"])
    #expect(second.addresses == ["10.7.0.10/24", "fd00:7::3/64"])
    // Strict: what the first one released is not lent while it cools down, and the rest goes on.
    try await Call("DEL", bare, container: "c2").succeeds()
    let third = try await Call("ADD", bare, container: "c3").succeeds()
    #expect(third.addresses == ["10.7.0.11/24", "fd00:7::4/64"])
    #expect(try definition(network) == kept)
  }

  /// A pool of prefixes is for the library: whoever defines it, a container gets nothing of it.
  @Test(arguments: StoreKind.allCases)
  func prefixesAreNoAddresses(_ kind: StoreKind) async throws {
    let network = try await TestNetwork(kind)
    let whole: JSON = ["subnet": "fd00:7::/48", "unitPrefixLength": 64]
    try await network.refuses(
      Call("ADD", network.configuration(whole)), Refusal(7, words: ["unitPrefixLength"]),
      good: network.configuration(["subnet": "10.7.0.0/24"]))
  }

  @Test func prefixesAreNoAddressesByTheDefinition() async throws {
    let network = try await TestNetwork(.consul)
    let consul = try #require(network.consul)
    let config = """
      {"schema": 1, "name": "net", "incarnation": "0000000000000001", "kind": "leased",
      "ranges": [[{"subnet": "fd00:7::/48"}]], "unitPrefixLength": 64}
      """
    _ = try consul.request("PUT", "/v1/kv/\(network.prefix)/net/config", body: config)
    let answer = try await Call("ADD", network.configuration([:])).run()
    Refusal(7, words: ["unitPrefixLength"]).expect(answer)
    #expect(try network.contents().keys.map { $0 } == ["config"])
  }

  /// One line, with the keys in which the file differs and no others.
  @Test func aDifferenceIsOneLine() async throws {
    let network = try await TestNetwork(.consul)
    try await Call("ADD", network.configuration(Self.whole)).succeeds()
    let kept = try definition(network)
    let changes: [(change: JSON, keys: [String])] = [
      (["ranges": [[["subnet": "10.8.0.0/24"]], [["subnet": "fd00:7::/64"]]]], ["ranges"]),
      (["exclude": ["10.7.0.20"]], ["exclude"]), (["routes": [["dst": "::/0"]]], ["routes"]),
      (["cooldown": 7], ["cooldown"]), (["cooldownPolicy": "borrow"], ["cooldownPolicy"]),
      (["searchOrder": "homeChunk"], ["searchOrder"]), (["chunkBits": 8], ["chunkBits"]),
      (["journal": 0], ["journal"]),
      (
        ["routes": [["dst": "::/0"]], "cooldown": 7, "chunkBits": 8],
        ["chunkBits", "cooldown", "routes"]
      ),
      ([:], []),
    ]
    for (number, (change, keys)) in changes.enumerated() {
      let file = network.configuration(Self.whole.merging(change))
      let answer = try await Call("ADD", file, container: "c\(number + 2)").succeeds()
      #expect(answer.addresses.allSatisfy { $0.hasPrefix("10.7.0.") || $0.hasPrefix("fd00:7::") })
      let lines = answer.ended.errorOutput.split(separator: "\n").map { String($0) }
      guard !keys.isEmpty else {
        #expect(lines.isEmpty, "\(answer)")
        continue
      }
      #expect(lines.count == 1, "\(answer)")
      let named = lines.first?.split(separator: "differs from this configuration in: ").last ?? ""
      let words = named.split { !$0.isLetter }.map { String($0) }
      #expect(words.sorted() == keys, "\(change): \(lines)")
    }
    #expect(try definition(network) == kept)
    #expect(try network.audit().problems.isEmpty)
  }

  /// Nodes with files of their own race for a network that is new: one of the files wins, everybody
  /// gets an address of it, and it was written once.
  @Test func ofManyFirstFilesOneWins() async throws {
    let network = try await TestNetwork(.consul)
    let answers = try await atOnce(
      (0..<12).map { index in
        let file = network.configuration([
          "subnet": "10.\(index).0.0/24", "node": "n\(index)",
          "stateDir": "\(network.folder.path)/state\(index)",
        ])
        return Call("ADD", file, container: "c\(index)")
      })
    for answer in answers { #expect(answer.succeeded, "\(answer)") }
    let subnets = Set(
      answers.flatMap(\.addresses).map { $0.split(separator: ".").prefix(3).joined(separator: ".") }
    )
    #expect(subnets.count == 1, "\(subnets)")
    #expect(answers.count { $0.ended.errorOutput.contains("differs") } == 11)
    let audit = try network.audit()
    #expect(audit.problems.isEmpty && audit.addresses.count == 12, "\(audit)")
    let reply = try #require(network.consul)
      .request("GET", "/v1/kv/\(network.prefix)/net/config")
    let entry = try #require(try JSON(parsing: reply.body).elements?.first)
    #expect(entry["CreateIndex"] == entry["ModifyIndex"], "\(entry)")
  }
}
