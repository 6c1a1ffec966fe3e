import AddressSpace
import JSON

// Members of a JSON record, read by name with an error that says which one is wrong. A member that is
// `null` counts as absent. Names match exactly: what stands in Consul was written by a program.

/// A record says something impossible.
struct RecordError: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) {
    self.description = description
  }
}

/// The members of one object.
struct RecordFields {
  private let members: [String: JSONValue]

  init(_ value: JSONValue) throws {
    guard case .object(let list) = value else {
      throw RecordError("an object was expected, not \(value.kind)")
    }
    members = Dictionary(list.map { ($0.key, $0.value) }) { _, last in last }
      .filter { $0.value != .null }
  }

  func optional<Value>(_ name: String, _ read: (JSONValue) throws -> Value) throws -> Value? {
    guard let value = members[name] else { return nil }
    do {
      return try read(value)
    } catch {
      throw RecordError("\(name): \(error)")
    }
  }

  func required<Value>(_ name: String, _ read: (JSONValue) throws -> Value) throws -> Value {
    guard let value = try optional(name, read) else { throw RecordError("\(name) is missing") }
    return value
  }
}

extension JSONValue {
  /// An object of the members that have a value, in the order given.
  static func record(_ members: [(String, JSONValue?)]) -> JSONValue {
    .object(members.compactMap { name, value in value.map { Member(name, $0) } })
  }

  static func hex(_ number: UInt64) -> JSONValue { .string(Offset(number).hex(digits: 16)) }

  func asString() throws -> String {
    guard case .string(let text) = self else { throw RecordError("\(kind), not a string") }
    return text
  }

  func asInteger() throws -> Int {
    guard let number = integer else { throw RecordError("\(kind), not an integer that fits") }
    return number
  }

  func asBool() throws -> Bool {
    guard case .bool(let value) = self else { throw RecordError("\(kind), not true or false") }
    return value
  }

  func asList<Element>(_ read: (JSONValue) throws -> Element) throws -> [Element] {
    guard case .array(let elements) = self else { throw RecordError("\(kind), not an array") }
    return try elements.map(read)
  }

  func asSeconds() throws -> UInt64 {
    guard let number = UInt64(exactly: try asInteger()) else {
      throw RecordError("a negative number of seconds")
    }
    return number
  }

  func asHexNumber() throws -> UInt64 {
    let text = try asString()
    guard text.utf8.count == 16, let number = Offset(hex: text) else {
      throw RecordError("\"\(text)\" is not a 64-bit number in hexadecimal")
    }
    return number.low
  }

  func asAddress() throws -> IPAddress { try IPAddress(parsing: try asString()) }

  func asCase<Value: RawRepresentable>() throws -> Value where Value.RawValue == String {
    let text = try asString()
    guard let value = Value(rawValue: text) else {
      throw RecordError("\"\(text)\" is not known here")
    }
    return value
  }
}
