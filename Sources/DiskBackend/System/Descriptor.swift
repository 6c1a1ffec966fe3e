internal import Glibc

// Every call of the system that the store makes is in this folder. A descriptor is owned by one value
// and closed when that goes away; no call follows a symbolic link at a name in the directory, and none
// waits for the other end of a FIFO.

/// An open file or directory.
struct Descriptor: ~Copyable, Sendable {
  let raw: Int32
  /// For error texts.
  let path: String

  private init(_ raw: Int32, path: String) {
    self.raw = raw
    self.path = path
  }

  deinit { close(raw) }

  /// Opens a directory; symbolic links on the way are the operator's wish and followed.
  init(directory path: String) throws(SystemError) {
    let raw = try retrying("open \(path)") { open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
    self.init(raw, path: path)
  }

  /// Opens any path as it is.
  init(file path: String, flags: Int32, mode: mode_t = 0) throws(SystemError) {
    let raw = try retrying("open \(path)") { open(path, flags | Self.always, mode) }
    self.init(raw, path: path)
  }

  /// Opens a name in a directory.
  init(
    _ name: String, in directory: borrowing Descriptor, flags: Int32, mode: mode_t = 0
  ) throws(SystemError) {
    let path = "\(directory.path)/\(name)"
    let parent = directory.raw
    let raw = try retrying("open \(path)") { openat(parent, name, flags | Self.always, mode) }
    self.init(raw, path: path)
  }

  /// Makes a file without a name in a directory; ``link(as:in:)`` gives it one.
  ///
  /// - Throws: With `EOPNOTSUPP` or `EISDIR` where the file system knows no such files.
  init(unnamedIn directory: borrowing Descriptor, mode: mode_t) throws(SystemError) {
    let parent = directory.raw
    let raw = try retrying("create a file in \(directory.path)") {
      openat(parent, ".", O_WRONLY | Self.unnamed | O_CLOEXEC, mode)
    }
    self.init(raw, path: "\(directory.path)/(new)")
  }

  // Linux has them; the Glibc module does not export them.
  private static let unnamed: Int32 = 0o20_000_000 | O_DIRECTORY
  private static let emptyPath: Int32 = 0x1000
  private static let always = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY
}

// MARK: - Content

extension Descriptor {
  /// At most `limit` bytes from a position on.
  func read(upTo limit: Int, at position: Int = 0) throws(SystemError) -> [UInt8] {
    var failure: Int32 = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
      while count < limit {
        let got = pread(raw, buffer.baseAddress.map { $0 + count }, limit - count, position + count)
        if got > 0 {
          count += got
        } else if got == 0 {
          return
        } else if errno != EINTR {
          failure = errno
          return
        }
      }
    }
    guard failure == 0 else { throw SystemError(what: "read \(path)", code: failure) }
    return bytes
  }

  /// Writes all bytes at a position.
  func write(_ bytes: [UInt8], at position: Int = 0) throws(SystemError) {
    var sent = 0
    while sent < bytes.count {
      let count = bytes.withUnsafeBytes { buffer in
        pwrite(raw, buffer.baseAddress.map { $0 + sent }, bytes.count - sent, position + sent)
      }
      if count > 0 {
        sent += count
      } else if errno != EINTR {
        throw SystemError(what: "write \(path)", code: count == 0 ? EIO : errno)
      }
    }
  }

  /// Cuts or extends the file.
  func truncate(to size: Int = 0) throws(SystemError) {
    _ = try retrying("truncate \(path)") { ftruncate(raw, size) }
  }

  /// Waits until everything is on the disk.
  func synchronize() throws(SystemError) {
    _ = try retrying("fsync \(path)") { fsync(raw) }
  }
}

// MARK: - Names

extension Descriptor {
  /// Gives an unnamed file a name; nothing that stands there is replaced.
  ///
  /// - Throws: With `EEXIST` if something stands there.
  func link(as name: String, in directory: borrowing Descriptor) throws(SystemError) {
    let parent = directory.raw
    // By descriptor that needs CAP_DAC_READ_SEARCH on older kernels, else /proc.
    if linkat(raw, "", parent, name, Self.emptyPath) == 0 { return }
    guard errno == ENOENT || errno == EPERM else {
      throw SystemError(what: "link \(directory.path)/\(name)", code: errno)
    }
    _ = try retrying("link \(directory.path)/\(name)") {
      linkat(AT_FDCWD, "/proc/self/fd/\(raw)", parent, name, AT_SYMLINK_FOLLOW)
    }
  }

  /// Gives a file in this directory a second name; nothing that stands there is replaced.
  func link(_ name: String, as other: String) throws(SystemError) {
    _ = try retrying("link \(path)/\(other)") { linkat(raw, name, raw, other, 0) }
  }

  /// Removes a name of this directory.
  func unlink(_ name: String) throws(SystemError) {
    _ = try retrying("remove \(path)/\(name)") { unlinkat(raw, name, 0) }
  }

  /// Gives a name of this directory to what has another, replacing what stands there.
  func rename(_ name: String, to other: String) throws(SystemError) {
    _ = try retrying("rename \(path)/\(name)") { renameat(raw, name, raw, other) }
  }

  /// Visits the names in this directory, `.` and `..` left out.
  ///
  /// - Complexity: O(n); one pass.
  func visitNames(
    _ visit: (_ name: String, _ kind: FileKind?) throws(SystemError) -> Void
  ) throws(SystemError) {
    // A descriptor of its own, because fdopendir takes it over and moves its position.
    let own = try retrying("open \(path)") {
      openat(raw, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    }
    guard let stream = fdopendir(own) else {
      let code = errno
      close(own)
      throw SystemError(what: "read \(path)", code: code)
    }
    defer { closedir(stream) }
    while true {
      errno = 0
      guard let entry = readdir(stream) else {
        guard errno == 0 else { throw SystemError(what: "read \(path)", code: errno) }
        return
      }
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name == "." || name == ".." { continue }
      try visit(name, FileKind(directoryEntry: entry.pointee.d_type))
    }
  }
}

/// Calls until it is not interrupted; -1 is a failure.
func retrying(_ what: @autoclosure () -> String, _ call: () -> Int32) throws(SystemError) -> Int32 {
  while true {
    let result = call()
    if result >= 0 { return result }
    if errno != EINTR { throw SystemError(what: what(), code: errno) }
  }
}
