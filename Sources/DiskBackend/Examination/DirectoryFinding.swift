internal import Glibc

/// One thing that is wrong with a network's directory, or with what this node keeps beside it.
public struct DirectoryFinding: Hashable, Sendable {
  /// What is wrong.
  public enum Kind: String, Hashable, Sendable, CaseIterable {
    /// An address file without content: a process died between making it and writing it.
    case emptyFile
    /// Somebody has an address, and the file does not say who.
    case unreadableFile
    /// A file that reserves nothing although it is called like an address, or that a plugin may hang at.
    case foreignFile
    /// A file or folder that is none of host-local's or ours and in nobody's way: a remark.
    case otherFile
    /// A temporary file of a process of ours that died.
    case leftover
    /// The lock file tells of a commit that its process did not live to end.
    case unfinishedCommit
    /// An address is held that lies in none of the ranges.
    case outsideRanges
    /// One attachment has several addresses of one range set.
    case attachmentTwice
    /// Where a search goes on cannot be read, or is no place for it.
    case damagedCursor
    /// The index says something else than the files.
    case falseIndex
    /// The index cannot be read.
    case damagedIndex
    /// Lines of the journal are no events.
    case damagedJournal
  }

  /// What is wrong.
  public let kind: Kind
  /// The path of the file.
  public let file: String
  /// What was found and what it means.
  public let explanation: String
  /// What repair would do, or why it does nothing.
  public let remedy: String
  /// Whether repair does something.
  public var isMendable: Bool { mending != nil }

  let mending: Mending?

  init(
    _ kind: Kind, _ file: String, _ explanation: String, remedy: String, _ mending: Mending? = nil
  ) {
    self.kind = kind
    self.file = file
    self.explanation = explanation
    self.remedy = remedy
    self.mending = mending
  }
}

/// What mends a finding: one call of the system that happens or does not, so that a repair can be
/// killed anywhere and begun again.
enum Mending: Hashable, Sendable {
  /// Unlink a name of the directory that is still this plain file, and with `isEmpty` still empty.
  case remove(name: String, FileIdentity, isEmpty: Bool)
  /// Unlink a file of our own beside the directory.
  case removeOwn(path: String)
  /// Undo what the lock file tells of.
  case recover
  /// Replace bytes of the journal, which only ever grows, by line ends.
  case blank(path: String, [Range<Int>])
}

extension Mending {
  /// Does it, under the directory's lock.
  func perform(in directory: NetworkDirectory) throws(SystemError) {
    switch self {
    case .recover: try directory.recover()
    case .remove(let name, let identity, let isEmpty):
      guard let status = try directory.descriptor.status(of: name), status.kind == .regular,
        status.identity == identity, !isEmpty || status.size == 0
      else { return }
      try directory.descriptor.unlink(name)
    case .removeOwn(let path):
      _ = try retrying("remove \(path)") {
        unlink(path) == 0 || errno == ENOENT ? 0 : -1
      }
    case .blank(let path, let ranges):
      let file = try Descriptor(file: path, flags: O_RDWR)
      for range in ranges {
        try file.write(
          Array(repeating: UInt8(ascii: "\n"), count: range.count), at: range.lowerBound)
      }
    }
  }
}
