public import AddressSpace

// One line of a node's journal: fields between tabs, what would break one written as %XX.
//
//   1772000000  acquire  10.1.0.2,2001:db8::2  worker-1  4f0c…  eth0  K8S_POD_NAME=web  9a3f…
//
// The last is the attachment's nonce, by which two journals tell that they have the same event. It is
// missing where none is kept, and in lines of earlier versions.

/// An address came to an attachment, or went.
public struct JournalEvent: Hashable, Sendable {
  /// Which way.
  public enum Kind: String, Hashable, Sendable {
    case acquire
    case release
  }

  /// Seconds since 1970 by the node's clock.
  public var time: UInt64
  /// Which way.
  public var kind: Kind
  /// All that the attachment holds or held.
  public var addresses: [IPAddress]
  /// Whose.
  public var attachment: AttachmentKey
  /// Who asked, as far as it is known.
  public var workload: Workload
  /// The nonce of the commit that made the attachment; 0 where none is kept.
  public var nonce: UInt64

  /// An event.
  public init(
    time: UInt64, kind: Kind, addresses: [IPAddress], attachment: AttachmentKey,
    workload: Workload = Workload(), nonce: UInt64 = 0
  ) {
    self.time = time
    self.kind = kind
    self.addresses = addresses
    self.attachment = attachment
    self.workload = workload
    self.nonce = nonce
  }

  /// That an attachment got what it holds; the time is the attachment's.
  public init(acquired attachment: Attachment, by key: AttachmentKey) {
    self.init(
      time: attachment.createdAt, kind: .acquire,
      addresses: attachment.holdings.map(\.address), attachment: key,
      workload: attachment.workload, nonce: attachment.nonce)
  }

  /// That what an attachment held was released, at a time in seconds since 1970.
  public init(released attachment: Attachment, of key: AttachmentKey, at time: UInt64) {
    self.init(
      time: time, kind: .release, addresses: attachment.holdings.map(\.address), attachment: key,
      workload: attachment.workload, nonce: attachment.nonce)
  }
}

extension JournalEvent {
  /// The event as a line, without its end. O(bytes).
  public var line: String {
    // By hand: `joined` looks its types up at run time, by a walk over all conformances in the program.
    var line = "\(time)\t\(kind.rawValue)\t"
    for (number, address) in addresses.enumerated() {
      if number > 0 { line += "," }
      line += address.description
    }
    for name in [attachment.node, attachment.container, attachment.interface] {
      line += "\t"
      line += Self.escape(name)
    }
    line += "\t"
    for (number, label) in workload.labels.sorted(by: { $0.key < $1.key }).enumerated() {
      if number > 0 { line += "," }
      line += "\(Self.escape(label.key))=\(Self.escape(label.value))"
    }
    return nonce == 0 ? line : "\(line)\t\(String(nonce, radix: 16))"
  }

  /// The event of a line; nil if it is none, as after a crash in the middle of one. O(bytes).
  public init?(line: some StringProtocol) {
    let fields = line.split(separator: "\t", omittingEmptySubsequences: false)
    guard (7...8).contains(fields.count), let time = UInt64(fields[0]),
      let kind = Kind(rawValue: String(fields[1])),
      let nonce = fields.count == 8 ? UInt64(fields[7], radix: 16) : 0
    else { return nil }
    let addresses = fields[2].split(separator: ",").map { try? IPAddress(parsing: String($0)) }
    let names = fields[3...5].compactMap { Self.unescape($0) }
    guard !addresses.contains(nil), names.count == 3 else { return nil }
    var labels: [String: String] = [:]
    for label in fields[6].split(separator: ",") {
      let parts = label.split(separator: "=", omittingEmptySubsequences: false)
      guard parts.count == 2, let name = Self.unescape(parts[0]),
        let value = Self.unescape(parts[1])
      else { return nil }
      labels[name] = value
    }
    self.init(
      time: time, kind: kind, addresses: addresses.compactMap { $0 },
      attachment: AttachmentKey(node: names[0], container: names[1], interface: names[2]),
      workload: Workload(labels), nonce: nonce)
  }

  /// A name without what separates fields, lines, files or labels.
  package static func escape(_ name: String) -> String {
    var bytes: [UInt8] = []
    for byte in name.utf8 {
      if byte < 0x20 || byte == 0x7F || "%,=/".utf8.contains(byte) {
        bytes += [UInt8(ascii: "%"), digit(byte >> 4), digit(byte & 15)]
      } else {
        bytes.append(byte)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// The name that was escaped; nil if it was not.
  package static func unescape(_ text: some StringProtocol) -> String? {
    var bytes: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "%") else {
        bytes.append(byte)
        continue
      }
      guard rest.count >= 2,
        let code = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
      else { return nil }
      bytes.append(code)
      rest = rest.dropFirst(2)
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  private static func digit(_ value: UInt8) -> UInt8 {
    value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "A") + value - 10
  }
}
