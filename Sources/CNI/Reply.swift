// What leaves the process: an exit status and two texts.

internal import JSON

/// A finished command.
public struct Reply: Hashable, Sendable {
  /// 0 for success, 1 for failure.
  public let exitStatus: Int32
  /// What goes to standard output.
  public let standardOutput: String
  /// What goes to standard error.
  public let standardError: String

  private init(exitStatus: Int32 = 0, standardOutput: String = "", standardError: String = "") {
    self.exitStatus = exitStatus
    self.standardOutput = standardOutput
    self.standardError = standardError
  }

  /// Success without a word: DEL, CHECK, GC, STATUS.
  public static let success = Reply()

  /// The answer to VERSION: one line. It does not depend on standard input, which is not read.
  public static let version: Reply = {
    let versions = CNISpecVersion.allCases.map { JSONValue.string($0.rawValue) }
    let object: JSONValue = [
      "cniVersion": .string(CNISpecVersion.newest.rawValue), "supportedVersions": .array(versions),
    ]
    return Reply(standardOutput: object.compact + "\n")
  }()

  /// What is said to whoever starts the plugin by hand, without CNI_COMMAND.
  public static func about(_ about: String) -> Reply {
    let versions = CNISpecVersion.allCases.map(\.rawValue).joined(separator: ", ")
    return Reply(standardError: "\(about)\nCNI protocol versions supported: \(versions)\n")
  }

  /// A failure: its error object; `version` is that of the configuration, if known.
  public static func failure(_ error: CNIError, version: CNISpecVersion? = nil) -> Reply {
    Reply(exitStatus: 1, standardOutput: error.json(version: version).printed)
  }

  /// The answer to ADD. Throws code 999 if the result cannot be said in that version.
  public static func result(_ result: AddResult, version: CNISpecVersion) throws(CNIError) -> Reply
  {
    Reply(standardOutput: try result.json(version: version).printed)
  }
}

extension JSONValue {
  /// The text as plugins of the reference print it: Go escapes what HTML and JavaScript would take for
  /// theirs. Outside of strings JSON has none of it.
  fileprivate var printed: String {
    let text = indented
    guard text.unicodeScalars.contains(where: { Self.escape(of: $0) != nil }) else { return text }
    return text.unicodeScalars.reduce(into: "") { printed, scalar in
      if let escape = Self.escape(of: scalar) {
        printed += escape
      } else {
        printed.unicodeScalars.append(scalar)
      }
    }
  }

  private static func escape(of scalar: Unicode.Scalar) -> String? {
    switch scalar {
    case "<": "\\u003c"
    case ">": "\\u003e"
    case "&": "\\u0026"
    case "\u{2028}": "\\u2028"
    case "\u{2029}": "\\u2029"
    default: nil
    }
  }
}
