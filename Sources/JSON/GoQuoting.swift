// The reference's messages quote what they show by Go's %q; operators and their scripts know them.

/// The text in double quotes, with `"`, `\` and everything unprintable escaped as Go's %q does. O(length).
public func goQuoted(_ text: String) -> String {
  var quoted = "\""
  for scalar in text.unicodeScalars {
    switch scalar {
    case "\"": quoted += "\\\""
    case "\\": quoted += "\\\\"
    case "\u{7}": quoted += "\\a"
    case "\u{8}": quoted += "\\b"
    case "\u{c}": quoted += "\\f"
    case "\n": quoted += "\\n"
    case "\r": quoted += "\\r"
    case "\t": quoted += "\\t"
    case "\u{b}": quoted += "\\v"
    case _ where isPrintable(scalar): quoted.unicodeScalars.append(scalar)
    case "\0"..<"\u{80}": quoted += "\\x" + hex(scalar, digits: 2)
    case "\u{80}"..<"\u{10000}": quoted += "\\u" + hex(scalar, digits: 4)
    default: quoted += "\\U" + hex(scalar, digits: 8)
    }
  }
  return quoted + "\""
}

/// The texts as Go's %q prints a list: `["a" "b"]`. O(length).
public func goQuoted(_ texts: [String]) -> String {
  "[" + texts.map(goQuoted).joined(separator: " ") + "]"
}

private func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
  if scalar.isASCII { return scalar.value >= 0x20 && scalar.value < 0x7f }
  switch scalar.properties.generalCategory {
  case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator,
    .paragraphSeparator, .spaceSeparator:
    return false
  default: return true
  }
}

private func hex(_ scalar: Unicode.Scalar, digits: Int) -> String {
  let text = String(scalar.value, radix: 16)
  return String(repeating: "0", count: digits - text.count) + text
}
