// What a runtime is told when a command fails: the error object of the CNI specification. Codes
// below 100 are the specification's, from 100 on they are this plugin's.

public import JSON

/// A failure as the runtime sees it: a code, a message, and what to do about it.
public struct CNIError: Error, Hashable, Sendable {
  /// What class of failure it is, for programs.
  public let code: Code
  /// What happened, in one line; the reference's words where it has some.
  public let message: String
  /// Where, and what to do; empty if there is nothing to add.
  public let details: String

  /// A failure of the given class. O(1).
  public init(_ code: Code, _ message: String, details: String = "") {
    self.code = code
    self.message = message
    self.details = details
  }

  /// The number that tells a program what class of failure it is.
  public struct Code: RawRepresentable, Hashable, Sendable {
    /// The number as it is printed.
    public let rawValue: Int

    /// The code with this number.
    public init(rawValue: Int) { self.rawValue = rawValue }

    /// 1: the version of the configuration is not served.
    public static let incompatibleVersion = Code(rawValue: 1)
    /// 4: an environment variable is missing or wrong.
    public static let environment = Code(rawValue: 4)
    /// 5: reading or writing failed.
    public static let inputOutput = Code(rawValue: 5)
    /// 6: the configuration is not JSON, or a value in it is of the wrong type.
    public static let decoding = Code(rawValue: 6)
    /// 7: the configuration says something impossible.
    public static let configuration = Code(rawValue: 7)
    /// 11: it may work later (store unreachable, contention past the deadline, unknown outcome).
    public static let tryAgainLater = Code(rawValue: 11)
    /// 50: STATUS: an ADD cannot be served.
    public static let notAvailable = Code(rawValue: 50)
    /// 51: STATUS: an ADD cannot be served, and existing containers may have lost connectivity.
    public static let notAvailableLimited = Code(rawValue: 51)
    /// 101: no free address is left.
    public static let exhausted = Code(rawValue: 101)
    /// 102: the requested address or MAC address belongs to another attachment.
    public static let taken = Code(rawValue: 102)
    /// 103: CHECK found a difference.
    public static let checkFailed = Code(rawValue: 103)
    /// 104: stored data is damaged.
    public static let damagedData = Code(rawValue: 104)
    /// 999: a failure without a class of its own, as in the reference's skeleton.
    public static let internalFailure = Code(rawValue: 999)
  }
}

extension CNIError {
  /// Any other error as a failure of code 999 with its description.
  public init(wrapping error: any Error) {
    self = error as? CNIError ?? CNIError(.internalFailure, "\(error)")
  }

  /// The error object of the specification; `version` is that of the configuration, if known.
  public func json(version: CNISpecVersion? = nil) -> JSONValue {
    var members: [JSONValue.Member] = []
    if let version { members.append(.init("cniVersion", .string(version.rawValue))) }
    members.append(.init("code", .number(code.rawValue)))
    members.append(.init("msg", .string(message)))
    if !details.isEmpty { members.append(.init("details", .string(details))) }
    return .object(members)
  }
}

extension CNIError: CustomStringConvertible {
  /// The message, with the details behind it.
  public var description: String { details.isEmpty ? message : "\(message) (\(details))" }
}
