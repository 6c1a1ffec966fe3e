internal import Glibc

// What the system says of files, and the clocks.

/// What stands at a name.
enum FileKind: Hashable, Sendable {
  case regular
  case directory
  /// A link, FIFO, socket or device: nothing that this store opens.
  case other

  /// Nil if the file system does not say.
  init?(directoryEntry type: UInt8) {
    switch Int(type) {
    case Int(DT_REG): self = .regular
    case Int(DT_DIR): self = .directory
    case Int(DT_UNKNOWN): return nil
    default: self = .other
    }
  }

  init(mode: mode_t) {
    switch mode & S_IFMT {
    case S_IFREG: self = .regular
    case S_IFDIR: self = .directory
    default: self = .other
    }
  }
}

/// A moment by the wall clock.
struct FileTime: Hashable, Sendable {
  var seconds: Int64
  var nanoseconds: Int64

  init(seconds: Int64, nanoseconds: Int64) {
    self.seconds = seconds
    self.nanoseconds = nanoseconds
  }

  init(_ time: timespec) {
    self.init(seconds: Int64(time.tv_sec), nanoseconds: Int64(time.tv_nsec))
  }

  /// As a number; 1 for times before 1970.
  var nanosecondsSinceEpoch: UInt64 {
    seconds < 0
      ? 1 : max(1, UInt64(seconds) &* 1_000_000_000 &+ UInt64(clamping: nanoseconds))
  }

  init(nanosecondsSinceEpoch time: UInt64) {
    self.init(
      seconds: Int64(time / 1_000_000_000), nanoseconds: Int64(time % 1_000_000_000))
  }

  var timespec: Glibc.timespec { Glibc.timespec(tv_sec: Int(seconds), tv_nsec: Int(nanoseconds)) }

  /// A moment between 1985 and 2001 that nothing else gives a directory.
  static func randomPast() -> FileTime {
    FileTime(
      seconds: .random(in: 500_000_000..<1_000_000_000), nanoseconds: .random(in: 0..<1_000_000_000)
    )
  }
}

/// Which file it is, on its machine.
struct FileIdentity: Hashable, Sendable {
  var device: UInt64
  var inode: UInt64
}

/// What stat(2) says.
struct FileStatus: Hashable, Sendable {
  let kind: FileKind
  let identity: FileIdentity
  let size: Int
  let links: UInt64
  let modified: FileTime

  init(_ status: stat) {
    kind = FileKind(mode: status.st_mode)
    identity = FileIdentity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
    size = Int(status.st_size)
    links = UInt64(status.st_nlink)
    modified = FileTime(status.st_mtim)
  }

  /// Of a path, links followed.
  init(path: String) throws(SystemError) {
    var status = stat()
    _ = try retrying("stat \(path)") { stat(path, &status) }
    self.init(status)
  }
}

extension Descriptor {
  /// Of the open file itself.
  func status() throws(SystemError) -> FileStatus {
    var status = stat()
    _ = try retrying("stat \(path)") { fstat(raw, &status) }
    return FileStatus(status)
  }

  /// Of what stands at a name of this directory, links not followed; nil if nothing does.
  func status(of name: String) throws(SystemError) -> FileStatus? {
    var status = stat()
    do throws(SystemError) {
      _ = try retrying("stat \(path)/\(name)") {
        fstatat(raw, name, &status, AT_SYMLINK_NOFOLLOW)
      }
    } catch  where error.code == ENOENT {
      return nil
    }
    return FileStatus(status)
  }

  /// Sets the modification time and leaves the access time.
  func setModified(_ time: FileTime) throws(SystemError) {
    let omit = (1 << 30) - 2
    let times = [timespec(tv_sec: 0, tv_nsec: omit), time.timespec]
    _ = try retrying("set the time of \(path)") { futimens(raw, times) }
  }
}

/// The system's clocks, in nanoseconds.
enum Clock {
  static var monotonic: UInt64 { reading(CLOCK_MONOTONIC) }
  static var wall: UInt64 { reading(CLOCK_REALTIME) }

  private static func reading(_ clock: clockid_t) -> UInt64 {
    var time = timespec()
    clock_gettime(clock, &time)
    return UInt64(clamping: time.tv_sec) &* 1_000_000_000 &+ UInt64(clamping: time.tv_nsec)
  }
}

/// Makes a directory and those above it.
func makeDirectories(_ path: String, mode: mode_t) throws(SystemError) {
  if mkdir(path, mode) == 0 || errno == EEXIST { return }
  guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash > path.startIndex else {
    throw SystemError(what: "mkdir \(path)", code: errno)
  }
  try makeDirectories(String(path[..<slash]), mode: mode)
  if mkdir(path, mode) != 0, errno != EEXIST {
    throw SystemError(what: "mkdir \(path)", code: errno)
  }
}
