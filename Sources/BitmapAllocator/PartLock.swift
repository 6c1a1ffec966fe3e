// The lock of one part. Mutex is a futex with priority inheritance: contended, the kernel hands it over,
// which ThreadSanitizer cannot see. Built for the sanitizer (scripts/sanitize), a thread that waits
// therefore tries again and again, and everything else is as it is.

internal import Synchronization

struct PartLock: ~Copyable {
  private let mutex = Mutex<Void>(())
  /// Two threads' locks share no cache line, and no pair of lines that is fetched together.
  private let padding: (UInt128, UInt128, UInt128, UInt128, UInt128, UInt128, UInt128, UInt128) =
    (0, 0, 0, 0, 0, 0, 0, 0)

  @inline(__always)
  borrowing func withLock<Result: Sendable>(_ body: () -> Result) -> Result {
    #if SANITIZE_THREAD
      while true {
        if let result = mutex.withLockIfAvailable({ _ in body() }) { return result }
      }
    #else
      return mutex.withLock { _ in body() }
    #endif
  }

  @inline(__always)
  borrowing func withLockIfAvailable<Result: Sendable>(_ body: () -> Result) -> Result? {
    mutex.withLockIfAvailable { _ in body() }
  }
}
