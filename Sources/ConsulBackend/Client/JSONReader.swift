// A strict pull reader for the JSON that Consul answers with: the caller says what it expects,
// unknown members are skipped. It exists because a listing of 65,536 leases goes through it and
// because linking a general decoder costs a one-shot process more than this file.
// RFC 8259; nesting is bounded, numbers are unsigned 64-bit (an index) or skipped.

internal import Glibc

/// The reply is not the JSON that was expected.
struct JSONError: Error, Hashable {
  let position: Int
  let expected: String
}

struct JSONReader {
  private let bytes: [UInt8]
  private var position = 0
  private var depth = 0
  /// Consul's deepest reply, /v1/agent/self, has 6 levels.
  private static let maximumDepth = 32

  init(_ bytes: [UInt8]) {
    self.bytes = bytes
  }

  private func failure(_ expected: String) -> JSONError {
    JSONError(position: position, expected: expected)
  }

  private mutating func next() -> UInt8? {
    while position < bytes.count {
      switch bytes[position] {
      case 0x20, 0x0a, 0x0d, 0x09: position += 1
      case let byte: return byte
      }
    }
    return nil
  }

  private mutating func take(_ byte: UInt8) -> Bool {
    guard next() == byte else { return false }
    position += 1
    return true
  }

  private mutating func literal(_ text: StaticString) -> Bool {
    _ = next()
    return take(text)
  }

