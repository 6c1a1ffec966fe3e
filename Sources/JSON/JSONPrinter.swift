// Prints JSON as Go's MarshalIndent does with four spaces, which is what plugins of the reference
// print: members in the order given, `{}` and `[]` for empty ones, slashes not escaped.

extension JSONValue {
  /// The text, indented by four spaces, without a newline at the end. O(size).
  public var indented: String {
    var text = ""
    write(to: &text, indentation: "\n")
    return text
  }

  /// The text in one line, without any space. O(size).
  public var compact: String {
    var text = ""
    write(to: &text, indentation: nil)
    return text
  }

  /// `indentation` is the newline and spaces before the closing bracket, nil for one line.
  private func write(to text: inout String, indentation: String?) {
    switch self {
    case .null: text += "null"
    case .bool(let value): text += value ? "true" : "false"
    case .number(let literal): text += literal
    case .string(let value): writeQuoted(value, to: &text)
    case .array(let elements):
      writeList("[", elements, "]", to: &text, indentation: indentation) { element, text, deeper in
        element.write(to: &text, indentation: deeper)
      }
    case .object(let members):
      writeList("{", members, "}", to: &text, indentation: indentation) { member, text, deeper in
        writeQuoted(member.key, to: &text)
        text += deeper == nil ? ":" : ": "
        member.value.write(to: &text, indentation: deeper)
      }
    }
  }
}

private func writeList<Element>(
  _ open: String, _ list: [Element], _ close: String, to text: inout String,
  indentation: String?, element: (Element, inout String, String?) -> Void
) {
  let deeper = indentation.map { $0 + "    " }
  text += open
  for (index, item) in list.enumerated() {
    if index > 0 { text += "," }
    text += deeper ?? ""
    element(item, &text, deeper)
  }
  if !list.isEmpty { text += indentation ?? "" }
  text += close
}

private func writeQuoted(_ value: String, to text: inout String) {
  text += "\""
  for scalar in value.unicodeScalars {
    switch scalar {
    case "\"": text += "\\\""
    case "\\": text += "\\\\"
    case "\n": text += "\\n"
    case "\r": text += "\\r"
    case "\t": text += "\\t"
    case "\0"..<" ":
      let digits = String(scalar.value, radix: 16)
      text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
    default: text.unicodeScalars.append(scalar)
    }
  }
  text += "\""
}
