import AddressSpace
import BitmapAllocator
import JSON

// A commit has up to 128 leases and attachments, all of one shape: they go straight into bytes, without
// a tree. The members are those that `Records` reads, in the order of their declaration; what is empty
// is left out.

/// Writes a JSON object member by member. Names are ours and need no escape.
struct RecordWriter {
  private(set) var bytes: [UInt8] = []
  private var needsComma = false

  /// The bytes of an object.
  static func record(_ members: (inout RecordWriter) -> Void) -> [UInt8] {
    var writer = RecordWriter()
    writer.bytes.reserveCapacity(384)
    writer.element(members)
    return writer.bytes
  }

  /// An object, alone or as the element of an array.
  mutating func element(_ members: (inout RecordWriter) -> Void) {
    separate()
    bytes.append(UInt8(ascii: "{"))
    needsComma = false
    members(&self)
    bytes.append(UInt8(ascii: "}"))
    needsComma = true
  }

  mutating func object(_ name: StaticString, _ members: (inout RecordWriter) -> Void) {
    begin(name)
    element(members)
  }

  mutating func array(_ name: StaticString, _ elements: (inout RecordWriter) -> Void) {
    begin(name)
    bytes.append(UInt8(ascii: "["))
    elements(&self)
    bytes.append(UInt8(ascii: "]"))
    needsComma = true
  }

  mutating func member(_ name: StaticString, _ text: String?) {
    guard let text else { return }
    begin(name)
    writeQuoted(text, to: &bytes)
    needsComma = true
  }

  mutating func member(_ name: StaticString, _ number: UInt64) {
    begin(name)
    bytes.append(decimal: number)
    needsComma = true
  }

  /// A 64-bit number that must stay exact: hexadecimal, in quotes.
  mutating func member(_ name: StaticString, hex number: UInt64) {
    quoted(name) { $0.append(hex: Offset(number), digits: 16) }
  }

  mutating func member(_ name: StaticString, _ address: IPAddress?) {
    guard let address else { return }
    quoted(name) { $0 += address.description.utf8 }
  }

  /// A pool, by the name that it has in keys.
  mutating func member(_ name: StaticString, _ pool: PoolGeometry) {
    quoted(name) { $0.append(pool) }
  }

  /// A member whose value is JSON already.
  mutating func member(_ name: StaticString, json: [UInt8]) {
    begin(name)
    bytes += json
    needsComma = true
  }

  private mutating func begin(_ name: StaticString) {
    separate()
    bytes.append(UInt8(ascii: "\""))
    bytes.append(name)
    bytes.append(UInt8(ascii: "\""))
    bytes.append(UInt8(ascii: ":"))
    needsComma = false
  }

  /// A member whose text needs no escape.
  private mutating func quoted(_ name: StaticString, _ text: (inout [UInt8]) -> Void) {
    begin(name)
    bytes.append(UInt8(ascii: "\""))
    text(&bytes)
    bytes.append(UInt8(ascii: "\""))
    needsComma = true
  }

  private mutating func separate() {
    if needsComma { bytes.append(UInt8(ascii: ",")) }
  }
}
