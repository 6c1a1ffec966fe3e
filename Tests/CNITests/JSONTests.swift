// The JSON parser and printer: the reference's words for what is wrong, nothing lost of what is
// right, and no input that crashes.

import CNI
import FoundationEssentials
import JSON
import Testing

struct JSONTests {
  /// What Go said about these texts, run by run, but for the ends where it says the same.
  static let refused: [(String, String, Int)] = [
    ("", "unexpected end of JSON input", 0),
    (" ", "unexpected end of JSON input", 1),
    ("{", "unexpected end of JSON input", 1),
    (#"{"a"#, "unexpected end of JSON input", 3),
    (#"{"a":"#, "unexpected end of JSON input", 5),
    (#"{"a":1"#, "unexpected end of JSON input", 6),
    (#"{"a":1,"#, "unexpected end of JSON input", 7),
    (#"{"a":"\"#, "unexpected end of JSON input", 7),
    (#"{"a":1,}"#, "invalid character '}' looking for beginning of object key string", 7),
    ("{a:1}", "invalid character 'a' looking for beginning of object key string", 1),
    (#"{"a" 1}"#, "invalid character '1' after object key", 5),
    (#"{"a":1 "b":2}"#, #"invalid character '"' after object key:value pair"#, 7),
    (#"{"a":01}"#, "invalid character '1' after object key:value pair", 6),
    (#"{"a":1.5.5}"#, "invalid character '.' after object key:value pair", 8),
    ("[1 2]", "invalid character '2' after array element", 3),
    ("[1,]", "invalid character ']' looking for beginning of value", 3),
    ("[1}", "invalid character '}' after array element", 2),
    ("trux", "invalid character 'x' in literal true (expecting 'e')", 3),
    ("faLse", "invalid character 'L' in literal false (expecting 'l')", 2),
    ("nil", "invalid character 'i' in literal null (expecting 'u')", 1),
    ("01", "invalid character '1' after top-level value", 1),
    ("-x", "invalid character 'x' in numeric literal", 1),
    ("1.x", "invalid character 'x' after decimal point in numeric literal", 2),
    ("1ex", "invalid character 'x' in exponent of numeric literal", 2),
    ("+1", "invalid character '+' looking for beginning of value", 0),
    (#"{"a":1} x"#, "invalid character 'x' after top-level value", 8),
    ("\"\u{1}\"", #"invalid character '\x01' in string literal"#, 1),
    ("{\"a\":\"\n\"}", #"invalid character '\n' in string literal"#, 6),
    (#""\x""#, "invalid character 'x' in string escape code", 2),
    (#""\u12g4""#, #"invalid character 'g' in \u hexadecimal character escape"#, 5),
    ("'", #"invalid character '\'' looking for beginning of value"#, 0),
    ("\u{feff}{}", "invalid character 'ï' looking for beginning of value", 0),
  ]

  @Test(arguments: refused)
  func refuses(_ text: String, _ message: String, _ position: Int) {
    do {
      let value = try JSONValue(parsing: Array(text.utf8))
      Issue.record("\(value)")
    } catch {
      #expect(error.message == message)
      #expect(error.position == position)
    }
  }

  @Test func losesNothing() throws {
    let text =
      #" { "b" : [ 1 , -0.50e+10 , 18446744073709551616 , true , false , null ] ,"#
      + "\t\"a\":{}\n,\r\"b\":[], \"\":\"\" } "
    let value = try JSONValue(parsing: Array(text.utf8))
    #expect(
      value.compact
        == #"{"b":[1,-0.50e+10,18446744073709551616,true,false,null],"a":{},"b":[],"":""}"#)
    #expect(value["b"] == .array([]))
    #expect(value.elements == nil)
  }

  static let strings: [(String, String)] = [
    (#""\"\\\/\b\f\n\r\t\u0041""#, "\"\\/\u{8}\u{c}\n\r\tA"),
    (#""\u00e9\ud83d\ude00é""#, "\u{e9}\u{1f600}\u{e9}"),
    (#""\ud800""#, "\u{fffd}"),
    (#""\ud800x\udc00""#, "\u{fffd}x\u{fffd}"),
    (#""\ud800\u0041""#, "\u{fffd}A"),
    (#""\ud800\ud83d\ude00""#, "\u{fffd}\u{1f600}"),
    (#""\u0000""#, "\0"),
  ]

  @Test(arguments: strings)
  func unescapes(_ text: String, _ expected: String) throws {
    let string = try #require(try JSONValue(parsing: Array(text.utf8)).string)
    #expect(Array(string.utf8) == Array(expected.utf8))
    let printed = JSONValue.string(expected).compact
    #expect(try JSONValue(parsing: Array(printed.utf8)).string == expected)
  }

  @Test func repairsInvalidUTF8() throws {
    let value = try JSONValue(parsing: [0x22, 0xff, 0x41, 0xc3, 0x22])
    #expect(value.string == "\u{fffd}A\u{fffd}")
  }

  static let integers: [(String, Int?)] = [
    ("0", 0), ("-0", 0), ("9223372036854775807", .max), ("-9223372036854775808", .min),
    ("9223372036854775808", nil), ("1.0", nil), ("1e3", nil), ("\"1\"", nil), ("true", nil),
  ]

  @Test(arguments: integers)
  func readsIntegers(_ text: String, _ expected: Int?) throws {
    #expect(try JSONValue(parsing: Array(text.utf8)).integer == expected)
  }

  @Test func findsKeysAsGoDoes() throws {
    let text = #"{"Subnet": 1, "SUBNET": 2, "other": 3, "subnet": null}"#
    let value = try JSONValue(parsing: Array(text.utf8))
    #expect(value["subnet"] == .null)
    #expect(value["Other"]?.integer == 3)
    #expect(value["sub"] == nil)
    #expect(value["other "] == nil)
    #expect(JSONValue.null["other"] == nil)
  }

  @Test func isBoundedInDepth() throws {
    let text = String(repeating: "[", count: 128) + String(repeating: "]", count: 128)
    _ = try JSONValue(parsing: Array(text.utf8))
    let deeper = [UInt8](repeating: UInt8(ascii: "["), count: 1 << 20)
    #expect(throws: JSONSyntaxError.self) { try JSONValue(parsing: deeper) }
    let mixed = Array(String(repeating: #"[{"a":"#, count: 1 << 18).utf8)
    #expect(throws: JSONSyntaxError.self) { try JSONValue(parsing: mixed) }
    do {
      _ = try JSONValue(parsing: deeper)
    } catch {
      #expect(error.message == "more than 128 levels of nesting")
      #expect(error.position == 128)
    }
  }

  @Test func isBoundedInSize() throws {
    let spaces = [UInt8](repeating: 0x20, count: JSONLimits.bytes)
    #expect(throws: JSONSyntaxError.self) { try JSONValue(parsing: spaces + [0x31]) }
    #expect(try JSONValue(parsing: spaces.dropLast() + [0x31]).integer == 1)
  }
}

/// The same parser against FoundationEssentials' decoder, on texts made from a grammar and then
/// damaged.
struct JSONPropertyTests {
  /// What the library's decoder makes of a text: unordered, and numbers as `Double`.
  indirect enum Model: Decodable, Equatable {
    case null
    case bool(Bool)
    case number(Double)
    case string(String)
    case array([Model])
    case object([String: Model])

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      if container.decodeNil() {
        self = .null
      } else if let value = try? container.decode(Bool.self) {
        self = .bool(value)
      } else if let value = try? container.decode(String.self) {
        self = .string(value)
      } else if let value = try? container.decode([Model].self) {
        self = .array(value)
      } else if let value = try? container.decode([String: Model].self) {
        self = .object(value)
      } else {
        self = .number(try container.decode(Double.self))
      }
    }

    init(_ value: JSONValue) {
      switch value {
      case .null: self = .null
      case .bool(let value): self = .bool(value)
      case .number(let literal): self = .number(Double(literal) ?? .nan)
      case .string(let value): self = .string(value)
      case .array(let elements): self = .array(elements.map(Model.init))
      case .object(let members):
        // Of duplicates the library takes the first.
        self = .object(Dictionary(members.map { ($0.key, Model($0.value)) }) { first, _ in first })
      }
    }
  }

  /// A random value, its strings plain ASCII, its keys so distinct that two damaged bytes make none
  /// like another: the library does not look at the value of a key that comes again.
  static func value(_ depth: Int, _ generator: inout SeededGenerator) -> JSONValue {
    switch Int.random(in: 0..<(depth > 0 ? 7 : 5), using: &generator) {
    case 0: return .null
    case 1: return .bool(.random(using: &generator))
    case 2: return .number(.random(in: -1_000_000...1_000_000, using: &generator))
    case 3:
      let literals = ["0", "-0.5", "1e2", "2.25E-1", "1E+3", "-12.5e0"]
      return .number(literal: literals.randomElement(using: &generator) ?? "0")
    case 4:
      return .string(
        String(
          (0..<Int.random(in: 0...6, using: &generator)).map { _ in
            Character(Unicode.Scalar(UInt8.random(in: 0x20...0x7e, using: &generator)))
          }))
    case 5:
      return .array(
        (0..<Int.random(in: 0...3, using: &generator)).map { _ in value(depth - 1, &generator) })
    default:
      return .object(
        (0..<Int.random(in: 0...3, using: &generator)).map {
          .init("k\($0)\($0)\($0)", value(depth - 1, &generator))
        })
    }
  }

  @Test func printsWhatItParses() throws {
    var generator = SeededGenerator()
    for round in 0..<500 {
      let value = Self.value(5, &generator)
      for text in [value.compact, value.indented] {
        let again = try JSONValue(parsing: Array(text.utf8))
        #expect(again == value, "seed \(seed), round \(round): \(text)")
        let model = try JSONDecoder().decode(Model.self, from: Data(text.utf8))
        #expect(Model(value) == model, "seed \(seed), round \(round): \(text)")
      }
    }
  }

  /// Where the library errs: it refuses `0e2` (and `1e999`, a matter of Double), and takes a comma
  /// before a closing bracket.
  static func isDisputed(_ bytes: [UInt8]) -> Bool {
    var last: UInt8 = 0
    for byte in bytes {
      if (0x30...0x39).contains(last) && byte | 0x20 == UInt8(ascii: "e") { return true }
      if last == UInt8(ascii: ",") && (byte == UInt8(ascii: "]") || byte == UInt8(ascii: "}")) {
        return true
      }
      if byte > 0x20 { last = byte }
    }
    return false
  }

  @Test func acceptsWhatTheLibraryAccepts() {
    var generator = SeededGenerator()
    let alphabet = Array("{}[]:,\"\\ntrue0-. \n\u{1}".utf8)
    var accepted = 0
    for round in 0..<4_000 {
      var bytes = Array(Self.value(4, &generator).compact.utf8)
      for _ in 0..<Int.random(in: 1...2, using: &generator) {
        let index = Int.random(in: 0...bytes.count, using: &generator)
        let byte = alphabet.randomElement(using: &generator) ?? 0
        switch Int.random(in: 0..<3, using: &generator) {
        case 0: bytes.insert(byte, at: index)
        case 1 where index < bytes.count: bytes[index] = byte
        default: if index < bytes.count { bytes.remove(at: index) }
        }
      }
      if Self.isDisputed(bytes) { continue }
      let ours = (try? JSONValue(parsing: bytes)).map(Model.init)
      let theirs = try? JSONDecoder().decode(Model.self, from: Data(bytes))
      let text = String(decoding: bytes, as: UTF8.self)
      #expect(ours == theirs, "seed \(seed), round \(round): \(text)")
      accepted += ours == nil ? 0 : 1
    }
    #expect(accepted > 100, "seed \(seed): the damage leaves too few texts valid")
  }
}
