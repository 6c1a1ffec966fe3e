import Glibc
import JSON

// Every call of the system that the program makes.

/// Standard streams, files and the process.
enum Terminal {
  /// Prints a line to standard output.
  static func print(_ text: String) { write(text + "\n", to: STDOUT_FILENO) }

  /// Prints a line about what is going on to standard error; what it quotes does not steer the
  /// terminal.
  static func say(_ text: String) {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    let printable = lines.map { Table.printable(String($0)) }.joined(separator: "\n")
    write("ipamctl: \(printable)\n", to: STDERR_FILENO)
  }

  /// Writes all of a text; a reader that went away is its own affair. What standard output does not
  /// take, as on a full disk, ends the program.
  static func write(_ text: String, to descriptor: Int32) {
    var text = text
    text.withUTF8 { write($0, to: descriptor) }
  }

  /// Writes bytes to standard output.
  static func write(_ bytes: [UInt8]) {
    bytes.withUnsafeBufferPointer { write($0, to: STDOUT_FILENO) }
  }

  private static func write(_ bytes: UnsafeBufferPointer<UInt8>, to descriptor: Int32) {
    var sent = 0
    while sent < bytes.count {
      let count = Glibc.write(
        descriptor, bytes.baseAddress.map { $0 + sent }, bytes.count - sent)
      if count > 0 {
        sent += count
      } else if errno != EINTR {
        guard descriptor == STDOUT_FILENO, errno != EPIPE else { return }
        say("standard output: \(String(cString: strerror(errno)))")
        end(.failed)
      }
    }
  }

  /// Keeps the numbers of the standard streams from files and connections, where they are closed.
  static func reserveStandardStreams() {
    for descriptor in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO]
    where fcntl(descriptor, F_GETFD) < 0 {
      // For the other direction, so that its use is an error still.
      _ = open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY)
    }
  }

  static func end(_ status: ExitStatus) -> Never {
    // Not exit(3): the client's thread may still run, and nothing is left to flush.
    _exit(status.rawValue)
  }

  /// A whole file; `-` is standard input. At most 16 MiB.
  static func read(_ path: String) throws(Failure) -> [UInt8] {
    let descriptor = path == "-" ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw Failure(.failed, "\(path): \(String(cString: strerror(errno)))")
    }
    defer { if path != "-" { close(descriptor) } }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while bytes.count <= JSONLimits.bytes {
      let count = Glibc.read(descriptor, &buffer, buffer.count)
      if count > 0 {
        bytes += buffer[..<count]
      } else if count == 0 {
        return bytes
      } else if errno != EINTR {
        throw Failure(.failed, "\(path): \(String(cString: strerror(errno)))")
      }
    }
    throw Failure(.usage, "\(path): more than \(JSONLimits.bytes) bytes")
  }

  static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

  /// Whether there is surely nothing, which is not known of what may not be looked at.
  static func isMissing(_ path: String) -> Bool { !exists(path) && errno == ENOENT }

  static func isFolder(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }

  /// Replaces a file whole: a reader finds the old content or the new one.
  static func replace(_ path: String, with bytes: some Sequence<UInt8>) throws(Failure) {
    var file = try OutputFile(path)
    try file.write(bytes)
    try file.finish()
  }

  /// The names in a folder but for hidden ones; nil if it cannot be read, with errno.
  static func names(in folder: String) -> [String]? {
    guard let stream = opendir(folder) else { return nil }
    defer { closedir(stream) }
    var names: [String] = []
    errno = 0
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if !name.hasPrefix(".") { names.append(name) }
      errno = 0
    }
    return errno == 0 ? names : nil
  }

  /// When a file was written last, in seconds since 1970.
  static func modificationTime(_ path: String) throws(Failure) -> UInt64 {
    var status = stat()
    guard stat(path, &status) == 0 else {
      throw Failure(.failed, "\(path): \(String(cString: strerror(errno)))")
    }
    return UInt64(clamping: status.st_mtim.tv_sec)
  }

  /// All variables; of a repeated one the first, as getenv(3) has it.
  static var environment: [String: String] {
    var variables: [String: String] = [:]
    var next = environ
    while let entry = next.pointee {
      let text = String(cString: entry)
      if let equals = text.firstIndex(of: "=") {
        let name = String(text[..<equals])
        if variables[name] == nil { variables[name] = String(text[text.index(after: equals)...]) }
      }
      next += 1
    }
    return variables
  }
}

/// Rows in columns, as wide as their widest cell; the last column is not padded. Control characters,
/// which a container ID may have, do not reach the terminal.
struct Table {
  private let rows: [[String]]

  init(_ head: [String], _ rows: [[String]]) {
    self.rows = ([head] + rows).map { $0.map(Self.printable) }
  }

  /// A cell with a `?` for each control character, as it is printed and its width is counted.
  static func printable(_ cell: String) -> String {
    if cell.utf8.allSatisfy({ (0x20..<0x7F).contains($0) }) { return cell }
    return String(String.UnicodeScalarView(cell.unicodeScalars.map { isControl($0) ? "?" : $0 }))
  }

  private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
    scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value)
  }

  var text: String {
    var widths: [Int] = []
    for row in rows {
      for (index, cell) in row.enumerated() {
        if index == widths.count { widths.append(0) }
        widths[index] = max(widths[index], cell.count)
      }
    }
    return rows.map { row in
      row.enumerated().map { index, cell in
        index == row.count - 1
          ? cell : cell + String(repeating: " ", count: widths[index] + 2 - cell.count)
      }.joined()
    }.joined(separator: "\n")
  }
}

/// A time as RFC 3339 writes it, in UTC.
func utc(_ seconds: UInt64) -> String {
  var time = time_t(truncatingIfNeeded: min(seconds, UInt64(Int64.max)))
  var parts = tm()
  guard gmtime_r(&time, &parts) != nil else { return "\(seconds)" }
  return String(unsafeUninitializedCapacity: 32) { buffer in
    buffer.withMemoryRebound(to: CChar.self) {
      strftime($0.baseAddress, $0.count, "%Y-%m-%dT%H:%M:%SZ", &parts)
    }
  }
}
