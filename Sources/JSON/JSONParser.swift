// A strict JSON parser (RFC 8259) for what a runtime writes to standard input, and for the records
// in a store. It is our own
// because FoundationEssentials' decoder costs 1.3 ms of a process that has 2.4 ms in all (this one:
// 0.05), takes commas that nobody else takes, drops the order of members, keeps the first of
// duplicates where Go keeps the last, and does not say where an error is. Recursive descent, one
// pass, bounded in depth; the messages are those of Go's encoding/json, which operators know.
//
//   value -> object | array | string | number | true | false | null
//   JSONParser+Scalars.swift reads the last five.

/// Why a text is not JSON, in the words of Go's encoding/json.
public struct JSONSyntaxError: Error, Hashable, Sendable {
  /// What is wrong, for example `invalid character '}' looking for beginning of value`.
  public let message: String
  /// The byte at which it shows, from 0; the length of the text if it ended too early.
  public let position: Int
}

/// The bounds of a JSON text from outside.
public enum JSONLimits {
  /// Bytes of a text: a GC list of 60,000 attachments with IDs of 64 digits is 8 MB.
  public static let bytes = 16 << 20
  /// Arrays and objects around a value. A real configuration has 6. A level costs less than 400
  /// bytes of stack (2 KB in a debug build): 48 KiB for all of them.
  public static let depth = 128
}

extension JSONValue {
  /// Parses a whole text. Invalid UTF-8 and lone surrogates become U+FFFD. O(bytes).
  public init(parsing bytes: [UInt8]) throws(JSONSyntaxError) {
    guard bytes.count <= JSONLimits.bytes else {
      throw JSONSyntaxError(
        message: "more than \(JSONLimits.bytes) bytes", position: JSONLimits.bytes)
    }
    var parser = JSONParser(bytes: bytes)
    self = try parser.value()
    parser.skipWhitespace()
    if parser.position < bytes.count { throw parser.unexpected("after top-level value") }
  }
}

struct JSONParser {
  let bytes: [UInt8]
  var position = 0
  private var depth = 0

  init(bytes: [UInt8]) { self.bytes = bytes }

  /// The byte at the position, nil at the end.
  var next: UInt8? { position < bytes.count ? bytes[position] : nil }

  mutating func value() throws(JSONSyntaxError) -> JSONValue {
    skipWhitespace()
    guard let next else { throw unexpected("looking for beginning of value") }
    switch next {
    case UInt8(ascii: "{"): return .object(try members())
    case UInt8(ascii: "["): return .array(try elements())
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try word("true", .bool(true))
    case UInt8(ascii: "f"): return try word("false", .bool(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
      return .number(literal: try number())
    default: throw unexpected("looking for beginning of value")
    }
  }

  private mutating func members() throws(JSONSyntaxError) -> [JSONValue.Member] {
    try open()
    defer { depth -= 1 }
    var members: [JSONValue.Member] = []
    if take("}") { return members }
    while true {
      skipWhitespace()
      guard next == UInt8(ascii: "\"") else {
        throw unexpected("looking for beginning of object key string")
      }
      let key = try string()
      skipWhitespace()
      guard take(":") else { throw unexpected("after object key") }
      members.append(.init(key, try value()))
      skipWhitespace()
      if take("}") { return members }
      guard take(",") else { throw unexpected("after object key:value pair") }
    }
  }

  private mutating func elements() throws(JSONSyntaxError) -> [JSONValue] {
    try open()
    defer { depth -= 1 }
    var elements: [JSONValue] = []
    if take("]") { return elements }
    while true {
      elements.append(try value())
      skipWhitespace()
      if take("]") { return elements }
      guard take(",") else { throw unexpected("after array element") }
    }
  }

  /// Goes behind an opening bracket, one level down.
  private mutating func open() throws(JSONSyntaxError) {
    guard depth < JSONLimits.depth else {
      throw JSONSyntaxError(
        message: "more than \(JSONLimits.depth) levels of nesting", position: position)
    }
    depth += 1
    position += 1
    skipWhitespace()
  }

  mutating func skipWhitespace() {
    while let byte = next, byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 {
      position += 1
    }
  }

  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard next == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  /// The error about the byte at the position: it cannot stand here, or there is none.
  func unexpected(_ context: String) -> JSONSyntaxError {
    guard let next else {
      return JSONSyntaxError(message: "unexpected end of JSON input", position: position)
    }
    let shown =
      switch next {
      case UInt8(ascii: "'"): #"'\''"#
      case UInt8(ascii: "\""): #"'"'"#
      default: "'" + goQuoted(String(Unicode.Scalar(next))).dropFirst().dropLast() + "'"
      }
    return JSONSyntaxError(message: "invalid character \(shown) \(context)", position: position)
  }
}
