import CNI
import Glibc
import JSON
import Synchronization

// One line for what an operator should know, to standard error and, if configured, to a file:
//
//   time=2026-03-01T03:00:00.250Z level=info plugin=cni-ipam-consul command=ADD network=pods … msg=done
//
// Only what is named here is ever logged: no configuration, no input, no token. A log that cannot be
// written is said once and never fails a command.

/// The log of this process.
struct Log: Sendable {
  /// Given by the configuration; without it warnings go to standard error, and failures, which are the
  /// reply already, only to the file.
  var configured: LogLevel?
  var format = LogFormat.logfmt
  var file: String?
  /// What every line says: the command and what it is about.
  var context: [(key: String, value: String)] = []

  private static let shared = Mutex(Log())

  /// The log from now on.
  static func configure(_ invocation: Invocation, _ settings: StoreSettings) {
    let names = [
      ("command", invocation.command.rawValue), ("network", invocation.configuration.name),
      ("container", invocation.environment.containerID),
      ("interface", invocation.environment.interfaceName),
    ]
    shared.withLock { log in
      log.configured = settings.logLevel
      log.format = settings.logFormat ?? .logfmt
      log.file = settings.logFile
      log.context = names.filter { !$0.1.isEmpty }.map { (key: $0.0, value: $0.1) }
    }
  }

  /// Whether a line of this level goes anywhere: to be asked before one is put together at some cost.
  static func keeps(_ level: LogLevel) -> Bool {
    shared.withLock { level >= ($0.configured ?? .warning) }
  }

  static func write(
    _ level: LogLevel, _ message: String, _ fields: [(key: String, value: String)] = []
  ) {
    let log = shared.withLock { $0 }
    guard level >= (log.configured ?? .warning) else { return }
    let line = log.line(level, message, fields)
    if log.configured != nil || level == .warning {
      try? SystemProcess.write(line, to: .error)
    }
    guard let file = log.file else { return }
    do {
      try SystemProcess.append(line, toFile: file)
    } catch {
      let isFirst = shared.withLock { log in
        defer { log.file = nil }
        return log.file != nil
      }
      guard isFirst else { return }
      let text = "the log file cannot be written: \(error)"
      try? SystemProcess.write(log.line(.warning, text, []), to: .error)
    }
  }

  private func line(
    _ level: LogLevel, _ message: String, _ fields: [(key: String, value: String)]
  ) -> String {
    let head = [
      ("time", SystemProcess.timestamp), ("level", level.rawValue), ("plugin", "cni-ipam-consul"),
    ]
    let all =
      head.map { (key: $0.0, value: $0.1) } + context + fields + [(key: "msg", value: message)]
    switch format {
    case .json:
      return JSONValue.object(all.map { .init($0.key, .string($0.value)) }).compact + "\n"
    case .logfmt:
      return all.map { "\($0.key)=\(Self.logfmt($0.value))" }.joined(separator: " ") + "\n"
    }
  }

  /// A value as logfmt readers split it: in quotes, escaped as JSON is, if it has anything but plain
  /// characters.
  private static func logfmt(_ value: String) -> String {
    let isPlain = value.utf8.allSatisfy { byte in
      byte > 0x20 && byte < 0x7F && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "=")
        && byte != UInt8(ascii: "\\")
    }
    return isPlain && !value.isEmpty ? value : JSONValue.string(value).compact
  }
}
