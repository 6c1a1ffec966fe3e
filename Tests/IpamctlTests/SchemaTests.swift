// docs/network.schema.json against the program: what the schema refuses ipamctl refuses, what it accepts
// ipamctl accepts but for what no schema can say, and every member of the one is known to the other.
// The judge of the schema is Debian's python3-jsonschema.

import JSON
import TestSupport
import Testing

@Suite(.needsConsul) struct SchemaTests {
  enum Verdict: Sendable {
    case accepted
    /// By the schema and by ipamctl.
    case refused
    /// Well-formed, and yet no network: only ipamctl can tell.
    case senseless
  }

  /// Every member that there is.
  private static let full = """
    {"schema": 1, "name": "net", "incarnation": "00000000000000ff", "kind": "leased",
    "ranges": [[{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.8", "rangeEnd": "10.1.0.99",
    "gateway": "10.1.0.1"}, {"subnet": "10.3.0.0/31"}], [{"subnet": "2001:db8::/64"}]],
    "exclude": ["10.1.0.9", "10.1.0.10-10.1.0.12", "10.1.0.16-10.1.0.31"],
    "routes": [{"dst": "0.0.0.0/0", "gw": "10.1.0.1", "mtu": 1400, "advmss": 1360, "priority": 1,
    "table": 100, "scope": 0}],
    "dns": {"nameservers": ["10.1.0.2"], "domain": "a.test", "search": ["a.test"],
    "options": ["ndots:2"]}, "cooldown": {"seconds": 30, "policy": "strict"},
    "searchOrder": "sequential", "chunkBits": 8, "allowSmallSubnets": true, "journal": 64}
    """

  private static let ranges = #""ranges": [[{"subnet": "10.1.0.0/24"}]]"#

  /// The usual ranges and another member.
  private static func with(_ member: String) -> String { "{\(ranges), \(member)}" }

