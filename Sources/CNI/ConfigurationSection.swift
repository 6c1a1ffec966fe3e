// One object of the configuration and the path to it. Every value is taken through here, so that
// an error names key and value, `null` and the empty string always mean "not given", and a value of
// the wrong type is refused only by the command that needs it.

internal import JSON

/// An object of the configuration, read by key; the path is for messages.
struct ConfigurationSection: Hashable, Sendable {
  let path: String
  let json: JSONValue

  /// The value of `key`; nil for an absent one and for `null`.
  func value(_ key: String) -> JSONValue? {
    let value = json[key]
    return value == .null ? nil : value
  }

  func string(_ key: String) throws(CNIError) -> String? {
    guard let value = value(key) else { return nil }
    guard let text = value.string else { throw mismatch(key, "a string", value) }
    return text.isEmpty ? nil : text
  }

  /// The path of a file. One with a NUL would be another to the system, which reads no further.
  func filePath(_ key: String) throws(CNIError) -> String? {
    guard let text = try string(key) else { return nil }
    guard !text.utf8.contains(0) else {
      throw invalid(key, .string(text), "a path without a NUL character")
    }
    return text
  }

  /// A name that is kept in files of lines.
  func name(_ key: String) throws(CNIError) -> String? {
    guard let text = try string(key) else { return nil }
    guard text.utf8.count <= 255, text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
      throw invalid(key, .string(text), "at most 255 bytes without control characters")
    }
    return text
  }

  func bool(_ key: String) throws(CNIError) -> Bool? {
    guard let value = value(key) else { return nil }
    guard case .bool(let flag) = value else { throw mismatch(key, "true or false", value) }
    return flag
  }

  func integer(_ key: String, in range: ClosedRange<Int>) throws(CNIError) -> Int? {
    guard let value = value(key) else { return nil }
    guard let number = value.integer else { throw mismatch(key, "an integer", value) }
    guard range.contains(number) else {
      throw invalid(key, value, "from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  /// One of a few words.
  func choice<Choice: RawRepresentable & CaseIterable>(
    _ key: String, of type: Choice.Type = Choice.self
  ) throws(CNIError) -> Choice? where Choice.RawValue == String {
    guard let text = try string(key) else { return nil }
    guard let choice = Choice(rawValue: text) else {
      let words = Choice.allCases.map { goQuoted($0.rawValue) }.joined(separator: ", ")
      throw invalid(key, .string(text), "one of \(words)")
    }
    return choice
  }

  func section(_ key: String) throws(CNIError) -> ConfigurationSection? {
    guard let value = value(key) else { return nil }
    guard case .object = value else { throw mismatch(key, "an object", value) }
    return ConfigurationSection(path: pathTo(key), json: value)
  }

  /// The elements of a list, each with the path to it; nil if there is no list.
  func list(_ key: String) throws(CNIError) -> [ConfigurationElement]? {
    guard let value = value(key) else { return nil }
    return try ConfigurationElement(path: pathTo(key), json: value).list()
  }

  func pathTo(_ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

  func mismatch(_ key: String, _ expected: String, _ found: JSONValue) -> CNIError {
    ConfigurationElement(path: pathTo(key), json: found).mismatch(expected)
  }

  func invalid(_ key: String, _ found: JSONValue, _ expected: String) -> CNIError {
    CNIError(.configuration, "\(pathTo(key)) is \(shown(found)), but must be \(expected)")
  }
}

/// A value of the configuration that stands in a list.
struct ConfigurationElement {
  let path: String
  let json: JSONValue

  func string() throws(CNIError) -> String {
    guard let text = json.string else { throw mismatch("a string") }
    return text
  }

  func list() throws(CNIError) -> [ConfigurationElement] {
    guard let elements = json.elements else { throw mismatch("an array") }
    return elements.enumerated().map {
      ConfigurationElement(path: "\(path)[\($0.offset)]", json: $0.element)
    }
  }

  func section() throws(CNIError) -> ConfigurationSection {
    guard case .object = json else { throw mismatch("an object") }
    return ConfigurationSection(path: path, json: json)
  }

  func mismatch(_ expected: String) -> CNIError {
    var found = json.kind
    switch json {
    case .null, .array, .object: break  // what is inside may be a secret
    default: if !path.hasSuffix(".token") { found += " " + shown(json) }
    }
    return CNIError(.decoding, "\(path) must be \(expected), not \(found)")
  }
}

/// A value for a message, cut to 64 characters.
private func shown(_ json: JSONValue) -> String {
  let text = json.compact
  return text.count > 64 ? text.prefix(64) + "…" : text
}
