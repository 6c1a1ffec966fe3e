internal import NIOCore
internal import Synchronization

// Tasks on the event loop's own thread: a caller that is resumed by a reply, plans and sends again
// without another thread being woken. Decision 0012 has what that saves.

/// Runs tasks on the thread of an event loop, between its own work.
final class LoopExecutor: TaskExecutor {
  private struct State: Sendable {
    var jobs: [UnownedJob] = []
    /// Whether the loop was told to work the jobs off.
    var isAwaited = false
  }

  private let loop: any EventLoop
  private let state = Mutex(State())

  init(_ loop: any EventLoop) { self.loop = loop }

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    let isFirst = state.withLock { state in
      state.jobs.append(job)
      defer { state.isAwaited = true }
      return !state.isAwaited
    }
    if isFirst { loop.execute { self.workOff() } }
  }

  private func workOff() {
    // The two lists change places, so that neither is made anew.
    var jobs: [UnownedJob] = []
    while true {
      jobs.removeAll(keepingCapacity: true)
      state.withLock { state in
        swap(&jobs, &state.jobs)
        if jobs.isEmpty { state.isAwaited = false }
      }
      guard !jobs.isEmpty else { return }
      for job in jobs { job.runSynchronously(on: asUnownedTaskExecutor()) }
    }
  }
}
