// One run of a program from start to end: what it is given on standard input and in its environment,
// and what it leaves: its end and two texts.
//
// Input and output are files without a name, so no pipe can fill up and nothing has to be read while
// the program runs. A thread of its own starts the program and waits for it.

internal import CTestSupport
internal import Glibc
internal import Synchronization

/// A program to be run once.
package struct Execution: Sendable {
  /// What the program finds on its standard input.
  package enum Input: Sendable {
    case text(String)
    /// A pipe that stays open and never has a byte.
    case keptOpen
    /// The file or folder at a path.
    case file(String)
  }

  /// The path of the program and its arguments.
  package var command: [String]
  /// The whole environment of the program.
  package var environment: [String: String] = [:]
  package var input = Input.text("")
  /// If set, the program is killed (SIGKILL) so many microseconds after its start.
  package var killedAfter: UInt32?
  /// One that does not end in so many seconds is killed.
  package var patience = 300

  package init(_ command: [String]) {
    self.command = command
  }

  /// How a program ended and what it printed.
  package struct Ended: Sendable, CustomStringConvertible {
    /// The exit status; nil if a signal ended the program.
    package let exitStatus: Int32?
    /// The signal that ended the program.
    package let signal: Int32?
    package let output: String
    package let errorOutput: String

    package var description: String {
      let end = exitStatus.map { "exit \($0)" } ?? "signal \(signal ?? 0)"
      return "\(end), stdout \"\(output)\", stderr \"\(errorOutput)\""
    }
  }

  /// Runs the program to its end, or for as long as ``patience`` is.
  package func run() async throws -> Ended {
    try await withCheckedThrowingContinuation { continuation in
      onNewThread { continuation.resume(with: Result { try runBlocking() }) }
    }
  }

  /// The same on the calling thread.
  package func runBlocking() throws -> Ended {
    let output = try NamelessFile()
    let errorOutput = try NamelessFile()
    let input = try InputFile(input)
    let pid = try start(input.descriptor, output.descriptor, errorOutput.descriptor)
    Watchdog.shared.watch(pid, for: patience)
    if let killedAfter {
      usleep(killedAfter)
      kill(pid, SIGKILL)
    }
    var info = siginfo_t()
    while waitid(P_PID, id_t(pid), &info, WEXITED | WNOWAIT) != 0 && errno == EINTR {}
    Watchdog.shared.forget(pid)  // before the id can be another's
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
    let signal = status & 0x7f
    return Ended(
      exitStatus: signal == 0 ? status >> 8 & 0xff : nil, signal: signal == 0 ? nil : signal,
      output: try output.text(), errorOutput: try errorOutput.text())
  }

  private func start(_ input: Int32, _ output: Int32, _ errorOutput: Int32) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    for (standard, descriptor) in [input, output, errorOutput].enumerated() {
      posix_spawn_file_actions_adddup2(&actions, descriptor, Int32(standard))
    }
    spawn_closing_others(&actions)
    var pid = pid_t()
    let variables = environment.map { "\($0.key)=\($0.value)" }
    let code = withCStrings(command) { words in
      withCStrings(variables) { posix_spawnp(&pid, command[0], &actions, nil, words, $0) }
    }
    guard code == 0 else { throw TestSupportError("cannot start \(command[0])", code) }
    return pid
  }
}

/// A file whose name is gone already.
private final class NamelessFile {
  let descriptor: Int32

  init(_ text: String = "") throws {
    let folder = environmentVariable("TMPDIR") ?? "/tmp"
    let path = "\(folder)/cni-ipam-consul-\(getpid())-\(UInt64.random(in: 0...(.max)))"
    descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw TestSupportError("cannot create \(path)", errno) }
    unlink(path)
    let count = write(descriptor, text, text.utf8.count)
    guard count == text.utf8.count, lseek(descriptor, 0, SEEK_SET) == 0 else {
      throw TestSupportError("cannot write \(path)", errno)
    }
  }

  deinit { close(descriptor) }

  func text() throws -> String {
    String(decoding: try readFile("/proc/self/fd/\(descriptor)"), as: UTF8.self)
  }
}

/// Standard input of a program, open as long as this object lives.
private final class InputFile {
  let descriptor: Int32
  private var nameless: NamelessFile?
  private var others: [Int32] = []

  init(_ input: Execution.Input) throws {
    switch input {
    case .text(let text):
      let file = try NamelessFile(text)
      (descriptor, nameless) = (file.descriptor, file)
    case .keptOpen:
      var ends: [Int32] = [0, 0]
      guard pipe(&ends) == 0 else { throw TestSupportError("no pipe", errno) }
      for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
      (descriptor, others) = (ends[0], ends)
    case .file(let path):
      descriptor = open(path, O_RDONLY | O_CLOEXEC)
      guard descriptor >= 0 else { throw TestSupportError("cannot open \(path)", errno) }
      others = [descriptor]
    }
  }

  deinit { for other in others { close(other) } }
}

/// Ends programs that hang, so that a broken one fails its test instead of stopping all of them.
private final class Watchdog: Sendable {
  static let shared = Watchdog()

  /// Seconds that are left.
  private let seconds = Mutex<[pid_t: Int]>([:])

  private init() {
    onNewThread { [self] in
      while true {
        sleep(1)
        seconds.withLock { running in
          for (pid, left) in running {
            running[pid] = left - 1
            if left == 0 { kill(pid, SIGKILL) }
          }
        }
      }
    }
  }

  func watch(_ pid: pid_t, for patience: Int) { seconds.withLock { $0[pid] = patience } }
  func forget(_ pid: pid_t) { seconds.withLock { $0[pid] = nil } }
}
