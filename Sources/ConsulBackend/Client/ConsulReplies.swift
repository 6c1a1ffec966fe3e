// The bodies that Consul answers with, each read member by member.

enum ConsulReplies {
  /// `[{"Key":…,"Value":…}, …]`, the answer to /v1/kv.
  static func entries(_ body: [UInt8]) throws(JSONError) -> [KVEntry] {
    var entries: [KVEntry] = []
    var reader = JSONReader(body)
    try reader.array { (reader) throws(JSONError) in entries.append(try entry(&reader)) }
    try reader.finish()
    return entries
  }

  /// `["a/b", …]`, the answer to /v1/kv?keys.
  static func names(_ body: [UInt8]) throws(JSONError) -> [String] {
    var names: [String] = []
    var reader = JSONReader(body)
    try reader.array { (reader) throws(JSONError) in names.append(try reader.string()) }
    try reader.finish()
    return names
  }

  /// `{"Results":[{"KV":…}, …],"Errors":null}`, the answer to a transaction that applied, in the
  /// order of its operations. The names that are expected need not be made anew.
  static func results(
    _ body: [UInt8], expecting keys: [String] = []
  ) throws(JSONError) -> [KVEntry] {
    var results: [KVEntry] = []
    results.reserveCapacity(keys.count)
    try members(body) { (reader, name) throws(JSONError) in
      guard name == "Results" else { return try reader.skip() }
      if reader.null() { return }
      try reader.array { (reader) throws(JSONError) in
        if results.count < keys.count,
          let usual = reader.attempt({ usual(&$0, keys[results.count]) })
        {
          return results.append(usual)
        }
        try reader.object { (reader, name) throws(JSONError) in
          guard name == "KV" else { return try reader.skip() }
          results.append(try entry(&reader))
        }
      }
    }
    return results
  }

  /// A result without a value, letter by letter as most releases write it: a tenth of the work of
  /// taking it apart.
  private static func usual(_ reader: inout JSONReader, _ key: String) -> KVEntry? {
    guard reader.take(#"{"KV":{"LockIndex":0,"Key":""#), reader.take(plain: key),
      reader.take(#"","Flags":0,"Value":null,"CreateIndex":"#),
      let created = try? reader.unsigned(), reader.take(#","ModifyIndex":"#),
      let modified = try? reader.unsigned(), reader.take("}}"), modified > 0
    else { return nil }
    return KVEntry(
      key: key, value: [], createIndex: created, modifyIndex: modified, flags: 0)
  }

  /// `{"Results":null,"Errors":[{"OpIndex":0,"What":"…"}, …]}`, with status 409.
  static func errors(
    _ body: [UInt8]
  ) throws(JSONError) -> [(operation: Int, what: String)] {
    var errors: [(operation: Int, what: String)] = []
    try members(body) { (reader, name) throws(JSONError) in
      guard name == "Errors" else { return try reader.skip() }
      if reader.null() { return }
      try reader.array { (reader) throws(JSONError) in
        var error = (operation: -1, what: "")
        try reader.object { (reader, name) throws(JSONError) in
          switch name {
          case "OpIndex": error.operation = Int(exactly: try reader.unsigned()) ?? -1
          case "What": error.what = try reader.string()
          default: try reader.skip()
          }
        }
        errors.append(error)
      }
    }
    return errors
  }

  /// `"127.0.0.1:8300"`, the answer to /v1/status/leader; empty without a leader.
  static func leader(_ body: [UInt8]) throws(JSONError) -> String? {
    var reader = JSONReader(body)
    let address = try reader.string()
    try reader.finish()
    return address.isEmpty ? nil : address
  }

  /// The few members of /v1/agent/self that are of use.
  static func agent(_ body: [UInt8]) throws(JSONError) -> AgentInfo {
    var info = AgentInfo(version: "", node: "", datacenter: "", lastLogIndex: nil)
    try members(body) { (reader, name) throws(JSONError) in
      guard name == "Config" || name == "Stats" else { return try reader.skip() }
      try reader.object { (reader, name) throws(JSONError) in
        switch name {
        case "Version": info.version = try reader.string()
        case "NodeName": info.node = try reader.string()
        case "Datacenter": info.datacenter = try reader.string()
        case "raft":
          try reader.object { (reader, name) throws(JSONError) in
            guard name == "last_log_index" else { return try reader.skip() }
            info.lastLogIndex = UInt64(try reader.string())
          }
        default: try reader.skip()
        }
      }
    }
    return info
  }

  private static func members(
    _ body: [UInt8], _ member: (inout JSONReader, String) throws(JSONError) -> Void
  ) throws(JSONError) {
    var reader = JSONReader(body)
    try reader.object(member)
    try reader.finish()
  }

  private static func entry(_ reader: inout JSONReader) throws(JSONError) -> KVEntry {
    var entry = KVEntry(key: "", value: [], createIndex: 0, modifyIndex: 0, flags: 0)
    try reader.object { (reader, name) throws(JSONError) in
      switch name {
      case "Key": entry.key = try reader.string()
      case "Value": entry.value = try reader.byteString()
      case "CreateIndex": entry.createIndex = try reader.unsigned()
      case "ModifyIndex": entry.modifyIndex = try reader.unsigned()
      case "Flags": entry.flags = try reader.unsigned()
      default: try reader.skip()
      }
    }
    // A key was never written at index 0, so these two are present in every real entry.
    guard !entry.key.isEmpty, entry.modifyIndex > 0 else {
      throw JSONError(position: 0, expected: "an entry with Key and ModifyIndex")
    }
    return entry
  }
}
