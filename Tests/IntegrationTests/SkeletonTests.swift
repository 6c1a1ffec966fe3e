// The checks before a command, in the reference skeleton's order and with its words, row by row. The
// distribution's host-local must say the same, but for what its older skeleton does otherwise: it
// knows no 1.1.0, and reads the configuration before it looks at the values of variables.

import TestSupport
import Testing

/// A call that fails before the plugin's own work, and the error object that must come.
struct SkeletonError: Sendable, CustomTestStringConvertible {
  let testDescription: String
  var command = "ADD"
  var variables: [String: String?] = [:]
  var input: String = SkeletonError.good
  let code: Int
  let message: String
  var details: String?
  /// Whether the reference of the distribution says the same.
  var isReference = true

  static let good = #"{"cniVersion": "1.0.0", "name": "net", "ipam": {"type": "host-local"}}"#

  static func version(_ version: String) -> String {
    #"{"cniVersion": "\#(version)", "name": "net", "ipam": {"type": "host-local"}}"#
  }
}

extension SkeletonError {
  private static func environment(
    _ name: String, of command: String = "ADD", _ variables: [String: String?],
    _ message: String, _ details: String? = nil, isReference: Bool = true
  ) -> SkeletonError {
    SkeletonError(
      testDescription: name, command: command, variables: variables, code: 4, message: message,
      details: details, isReference: isReference)
  }

  private static let absent: [String: String?] = [
    "CNI_CONTAINERID": nil, "CNI_NETNS": nil, "CNI_IFNAME": nil, "CNI_PATH": nil,
  ]

  static let environmentRows: [SkeletonError] = [
    environment(
      "ADD without anything", absent,
      "required env variables [CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH] missing"),
    environment(
      "CHECK without anything", of: "CHECK", absent,
      "required env variables [CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH] missing"),
    environment(
      "DEL needs no namespace", of: "DEL", absent,
      "required env variables [CNI_CONTAINERID,CNI_IFNAME,CNI_PATH] missing"),
    environment(
      "GC needs only the path", of: "GC", absent, "required env variables [CNI_PATH] missing",
      isReference: false),
    environment(
      "STATUS needs only the path", of: "STATUS", absent,
      "required env variables [CNI_PATH] missing", isReference: false),
    environment(
      "empty is missing", ["CNI_NETNS": "", "CNI_IFNAME": ""],
      "required env variables [CNI_NETNS,CNI_IFNAME] missing"),
    environment(
      "an invalid value comes before missing ones", ["CNI_CONTAINERID": "a/b", "CNI_PATH": nil],
      "invalid characters in containerID", "a/b", isReference: false),
    environment(
      "container id beginning with a dash", ["CNI_CONTAINERID": "-a"],
      "invalid characters in containerID", "-a"),
    environment(
      "container id with a newline", ["CNI_CONTAINERID": "a\n"],
      "invalid characters in containerID", "a\n"),
    environment(
      "interface name of 16 characters", ["CNI_IFNAME": "0123456789abcdef"],
      "interface name is too long", "interface name should be less than 16 characters"),
    environment(
      "interface name of 16 bytes", ["CNI_IFNAME": "éééééééé"],
      "interface name is too long", "interface name should be less than 16 characters"),
    environment("interface .", ["CNI_IFNAME": "."], "interface name is . or .."),
    environment("interface ..", ["CNI_IFNAME": ".."], "interface name is . or .."),
    environment(
      "interface with /", ["CNI_IFNAME": "a/b"],
      "interface name contains / or : or whitespace characters"),
    environment(
      "interface with :", ["CNI_IFNAME": "a:b"],
      "interface name contains / or : or whitespace characters"),
    environment(
      "interface with a wide space", ["CNI_IFNAME": "a\u{2003}b"],
      "interface name contains / or : or whitespace characters"),
  ]

  static let inputRows: [SkeletonError] = [
    .init(
      testDescription: "unknown command", command: "FOO", code: 4,
      message: "unknown CNI_COMMAND: FOO"),
    .init(
      testDescription: "commands are in capitals", command: "add", code: 4,
      message: "unknown CNI_COMMAND: add"),
    .init(
      testDescription: "JSON is read before the command is known", command: "FOO", input: "",
      code: 6, message: "error unmarshall network config: unexpected end of JSON input"),
    .init(
      testDescription: "empty input", input: "", code: 6,
      message: "error unmarshall network config: unexpected end of JSON input"),
    .init(
      testDescription: "truncated JSON", input: String(good.dropLast(9)), code: 6,
      message: "error unmarshall network config: unexpected end of JSON input"),
    .init(
      testDescription: "no name", input: #"{"cniVersion": "1.0.0"}"#, code: 7,
      message: "missing network name"),
    .init(
      testDescription: "empty name", input: #"{"name": ""}"#, code: 7,
      message: "missing network name"),
    .init(testDescription: "null", input: "null", code: 7, message: "missing network name"),
    .init(
      testDescription: "name with a slash", input: #"{"name": "a/b"}"#, code: 7,
      message: "invalid characters found in network name", details: "a/b"),
    .init(
      testDescription: "name with a newline", input: #"{"name": "a\n"}"#, code: 7,
      message: "invalid characters found in network name", details: "a\n"),
  ]

