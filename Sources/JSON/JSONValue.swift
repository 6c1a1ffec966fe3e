// A JSON document (RFC 8259) as a tree that loses nothing: members keep their order and their
// duplicates, numbers keep their digits. Members are found as Go's encoding/json finds them,
// because that is what every other CNI plugin does: case is ignored and the last one wins.

/// A decoded JSON value, or one to be printed.
public enum JSONValue: Hashable, Sendable {
  /// `null`.
  case null
  /// `true` or `false`.
  case bool(Bool)
  /// A number, as the digits that were written or are to be written.
  case number(literal: String)
  /// A string, unescaped.
  case string(String)
  /// An array.
  case array([JSONValue])
  /// An object: its members in the order of the text.
  case object([Member])

  /// One `"key": value` of an object.
  public struct Member: Hashable, Sendable {
    /// The key as it was written.
    public let key: String
    /// The value.
    public let value: JSONValue

    /// A member `"key": value`.
    public init(_ key: String, _ value: JSONValue) {
      self.key = key
      self.value = value
    }
  }
}

extension JSONValue {
  /// The value of the last member whose key equals `key` but for the case of ASCII letters; nil if
  /// there is none or this is not an object. A `null` member is `.null`. O(members).
  public subscript(key: String) -> JSONValue? {
    guard case .object(let members) = self else { return nil }
    return members.last { equalIgnoringCase($0.key, key) }?.value
  }

  /// The string, if this is one.
  public var string: String? {
    if case .string(let text) = self { text } else { nil }
  }

  /// The elements, if this is an array.
  public var elements: [JSONValue]? {
    if case .array(let values) = self { values } else { nil }
  }

  /// The number, if this is one that was written as an integer and fits; `1.0` and `1e3` do not
  /// count, as in Go.
  public var integer: Int? {
    if case .number(let literal) = self { Int(literal) } else { nil }
  }

  /// An integer to be printed.
  public static func number(_ value: Int) -> JSONValue { .number(literal: String(value)) }

  /// What kind of value this is, with its article, for messages.
  public var kind: String {
    switch self {
    case .null: "null"
    case .bool: "a boolean"
    case .number: "a number"
    case .string: "a string"
    case .array: "an array"
    case .object: "an object"
    }
  }
}

extension JSONValue: ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral,
  ExpressibleByStringLiteral
{
  /// An array of the elements.
  public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }

  /// An object of the members, in the order written.
  public init(dictionaryLiteral elements: (String, JSONValue)...) {
    self = .object(elements.map { Member($0.0, $0.1) })
  }

  /// A string.
  public init(stringLiteral value: String) { self = .string(value) }
}

private func equalIgnoringCase(_ left: String, _ right: String) -> Bool {
  func lowered(_ byte: UInt8) -> UInt8 { (0x41...0x5a).contains(byte) ? byte | 0x20 : byte }
  // Most pairs differ in length: a configuration is asked for hundreds of keys that it has not.
  guard left.utf8.count == right.utf8.count else { return false }
  return left.utf8.elementsEqual(right.utf8) { lowered($0) == lowered($1) }
}
