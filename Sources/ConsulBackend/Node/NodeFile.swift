internal import Glibc

// The few calls of the system that a node's own files need. Every file is small, written whole under
// another name and then renamed, so that a reader sees the old one or the new one; but the copy, which
// every commit writes and which carries a checksum, is written over. None is synced, because all of it
// may be lost with the machine.

/// Reads, replaces and locks small files.
enum NodeFile {
  /// A call of the system failed.
  struct Failure: Error, CustomStringConvertible {
    let call: String
    let path: String
    let code: Int32

    var description: String { "\(call) \(path): \(String(cString: strerror(code)))" }
  }

  /// No file of a node is larger; a longer one is not ours.
  static let sizeLimit = 8 << 20

  /// Makes a folder and those above it; what exists is left as it is.
  static func makeFolder(_ path: String) throws(Failure) {
    if mkdir(path, 0o700) == 0 || errno == EEXIST { return }
    guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex else {
      throw Failure(call: "mkdir", path: path, code: errno)
    }
    try makeFolder(String(path[..<slash]))
    guard mkdir(path, 0o700) == 0 || errno == EEXIST else {
      throw Failure(call: "mkdir", path: path, code: errno)
    }
  }

  static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

  /// Whether files can be made in a folder, as far as rights and a mount say.
  static func isWritable(_ folder: String) -> Bool {
    access(folder, W_OK) == 0 || errno == ENOENT
  }

  /// The bytes of a file; nil if there is none or it cannot be read.
  static func read(_ path: String) -> [UInt8]? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG,
      status.st_size <= sizeLimit
    else { return nil }
    let size = Int(status.st_size)
    let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
      while count < size {
        let received = Glibc.read(descriptor, buffer.baseAddress.map { $0 + count }, size - count)
        if received <= 0 { break }
        count += received
      }
    }
    return bytes.count == size ? bytes : nil
  }

  /// Puts the bytes in the file's place.
  static func replace(_ path: String, with bytes: [UInt8]) throws(Failure) {
    let draft = "\(path).\(getpid())"
    try write(draft, bytes, flags: O_TRUNC)
    guard rename(draft, path) == 0 else {
      let code = errno
      unlink(draft)
      throw Failure(call: "rename", path: path, code: code)
    }
  }

  /// Writes the bytes over what the file has, for readers that notice a torn one. To rename over a file
  /// makes file systems write it out at once, which takes as long as a commit.
  static func overwrite(_ path: String, with bytes: [UInt8]) throws(Failure) {
    try write(path, bytes, flags: 0)
  }

  /// Makes the file unless there is one; whether it was made.
  static func createOnce(_ path: String, with bytes: [UInt8]) throws(Failure) -> Bool {
    let draft = "\(path).\(getpid())"
    try write(draft, bytes, flags: O_TRUNC)
    defer { unlink(draft) }
    if link(draft, path) == 0 { return true }
    guard errno == EEXIST else { throw Failure(call: "link", path: path, code: errno) }
    return false
  }

  /// Gives a file another place; whether it was there.
  @discardableResult
  static func move(_ path: String, to place: String) -> Bool { rename(path, place) == 0 }

  static func remove(_ path: String) {
    unlink(path)
  }

  private static func write(
    _ path: String, _ bytes: [UInt8], flags: Int32
  ) throws(Failure) {
    let flags = flags | O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK
    let descriptor = open(path, flags, 0o600)
    guard descriptor >= 0 else { throw Failure(call: "open", path: path, code: errno) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      throw Failure(call: "open", path: path, code: EINVAL)
    }
    var sent = 0
    while sent < bytes.count {
      let count = bytes.withUnsafeBytes { buffer in
        Glibc.write(descriptor, buffer.baseAddress.map { $0 + sent }, buffer.count - sent)
      }
      if count < 0 && errno == EINTR { continue }
      if count <= 0 {
        let code = errno
        unlink(path)
        throw Failure(call: "write", path: path, code: code)
      }
      sent += count
    }
    if status.st_size > bytes.count { ftruncate(descriptor, bytes.count) }
  }

  // MARK: Locks

  /// Opens a lock file; nil if it cannot be opened.
  static func openLock(_ path: String) -> Int32? {
    let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
    return descriptor >= 0 ? descriptor : nil
  }

  /// Takes the lock if nobody has it.
  static func tryLock(_ descriptor: Int32) -> Bool {
    flock(descriptor, LOCK_EX | LOCK_NB) == 0
  }

  /// Waits for the lock, in the calling thread.
  static func waitForLock(_ descriptor: Int32) {
    while flock(descriptor, LOCK_EX) != 0 && errno == EINTR {}
  }

  /// Takes a lock that nobody holds for long; goes on without it after some tries (5 ms in all unless
  /// given), as when its holder is stopped.
  @discardableResult
  static func lockBriefly(
    _ descriptor: Int32, tries: Int = 20, microseconds: UInt32 = 250
  ) -> Bool {
    for _ in 0..<tries {
      if tryLock(descriptor) { return true }
      usleep(microseconds)
    }
    return false
  }

  /// What an open file begins with.
  static func read(_ descriptor: Int32, upTo count: Int) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: count) { buffer, received in
      received = max(0, pread(descriptor, buffer.baseAddress, count, 0))
    }
  }

  /// Writes over what an open file begins with.
  static func write(_ descriptor: Int32, _ bytes: [UInt8]) {
    if pwrite(descriptor, bytes, bytes.count, 0) == bytes.count {
      ftruncate(descriptor, bytes.count)
    }
  }

  /// Closes the lock's file, and so gives the lock up.
  static func closeLock(_ descriptor: Int32) {
    close(descriptor)
  }

  // MARK: Clock and boot

  /// Nanoseconds since the machine was started, sleep included.
  static var bootClock: UInt64 {
    var now = timespec()
    clock_gettime(CLOCK_BOOTTIME, &now)
    return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
  }

  /// The kernel's identifier of this boot; empty where there is none.
  static var bootID: String { firstWord(of: "/proc/sys/kernel/random/boot_id") }

  /// The first word of a file of the system's; empty where there is none.
  static func firstWord(of path: String) -> String {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return "" }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: 64)
    let count = Glibc.read(descriptor, &bytes, bytes.count)
    let text = bytes.prefix(max(0, count)).prefix { $0 > 0x20 }
    return String(decoding: text, as: UTF8.self)
  }

  /// The host's name; empty where there is none.
  static var hostName: String {
    var buffer = [CChar](repeating: 0, count: 256)
    guard gethostname(&buffer, buffer.count - 1) == 0 else { return "" }
    return String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
  }
}
