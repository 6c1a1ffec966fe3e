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
    let start = text.count
    text.append(contentsOf: repeatElement(UInt8(ascii: "="), count: (bytes.count + 2) / 3 * 4))
    text.withUnsafeMutableBufferPointer { text in
      let output = UnsafeMutableBufferPointer(rebasing: text[start...])
      bytes.withUnsafeBufferPointer { bytes in
        alphabet.withUnsafeBufferPointer { write(bytes, $0, to: output) }
      }
    }
  }

  /// Writes the digits of the bytes; the padding is there.
  private static func write(
    _ bytes: UnsafeBufferPointer<UInt8>, _ alphabet: UnsafeBufferPointer<UInt8>,
    to output: UnsafeMutableBufferPointer<UInt8>
  ) {
    var (from, to) = (0, 0)
    while bytes.count &- from >= 3 {
      let group = Int(bytes[from]) << 16 | Int(bytes[from &+ 1]) << 8 | Int(bytes[from &+ 2])
      output[to] = alphabet[group >> 18]
      output[to &+ 1] = alphabet[group >> 12 & 63]
      output[to &+ 2] = alphabet[group >> 6 & 63]
      output[to &+ 3] = alphabet[group & 63]
      (from, to) = (from &+ 3, to &+ 4)
    }
    let left = bytes.count - from
    guard left > 0 else { return }
    let group = Int(bytes[from]) << 16 | (left > 1 ? Int(bytes[from + 1]) << 8 : 0)
    output[to] = alphabet[group >> 18]
    output[to + 1] = alphabet[group >> 12 & 63]
    if left > 1 { output[to + 2] = alphabet[group >> 6 & 63] }
  }

  /// The bytes that `text` stands for; `nil` unless it is padded base64 and nothing else.
  static func decode(_ text: ArraySlice<UInt8>) -> [UInt8]? {
    guard text.count.isMultiple(of: 4) else { return nil }
    let padding = text.reversed().prefix(2).prefix { $0 == UInt8(ascii: "=") }.count
    var isWhole = true
    let bytes = [UInt8](unsafeUninitializedCapacity: text.count / 4 * 3) { output, count in
      // Four digits are three bytes; the bits of one that is none are beyond six. Padding counts as
      // zeros, and what they make is cut off.
      text.withUnsafeBufferPointer { text in
        values.withUnsafeBufferPointer { values in
          var invalid: UInt8 = 0
          for start in stride(from: 0, to: text.count, by: 4) {
            var group: UInt32 = 0
            for index in start..<start + 4 {
              let value = index < text.count - padding ? values[Int(text[index])] : 0
              invalid |= value & 64
              group = group << 6 | UInt32(value & 63)
            }
            output.initializeElement(at: count, to: UInt8(truncatingIfNeeded: group >> 16))
            output.initializeElement(at: count + 1, to: UInt8(truncatingIfNeeded: group >> 8))
            output.initializeElement(at: count + 2, to: UInt8(truncatingIfNeeded: group))
            count += 3
          }
          isWhole = invalid == 0
        }
      }
      count -= padding
    }
    return isWhole ? bytes : nil
  }
}
