// RFC 4648 base64 with padding, as Go's encoding/json writes and wants byte slices.
// Values are read and written in bulk (128 in a transaction), so both ways go by table.

enum Base64 {
  private static let alphabet = Array(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

  /// The value of each byte; 64 for those that are not in the alphabet.
  private static let values: [UInt8] = {
    var values = [UInt8](repeating: 64, count: 256)
    for (value, byte) in alphabet.enumerated() { values[Int(byte)] = UInt8(value) }
    return values
  }()

  static func encode(_ bytes: [UInt8]) -> String {
    var text: [UInt8] = []
    append(bytes, to: &text)
    return String(decoding: text, as: UTF8.self)
  }

  static func append(_ bytes: [UInt8], to text: inout [UInt8]) {
    let alphabet = alphabet
    var output = text.count
    text.append(contentsOf: repeatElement(UInt8(ascii: "="), count: (bytes.count + 2) / 3 * 4))
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let left = bytes.count - start
      let second = left > 1 ? bytes[start + 1] : 0
      let third = left > 2 ? bytes[start + 2] : 0
      let group = Int(bytes[start]) << 16 | Int(second) << 8 | Int(third)
      text[output] = alphabet[group >> 18]
      text[output + 1] = alphabet[group >> 12 & 63]
      if left > 1 { text[output + 2] = alphabet[group >> 6 & 63] }
      if left > 2 { text[output + 3] = alphabet[group & 63] }
      output += 4
    }
  }

  /// The bytes that `text` stands for; `nil` unless it is padded base64 and nothing else.
  static func decode(_ text: ArraySlice<UInt8>) -> [UInt8]? {
    guard text.count.isMultiple(of: 4) else { return nil }
    let padding = text.reversed().prefix(2).prefix { $0 == UInt8(ascii: "=") }.count
    let values = values
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.count / 4 * 3)
    var group: UInt32 = 0
    var index = text.startIndex
    let end = text.endIndex - padding
    while index < end {
      let value = values[Int(text[index])]
      guard value < 64 else { return nil }
      group = group << 6 | UInt32(value)
      index += 1
      if (index - text.startIndex).isMultiple(of: 4) {
        bytes.append(UInt8(truncatingIfNeeded: group >> 16))
        bytes.append(UInt8(truncatingIfNeeded: group >> 8))
        bytes.append(UInt8(truncatingIfNeeded: group))
      }
    }
    switch padding {
    case 1:
      bytes.append(UInt8(truncatingIfNeeded: group >> 10))
      bytes.append(UInt8(truncatingIfNeeded: group >> 2))
    case 2: bytes.append(UInt8(truncatingIfNeeded: group >> 4))
    default: break
    }
    return bytes
  }
}
