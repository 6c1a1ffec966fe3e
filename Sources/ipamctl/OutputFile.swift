import Glibc

// Output that has to be whole or to fail: standard output, or a file that appears under its name only
// once all of it is on the disk. What cannot be written is an error, not a shorter file. What is no plain
// file (a link such as /dev/stdout, a pipe, a device) is written to as it stands and never replaced.

/// Collects text and writes it a block at a time.
struct OutputFile: ~Copyable {
  private static let block = 1 << 16

  private let path: String?
  /// What gets the path's name in the end; nil where there is nothing to replace.
  private let draft: String?
  private let descriptor: Int32
  private var buffer: [UInt8] = []
  private var isDone = false

  /// Opens a draft beside a path, or standard output for none and for `-`.
  init(_ path: String?, mode: mode_t = 0o644) throws(Failure) {
    guard let path, path != "-" else {
      (self.path, draft, descriptor) = (nil, nil, STDOUT_FILENO)
      return
    }
    self.path = path
    var status = stat()
    if lstat(path, &status) == 0, status.st_mode & S_IFMT != S_IFREG {
      draft = nil
      descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
    } else {
      let draft = "\(path).\(getpid()).draft"
      self.draft = draft
      descriptor = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode)
    }
    guard descriptor >= 0 else {
      isDone = true
      throw Self.failure(path)
    }
  }

  deinit {
    guard !isDone, path != nil else { return }
    close(descriptor)
    if let draft { unlink(draft) }
  }

  /// Adds bytes; writes what is more than a block.
  mutating func write(_ bytes: some Sequence<UInt8>) throws(Failure) {
    buffer += bytes
    if buffer.count >= Self.block { try flush() }
  }

  /// Writes what is left; a file gets its name.
  mutating func finish() throws(Failure) {
    try flush()
    isDone = true
    guard let path else { return }
    guard let draft else {
      guard close(descriptor) == 0 else { throw Self.failure(path) }
      return
    }
    let isSynced = fsync(descriptor) == 0
    guard isSynced, close(descriptor) == 0, rename(draft, path) == 0 else {
      let failure = Self.failure(path)
      unlink(draft)
      throw failure
    }
  }

  private mutating func flush() throws(Failure) {
    var sent = 0
    while sent < buffer.count {
      let count = buffer.withUnsafeBytes {
        Glibc.write(descriptor, $0.baseAddress.map { $0 + sent }, buffer.count - sent)
      }
      if count > 0 {
        sent += count
      } else if errno != EINTR {
        throw Self.failure(path ?? "standard output")
      }
    }
    buffer.removeAll(keepingCapacity: true)
  }

  private static func failure(_ path: String) -> Failure {
    Failure(.failed, "\(path): \(String(cString: strerror(errno)))")
  }
}

/// Reads lines of bounded length, a block at a time.
struct LineReader: ~Copyable {
  /// Bytes of a line; the largest attachment that Consul takes has half a mebibyte.
  private static let limit = 1 << 20

  private let path: String
  private let descriptor: Int32
  private var buffer: [UInt8] = []
  private var start = 0
  private var isAtEnd = false
  /// The number of the line that was read last, from 1.
  private(set) var number = 0

  /// Opens a file; `-` is standard input.
  init(_ path: String) throws(Failure) {
    self.path = path
    descriptor = path == "-" ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw Failure(.failed, "\(path): \(String(cString: strerror(errno)))")
    }
  }

  deinit { if descriptor > STDIN_FILENO { close(descriptor) } }

  /// The next line without its end; nil after the last. A last line without an end was cut off.
  mutating func next() throws(Failure) -> [UInt8]? {
    var searched = start
    while true {
      if let end = buffer[searched...].firstIndex(of: UInt8(ascii: "\n")) {
        defer { start = end + 1 }
        number += 1
        return Array(buffer[start..<end])
      }
      guard !isAtEnd else {
        guard start == buffer.count else {
          throw Failure(.usage, "\(path) line \(number + 1): the file is cut off here")
        }
        return nil
      }
      guard buffer.count - start <= Self.limit else {
        throw Failure(.usage, "\(path) line \(number + 1): more than \(Self.limit) bytes")
      }
      buffer.removeFirst(start)
      (start, searched) = (0, buffer.count)
      try fill()
    }
  }

  private mutating func fill() throws(Failure) {
    var block = [UInt8](repeating: 0, count: 1 << 16)
    let count = Glibc.read(descriptor, &block, block.count)
    if count > 0 {
      buffer += block[..<count]
    } else if count == 0 {
      isAtEnd = true
    } else if errno != EINTR {
      throw Failure(.failed, "\(path): \(String(cString: strerror(errno)))")
    }
  }
}
