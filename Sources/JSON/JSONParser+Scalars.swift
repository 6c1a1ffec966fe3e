// The leaves of a JSON text: words, numbers, strings and their escapes.

extension JSONParser {
  mutating func word(_ word: StaticString, _ value: JSONValue) throws(JSONSyntaxError)
    -> JSONValue
  {
    for index in 0..<word.utf8CodeUnitCount {
      let expected = word.utf8Start[index]
      guard next == expected else {
        throw unexpected("in literal \(word) (expecting '\(Unicode.Scalar(expected))')")
      }
      position += 1
    }
    return value
  }

  /// The literal of a number: `-`, an integer without leading zeros, fraction, exponent.
  mutating func number() throws(JSONSyntaxError) -> String {
    let start = position
    if next == UInt8(ascii: "-") { position += 1 }
    if next == UInt8(ascii: "0") {
      position += 1
    } else {
      try digits("in numeric literal")
    }
    if next == UInt8(ascii: ".") {
      position += 1
      try digits("after decimal point in numeric literal")
    }
    if next == UInt8(ascii: "e") || next == UInt8(ascii: "E") {
      position += 1
      if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { position += 1 }
      try digits("in exponent of numeric literal")
    }
    return String(decoding: bytes[start..<position], as: UTF8.self)
  }

  private mutating func digits(_ context: String) throws(JSONSyntaxError) {
    func isDigit(_ byte: UInt8?) -> Bool { byte.map { (0x30...0x39).contains($0) } ?? false }
    guard isDigit(next) else { throw unexpected(context) }
    while isDigit(next) { position += 1 }
  }

  /// A string from its opening quote to behind its closing one.
  mutating func string() throws(JSONSyntaxError) -> String {
    position += 1
    var start = position
    var text = ""
    while let byte = next {
      switch byte {
      case UInt8(ascii: "\""):
        text += String(decoding: bytes[start..<position], as: UTF8.self)
        position += 1
        return text
      case UInt8(ascii: "\\"):
        text += String(decoding: bytes[start..<position], as: UTF8.self)
        position += 1
        text.unicodeScalars.append(try escape())
        start = position
      case 0..<0x20: throw unexpected("in string literal")
      default: position += 1
      }
    }
    throw unexpected("in string literal")
  }

  /// What stands behind a backslash.
  private mutating func escape() throws(JSONSyntaxError) -> Unicode.Scalar {
    let scalar: Unicode.Scalar
    switch next {
    case UInt8(ascii: "\""): scalar = "\""
    case UInt8(ascii: "\\"): scalar = "\\"
    case UInt8(ascii: "/"): scalar = "/"
    case UInt8(ascii: "b"): scalar = "\u{8}"
    case UInt8(ascii: "f"): scalar = "\u{c}"
    case UInt8(ascii: "n"): scalar = "\n"
    case UInt8(ascii: "r"): scalar = "\r"
    case UInt8(ascii: "t"): scalar = "\t"
    case UInt8(ascii: "u"): return try unicodeEscape()
    default: throw unexpected("in string escape code")
    }
    position += 1
    return scalar
  }

  /// `uXXXX`, or a surrogate pair of two; a surrogate without its partner becomes U+FFFD.
  private mutating func unicodeEscape() throws(JSONSyntaxError) -> Unicode.Scalar {
    let unit = try hexUnit()
    guard (0xd800..<0xdc00).contains(unit) else { return Unicode.Scalar(unit) ?? "\u{fffd}" }
    let behindHigh = position
    guard bytes[position...].starts(with: "\\u".utf8) else { return "\u{fffd}" }
    position += 1
    let low = try hexUnit()
    guard (0xdc00..<0xe000).contains(low) else {
      position = behindHigh
      return "\u{fffd}"
    }
    return Unicode.Scalar(0x10000 + (unit - 0xd800) << 10 + (low - 0xdc00)) ?? "\u{fffd}"
  }

  private mutating func hexUnit() throws(JSONSyntaxError) -> UInt32 {
    position += 1
    var unit: UInt32 = 0
    for _ in 0..<4 {
      guard let digit = next.flatMap({ Character(Unicode.Scalar($0)).hexDigitValue }) else {
        throw unexpected("in \\u hexadecimal character escape")
      }
      unit = unit << 4 | UInt32(digit)
      position += 1
    }
    return unit
  }
}
