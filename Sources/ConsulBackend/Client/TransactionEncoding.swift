// The JSON body of /v1/txn by hand: Consul parses it strictly (an unknown member, or an index in
// quotes, is a 400), so only the members that an operation needs are written; an index of 0 is what
// Consul takes for none.
//
//   [{"KV":{"Verb":"cas","Key":"a/b","Index":12,"Value":"aGk="}}, …]

import JSON

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
    let (verb, index, value): (StaticString, UInt64?, [UInt8]?) =
      switch operation {
      case .set(_, let value): ("set", nil, value)
      case .cas(_, let value, let index), .casFlagged(_, let value, let index, _):
        ("cas", index, value)
      case .delete: ("delete", nil, nil)
      case .deleteCAS(_, let index): ("delete-cas", index, nil)
      case .checkIndex(_, let index): ("check-index", index, nil)
      case .checkNotExists: ("check-not-exists", nil, nil)
      case .get: ("get", nil, nil)
      case .getTree: ("get-tree", nil, nil)
      }
    body.append(#"{"KV":{"Verb":""#)
    body.append(verb)
    body.append(#"","Key":"#)
    writeQuoted(operation.key, to: &body)
    if let index, index > 0 {
      body.append(#","Index":"#)
      body.append(decimal: index)
    }
    if case .casFlagged(_, _, _, let flags) = operation {
      body.append(#","Flags":"#)
      body.append(decimal: flags)
    }
    if let value {
      body.append(#","Value":""#)
      Base64.append(value, to: &body)
      body.append(UInt8(ascii: "\""))
    }
    if let namespace {
      body.append(#","Namespace":"#)
      writeQuoted(namespace, to: &body)
    }
    if let partition {
      body.append(#","Partition":"#)
      writeQuoted(partition, to: &body)
    }
    body.append("}}")
  }
}
