// The versions of the CNI specification that are served, and which command needs which: CHECK came
// with 0.4.0, GC and STATUS with 1.1.0.

internal import JSON

/// A version of the CNI specification that this plugin serves.
public enum CNISpecVersion: String, Hashable, Sendable, CaseIterable {
  /// 0.1.0: results in the `ip4`/`ip6` form. Also what a configuration without version means.
  case v010 = "0.1.0"
  /// 0.2.0: the VERSION command.
  case v020 = "0.2.0"
  /// 0.3.0: results as a list `ips`.
  case v030 = "0.3.0"
  /// 0.3.1: the same, without an error in the text.
  case v031 = "0.3.1"
  /// 0.4.0: CHECK.
  case v040 = "0.4.0"
  /// 1.0.0: no `version` in the elements of `ips`.
  case v100 = "1.0.0"
  /// 1.1.0: GC and STATUS; more about routes.
  case v110 = "1.1.0"

  /// The newest version.
  public static let newest = CNISpecVersion.v110
}

extension CNISpecVersion: Comparable {
  /// Whether the left version is older.
  public static func < (left: CNISpecVersion, right: CNISpecVersion) -> Bool {
    left.rawValue < right.rawValue  // parts of one digit each: the order of texts is theirs
  }

  /// The version that a configuration declares, if `command` exists in it. Throws code 1 for a
  /// version that is not served or is too old for the command; code 6 if the command needs to
  /// compare it and cannot.
  public init(declared: String, for command: CNICommand) throws(CNIError) {
    if let minimum = command.minimumVersion {
      let triple = try VersionTriple(parsing: declared)
      guard triple >= minimum.triple else {
        throw CNIError(.incompatibleVersion, "config version does not allow \(command.rawValue)")
      }
      guard triple <= CNISpecVersion.newest.triple else {
        throw CNIError(.incompatibleVersion, "plugin version does not allow \(command.rawValue)")
      }
    }
    guard let version = CNISpecVersion(rawValue: declared.isEmpty ? "0.1.0" : declared) else {
      let served = goQuoted(CNISpecVersion.allCases.map(\.rawValue))
      throw CNIError(
        .incompatibleVersion, "incompatible CNI versions",
        details: "config is \(goQuoted(declared)), plugin supports \(served)")
    }
    self = version
  }

  private var triple: VersionTriple {
    let parts = rawValue.split(separator: ".").compactMap { Int($0) }
    return VersionTriple(parts: (parts[0], parts[1], parts[2]))
  }
}

/// Any version text of up to three numbers, to be compared; missing parts are 0.
private struct VersionTriple: Comparable {
  var parts: (Int, Int, Int)

  init(parts: (Int, Int, Int)) { self.parts = parts }

  init(parsing text: String) throws(CNIError) {
    let texts = text.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    guard texts.count <= 3 else {
      throw CNIError(.decoding, "invalid version \(goQuoted(text)): too many parts")
    }
    var numbers = text.isEmpty ? [0, 1, 0] : []
    for (part, name) in zip(text.isEmpty ? [] : texts, ["major", "minor", "micro"]) {
      guard let number = Int(part) else {
        let quoted = goQuoted(part)
        throw CNIError(
          .decoding,
          "failed to convert \(name) version part \(quoted): "
            + "strconv.Atoi: parsing \(quoted): invalid syntax")
      }
      numbers.append(number)
    }
    numbers += [0, 0]
    parts = (numbers[0], numbers[1], numbers[2])
  }

  static func == (left: Self, right: Self) -> Bool { left.parts == right.parts }
  static func < (left: Self, right: Self) -> Bool { left.parts < right.parts }
}