  private static let supported =
    #"plugin supports ["0.1.0" "0.2.0" "0.3.0" "0.3.1" "0.4.0" "1.0.0" "1.1.0"]"#

  static let versionRows: [SkeletonError] =
    ["2.0.0", "0.4", "abc", "1.1.1"].flatMap { version in
      ["ADD", "DEL"].map { command in
        SkeletonError(
          testDescription: "\(command) of \(version)", command: command,
          input: Self.version(version), code: 1, message: "incompatible CNI versions",
          details: "config is \"\(version)\", \(supported)", isReference: false)
      }
    } + [
      .init(
        testDescription: "CHECK of 0.3.1", command: "CHECK", input: version("0.3.1"), code: 1,
        message: "config version does not allow CHECK"),
      .init(
        testDescription: "CHECK of none", command: "CHECK", input: #"{"name": "net"}"#, code: 1,
        message: "config version does not allow CHECK"),
      .init(
        testDescription: "GC of 1.0.0", command: "GC", input: version("1.0.0"), code: 1,
        message: "config version does not allow GC", isReference: false),
      .init(
        testDescription: "STATUS of 1.0.0", command: "STATUS", input: version("1.0.0"), code: 1,
        message: "config version does not allow STATUS", isReference: false),
      .init(
        testDescription: "CHECK of 2.0.0", command: "CHECK", input: version("2.0.0"), code: 1,
        message: "plugin version does not allow CHECK", isReference: false),
      .init(
        testDescription: "CHECK of a malformed version", command: "CHECK", input: version("a.b"),
        code: 6,
        message: "failed to convert major version part \"a\": strconv.Atoi: parsing \"a\": "
          + "invalid syntax", isReference: false),
    ]
}

@Suite(.needsHostLocal)
struct SkeletonTests {
  @Test(
    arguments: SkeletonError.environmentRows + SkeletonError.inputRows
      + SkeletonError.versionRows)
  func error(_ row: SkeletonError) async throws {
    let call = Call(row.command, row.input, row.variables)
    let programs = [Program.ours] + (row.isReference ? [Program.hostLocal] : [])
    for program in programs {
      let answer = try await call.by(program).run()
      #expect(answer.isError, "\(program): \(answer)")
      #expect(answer.code == row.code, "\(program)")
      #expect(answer.message == row.message, "\(program)")
      if let details = row.details { #expect(answer.details == details, "\(program)") }
      #expect(answer.ended.errorOutput.isEmpty, "\(program)")
    }
  }

  @Test(arguments: SkeletonError.environmentRows)
  func variablesComeBeforeTheConfiguration(_ row: SkeletonError) async throws {
    let answer = try await Call(row.command, "", row.variables).run()
    #expect(answer.code == row.code && answer.message == row.message, "\(answer)")
  }

  @Test func standardInputThatCannotBeRead() async throws {
    var call = Call("ADD")
    call.input = .file("/")
    for program in [Program.ours, Program.hostLocal] {
      let answer = try await call.by(program).run()
      #expect(answer.code == 5, "\(answer)")
      #expect(answer.message?.hasPrefix("error reading from stdin: ") == true, "\(answer)")
    }
  }

  @Test func version() async throws {
    let answer = try await Call("VERSION", #"{"cniVersion": "0.3.1"}"#).succeeds()
    #expect(
      answer.json == [
        "cniVersion": "1.1.0",
        "supportedVersions": ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"],
      ])
    #expect(answer.ended.output.hasSuffix("}\n") && answer.ended.errorOutput.isEmpty)
    #expect(!answer.ended.output.dropLast().contains("\n"))
  }

  @Test(arguments: [nil, ""])
  func byHand(_ command: String?) async throws {
    let answer = try await Call(command).succeeds()
    #expect(answer.ended.output.isEmpty)
    let lines = answer.ended.errorOutput.split(separator: "\n")
    #expect(lines.count == 2, "\(answer)")
    #expect(
      lines.last
        == "CNI protocol versions supported: 0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0")
  }

  /// The spec asks for it, the reference's skeleton leaves it out.
  @Test func errorsCarryTheVersionOfTheConfiguration() async throws {
    let answer = try await Call("ADD", #"{"cniVersion": "0.4.0", "name": "net"}"#).run()
    #expect(answer.isError && answer.json?["cniVersion"] == "0.4.0", "\(answer)")
  }
}
