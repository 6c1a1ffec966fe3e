// What a command prints, held against files: Golden/NAME.table and Golden/NAME.json. What differs from
// run to run (times, nonces, ports, the test's prefix and folder) is replaced by something of the same
// width, so that columns stay columns.
//
//   CNI_IPAM_GOLDEN=write swift test --filter IpamctlTests    writes the files anew; look at the diff

import JSON
import TestSupport
import Testing

extension Bench {
  /// Runs a command as a table and as JSON and holds both outputs against the golden files of a name.
  ///
  /// - Parameters:
  ///   - name: The files' name without its end; unique among all tests.
  ///   - words: The command without `--output`.
  ///   - exitStatus: What both runs must end with.
  ///   - replacing: What else differs from run to run, and what stands for it; the longest first.
  func golden(
    _ name: String, _ words: [String], exitStatus: Int32 = 0,
    replacing: KeyValuePairs<String, String> = [:],
    sourceLocation: SourceLocation = #_sourceLocation
  ) async throws {
    for format in Self.formats {
      try await golden(
        name, format, words, exitStatus: exitStatus, replacing: replacing,
        sourceLocation: sourceLocation)
    }
  }

  static let formats = ["table", "json"]

  /// Runs a command once, for those that cannot be repeated.
  func golden(
    _ name: String, _ format: String, _ words: [String], exitStatus: Int32 = 0,
    replacing: KeyValuePairs<String, String> = [:],
    sourceLocation: SourceLocation = #_sourceLocation
  ) async throws {
    let ended = try await ctl(words + ["--output", format])
    #expect(ended.exitStatus == exitStatus, "\(ended)", sourceLocation: sourceLocation)
    if format == "json" { _ = try ended.json }
    try expectGolden(
      "\(name).\(format)", ended.output, replacing: replacing, sourceLocation: sourceLocation)
  }

  /// Holds a text against `Golden/NAME`, which ends as its kind does (`.table`, `.json`, `.svg`, …).
  func expectGolden(
    _ name: String, _ text: String, replacing: KeyValuePairs<String, String> = [:],
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    var text = text
    for (part, standIn) in replacing { text.replace(part, with: standIn) }
    text.replace(folder.path, with: "FOLDER")
    text.replace(consul.address, with: "CONSUL")
    text.replace(prefix, with: Self.prefixInGoldenFiles)
    text.replace(/[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z/, with: Self.time)
    text.replace(/"(nonce|incarnation)": "[0-9a-f]{16}"/) { "\"\($0.1)\": \"0123456789abcdef\"" }
    text.replace(/"(createdAt|firstSeen)": [0-9]+/) { "\"\($0.1)\": 1234567890" }
    let path = "Tests/IpamctlTests/Golden/\(name)"
    if environmentVariable("CNI_IPAM_GOLDEN") == "write" {
      return try writeRepositoryFile(path, text)
    }
    guard let file = try? readRepositoryFile(path) else {
      Issue.record("no \(path): CNI_IPAM_GOLDEN=write makes it", sourceLocation: sourceLocation)
      return
    }
    let expected = String(decoding: file, as: UTF8.self)
    let difference = firstDifference(text, expected)
    #expect(
      text == expected, "\(path), \(difference)\nAll of it:\n\(text)",
      sourceLocation: sourceLocation)
  }

  private static let time = "YYYY-MM-DDThh:mm:ssZ"
  private static let prefixInGoldenFiles = "test-" + String(repeating: "0", count: 16)
}

private func firstDifference(_ text: String, _ expected: String) -> String {
  let (lines, wanted) = (text.split(separator: "\n"), expected.split(separator: "\n"))
  for index in 0..<max(lines.count, wanted.count) {
    let line = index < lines.count ? lines[index] : "(nothing)"
    let want = index < wanted.count ? wanted[index] : "(nothing)"
    if line != want { return "line \(index + 1):\n  printed  \(line)\n  golden   \(want)" }
  }
  return "other empty lines"
}
