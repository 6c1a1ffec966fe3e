internal import Glibc
public import IPAM

// Surroundings of tests and benchmarks that run in real time.

extension Surroundings {
  /// The system's clocks and randomness, and the task's sleep.
  public static let system = Surroundings(
    now: { UInt64(clamping: reading(CLOCK_REALTIME).seconds) },
    monotonic: {
      let time = reading(CLOCK_MONOTONIC)
      return UInt64(clamping: time.seconds) * 1_000_000_000 + UInt64(clamping: time.nanoseconds)
    },
    random: { .random(in: .min ... .max) },
    sleep: { nanoseconds in
      try? await Task.sleep(nanoseconds: nanoseconds)
    })

  private static func reading(_ clock: clockid_t) -> (seconds: Int, nanoseconds: Int) {
    var time = timespec()
    clock_gettime(clock, &time)
    return (time.tv_sec, time.tv_nsec)
  }
}
