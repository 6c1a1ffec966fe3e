// A Consul that takes 128 operations in one transaction, as 1.14 and newer do. What runs here for real
// is 1.8.7, which takes 64, so this one is a model: the part of the key-value API that this project
// uses, on a dictionary, with 1.8.7's own texts and statuses.

internal import JSON
internal import Synchronization

/// A model of a newer Consul on 127.0.0.1. It stops when this object goes away.
package final class NewerConsul: Sendable {
  private let server: ScriptedServer
  private let core: Core

  /// `127.0.0.1:port`.
  package var address: String { server.address }
  package var port: Int { server.port }
  /// Operations of each transaction so far.
  package var transactionSizes: [Int] {
    server.requests.filter { $0.hasPrefix("PUT /v1/txn") }
      .map { $0.split(separator: "\"Verb\"", omittingEmptySubsequences: false).count - 1 }
  }

  /// Another agent before the same servers, that takes fewer operations.
  package func setLimit(_ limit: Int) {
    core.keys.withLock { $0.limit = limit }
  }

  /// Answers nothing more before a gate is open.
  package func hold(_ gate: Gate) {
    core.keys.withLock { $0.gate = gate }
  }

  package init() throws {
    let core = Core()
    self.core = core
    server = try ScriptedServer { connection in
      while let request = connection.request() {
        core.keys.withLock { $0.gate }?.wait()
        let reply = core.keys.withLock { $0.answer(request) }
        connection.reply(
          reply.status, reply.body, headers: "X-Consul-Index: \(reply.index)\r\n")
      }
    }
  }
}

private final class Core: Sendable {
  let keys = Mutex(Keys())
}

private struct Entry {
  /// Base64, as it came.
  var value: String
  var flags = 0
  var createIndex: Int
  var modifyIndex: Int
}

private struct Keys {
  var entries: [String: Entry] = [:]
  var index = 1
  /// Operations of one transaction.
  var limit = 128
  var gate: Gate?

  mutating func answer(_ request: String) -> (status: Int, body: String, index: Int) {
    let words = request.prefix { !$0.isNewline }.split(separator: " ")
    let target = words[1].split(separator: "?", maxSplits: 1)
    let query = target.count > 1 ? target[1].split(separator: "&") : []
    let body = request.firstRange(of: "\r\n\r\n").map { request[$0.upperBound...] } ?? ""
    let (status, text): (Int, String) =
      if words[0] == "PUT", target[0] == "/v1/txn" {
        transaction(try? JSONValue(parsing: Array(body.utf8)))
      } else if words[0] == "GET", target[0].hasPrefix("/v1/kv/") {
        get(decoded(target[0].dropFirst("/v1/kv/".count)), query)
      } else {
        (405, "not part of the model")
      }
    return (status, text, index)
  }

  private func get(_ key: String, _ query: [Substring]) -> (Int, String) {
    let isListing = query.contains("recurse") || query.contains("keys")
    let found = entries.filter { isListing ? $0.key.hasPrefix(key) : $0.key == key }
      .sorted { $0.key < $1.key }
    if found.isEmpty { return (404, "") }
    guard query.contains("keys") else {
      return (200, JSONValue.array(found.map { json($0.key, $0.value, withValue: true) }).compact)
    }
    let separator = query.first { $0.hasPrefix("separator=") }.map { decoded($0.dropFirst(10)) }
    var names: [JSONValue] = []
    for (name, _) in found {
      let end = separator.flatMap { name.dropFirst(key.count).firstRange(of: $0)?.upperBound }
      let name = JSONValue.string(String(name[..<(end ?? name.endIndex)]))
      if names.last != name { names.append(name) }
    }
    return (200, JSONValue.array(names).compact)
  }

  private mutating func transaction(_ body: JSONValue?) -> (Int, String) {
    guard let operations = body?.elements?.compactMap({ $0["KV"] }) else {
      return (400, "Failed to parse body")
    }
    guard operations.count <= limit else {
      return (413, "Transaction contains too many operations (\(operations.count) > \(limit))")
    }
    var trial = self
    trial.index += 1
    var results: [JSONValue] = []
    var errors: [JSONValue] = []
    for (number, operation) in operations.enumerated() {
      if let what = trial.apply(operation, &results) {
        errors.append(["OpIndex": .number(number), "What": .string(what)])
      }
    }
    guard errors.isEmpty else {
      return (
        409, JSONValue.object([.init("Results", .null), .init("Errors", .array(errors))]).compact
      )
    }
    self = trial
    return (
      200, JSONValue.object([.init("Results", .array(results)), .init("Errors", .null)]).compact
    )
  }

  /// What is wrong with it, or nil when it is done.
  private mutating func apply(_ operation: JSONValue, _ results: inout [JSONValue]) -> String? {
    let key = operation["Key"]?.string ?? ""
    let expected = operation["Index"]?.integer ?? 0
    let entry = entries[key]
    switch operation["Verb"]?.string {
    case "cas":
      guard entry?.modifyIndex ?? 0 == expected else {
        return "failed to set key \"\(key)\", index is stale"
      }
      let written = Entry(
        value: operation["Value"]?.string ?? "", flags: operation["Flags"]?.integer ?? 0,
        createIndex: entry?.createIndex ?? index, modifyIndex: index)
      entries[key] = written
      results.append(["KV": json(key, written, withValue: false)])
    case "delete-cas":
      guard let entry else { return nil }
      guard entry.modifyIndex == expected else {
        return "failed to delete key \"\(key)\", index is stale"
      }
      entries[key] = nil
    case "check-index":
      guard let entry else { return "key \"\(key)\" doesn't exist" }
      guard entry.modifyIndex == expected else {
        return "failed index check for key \"\(key)\", current modify index "
          + "\(entry.modifyIndex) != \(expected)"
      }
      results.append(["KV": json(key, entry, withValue: false)])
    case "check-not-exists":
      return entry == nil ? nil : "key \"\(key)\" exists"
    case "get-tree":
      for (name, entry) in entries where name.hasPrefix(key) {
        results.append(["KV": json(name, entry, withValue: true)])
      }
    case let verb: return "unknown KV verb \"\(verb ?? "")\""
    }
    return nil
  }

  private func json(_ key: String, _ entry: Entry, withValue: Bool) -> JSONValue {
    [
      "LockIndex": .number(0), "Key": .string(key), "Flags": .number(entry.flags),
      "Value": withValue ? .string(entry.value) : .null,
      "CreateIndex": .number(entry.createIndex), "ModifyIndex": .number(entry.modifyIndex),
    ]
  }
}

/// Percent-decoding (RFC 3986).
private func decoded(_ text: Substring) -> String {
  var bytes: [UInt8] = []
  var rest = text.utf8[...]
  while let byte = rest.popFirst() {
    let digits = String(rest.prefix(2)) ?? ""
    if byte == UInt8(ascii: "%"), let code = UInt8(digits, radix: 16) {
      bytes.append(code)
      rest = rest.dropFirst(2)
    } else {
      bytes.append(byte)
    }
  }
  return String(decoding: bytes, as: UTF8.self)
}
