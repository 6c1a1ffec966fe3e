// Processes and folders of the benchmark's own, and their end: by process id, whatever ends the
// benchmark. A child dies with the *thread* that started it, so all are started by one thread that
// lives as long as the program.

import Foundation
import Synchronization

enum Children {
  private struct State {
    var pids: Set<Int32> = []
    var folders: Set<String> = []
    var work: [@Sendable () -> Void] = []
    var hasThread = false
    /// The program ends, whatever was under way.
    var isOver = false
    /// Those whose end is wanted.
    var ending: Set<Int32> = []
  }
  private static let state = Mutex(State())
  private static let wakeUp = DispatchSemaphore(value: 0)
  /// Only written before anything else runs.
  nonisolated(unsafe) private static var signals: [any DispatchSourceSignal] = []

  /// Starts a program that ends when the benchmark does.
  ///
  /// - Parameter purpose: What cannot go on without it, if it ends by itself: then the benchmark says so
  ///   and ends too, instead of waiting for answers that do not come.
  static func start(
    _ path: String, _ arguments: [String], input: Pipe? = nil, output: Pipe? = nil,
    neededFor purpose: String? = nil
  ) async throws -> Process {
    let process = Process()
    if let purpose {
      process.terminationHandler = { ended in
        let pid = ended.processIdentifier
        // A terminal's interrupt goes to both, and may come there first.
        usleep(200_000)
        guard state.withLock({ !$0.isOver && $0.ending.remove(pid) == nil }) else { return }
        let text =
          "Error: \(purpose): its Consul ended while it was measured (killed, out of memory, a full "
          + "disk?); \(path) ran as process \(pid)\n"
        FileHandle.standardError.write(Data(text.utf8))
        endAll(status: 1)
      }
    }
    process.executableURL = URL(fileURLWithPath: "/usr/bin/setpriv")
    process.arguments = ["--pdeathsig", "KILL", path] + arguments
    process.standardInput = input ?? FileHandle.nullDevice
    process.standardOutput = output ?? FileHandle.nullDevice
    if output == nil { process.standardError = FileHandle.nullDevice }

    try await withCheckedThrowingContinuation { (caller: CheckedContinuation<Void, any Error>) in
      onThread {
        do {
          try process.run()
          let pid = process.processIdentifier
          _ = state.withLock { $0.pids.insert(pid) }
          caller.resume()
        } catch {
          caller.resume(throwing: error)
        }
      }
    }
    return process
  }

  /// Ends a child at once. Its data is of no use to anybody, so there is nothing to say good-bye to.
  static func end(_ process: Process) {
    leaveToEnd()
    guard process.isRunning else { return ended(process) }
    state.withLock { _ = $0.ending.insert(process.processIdentifier) }
    kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
    state.withLock { _ = $0.pids.remove(process.processIdentifier) }
  }

  /// It has ended by itself.
  static func ended(_ process: Process) {
    leaveToEnd()
    process.waitUntilExit()
    state.withLock { _ = $0.pids.remove(process.processIdentifier) }
  }

  /// A new empty folder.
  static func folder() throws -> URL {
    let folder = FileManager.default.temporaryDirectory
      .appendingPathComponent("contention-\(UInt64.random(in: 0...(.max)))")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    state.withLock { _ = $0.folders.insert(folder.path) }
    return folder
  }

  static func remove(_ folder: URL) {
    leaveToEnd()
    try? FileManager.default.removeItem(at: folder)
    state.withLock { _ = $0.folders.remove(folder.path) }
  }

  /// An interrupt leaves nothing behind. Status 128 + signal, as shells have it.
  static func cleanUpWhenInterrupted() {
    for number in [SIGINT, SIGTERM, SIGHUP] {
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(
        signal: number, queue: DispatchQueue(label: "signals"))
      source.setEventHandler { endAll(status: 128 + number) }
      source.resume()
      signals.append(source)
    }
  }

  /// Ends all children, removes all folders, and ends the program.
  private static func endAll(status: Int32) -> Never {
    let (pids, folders) = state.withLock { state in
      state.isOver = true
      return (state.pids, state.folders)
    }
    for pid in pids { kill(pid, SIGKILL) }
    // What was killed may write for a moment yet.
    for _ in 0..<500 where pids.contains(where: isRunning) { usleep(10_000) }
    for folder in folders {
      for _ in 0..<50 where FileManager.default.fileExists(atPath: folder) {
        try? FileManager.default.removeItem(atPath: folder)
      }
    }
    _exit(status)
  }

  /// Cells fail when their servers are gone; one of two who clean up stumbles over the other, and the
  /// program must not end before the work is done. So the cell waits here for the end.
  private static func leaveToEnd() {
    while state.withLock({ $0.isOver }) { sleep(1) }
  }

  /// Neither gone nor a zombie.
  private static func isRunning(_ pid: Int32) -> Bool {
    let text = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
    return text.map { !$0.contains(") Z ") } ?? false
  }

  private static func onThread(_ body: @escaping @Sendable () -> Void) {
    let isFirst = state.withLock { state in
      state.work.append(body)
      defer { state.hasThread = true }
      return !state.hasThread
    }
    if isFirst {
      Thread.detachNewThread {
        while true {
          wakeUp.wait()
          let next = state.withLock { $0.work.isEmpty ? nil : $0.work.removeFirst() }
          next?()
        }
      }
    }
    wakeUp.signal()
  }
}
