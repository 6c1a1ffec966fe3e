// Waiting in tests: for something to become true, never for an amount of time to have passed.

internal import Glibc

/// Returns as soon as `condition` holds, and throws if it does not within five minutes: no test waits
/// that long unless it is broken.
package func eventually(
  _ what: String, _ condition: () async throws -> Bool
) async throws {
  for _ in 0..<6000 {
    if try await condition() { return }
    try await Task.sleep(for: .milliseconds(50))
  }
  throw TestSupportError("\(what): not within five minutes")
}

/// Blocks the calling thread; for scripts on threads of their own.
package func blockThread(milliseconds: Int) {
  usleep(UInt32(milliseconds) * 1000)
}
