import AddressSpace
internal import Glibc

// A commit of several files is made whole by saying first what it will do, in the lock file itself:
// whoever dies leaves the lock to somebody who reads it there.
//
//   L…  files are being linked in         found: remove those that stand, nothing was removed yet
//   U…  all are linked, now others go     found: remove those that are to go
//
// "The very same file" is one with the inode, the modification time and the content that the intent
// names: if another process released the address meanwhile and somebody took it again, it is another
// file. (The time of birth would do as well, but some file systems have none.)

/// What a commit is about to do to the directory.
struct Intent: Hashable, Sendable {
  /// A file, as it has to be for the intent to mean it.
  struct File: Hashable, Sendable {
    var name: String
    var inode: UInt64
    var modified: FileTime
    var content: UInt64
  }

  /// How far the commit is.
  enum Phase: UInt8, Sendable {
    case linking = 0x4C  // L
    case unlinking = 0x55  // U
  }

  /// A thousand operations of at most 130 bytes each.
  static let longestText = 1 << 18
  private static let heading = " cni-ipam-consul 1"

  var phase = Phase.linking
  var links: [File] = []
  var unlinks: [File] = []

  /// As the lock file has it: a heading, a line for each file, and a hash of all but the phase.
  var encoded: [UInt8] {
    let lines =
      [Self.heading] + links.map { "+ " + $0.line } + unlinks.map { "- " + $0.line }
    let text = Array(lines.joined(separator: "\n").utf8)
    let hash = String(Fingerprint(text).value, radix: 16)
    return [phase.rawValue] + text + Array("\n= \(hash)\n".utf8)
  }

  init() {}

  /// Nil for anything but a whole intent.
  init?(_ bytes: [UInt8]) {
    guard let first = bytes.first, let phase = Phase(rawValue: first), bytes.last == 0x0A,
      let text = String(validating: bytes.dropFirst(), as: UTF8.self)
    else { return nil }
    var lines = text.split(separator: "\n")
    guard let hash = lines.popLast(), lines.first == Self.heading[...],
      hash == "= " + String(Fingerprint(lines.joined(separator: "\n").utf8).value, radix: 16)
    else { return nil }
    self.phase = phase
    for line in lines.dropFirst() {
      guard let file = File(line: line.dropFirst(2)) else { return nil }
      if line.hasPrefix("+ ") { links.append(file) } else { unlinks.append(file) }
    }
  }
}

extension Intent.File {
  fileprivate var line: String {
    "\(name) \(inode) \(modified.seconds) \(modified.nanoseconds) \(content)"
  }

  fileprivate init?(line: Substring) {
    let words = line.split(separator: " ")
    guard words.count == 5, IPAddress(fileName: String(words[0])) != nil,
      let inode = UInt64(words[1]), let seconds = Int64(words[2]),
      let nanoseconds = Int64(words[3]), let content = UInt64(words[4])
    else { return nil }
    self.init(
      name: String(words[0]), inode: inode,
      modified: FileTime(seconds: seconds, nanoseconds: nanoseconds), content: content)
  }
}

extension NetworkDirectory {
  /// Writes an intent down; with `durably`, also for a loss of power.
  func record(_ intent: Intent, durably: Bool) throws(SystemError) {
    try lock.write(intent.encoded)
    if durably { try lock.synchronize() }
  }

  /// Goes over to the next phase.
  func advance(to phase: Intent.Phase, durably: Bool) throws(SystemError) {
    try lock.write([phase.rawValue])
    if durably { try lock.synchronize() }
  }

  /// The commit is whole: nothing is left to do for others.
  func forgetIntent(durably: Bool) throws(SystemError) {
    try lock.truncate()
    if durably { try lock.synchronize() }
  }

  /// Ends what a process began that died in a commit.
  func recover() throws(SystemError) {
    guard try lock.status().size > 0 else { return }
    // What is not whole was never acted upon.
    guard let intent = Intent(try lock.read(upTo: Intent.longestText)) else {
      try? forgetIntent(durably: false)
      return
    }
    for file in intent.phase == .linking ? intent.links : intent.unlinks where try isStanding(file)
    {
      try descriptor.unlink(file.name)
    }
    try forgetIntent(durably: false)
  }

  private func isStanding(_ file: Intent.File) throws(SystemError) -> Bool {
    guard let status = try descriptor.status(of: file.name), status.kind == .regular,
      status.identity.inode == file.inode, status.modified == file.modified
    else { return false }
    let content = try Descriptor(file.name, in: descriptor, flags: O_RDONLY)
      .read(upTo: Holder.longestContent)
    return Fingerprint(content).value == file.content
  }
}
