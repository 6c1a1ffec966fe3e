import AddressSpace
import IPAM
import JSON

// The JSON of a journal's entry. The node stands in the key, and in an event only where the attachment
// is another's, as with what an operator or a node under its earlier name released.
//
//   {"position":17,"lost":2,"events":[{"time":1772000000,"event":"acquire","addresses":["10.1.0.2"],
//    "container":"4f0c…","interface":"eth0","nonce":"9a3f…","workload":{"K8S_POD_NAME":"web"}}]}

extension JournalEntry {
  /// Bytes that an entry may have. A commit of 128 operations has sixty attachments, which are 15 KB
  /// with long container IDs and the double with the labels of Kubernetes.
  static let sizeLimit = 32 << 10

  var json: JSONValue {
    .record([
      ("position", .number(Int(clamping: position))), ("lost", .number(Int(clamping: lost))),
      ("leftOut", leftOut > 0 ? .number(leftOut) : nil),
      ("events", .array(events.map { $0.json(in: node) })),
    ])
  }

  init(record: JSONValue, of node: String) throws {
    let fields = try RecordFields(record)
    self.init(
      node: node,
      events: try fields.required("events") { list in
        try list.asList { try JournalEvent(record: $0, in: node) }
      })
    position = try fields.required("position") { try $0.asSeconds() }
    lost = try fields.required("lost") { try $0.asSeconds() }
    leftOut = try fields.optional("leftOut") { try $0.asInteger() } ?? 0
  }

  /// The bytes of the entry; without labels, and then without its last events, where it would be too
  /// large: history is not worth a commit that the server refuses.
  ///
  /// - Complexity: O(bytes).
  var fittingBytes: [UInt8] {
    var entry = self
    var bytes = entry.json.compactBytes
    guard bytes.count > Self.sizeLimit else { return bytes }
    for index in entry.events.indices { entry.events[index].workload = Workload() }
    bytes = entry.json.compactBytes
    while bytes.count > Self.sizeLimit, !entry.events.isEmpty {
      let kept = entry.events.count * Self.sizeLimit / bytes.count
      entry.leftOut += entry.events.count - kept
      entry.events.removeLast(entry.events.count - kept)
      bytes = entry.json.compactBytes
    }
    return bytes
  }
}

extension JournalEvent {
  fileprivate func json(in journal: String) -> JSONValue {
    .record([
      ("time", .number(Int(clamping: time))), ("event", .string(kind.rawValue)),
      ("addresses", .array(addresses.map { .string($0.description) })),
      ("node", attachment.node == journal ? nil : .string(attachment.node)),
      ("container", .string(attachment.container)),
      ("interface", .string(attachment.interface)), ("nonce", .hex(nonce)),
      ("workload", workload.json),
    ])
  }

  fileprivate init(record: JSONValue, in journal: String) throws {
    let fields = try RecordFields(record)
    self.init(
      time: try fields.required("time") { try $0.asSeconds() },
      kind: try fields.required("event") { try $0.asCase() },
      addresses: try fields.required("addresses") { try $0.asList { try $0.asAddress() } },
      attachment: AttachmentKey(
        node: try fields.optional("node") { try $0.asString() } ?? journal,
        container: try fields.required("container") { try $0.asString() },
        interface: try fields.required("interface") { try $0.asString() }),
      workload: try fields.optional("workload", Workload.init(record:)) ?? Workload(),
      nonce: try fields.required("nonce") { try $0.asHexNumber() })
  }
}
