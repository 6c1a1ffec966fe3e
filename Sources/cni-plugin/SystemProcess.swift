import Dispatch
import Glibc
import IPAM
import Synchronization

// Every call of the system that the executable makes is here.

/// The process's own surroundings.
enum SystemProcess {
  /// A standard stream to write to.
  enum Stream: Int32 {
    case output = 1
    case error = 2
  }

  /// A call of the system failed.
  struct Failure: Error, CustomStringConvertible {
    let call: String
    let code: Int32

    /// In lower case, as the reference's messages are.
    var description: String {
      let reason = String(cString: strerror(code))
      return "\(call): \(reason.prefix(1).lowercased())\(reason.dropFirst())"
    }
  }

  /// The variables that are for a plugin or for Consul; of a repeated one the first, as getenv(3) has it.
  static var environment: [String: String] {
    var variables: [String: String] = [:]
    var next = environ
    while let entry = next.pointee {
      next += 1
      // A runtime's own are many, and each would be two strings and a place in a table.
      guard strncmp(entry, "CNI_", 4) == 0 || strncmp(entry, "CONSUL_", 7) == 0 else { continue }
      let bytes = UnsafeBufferPointer(
        start: UnsafeRawPointer(entry).assumingMemoryBound(to: UInt8.self), count: strlen(entry))
      if let equals = bytes.firstIndex(of: UInt8(ascii: "=")) {
        let name = String(decoding: bytes[..<equals], as: UTF8.self)
        if variables[name] == nil {
          variables[name] = String(decoding: bytes[(equals + 1)...], as: UTF8.self)
        }
      }
    }
    return variables
  }

  /// Standard input to its end, or to a byte above the limit.
  static func readInput(limit: Int) throws -> [UInt8] {
    var input: [UInt8] = []
    while input.count <= limit {
      let room = min(max(4_096, input.count), limit + 1 - input.count)
      var code: Int32 = 0
      let chunk = [UInt8](unsafeUninitializedCapacity: room) { buffer, count in
        var received = -1
        repeat {
          received = Glibc.read(0, buffer.baseAddress, room)
          code = errno
        } while received < 0 && code == EINTR
        count = max(0, received)
        if received >= 0 { code = 0 }
      }
      guard code == 0 else { throw Failure(call: "read", code: code) }
      if chunk.isEmpty { return input }
      input += chunk
    }
    return input
  }

  /// Sees to it that the standard streams are what the process takes them for.
  static func prepareStreams() {
    // A file must not come to stand where a closed stream was, and be written a reply. This descriptor
    // can neither be read nor written.
    let nothing: Int32 = 0o10_000_000  // O_PATH, which the Glibc module does not export
    for stream: Int32 in 0...2 where fcntl(stream, F_GETFD) == -1 {
      _ = open("/", nothing | O_CLOEXEC)
    }
    // A reader that went away is an error, and not the end of what was begun.
    signal(SIGPIPE, SIG_IGN)
  }

  /// Writes all of a text.
  static func write(_ text: String, to stream: Stream) throws(Failure) {
    var text = text
    let code: Int32 = text.withUTF8 { bytes in
      var sent = 0
      while sent < bytes.count {
        let count = Glibc.write(
          stream.rawValue, bytes.baseAddress.map { $0 + sent }, bytes.count - sent)
        if count > 0 { sent += count } else if errno != EINTR { return count < 0 ? errno : EIO }
      }
      return 0
    }
    if code != 0 { throw Failure(call: "write", code: code) }
  }

  /// Appends a text to a file in one call, so that lines of several processes do not mix.
  static func append(_ text: String, toFile path: String) throws(Failure) {
    let descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0o640)
    guard descriptor >= 0 else { throw Failure(call: "open \(path)", code: errno) }
    defer { close(descriptor) }
    let count = Glibc.write(descriptor, text, text.utf8.count)
    guard count == text.utf8.count else {
      throw Failure(call: "write \(path)", code: count < 0 ? errno : ENOSPC)
    }
  }

  /// The time as RFC 3339 writes it, in UTC, to the millisecond.
  static var timestamp: String {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    var parts = tm()
    gmtime_r(&now.tv_sec, &parts)
    let seconds = String(unsafeUninitializedCapacity: 32) { buffer in
      buffer.withMemoryRebound(to: CChar.self) {
        strftime($0.baseAddress, $0.count, "%Y-%m-%dT%H:%M:%S", &parts)
      }
    }
    let milliseconds = String(1_000 + now.tv_nsec / 1_000_000).dropFirst()
    return "\(seconds).\(milliseconds)Z"
  }

  static func exit(_ status: Int32) -> Never {
    // Not exit(3): the event loop's thread may still run, and nothing is left to flush.
    _exit(status)
  }

  /// Runs asynchronous work to its end on the main thread.
  static func wait<Result: Sendable>(_ body: @escaping @Sendable () async -> Result) -> Result {
    MainLoop.shared.run(body)
  }

  /// The text of a small file.
  static func read(file path: String, limit: Int = 1 << 20) throws -> String {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw Failure(call: "open \(path)", code: errno) }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: limit)
    var length = 0
    while length < limit {
      let count = Glibc.read(descriptor, &bytes[length], limit - length)
      guard count >= 0 else { throw Failure(call: "read \(path)", code: errno) }
      if count == 0 { break }
      length += count
    }
    return String(decoding: bytes[..<length], as: UTF8.self)
  }

  static var surroundings: Surroundings {
    Surroundings(
      now: { UInt64(max(0, time(nil))) },
      monotonic: {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
      },
      random: { UInt64.random(in: 1...UInt64.max) },
      sleep: { try? await Task.sleep(nanoseconds: $0) })
  }
}
