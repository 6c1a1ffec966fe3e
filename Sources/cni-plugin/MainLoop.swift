import Dispatch
import Synchronization

// The main thread runs all tasks of a command itself. One process does one thing, so a pool of threads
// would only cost its start; and the pool of libdispatch looks at its threads in /proc, without which
// (in a chroot) it ends the process.

/// The executor of the command's tasks: a queue that the main thread works off.
final class MainLoop: TaskExecutor {
  static let shared = MainLoop()

  private let jobs = Mutex<[UnownedJob]>([])
  private let arrivals = DispatchSemaphore(value: 0)

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    jobs.withLock { $0.append(job) }
    arrivals.signal()
  }

  /// Runs asynchronous work, and whatever it starts here, to its end.
  func run<Result: Sendable>(_ body: @escaping @Sendable () async -> Result) -> Result {
    let box = Box<Result>()
    Task.detached(executorPreference: self) {
      let result = await body()
      box.value.withLock { $0 = result }
    }
    while true {
      arrivals.wait()
      let job = jobs.withLock { $0.removeFirst() }
      job.runSynchronously(on: asUnownedTaskExecutor())
      if let result = box.value.withLock({ $0 }) { return result }
    }
  }

  private final class Box<Result: Sendable>: Sendable {
    let value = Mutex<Result?>(nil)
  }
}