  /// Exactly this text, with nothing before it, if it stands here.
  mutating func take(_ text: StaticString) -> Bool {
    take(UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }

  /// A string's content that needs no escape, if it stands here.
  mutating func take(plain text: String) -> Bool {
    let start = position
    let isThere = text.utf8.withContiguousStorageIfAvailable { take($0) } ?? false
    guard isThere, !bytes[start..<position].contains(UInt8(ascii: "\\")) else {
      position = start
      return false
    }
    return true
  }

  private mutating func take(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
    guard text.count <= bytes.count - position, let start = text.baseAddress else { return false }
    let place = position
    let isThere = bytes.withUnsafeBufferPointer { bytes in
      memcmp(bytes.baseAddress! + place, start, text.count) == 0
    }
    if isThere { position += text.count }
    return isThere
  }

  /// What `read` makes of the text; nothing is read if that is nil.
  mutating func attempt<Value>(_ read: (inout JSONReader) -> Value?) -> Value? {
    let start = position
    let value = read(&self)
    if value == nil { position = start }
    return value
  }

  /// `null`, if it stands here.
  mutating func null() -> Bool { literal("null") }

  /// Nothing but white space is left.
  mutating func finish() throws(JSONError) {
    guard next() == nil else { throw failure("the end") }
  }

  mutating func array(
    _ element: (inout JSONReader) throws(JSONError) -> Void
  ) throws(JSONError) {
    guard take(UInt8(ascii: "[")) else { throw failure("an array") }
    try enter()
    defer { depth -= 1 }
    if take(UInt8(ascii: "]")) { return }
    repeat { try element(&self) } while take(UInt8(ascii: ","))
    guard take(UInt8(ascii: "]")) else { throw failure("a comma or ]") }
  }

  /// Calls `member` with the name of each; it must read or skip the value.
  mutating func object(
    _ member: (inout JSONReader, String) throws(JSONError) -> Void
  ) throws(JSONError) {
    guard take(UInt8(ascii: "{")) else { throw failure("an object") }
    try enter()
    defer { depth -= 1 }
    if take(UInt8(ascii: "}")) { return }
    repeat {
      let name = try string()
      guard take(UInt8(ascii: ":")) else { throw failure("a colon") }
      try member(&self, name)
    } while take(UInt8(ascii: ","))
    guard take(UInt8(ascii: "}")) else { throw failure("a comma or }") }
  }

  private mutating func enter() throws(JSONError) {
    depth += 1
    guard depth <= Self.maximumDepth else { throw failure("less nesting") }
  }

  mutating func unsigned() throws(JSONError) -> UInt64 {
    _ = next()
    let start = position
    var value: UInt64 = 0
    while position < bytes.count, case let digit = bytes[position] &- 0x30, digit < 10 {
      let (product, tooLarge) = value.multipliedReportingOverflow(by: 10)
      let (sum, overflow) = product.addingReportingOverflow(UInt64(digit))
      guard !tooLarge, !overflow else { throw failure("a 64-bit number") }
      value = sum
      position += 1
    }
    guard position > start, bytes[start] != 0x30 || position == start + 1 else {
      throw failure("an unsigned number")
    }
    if position < bytes.count, [0x2e, 0x45, 0x65].contains(bytes[position]) {
      throw failure("a whole number")
    }
    return value
  }

  mutating func string() throws(JSONError) -> String {
    let raw = try rawString()
    if !raw.contains(UInt8(ascii: "\\")) {
      return String(decoding: raw, as: UTF8.self)
    }
    return try unescape(raw)
  }

  /// Base64 in a string; `null` is empty.
  mutating func byteString() throws(JSONError) -> [UInt8] {
    if null() { return [] }
    let raw = try rawString()
    if let bytes = Base64.decode(raw) { return bytes }
    let text = try unescape(raw)  // some writers escape the slash
    guard let bytes = Base64.decode(Array(text.utf8)[...]) else { throw failure("base64") }
    return bytes
  }

  /// The bytes between the quotes, escapes and all.
  private mutating func rawString() throws(JSONError) -> ArraySlice<UInt8> {
    guard take(UInt8(ascii: "\"")) else { throw failure("a string") }
    let start = position
    let end = bytes.withUnsafeBufferPointer { bytes in
      let rest = UnsafeBufferPointer(rebasing: bytes[start...])
      guard let first = rest.baseAddress,
        let quote = memchr(first, Int32(UInt8(ascii: "\"")), rest.count)
      else { return Self.slowEnd(bytes, start) }
      // Values are long and plain: a pass without branches tells that nothing ends them earlier.
      let count = UnsafeRawPointer(quote) - UnsafeRawPointer(first)
      var odd: UInt8 = 0
      for index in 0..<count {
        odd |= (rest[index] < 0x20 ? 1 : 0) | (rest[index] == 0x5c ? 1 : 0)
      }
      return odd != 0 ? Self.slowEnd(bytes, start) : start + count
    }
    position = end
    guard end < bytes.count else { throw failure("the end of a string") }
    guard bytes[end] >= 0x20 else { throw failure("no control character in a string") }
    position = end + 1
    return bytes[start..<end]
  }

  /// Where a string's closing quote or a control character is, or the end.
  private static func slowEnd(_ bytes: UnsafeBufferPointer<UInt8>, _ start: Int) -> Int {
    var end = start
    while end < bytes.count, bytes[end] != UInt8(ascii: "\""), bytes[end] >= 0x20 {
      end += bytes[end] == UInt8(ascii: "\\") ? 2 : 1
    }
    return min(end, bytes.count)
  }

  private func unescape(_ raw: ArraySlice<UInt8>) throws(JSONError) -> String {
    var text: [UInt8] = []
    var rest = raw
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "\\") else {
        text.append(byte)
        continue
      }
      switch rest.popFirst() {
      case UInt8(ascii: "n")?: text.append(0x0a)
      case UInt8(ascii: "t")?: text.append(0x09)
      case UInt8(ascii: "r")?: text.append(0x0d)
      case UInt8(ascii: "b")?: text.append(0x08)
      case UInt8(ascii: "f")?: text.append(0x0c)
      case let same? where [0x22, 0x2f, 0x5c].contains(same): text.append(same)
      case UInt8(ascii: "u")?:
        guard let scalar = Self.scalar(&rest) else { throw failure("a \\u escape") }
        text.append(contentsOf: Character(scalar).utf8)
      default: throw failure("an escape")
      }
    }
    return String(decoding: text, as: UTF8.self)
  }

  /// The scalar of one `\u` escape or of a surrogate pair of two; a lone surrogate is U+FFFD.
  private static func scalar(_ rest: inout ArraySlice<UInt8>) -> Unicode.Scalar? {
    func unit(_ digits: ArraySlice<UInt8>) -> UInt32? {
      guard digits.count == 4, digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit })
      else { return nil }
      return UInt32(String(decoding: digits, as: UTF8.self), radix: 16)
    }
    guard let first = unit(rest.prefix(4)) else { return nil }
    rest = rest.dropFirst(4)
    if (0xd800..<0xdc00).contains(first), rest.starts(with: Array("\\u".utf8)),
      let second = unit(rest.dropFirst(2).prefix(4)), (0xdc00..<0xe000).contains(second)
    {
      rest = rest.dropFirst(6)
      return Unicode.Scalar(0x10000 + (first - 0xd800) << 10 + (second - 0xdc00))
    }
    return Unicode.Scalar(first) ?? "\u{fffd}"
  }

  mutating func skip() throws(JSONError) {
    switch next() {
    case UInt8(ascii: "{")?: try object { (reader, _) throws(JSONError) in try reader.skip() }
    case UInt8(ascii: "[")?: try array { (reader) throws(JSONError) in try reader.skip() }
    case UInt8(ascii: "\"")?: _ = try rawString()
    default:
      if literal("true") || literal("false") || null() { return }
      let isNumber = { (byte: UInt8) in
        (0x30...0x39).contains(byte) || "+-.eE".utf8.contains(byte)
      }
      let number = bytes[position...].prefix(while: isNumber)
      guard !number.isEmpty else { throw failure("a value") }
      position = number.endIndex
    }
  }
}
