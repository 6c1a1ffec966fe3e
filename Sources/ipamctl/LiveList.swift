import IPAM
import JSON

// What a runtime says is alive on one node. Everything that it lists counts as in use, whatever its
// state, but for Nomad's allocations that ended. What is not understood is refused as a whole: a list
// that is cut off must not look like a short one.

/// The attachments that a runtime knows.
struct LiveList {
  enum Format: String, CaseIterable {
    case crictl, podman, nomad, plain
  }

  private var containers: Set<String> = []

  /// A list, as a tool printed it.
  init(_ bytes: [UInt8], format: Format) throws(Failure) {
    guard bytes.contains(where: { $0 > 0x20 }) else {
      throw Failure(.usage, "the list of what lives is empty: did the command that made it fail?")
    }
    guard format != .plain else {
      readPlain(bytes)
      return
    }
    let document: JSONValue
    do {
      document = try JSONValue(parsing: bytes)
    } catch {
      throw Failure(.usage, "the list of what lives is not JSON: \(error)")
    }
    // `crictl pods -o json`: {"items": [{"id": …}]}; the others are arrays.
    guard let records = (format == .crictl ? document["items"] : document)?.elements else {
      throw Failure(.usage, "the list of what lives is not what \(format.rawValue) prints")
    }
    for record in records {
      guard let id = record["id"]?.string, !id.isEmpty else {
        throw Failure(.usage, "a record in the list of what lives has no id")
      }
      let hasEnded = ["complete", "failed"].contains(record["ClientStatus"]?.string)
      if format == .nomad, record["ClientStatus"]?.string == nil {
        throw Failure(.usage, "allocation \(id) in the list of what lives has no ClientStatus")
      }
      if format != .nomad || !hasEnded { containers.insert(id) }
    }
  }

  /// One container ID on each line, `#` begins a comment.
  private mutating func readPlain(_ bytes: [UInt8]) {
    for line in String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline) {
      if let id = line.prefix(while: { $0 != "#" }).split(whereSeparator: \.isWhitespace).first {
        containers.insert(String(id))
      }
    }
  }

  /// Whether the container is listed; an abbreviated ID stands for all that begin with it.
  func holds(_ key: AttachmentKey) -> Bool {
    containers.contains(key.container) || containers.contains { key.container.hasPrefix($0) }
  }
}
