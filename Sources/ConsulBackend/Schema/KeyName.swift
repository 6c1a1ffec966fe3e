// Names in keys. Consul stores any bytes, but URLs and some releases do not take all of them: `//`,
// `..` and escapes are answered by a redirect, a colon is refused by 1.21.5. So a name keeps letters,
// digits, `_`, `-` and single dots, and everything else becomes `=XX` (`=` itself included, so that no
// two names share a key).

/// Writes and reads names as parts of keys.
enum KeyName {
  /// The name as a part of a key; never empty for a name that is not.
  ///
  /// - Complexity: O(n) in the bytes of the name.
  static func escape(_ name: String) -> String {
    var bytes: [UInt8] = []
    escape(name, to: &bytes)
    return String(decoding: bytes, as: UTF8.self)
  }

  static func escape(_ name: String, to bytes: inout [UInt8]) {
    var afterDot = true
    for byte in name.utf8 {
      if isPlain(byte) || (byte == UInt8(ascii: ".") && !afterDot) {
        bytes.append(byte)
      } else {
        bytes += [UInt8(ascii: "="), digit(byte >> 4), digit(byte & 15)]
      }
      afterDot = byte == UInt8(ascii: ".")
    }
  }

  /// The name that a part of a key stands for; nil if `escape` never wrote it.
  static func unescape(_ part: some StringProtocol) -> String? {
    var bytes: [UInt8] = []
    var rest = Array(part.utf8)[...]
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "=") else {
        bytes.append(byte)
        continue
      }
      guard let high = rest.popFirst().flatMap(value), let low = rest.popFirst().flatMap(value)
      else { return nil }
      bytes.append(high << 4 | low)
    }
    let name = String(decoding: bytes, as: UTF8.self)
    return escape(name) == String(part) ? name : nil
  }

  private static func isPlain(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
      true
    default: false
    }
  }

  private static func digit(_ value: UInt8) -> UInt8 {
    value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "A") + value - 10
  }

  private static func value(_ digit: UInt8) -> UInt8? {
    switch digit {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
    case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
    default: nil
    }
  }
}
