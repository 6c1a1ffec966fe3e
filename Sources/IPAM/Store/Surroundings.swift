// IPAM has no clock, no randomness and no sleep of its own: production passes the system's, a
// simulation its own.

/// A moment by which an operation must have ended, on the clock of its ``Surroundings``.
public struct Deadline: Hashable, Comparable, Sendable {
  /// Nanoseconds on the monotonic clock.
  public let nanoseconds: UInt64

  /// A moment.
  public init(nanoseconds: UInt64) {
    self.nanoseconds = nanoseconds
  }

  /// Earlier before later.
  public static func < (left: Deadline, right: Deadline) -> Bool {
    left.nanoseconds < right.nanoseconds
  }
}

/// Clock, randomness and sleep, passed in.
public struct Surroundings: Sendable {
  /// Seconds since 1970.
  public var now: @Sendable () -> UInt64
  /// Nanoseconds on a clock that never goes back.
  public var monotonic: @Sendable () -> UInt64
  /// 64 random bits.
  public var random: @Sendable () -> UInt64
  /// Waits for a number of nanoseconds; returns early if the task is cancelled.
  public var sleep: @Sendable (UInt64) async -> Void

  /// Surroundings.
  public init(
    now: @escaping @Sendable () -> UInt64, monotonic: @escaping @Sendable () -> UInt64,
    random: @escaping @Sendable () -> UInt64, sleep: @escaping @Sendable (UInt64) async -> Void
  ) {
    self.now = now
    self.monotonic = monotonic
    self.random = random
    self.sleep = sleep
  }

  /// The moment that lies this many milliseconds ahead.
  public func deadline(inMilliseconds milliseconds: UInt64) -> Deadline {
    Deadline(nanoseconds: monotonic() + milliseconds * 1_000_000)
  }

  /// Nanoseconds left until a deadline; 0 once it has passed.
  public func remaining(until deadline: Deadline) -> UInt64 {
    let now = monotonic()
    return deadline.nanoseconds > now ? deadline.nanoseconds - now : 0
  }
}
