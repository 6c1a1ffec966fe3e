internal import Glibc
import IPAM
import Synchronization

// flock(2) with a deadline. Free, it costs one call. Taken, it is tried for some milliseconds; then a
// thread of its own waits in the kernel's queue, which is fair and wakes at once, while the task sleeps
// and holds no thread of the cooperative pool. Each holder opens the lock file anew, so that tasks of
// one process exclude each other by the same rule as processes.

/// Takes the lock on an open file.
///
/// - Parameter deadline: On the monotonic clock (CLOCK_MONOTONIC).
/// - Returns: The descriptor, locked until it is closed; nil if the deadline passed.
func lock(
  _ file: consuming Descriptor, deadline: Deadline
) async throws(SystemError) -> Descriptor? {
  if try isLocked(file) { return file }
  // A turn takes some hundred microseconds. To wait in a thread costs as much as twenty tries, and
  // where processes wait for processors, the lock is then held by one that has still to be woken, twice.
  for attempt in 0..<20 {
    guard deadline.nanoseconds > Clock.monotonic else { return nil }
    usleep(min(50 << UInt32(min(attempt / 2, 5)), 1_000))
    if try isLocked(file) { return file }
  }
  let now = Clock.monotonic
  guard deadline.nanoseconds > now else { return nil }
  let request = LockRequest(file)
  return try await request.granted(within: deadline.nanoseconds - now)
}

/// Takes the lock if nobody has it.
private func isLocked(_ file: borrowing Descriptor) throws(SystemError) -> Bool {
  let path = file.path
  let raw = file.raw
  do throws(SystemError) {
    _ = try retrying("lock \(path)") { flock(raw, LOCK_EX | LOCK_NB) }
    return true
  } catch  where error.code == EWOULDBLOCK {
    return false
  }
}

/// One waiting for a lock: granted by a thread, or given up.
private final class LockRequest: Sendable {
  private struct State: ~Copyable, Sendable {
    var file: Descriptor?
    var waiter: CheckedContinuation<Void, Never>?
    var error: SystemError?
    var isGranted = false
    var isAbandoned = false
  }

  private let raw: Int32
  private let path: String
  private let state: Mutex<State>

  init(_ file: consuming Descriptor) {
    raw = file.raw
    path = file.path
    state = Mutex(State(file: file))
  }

  func granted(within nanoseconds: UInt64) async throws(SystemError) -> Descriptor? {
    // A wait of 2^62 ns (146 years) is for ever, and Task.sleep takes no more.
    let longest = min(nanoseconds, 1 << 62)
    let timer = Task {
      do {
        try await Task.sleep(nanoseconds: longest)
        self.abandon()
      } catch {}
    }
    startThread()
    await withCheckedContinuation { continuation in
      let isSettled = state.withLock { state in
        let isSettled = state.isGranted || state.isAbandoned || state.error != nil
        if !isSettled { state.waiter = continuation }
        return isSettled
      }
      if isSettled { continuation.resume() }
    }
    timer.cancel()
    return try state.withLock { state throws(SystemError) in
      if let error = state.error { throw error }
      return state.isGranted && !state.isAbandoned ? state.file.take() : nil
    }
  }

  private func startThread() {
    var thread = pthread_t()
    let code = pthread_create(
      &thread, nil,
      { argument in
        guard let argument else { return nil }
        Unmanaged<LockRequest>.fromOpaque(argument).takeRetainedValue().waitInKernel()
        return nil
      }, Unmanaged.passRetained(self).toOpaque())
    guard code == 0 else {
      Unmanaged.passUnretained(self).release()
      return settle(SystemError(what: "start a thread to lock \(path)", code: code))
    }
    pthread_detach(thread)
  }

  private func waitInKernel() {
    do throws(SystemError) {
      _ = try retrying("lock \(path)") { flock(raw, LOCK_EX) }
      settle(nil)
    } catch {
      settle(error)
    }
  }

  private func settle(_ error: SystemError?) {
    let waiter = state.withLock { state in
      state.error = error
      state.isGranted = error == nil
      // Nobody wants it any more: closing lets the next one in.
      if state.isAbandoned { state.file = nil }
      return state.waiter.take()
    }
    waiter?.resume()
  }

  private func abandon() {
    let waiter = state.withLock { state in
      if !state.isGranted { state.isAbandoned = true }
      return state.waiter.take()
    }
    waiter?.resume()
  }
}