  private static let rows: [(document: String, verdict: Verdict)] = [
    (full, .accepted), ("{\(ranges)}", .accepted),
    (#"{"ranges": [[{"subnet": "2001:db8::/48"}]], "unitPrefixLength": 64}"#, .accepted),
    (#"{"ranges": [[{"subnet": "10.1.0.0/31"}]], "allowSmallSubnets": true}"#, .accepted),
    (with(#""kind": "bare""#), .accepted), (with(#""cooldown": {"seconds": 0}"#), .accepted),
    (with(#""cooldown": {"seconds": 4294967295}"#), .accepted),
    (with(#""exclude": ["10.1.0.0/28"]"#), .accepted),
    (with(#""exclude": []"#), .accepted), (with(#""dns": {}"#), .accepted),
    (with(#""journal": 0"#), .accepted), (with(#""journal": 4096"#), .accepted),
    (with(#""chunkBits": 6"#), .accepted), (with(#""searchOrder": "homeChunk""#), .accepted),

    ("[]", .refused), ("7", .refused), ("{}", .refused), (#"{"ranges": []}"#, .refused),
    (#"{"ranges": [[]]}"#, .refused), (#"{"ranges": {}}"#, .refused),
    (#"{"ranges": [{"subnet": "10.1.0.0/24"}]}"#, .refused), (#"{"ranges": [[{}]]}"#, .refused),
    (#"{"ranges": [[{"subnet": 10}]]}"#, .refused),
    (#"{"ranges": [[{"subnet": "10.1.0.0/24", "rangeend": "10.1.0.9"}]]}"#, .refused),
    (with(#""rangs": []"#), .refused), (with(#""schema": 2"#), .refused),
    (with(#""schema": "1""#), .refused), (with(#""name": """#), .refused),
    (with(#""name": 7"#), .refused), (with(#""incarnation": "ff""#), .refused),
    (with(#""incarnation": "00000000000000FF""#), .refused),
    (with(#""incarnation": "00000000000000zz""#), .refused), (with(#""kind": "rented""#), .refused),
    (with(#""exclude": "10.1.0.9""#), .refused), (with(#""exclude": [9]"#), .refused),
    (with(#""routes": [{}]"#), .refused),
    (with(#""routes": [{"dst": "0.0.0.0/0", "via": "x"}]"#), .refused),
    (with(#""routes": [{"dst": "0.0.0.0/0", "mtu": -1}]"#), .refused),
    (with(#""routes": [{"dst": "0.0.0.0/0", "mtu": "1400"}]"#), .refused),
    (with(#""routes": [{"dst": "0.0.0.0/0", "scope": 4294967296}]"#), .refused),
    (with(#""dns": {"server": []}"#), .refused), (with(#""dns": {"search": "a.test"}"#), .refused),
    (with(#""dns": []"#), .refused), (with(#""cooldown": 30"#), .refused),
    (with(#""cooldown": {}"#), .refused), (with(#""cooldown": {"seconds": -1}"#), .refused),
    (with(#""cooldown": {"seconds": 4294967296}"#), .refused),
    (with(#""cooldown": {"seconds": 1.5}"#), .refused),
    (with(#""cooldown": {"seconds": 1, "policy": "maybe"}"#), .refused),
    (with(#""cooldown": {"seconds": 1, "for": 2}"#), .refused),
    (with(#""searchOrder": "random""#), .refused), (with(#""chunkBits": 5"#), .refused),
    (with(#""chunkBits": 15"#), .refused), (with(#""chunkBits": "8""#), .refused),
    (with(#""journal": 4097"#), .refused), (with(#""journal": -1"#), .refused),
    (with(#""journal": true"#), .refused),
    (with(#""unitPrefixLength": 129"#), .refused), (with(#""unitPrefixLength": -1"#), .refused),
    (with(#""allowSmallSubnets": "yes""#), .refused),

    (#"{"ranges": [[{"subnet": "10.1.0.1/24"}]]}"#, .senseless),
    (#"{"ranges": [[{"subnet": "10.1.0.0/33"}]]}"#, .senseless),
    (#"{"ranges": [[{"subnet": "10.1.0.0/31"}]]}"#, .senseless),
    (#"{"ranges": [[{"subnet": "10.1.0.0/16"}], [{"subnet": "10.1.2.0/24"}]]}"#, .senseless),
    (#"{"ranges": [[{"subnet": "10.1.0.0/24"}, {"subnet": "2001:db8::/64"}]]}"#, .senseless),
    (#"{"ranges": [[{"subnet": "10.1.0.0/24", "rangeStart": "10.2.0.1"}]]}"#, .senseless),
    (#"{"ranges": [[{"subnet": "10.1.0.0/24", "gateway": "gate"}]]}"#, .senseless),
    (with(#""name": "other""#), .senseless), (with(#""exclude": ["10.1.0"]"#), .senseless),
    (with(#""routes": [{"dst": "everywhere"}]"#), .senseless),
    (with(#""routes": [{"dst": "0.0.0.0/0", "gw": "gate"}]"#), .senseless),
    (with(#""unitPrefixLength": 16"#), .senseless),
  ]

  /// What the schema says of documents, in their order.
  private func judge(_ documents: [String]) async throws -> [Bool] {
    let folder = try TemporaryFolder()
    let path = folder.path + "/schema.json"
    let schema = try readRepositoryFile("docs/network.schema.json")
    try writeFile(path, String(decoding: schema, as: UTF8.self))
    var execution = Execution([
      "/usr/bin/python3", "-c",
      """
      import json, sys
      from jsonschema import Draft202012Validator as Validator
      schema = json.load(open(sys.argv[1]))
      Validator.check_schema(schema)
      for document in json.load(sys.stdin):
          print("yes" if Validator(schema).is_valid(document) else "no")
      """, path,
    ])
    execution.environment = ["PATH": "/usr/bin:/bin"]
    execution.input = .text("[\(documents.joined(separator: ","))]")
    let ended = try await execution.run()
    guard ended.exitStatus == 0 else { throw TestSupportError("\(ended)") }
    return ended.output.split(separator: "\n").map { $0 == "yes" }
  }

  @Test func schemaAndProgramAgree() async throws {
    let bench = try await Bench()
    let judged = try await judge(Self.rows.map(\.document))
    #expect(judged.count == Self.rows.count)
    for (row, isValid) in zip(Self.rows, judged) {
      #expect(isValid == (row.verdict != .refused), "schema: \(row.document)")
      let ended = try await bench.ctl(
        "network", "create", "net", "--dry-run", "-f", "-", input: row.document)
      let expected: Int32 = row.verdict == .accepted ? 0 : 2
      #expect(ended.exitStatus == expected, "ipamctl: \(row.document): \(ended)")
    }
    #expect(try bench.keys().isEmpty)
  }

  /// What was given comes back whole, from the program and in the key, and is valid again.
  @Test func nothingIsLostOnTheWay() async throws {
    let bench = try await Bench()
    for document in [Self.full, "{\(Self.ranges)}"] {
      try await bench.succeeds("network", "create", "net", "-f", "-", input: document)
      let shown = try await bench.succeeds("network", "show", "net", "--output", "json")
      let stored = try bench.consul.request("GET", bench.key("net/config?raw")).body
      #expect(try JSONValue(parsing: Array(stored.utf8)) == JSONValue(parsing: Array(shown.utf8)))
      #expect(try await judge([shown]) == [true], "\(shown)")
      let given = try JSONValue(parsing: Array(document.utf8))
      let kept = try JSONValue(parsing: Array(shown.utf8))
      guard case .object(let members) = given else { return }
      for member in members where member.key != "incarnation" && member.key != "ranges" {
        #expect(kept[member.key] == member.value, "\(member.key) in \(shown)")
      }
      for name in ["name", "incarnation", "kind", "ranges", "cooldown", "searchOrder"] {
        #expect(kept[name] != nil, "\(name) in \(shown)")
      }
      try await bench.succeeds("network", "delete", "net")
    }
  }

  /// The document above has every member of the schema, so that none is untested.
  @Test func everyMemberIsTried() throws {
    let schema = try JSONValue(parsing: readRepositoryFile("docs/network.schema.json"))
    let document = try JSONValue(parsing: Array(Self.full.utf8))
    func names(_ value: JSONValue?) -> Set<String> {
      guard case .object(let members)? = value else { return [] }
      return Set(members.map(\.key))
    }
    let properties = schema["properties"]
    #expect(names(properties).symmetricDifference(names(document)) == ["unitPrefixLength"])
    let definitions = schema["$defs"]
    for (part, value) in [
      (definitions?["range"], document["ranges"]?.elements?.first?.elements?.first),
      (definitions?["route"], document["routes"]?.elements?.first),
      (properties?["dns"], document["dns"]), (properties?["cooldown"], document["cooldown"]),
    ] {
      #expect(!names(value).isEmpty && names(part?["properties"]) == names(value))
    }
  }
}
