// The table of cni.md 1.1: what the reference's skeleton says, and in which order.

import CNI
import JSON
import Testing

struct SkeletonTests {
  struct Row: Sendable, CustomTestStringConvertible {
    var command = "ADD"
    var variables: [String: String] = [:]
    var input = #"{"name": "net"}"#
    let code: Int
    let message: String
    var details = ""
    var testDescription: String { "\(command) \(variables) \(input.prefix(60))" }
  }

  static let supported =
    #"["0.1.0" "0.2.0" "0.3.0" "0.3.1" "0.4.0" "1.0.0" "1.1.0"]"#
  static let whitespace = "interface name contains / or : or whitespace characters"
  static let tooLong = "interface name should be less than 16 characters"

  static func missing(_ command: String, _ names: [String], but given: [String: String] = [:])
    -> Row
  {
    let variables = names.reduce(into: given) { $0[$1] = "" }
    return Row(
      command: command, variables: variables, input: "not even JSON", code: 4,
      message: "required env variables [\(names.joined(separator: ","))] missing")
  }

  static let environmentRows =
    [
      missing("ADD", ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"]),
      missing("CHECK", ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"]),
      missing("DEL", ["CNI_CONTAINERID", "CNI_IFNAME", "CNI_PATH"], but: ["CNI_NETNS": ""]),
      missing("ADD", ["CNI_NETNS", "CNI_IFNAME"]),
      missing(
        "GC", ["CNI_PATH"], but: ["CNI_CONTAINERID": "", "CNI_NETNS": "", "CNI_IFNAME": ""]),
      missing(
        "STATUS", ["CNI_PATH"], but: ["CNI_CONTAINERID": "-", "CNI_NETNS": "", "CNI_IFNAME": "/"]),
    ]
    + ["-a", ".a", "_", "a b", "a\n", "\u{e9}", "a/b", "a\0"].map {
      Row(
        variables: ["CNI_CONTAINERID": $0, "CNI_NETNS": "", "CNI_PATH": ""], input: "",
        code: 4, message: "invalid characters in containerID", details: $0)
    }
    + [String(repeating: "a", count: 16), String(repeating: "\u{e9}", count: 8)].map {
      Row(
        command: "DEL", variables: ["CNI_IFNAME": $0, "CNI_PATH": ""], code: 4,
        message: "interface name is too long", details: tooLong)
    }
    + [".", ".."].map {
      Row(
        command: "CHECK", variables: ["CNI_IFNAME": $0], code: 4,
        message: "interface name is . or ..")
    }
    + ["a/b", "a:b", "a b", "a\t", "a\u{a0}b", "a\u{2003}", "\u{85}"].map {
      Row(variables: ["CNI_IFNAME": $0], code: 4, message: whitespace)
    }

  static let inputRows: [Row] = [
    Row(
      input: "", code: 6, message: "error unmarshall network config: unexpected end of JSON input"),
    Row(
      command: "DEL", input: "{", code: 6,
      message: "error unmarshall network config: unexpected end of JSON input"),
    Row(
      command: "FOO", input: #"{"name" 1}"#, code: 6,
      message: "error unmarshall network config: invalid character '1' after object key",
      details: "at byte 8 of the input"),
    Row(
      input: "[]", code: 6,
      message: "error unmarshall network config: it must be an object, not an array"),
    Row(
      input: #"{"name": 5}"#, code: 6,
      message: "error unmarshall network config: name must be a string, not a number 5"),
    Row(input: "null", code: 7, message: "missing network name"),
    Row(input: "{}", code: 7, message: "missing network name"),
    Row(command: "FOO", input: #"{"name": ""}"#, code: 7, message: "missing network name"),
    Row(input: #"{"name": null}"#, code: 7, message: "missing network name"),
    Row(
      input: #"{"name": "-net"}"#, code: 7, message: "invalid characters found in network name",
      details: "-net"),
    Row(
      input: #"{"name": "n\u0000"}"#, code: 7,
      message: "invalid characters found in network name", details: "n\0"),
    Row(command: "FOO", code: 4, message: "unknown CNI_COMMAND: FOO"),
    Row(command: "add", code: 4, message: "unknown CNI_COMMAND: add"),
    Row(
      command: "FOO", input: #"{"name": "net", "cniVersion": "2.0.0"}"#, code: 4,
      message: "unknown CNI_COMMAND: FOO"),
    Row(
      input: #"{"name": "net", "cniVersion": 1}"#, code: 6,
      message: "decoding version from network config: cniVersion must be a string, not a number 1"
    ),
  ]

  static func version(_ version: String, _ command: String, _ code: Int, _ message: String) -> Row {
    Row(
      command: command, input: #"{"name": "net", "cniVersion": "\#(version)"}"#, code: code,
      message: message,
      details: message.hasPrefix("incompatible")
        ? #"config is "\#(version)", plugin supports \#(supported)"# : "")
  }

  static let versionRows =
    ["2.0.0", "0.4", "abc", "0.5.0", "1.2.0", "1.0.0.0", "99", "0.4.0 "].flatMap {
      [
        version($0, "ADD", 1, "incompatible CNI versions"),
        version($0, "DEL", 1, "incompatible CNI versions"),
      ]
    }
    + ["0.4", "0.5.0"].map { version($0, "CHECK", 1, "incompatible CNI versions") }
    + ["", "0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.3.9", "-1", "0"].map {
      version($0, "CHECK", 1, "config version does not allow CHECK")
    }
    + ["", "0.1.0", "0.4.0", "1.0.0", "1.0", "1"].flatMap {
      [
        version($0, "GC", 1, "config version does not allow GC"),
        version($0, "STATUS", 1, "config version does not allow STATUS"),
      ]
    }
    + ["2.0.0", "1.2.0", "99", "1.1.1"].flatMap {
      [
        version($0, "CHECK", 1, "plugin version does not allow CHECK"),
        version($0, "GC", 1, "plugin version does not allow GC"),
        version($0, "STATUS", 1, "plugin version does not allow STATUS"),
      ]
    }
    + [
      version("1.1", "GC", 1, "incompatible CNI versions"),
      version("1.0.0.0", "CHECK", 6, #"invalid version "1.0.0.0": too many parts"#),
      version(
        "abc", "GC", 6,
        #"failed to convert major version part "abc": "#
          + #"strconv.Atoi: parsing "abc": invalid syntax"#),
      version(
        "1.x.0", "STATUS", 6,
        #"failed to convert minor version part "x": strconv.Atoi: parsing "x": invalid syntax"#),
      version(
        "0.4.0 ", "CHECK", 6,
        #"failed to convert micro version part "0 ": strconv.Atoi: parsing "0 ": invalid syntax"#),
    ]

  @Test(arguments: environmentRows + inputRows + versionRows)
  func refuses(_ row: Row) throws {
    let reply = try reply(row.command, row.input, row.variables)
    var expected: [JSONValue.Member] = [
      .init("code", .number(row.code)), .init("msg", .string(row.message)),
    ]
    if !row.details.isEmpty { expected.append(.init("details", .string(row.details))) }
    #expect(reply.standardOutput == JSONValue.object(expected).indented)
    #expect(reply.exitStatus == 1)
    #expect(reply.standardError == "")
  }

  @Test(arguments: ["eth0", "-x", "...", String(repeating: "\u{e9}", count: 7), "a.b@c"])
  func takesInterfaceName(_ name: String) throws {
    let invocation = try invocation("ADD", #"{"name": "net"}"#, ["CNI_IFNAME": name])
    #expect(invocation.attachment == CNIAttachment(containerID: "c1", interfaceName: name))
  }

  @Test func takesLongNames() throws {
    let long = String(repeating: "a", count: 300)
    let invocation = try invocation("ADD", #"{"name": "\#(long)"}"#, ["CNI_CONTAINERID": long])
    #expect(invocation.configuration.name == long)
    #expect(invocation.environment.containerID == long)
  }

  @Test(arguments: CNISpecVersion.allCases)
  func servesEveryVersion(_ version: CNISpecVersion) throws {
    let input = #"{"name": "net", "cniVersion": "\#(version.rawValue)"}"#
    for command in CNICommand.allCases where command != .version {
      let minimum: CNISpecVersion =
        switch command {
        case .check: .v040
        case .gc, .status: .v110
        default: .v010
        }
      guard version >= minimum else { continue }
      let invocation = try invocation(command.rawValue, input)
      #expect(invocation.command == command)
      #expect(invocation.version == version)
    }
  }

  @Test func delNeedsNoNamespace() throws {
    #expect(try invocation("DEL", #"{"name": "net"}"#, ["CNI_NETNS": ""]).version == .v010)
  }

  @Test func versionNeverReadsInput() throws {
    let preparation = Skeleton.prepare(environment: ["CNI_COMMAND": "VERSION"], about: "") {
      Issue.record("standard input was read")
      return []
    }
    let reply = try reply(preparation)
    #expect(reply.exitStatus == 0)
    #expect(
      reply.standardOutput
        == #"{"cniVersion":"1.1.0","supportedVersions":"#
        + #"["0.1.0","0.2.0","0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]}"# + "\n")
  }

  @Test(arguments: [[:], ["CNI_COMMAND": ""], ["CNI_PATH": "/x"]])
  func introducesItself(_ environment: [String: String]) throws {
    let preparation = Skeleton.prepare(environment: environment, about: "CNI test plugin") {
      Issue.record("standard input was read")
      return []
    }
    let reply = try reply(preparation)
    #expect(reply.exitStatus == 0)
    #expect(reply.standardOutput == "")
    #expect(
      reply.standardError
        == "CNI test plugin\nCNI protocol versions supported: "
        + "0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0\n")
  }

  @Test func reportsReadError() throws {
    let environment = goodEnvironment.merging(["CNI_COMMAND": "ADD"]) { $1 }
    let preparation = Skeleton.prepare(environment: environment, about: "") {
      throw Unexpected(what: "broken pipe")
    }
    let reply = try reply(preparation)
    #expect(
      reply
        == .failure(
          CNIError(
            .inputOutput, #"error reading from stdin: Unexpected(what: "broken pipe")"#)))
  }

  @Test func namesVersionInHandlerErrors() throws {
    let invocation = try invocation("ADD", #"{"name": "net", "cniVersion": "1.0.0"}"#)
    let full = invocation.reply(failure: CNIError(.exhausted, "full", details: "wait"))
    #expect(full.exitStatus == 1)
    #expect(
      try meaning(full.standardOutput)
        == meaning(
          #"{"cniVersion": "1.0.0", "code": 101, "msg": "full", "details": "wait"}"#))
    let untyped = invocation.reply(failure: Unexpected(what: "x"))
    #expect(
      try meaning(untyped.standardOutput)
        == meaning(
          #"{"cniVersion": "1.0.0", "code": 999, "msg": "Unexpected(what: \"x\")"}"#))
  }
}
