// Of N writers that race for one key one wins, and all N commits are logged: at once again means a
// collapse like 1/N, back-off alone means that one client owns the key and the rest starve (measured:
// 69 commits/s at 64 writers, 37 wasted for each won). So: the first lost race is tried again at once,
// the second moves to another chunk or waits with full jitter, and a wish of a certain age waits no
// more, so that nobody starves.

/// How long to wait after lost races.
struct Backoff: Sendable {
  /// The shortest base: about one commit of an unloaded server.
  static let floor: UInt64 = 1_000_000
  /// Waits are below base × 64.
  static let longestDoubling = 6
  /// A wish older than this fraction of its time waits no more.
  static let ageDivisor: UInt64 = 4

  /// A moving average of what a commit takes, in nanoseconds.
  private(set) var commitTime: UInt64 = 2_000_000

  /// A single commit that took long, because a leader was gone, says little about the next.
  mutating func observe(commitTime sample: UInt64) {
    commitTime = (commitTime * 7 + min(sample, max(Self.floor, commitTime) * 4)) / 8
  }

  /// The wait before the next attempt of a wish, in nanoseconds; it ends at the age cap.
  func wait(conflicts: Int, age: UInt64, lifetime: UInt64, random: UInt64) -> UInt64 {
    guard conflicts > 1, age < lifetime / Self.ageDivisor else { return 0 }
    let base = max(Self.floor, commitTime)
    let longest = base << UInt64(min(conflicts - 1, Self.longestDoubling))
    return min(random.multipliedFullWidth(by: longest).high, lifetime / Self.ageDivisor - age)
  }
}
