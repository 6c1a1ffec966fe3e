internal import Glibc
public import IPAM

// Who held what and when, on this node's disk:
//
//   <stateDir>/journal/<network>      the latest events, a line each
//                      <network>,1    those before, at most as many bytes (a name has no comma)
//
// A line is one write to a file opened for appending, so lines of several processes do not mix, and
// nobody waits for anybody: only who makes a file the older one holds a lock on it, and who does not get
// that lock appends to the file that is too long. An event that cannot be written is lost.

/// A node's journal of one network.
public struct Journal: Sendable {
  /// A file of about so many bytes becomes the older one: some thousand events.
  public static let fileSize = 1 << 20
  /// What the older file's name ends with. Network names may end with a dot and a digit; a comma is
  /// escaped in them.
  private static let older = ",1"

  private let folder: String
  private let name: String

  /// The journal of a network; nothing is touched before the first use.
  public init(stateDirectory: String, network: String) {
    folder = stateDirectory + "/journal"
    name =
      network.hasPrefix(".")
      ? "%2E" + JournalEvent.escape(String(network.dropFirst()))
      : JournalEvent.escape(network)
  }

  /// Adds events.
  ///
  /// - Returns: Whether they were written.
  /// - Complexity: O(bytes); two or three calls of the system, and no waiting.
  @discardableResult
  public func append(_ events: [JournalEvent]) -> Bool {
    guard !events.isEmpty, !name.isEmpty else { return true }
    let text = events.reduce(into: "") { $0 += $1.line + "\n" }
    let path = "\(folder)/\(name)"
    guard var file = Self.open(path) else {
      for parent in [String(folder.dropLast("/journal".count)), folder] { mkdir(parent, 0o700) }
      guard let file = Self.open(path) else { return false }
      defer { close(file) }
      return Self.write(text, to: file)
    }
    defer { close(file) }
    var status = stat()
    if fstat(file, &status) == 0, Int(status.st_size) >= Self.fileSize,
      flock(file, LOCK_EX | LOCK_NB) == 0
    {
      var current = stat()
      // Somebody else may have made it the older one just now.
      if stat(path, &current) == 0, current.st_ino == status.st_ino {
        rename(path, path + Self.older)
      }
      guard let next = Self.open(path) else { return false }
      close(file)
      file = next
    }
    return Self.write(text, to: file)
  }

  private static func open(_ path: String) -> Int32? {
    let flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK
    let file = Glibc.open(path, flags, 0o600)
    return file < 0 ? nil : file
  }

  private static func write(_ text: String, to file: Int32) -> Bool {
    Glibc.write(file, text, text.utf8.count) == text.utf8.count
  }

  /// The names of the networks that have a journal here, sorted.
  public static func networks(in stateDirectory: String) -> [String] {
    guard let folder = opendir(stateDirectory + "/journal") else { return [] }
    defer { closedir(folder) }
    var names: Set<String> = []
    while let entry = readdir(folder) {
      let file = withUnsafePointer(to: &entry.pointee.d_name) {
        String(cString: UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self))
      }
      guard !file.hasPrefix(".") else { continue }
      let name = file.hasSuffix(Self.older) ? String(file.dropLast(Self.older.count)) : file
      if let network = JournalEvent.unescape(name) { names.insert(network) }
    }
    return names.sorted()
  }

  /// Its files, the older one first.
  var paths: [String] { ["\(folder)/\(name)\(Self.older)", "\(folder)/\(name)"] }

  /// Visits the events, the oldest first; lines that are none are passed by.
  ///
  /// - Complexity: O(bytes) in time, O(1) in memory.
  public func visit(_ body: (JournalEvent) -> Void) {
    for path in paths {
      guard let file = fopen(path, "re") else { continue }
      defer { fclose(file) }
      var line: UnsafeMutablePointer<CChar>?
      var capacity = 0
      defer { free(line) }
      while true {
        let count = getline(&line, &capacity, file)
        guard count > 0, let line else { break }
        let bytes = UnsafeRawBufferPointer(start: line, count: count)
        let text = String(decoding: bytes.last == 10 ? bytes.dropLast() : bytes[...], as: UTF8.self)
        if let event = JournalEvent(line: text) { body(event) }
      }
    }
  }
}
