import AddressSpace
import Glibc
import IPAM
import JSON

// What the last run of `ipamctl reclaim` saw, in one small file. It counts only in the boot of the
// machine in which it was written, because its times are of a clock that starts with it; one of another
// boot or of other words, and none, means that nothing was seen yet.

/// The file with the earlier observation.
struct ReclaimMemory {
  let path: String
  let scope: String
  let boot: String

  /// The orphans of the last run; none if there is no file, or one of another scope or boot. What is
  /// no such file at all would be replaced, so it is refused.
  func read() throws(Failure) -> [Orphan] {
    guard access(path, F_OK) == 0 else { return [] }
    let document = try? JSONValue(parsing: try Terminal.read(path))
    guard let orphans = document?["orphans"]?.elements else {
      throw Failure(.failed, "\(path) keeps no observation of mine: remove it, or give --state")
    }
    guard document?["boot"]?.string == boot, !boot.isEmpty, document?["scope"]?.string == scope
    else { return [] }
    return orphans.compactMap(Orphan.init(json:))
  }

  /// Replaces the file.
  func write(_ orphans: [Orphan]) throws(Failure) {
    let document = JSONValue.object([
      .init("boot", .string(boot)), .init("scope", .string(scope)),
      .init("orphans", .array(orphans.map(\.json))),
    ])
    do throws(Failure) {
      var file = try OutputFile(path, mode: 0o600)
      try file.write(document.compactBytes)
      try file.finish()
    } catch {
      throw Failure(
        .failed, "\(error.description); without it nothing is ever due: give --state")
    }
  }
}

extension Orphan {
  var json: JSONValue {
    [
      "node": .string(key.node), "container": .string(key.container),
      "interface": .string(key.interface),
      "addresses": .array(stamp.addresses.map { .string($0.description) }),
      "nonce": .string(Offset(stamp.nonce).hex(digits: 16)),
      "createdAt": .number(Int(clamping: stamp.createdAt)),
      "firstSeen": .number(Int(clamping: firstSeen)),
    ]
  }

  init?(json: JSONValue) {
    guard let node = json["node"]?.string, let container = json["container"]?.string,
      let interface = json["interface"]?.string, let addresses = json["addresses"]?.elements,
      let nonce = json["nonce"]?.string.flatMap({ Offset(hex: $0) }),
      let createdAt = json["createdAt"]?.integer.flatMap({ UInt64(exactly: $0) }),
      let firstSeen = json["firstSeen"]?.integer.flatMap({ UInt64(exactly: $0) })
    else { return nil }
    let parsed = addresses.compactMap { $0.string.flatMap { try? IPAddress(parsing: $0) } }
    guard parsed.count == addresses.count else { return nil }
    self.init(
      key: AttachmentKey(node: node, container: container, interface: interface),
      stamp: AttachmentStamp(nonce: nonce.low, createdAt: createdAt, addresses: parsed),
      firstSeen: firstSeen)
  }
}
