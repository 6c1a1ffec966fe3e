import AddressSpace
import Synchronization

// Which slot of its journal in Consul a commit of this node writes, counted without a read there. All
// processes of the node share the count, also those that did not get their turn, so it is a file of its
// own under a lock that is held for two calls of the system:
//
//   0000000000000011 0000000000000002      the next commit's number, commits that lost a race
//
// A file that is missing, torn or foreign is made anew by where the journal in Consul ends.

extension NodeState {
  package func nextNote(in journal: String) -> NoteCount? {
    change(journal) { $0?.take() }
  }

  package func beginNotes(in journal: String, at count: NoteCount) {
    change(journal) { $0 = $0 ?? count }
  }

  package func returnNote(_ position: UInt64, in journal: String, isLost: Bool) {
    change(journal) { $0?.giveBack(position, isLost: isLost) }
  }

  private func change<Result: Sendable>(
    _ journal: String, _ body: (inout NoteCount?) -> Result
  ) -> Result {
    guard let file = open(journal) else { return notes.change(journal, body) }
    defer { NodeFile.closeLock(file) }
    // A place given twice is an entry lost. Commits of this process wait for each other, however long;
    // for others, which may have lost the processor or been stopped, a tenth of a second.
    return counting.withLock { _ in
      NodeFile.lockBriefly(file, tries: 400)
      var count = NoteCount(file: NodeFile.read(file, upTo: NoteCount.fileSize + 1))
      let before = count
      let result = body(&count)
      if let count, count != before { NodeFile.write(file, count.fileBytes) }
      return result
    }
  }

  private func open(_ journal: String) -> Int32? {
    let path = "\(folder)/journal/\(Self.fileName(KeyName.escape(journal) + ","))"
    if let file = NodeFile.openLock(path) { return file }
    try? NodeFile.makeFolder(folder + "/journal")
    return NodeFile.openLock(path)
  }
}

extension NoteCount {
  /// The bytes of a count in a file.
  fileprivate static let fileSize = 34

  fileprivate init?(file bytes: [UInt8]) {
    let parts = String(decoding: bytes, as: UTF8.self).split(separator: " ")
    guard bytes.count == Self.fileSize, parts.count == 2,
      let position = UInt64(parts[0], radix: 16),
      let lost = UInt64(parts[1].dropLast(), radix: 16)
    else { return nil }
    self.init(position: position, lost: lost)
  }

  fileprivate var fileBytes: [UInt8] {
    Array("\(Offset(position).hex(digits: 16)) \(Offset(lost).hex(digits: 16))\n".utf8)
  }
}
