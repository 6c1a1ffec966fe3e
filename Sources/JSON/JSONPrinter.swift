// Prints JSON as Go's MarshalIndent does with four spaces, which is what plugins of the reference
// print: members in the order given, `{}` and `[]` for empty ones, slashes not escaped. It writes
// UTF-8, a run of plain bytes at a time, since a commit to Consul has a hundred documents.

extension JSONValue {
  /// The text, indented by four spaces, without a newline at the end. O(size).
  public var indented: String {
    var bytes: [UInt8] = []
    write(to: &bytes, indentation: 0)
    return String(decoding: bytes, as: UTF8.self)
  }

  /// The text in one line, without any space. O(size).
  public var compact: String { String(decoding: compactBytes, as: UTF8.self) }

  /// The text in one line, without any space, in UTF-8. O(size).
  public var compactBytes: [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(256)
    write(to: &bytes, indentation: nil)
    return bytes
  }

  /// Appends the text in UTF-8 as an element of what stands `levels` deep. O(size).
  public func append(to bytes: inout [UInt8], levels: Int) {
    write(to: &bytes, indentation: levels)
  }

  /// `indentation` is the number of levels of the closing bracket, nil for one line.
  private func write(to bytes: inout [UInt8], indentation: Int?) {
    switch self {
    case .null: bytes += "null".utf8
    case .bool(let value): bytes += (value ? "true" : "false").utf8
    case .number(let literal): bytes += literal.utf8
    case .string(let value): writeQuoted(value, to: &bytes)
    case .array(let elements):
      writeList(elements, in: "[", "]", to: &bytes, indentation) { element, bytes, deeper in
        element.write(to: &bytes, indentation: deeper)
      }
    case .object(let members):
      writeList(members, in: "{", "}", to: &bytes, indentation) { member, bytes, deeper in
        writeQuoted(member.key, to: &bytes)
        bytes.append(UInt8(ascii: ":"))
        if deeper != nil { bytes.append(UInt8(ascii: " ")) }
        member.value.write(to: &bytes, indentation: deeper)
      }
    }
  }
}

private func writeList<Element>(
  _ list: [Element], in open: Unicode.Scalar, _ close: Unicode.Scalar, to bytes: inout [UInt8],
  _ indentation: Int?, element: (Element, inout [UInt8], Int?) -> Void
) {
  func newLine(_ levels: Int?) {
    guard let levels else { return }
    bytes.append(UInt8(ascii: "\n"))
    bytes.append(contentsOf: repeatElement(UInt8(ascii: " "), count: 4 * levels))
  }
  bytes.append(UInt8(ascii: open))
  for (index, item) in list.enumerated() {
    if index > 0 { bytes.append(UInt8(ascii: ",")) }
    newLine(indentation.map { $0 + 1 })
    element(item, &bytes, indentation.map { $0 + 1 })
  }
  if !list.isEmpty { newLine(indentation) }
  bytes.append(UInt8(ascii: close))
}

/// Appends a JSON string with its quotes, in UTF-8. O(size).
public func writeQuoted(_ value: String, to bytes: inout [UInt8]) {
  bytes.append(UInt8(ascii: "\""))
  var value = value
  value.withUTF8 { text in
    // Most texts need no escape, which a pass without branches tells.
    var odd: UInt8 = 0
    for byte in text {
      odd |= (byte < 0x20 ? 1 : 0) | (byte == 0x22 ? 1 : 0) | (byte == 0x5c ? 1 : 0)
    }
    guard odd != 0 else { return bytes.append(contentsOf: text) }
    var plain = 0  // where a run of bytes began that need no escape
    for (index, byte) in text.enumerated() {
      guard let escape = escape(of: byte) else { continue }
      bytes.append(contentsOf: text[plain..<index])
      bytes += escape.utf8
      plain = index + 1
    }
    bytes.append(contentsOf: text[plain...])
  }
  bytes.append(UInt8(ascii: "\""))
}

private func escape(of byte: UInt8) -> String? {
  guard byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") else { return nil }
  switch byte {
  case UInt8(ascii: "\""): return "\\\""
  case UInt8(ascii: "\\"): return "\\\\"
  case UInt8(ascii: "\n"): return "\\n"
  case UInt8(ascii: "\r"): return "\\r"
  case UInt8(ascii: "\t"): return "\\t"
  default:
    let digits = String(byte, radix: 16)
    return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
  }
}
