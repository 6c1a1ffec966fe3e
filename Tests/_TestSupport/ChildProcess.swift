// Child processes of the tests: started, signalled and reaped by process id only, and never
// outliving the tests.
//
// `setpriv --pdeathsig KILL` makes the kernel kill a child when its parent *thread* ends, and
// Swift's worker threads come and go. So each child gets a thread of its own, which starts it and
// then waits for it: that thread ends when the child has, or when the whole process does.

internal import CTestSupport
internal import Glibc
internal import Synchronization

/// A child process. It is killed when this process ends, however it ends.
package final class ChildProcess: Sendable {
  private struct State {
    var exitStatus: Int32?
    var waiting: [CheckedContinuation<Int32, Never>] = []
  }

  package let pid: Int32
  private let state = Mutex(State())

  private init(pid: pid_t) {
    self.pid = pid
  }

  /// Starts `command` (found on the PATH) with its output, if any, going to the file `output`.
  package static func start(
    _ command: [String], output: String = "/dev/null"
  ) async throws -> ChildProcess {
    try await withCheckedThrowingContinuation { continuation in
      onNewThread {
        do {
          let child = ChildProcess(pid: try spawn(command, output: output))
          continuation.resume(returning: child)
          child.reap()
        } catch {
          continuation.resume(throwing: error)
        }
      }
    }
  }

  private static func spawn(_ command: [String], output: String) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_APPEND, 0o600)
    posix_spawn_file_actions_adddup2(&actions, 1, 2)
    // What another thread has just opened must not live on in a server: a lock, a connection.
    spawn_closing_others(&actions)
    let words = ["setpriv", "--pdeathsig", "KILL"] + command
    var pid = pid_t()
    let code = withCStrings(words) { words in
      withCStrings(environment()) { posix_spawnp(&pid, "setpriv", &actions, nil, words, $0) }
    }
    guard code == 0 else { throw TestSupportError("cannot start \(command[0])", code) }
    return pid
  }

  /// Waits for the child without reaping it, so that its id stays its own until nobody uses it.
  private func reap() {
    var info = siginfo_t()
    while waitid(P_PID, id_t(pid), &info, WEXITED | WNOWAIT) != 0 && errno == EINTR {}
    let (status, waiting) = state.withLock { state in
      var status: Int32 = 0
      waitpid(pid, &status, 0)
      state.exitStatus = status
      defer { state.waiting = [] }
      return (status, state.waiting)
    }
    for continuation in waiting { continuation.resume(returning: status) }
  }

  /// Sends `signal`, unless the child has ended.
  package func signal(_ signal: Int32) {
    state.withLock { state in
      if state.exitStatus == nil { _ = kill(pid, signal) }
    }
  }

  /// Stops it, and waits until the kernel says that all its threads have stopped.
  package func stop() {
    signal(SIGSTOP)
    for _ in 0..<5_000 {
      var info = siginfo_t()
      let isAnswered = waitid(P_PID, id_t(pid), &info, WSTOPPED | WNOHANG) == 0
      if !isAnswered || info.si_signo == SIGCHLD { return }
      usleep(1_000)
    }
  }

  package var isRunning: Bool { state.withLock { $0.exitStatus == nil } }

  /// Waits for the end; the status is that of `waitpid`.
  @discardableResult
  package func ended() async -> Int32 {
    await withCheckedContinuation { continuation in
      let status = state.withLock { state in
        if state.exitStatus == nil { state.waiting.append(continuation) }
        return state.exitStatus
      }
      if let status { continuation.resume(returning: status) }
    }
  }

  /// Runs `command` to its end and returns what it printed.
  @discardableResult
  package static func run(_ command: [String]) async throws -> String {
    let folder = try TemporaryFolder()
    let output = folder.path + "/output"
    let child = try await start(command, output: output)
    let status = await child.ended()
    let text = String(decoding: try readFile(output), as: UTF8.self)
    guard status == 0 else {
      throw TestSupportError("\(command.joined(separator: " ")) failed: \(text)")
    }
    return text
  }
}

/// Something that the tests need did not work.
package struct TestSupportError: Error, CustomStringConvertible {
  package let description: String

  package init(_ what: String, _ code: Int32? = nil) {
    description = code.map { "\(what): \(String(cString: strerror($0)))" } ?? what
  }
}

/// Runs `body` on a thread of its own, which may block.
package func onNewThread(_ body: @escaping @Sendable () -> Void) {
  final class Box: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }
  var thread = pthread_t()
  let box = Unmanaged.passRetained(Box(body))
  let code = pthread_create(
    &thread, nil,
    { argument in
      if let argument { Unmanaged<Box>.fromOpaque(argument).takeRetainedValue().body() }
      return nil
    }, box.toOpaque())
  precondition(code == 0, "no thread can be made")
  pthread_detach(thread)
}

/// A variable of the environment; empty counts as unset.
package func environmentVariable(_ name: String) -> String? {
  guard let value = getenv(name), value.pointee != 0 else { return nil }
  return String(cString: value)
}

/// The environment that this process was started with, as `NAME=value`.
private func environment() -> [String] {
  let bytes = (try? readFile("/proc/self/environ")) ?? []
  return bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
}

package func readFile(_ path: String) throws -> [UInt8] {
  let descriptor = open(path, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else { throw TestSupportError("cannot open \(path)", errno) }
  defer { close(descriptor) }
  var bytes: [UInt8] = []
  var buffer = [UInt8](repeating: 0, count: 1 << 16)
  while case let count = read(descriptor, &buffer, buffer.count), count > 0 {
    bytes += buffer[..<count]
  }
  return bytes
}

package func writeFile(_ path: String, _ text: String) throws {
  try writeFile(path, bytes: Array(text.utf8))
}

package func writeFile(_ path: String, bytes: [UInt8]) throws {
  let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
  guard descriptor >= 0 else { throw TestSupportError("cannot create \(path)", errno) }
  defer { close(descriptor) }
  let count = write(descriptor, bytes, bytes.count)
  guard count == bytes.count else { throw TestSupportError("cannot write \(path)", errno) }
}

func withCStrings<Result>(
  _ strings: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result
) -> Result {
  let pointers = strings.map { strdup($0) }
  defer { for pointer in pointers { free(pointer) } }
  return body(pointers + [nil])
}
