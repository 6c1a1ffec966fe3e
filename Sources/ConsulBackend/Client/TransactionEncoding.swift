// The JSON body of /v1/txn by hand: Consul parses it strictly (an unknown member, or an index in
// quotes, is a 400), so only the members that an operation needs are written; an index of 0 is what
// Consul takes for none.
//
//   [{"KV":{"Verb":"cas","Key":"a/b","Index":12,"Value":"aGk="}}, …]

enum TransactionEncoding {
  /// `namespace` and `partition` go into every operation: there Consul Enterprise looks for them.
  static func encode(
    _ operations: [TransactionOperation], namespace: String?, partition: String?
  ) -> [UInt8] {
    var body: [UInt8] = []
    body.reserveCapacity(operations.count * 400)
    body.append(UInt8(ascii: "["))
    for operation in operations {
      if body.count > 1 { body.append(UInt8(ascii: ",")) }
      append(operation, namespace, partition, to: &body)
    }
    body.append(UInt8(ascii: "]"))
    return body
  }

  private static func append(
    _ operation: TransactionOperation, _ namespace: String?, _ partition: String?,
    to body: inout [UInt8]
  ) {
    let (verb, index, value): (String, UInt64?, [UInt8]?) =
      switch operation {
      case .set(_, let value): ("set", nil, value)
      case .cas(_, let value, let index): ("cas", index, value)
      case .delete: ("delete", nil, nil)
      case .deleteCAS(_, let index): ("delete-cas", index, nil)
      case .checkIndex(_, let index): ("check-index", index, nil)
      case .checkNotExists: ("check-not-exists", nil, nil)
      case .get: ("get", nil, nil)
      case .getTree: ("get-tree", nil, nil)
      }
    body += #"{"KV":{"Verb":""#.utf8
    body += verb.utf8
    body += #"","Key":"#.utf8
    append(operation.key, to: &body)
    if let index, index > 0 {
      body += #","Index":"#.utf8
      body += String(index).utf8
    }
    if let value {
      body += #","Value":""#.utf8
      Base64.append(value, to: &body)
      body.append(UInt8(ascii: "\""))
    }
    if let namespace {
      body += #","Namespace":"#.utf8
      append(namespace, to: &body)
    }
    if let partition {
      body += #","Partition":"#.utf8
      append(partition, to: &body)
    }
    body += "}}".utf8
  }

  /// A JSON string with its quotes.
  private static func append(_ text: String, to body: inout [UInt8]) {
    body.append(UInt8(ascii: "\""))
    if !text.utf8.contains(where: { $0 < 0x20 || $0 == 0x22 || $0 == 0x5c }) {
      body.append(contentsOf: text.utf8)
      body.append(UInt8(ascii: "\""))
      return
    }
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"):
        body.append(UInt8(ascii: "\\"))
        body.append(byte)
      case 0..<0x20:
        body += (byte < 0x10 ? "\\u000" : "\\u00").utf8
        body += String(byte, radix: 16).utf8
      default: body.append(byte)
      }
    }
    body.append(UInt8(ascii: "\""))
  }
}
