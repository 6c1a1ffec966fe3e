import IPAM
internal import Glibc

extension Journal {
  /// Lines that are no events: torn by a crash or a full disk, or written by somebody else. The last
  /// one is not looked at before it has an end: it may be on its way.
  ///
  /// - Complexity: O(bytes) in time and memory, of which there are few (``fileSize``).
  func findings() -> [DirectoryFinding] {
    paths.compactMap { path in
      guard let file = try? Descriptor(file: path, flags: O_RDONLY),
        let status = try? file.status(), status.kind == .regular,
        let bytes = try? file.read(upTo: min(status.size, Self.fileSize * 4))
      else { return nil }
      let damaged = Self.damagedLines(bytes)
      guard !damaged.isEmpty else { return nil }
      return DirectoryFinding(
        .damagedJournal, path,
        "not events: \(damaged.count.counted("line")); what happened then is not known",
        remedy: "blank them; all other events stay", .blank(path: path, damaged))
    }
  }

  private static func damagedLines(_ bytes: [UInt8]) -> [Range<Int>] {
    var damaged: [Range<Int>] = []
    var start = 0
    for end in bytes.indices where bytes[end] == UInt8(ascii: "\n") {
      let line = start..<end
      start = end + 1
      if line.isEmpty || JournalEvent(line: String(decoding: bytes[line], as: UTF8.self)) != nil {
        continue
      }
      damaged.append(line)
    }
    return damaged
  }
}
