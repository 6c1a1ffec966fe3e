internal import Glibc
internal import Synchronization

/// Where threads of a test's own, those of scripts and proxies, wait for the test instead of for a time.
package final class Gate: Sendable, Hashable {
  private let isOpen = Mutex(false)

  package init() {}

  /// Lets through who waits and who comes; for good.
  package func open() { isOpen.withLock { $0 = true } }

  /// Blocks the calling thread until the gate is open.
  package func wait() {
    while !isOpen.withLock({ $0 }) { usleep(2_000) }
  }

  package static func == (one: Gate, other: Gate) -> Bool { one === other }
  package func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}
