// Times in the configuration: a number of seconds, or Go's form (`90s`, `1m30s`, `1.5h`, `250ms`).

internal import JSON

extension ConfigurationSection {
  /// A time of at most a year, not negative. Throws code 6 or 7.
  func duration(_ key: String, isPositive: Bool = false) throws(CNIError) -> Duration? {
    guard let value = value(key) else { return nil }
    let parsed: Duration?
    switch value {
    case .number(let literal): parsed = seconds(literal)
    case .string(let text) where text.isEmpty: return nil
    case .string(let text): parsed = timeSpan(text)
    default: throw mismatch(key, "a time such as \"60s\" or a number of seconds", value)
    }
    guard let parsed, parsed <= .seconds(longest), isPositive ? parsed > .zero : parsed >= .zero
    else {
      throw invalid(
        key, value,
        "a time such as \"60s\" or a number of seconds, "
          + (isPositive ? "above 0 and " : "") + "at most a year")
    }
    return parsed
  }
}

/// A year, in seconds: beyond it no time in a configuration makes sense.
private let longest = 366 * 86_400

private func seconds(_ literal: String) -> Duration? {
  guard let value = Double(literal), (0...Double(longest)).contains(value) else { return nil }
  return .seconds(value)
}

/// Parts of digits (and a point) and a unit; nil if it is anything else.
private func timeSpan(_ text: String) -> Duration? {
  func isNumeric(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) || byte == 0x2e }
  var rest = text.utf8[...]
  var sum = Duration.zero
  while !rest.isEmpty {
    let digits = rest.prefix(while: isNumeric)
    let unit = rest.dropFirst(digits.count).prefix { !isNumeric($0) }
    let scale: Double
    switch String(unit) {
    case "ms": scale = 1e-3
    case "s": scale = 1
    case "m": scale = 60
    case "h": scale = 3_600
    default: return nil
    }
    guard let number = Double(Substring(digits)), number * scale <= Double(longest) else {
      return nil
    }
    sum += .seconds(number * scale)
    if sum > .seconds(longest) { return nil }
    rest = rest.dropFirst(digits.count + unit.count)
  }
  return sum
}
