import Glibc
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
      try readPlain(bytes)
      return
    }
    let document: JSONValue
    do {
      document = try JSONValue(parsing: bytes)
    } catch {
      throw Failure(
        .usage, "the list of what lives is not JSON: \(error.message) at byte \(error.position)")
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

  /// One container ID on each line, `#` begins a comment. What no runtime calls a container is of
  /// another format, in which all would look dead.
  private mutating func readPlain(_ bytes: [UInt8]) throws(Failure) {
    for line in String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline) {
      let words = line.prefix { $0 != "#" }.split(whereSeparator: \.isWhitespace)
      guard let id = words.first else { continue }
      guard String(id).isCNIName else {
        throw Failure(
          .usage,
          "\"\(Table.printable(String(id.prefix(40))))\" in the list of what lives is no container "
            + "ID: does it need --format?")
      }
      containers.insert(String(id))
    }
  }

  /// Whether the container is listed; an abbreviated ID stands for all that begin with it.
  func holds(_ key: AttachmentKey) -> Bool {
    containers.contains(key.container) || containers.contains { key.container.hasPrefix($0) }
  }
}

/// The results that libcni keeps for its runtime: a file `NETWORK-CONTAINER-INTERFACE` from the end of an
/// ADD to the end of its DEL. What is in the files does not matter here, and a container of which any
/// file is there is in use.
struct ResultCache {
  private let names: [String]

  /// Reads the names in a folder; none at all is refused: another folder would look so.
  init(_ path: String) throws(Failure) {
    guard let names = Terminal.names(in: path) else {
      throw Failure(.failed, "\(path): \(String(cString: strerror(errno)))")
    }
    self.names = names
    guard !names.isEmpty else {
      throw Failure(
        .usage,
        "\(path) has no results: is it where the node's runtime keeps them? If nothing lives, "
          + "say so with --live and a list of nothing but a comment")
    }
  }

  /// Whether a file of the container is there.
  func holds(_ key: AttachmentKey) -> Bool {
    names.contains { $0.contains("-\(key.container)-") }
  }
}
