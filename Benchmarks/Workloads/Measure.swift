// How time is taken: what competes is run in turns, many rounds of short laps, and of each the best
// lap counts. What disturbs a machine disturbs some laps; what a lap needs at least stays.

internal import Glibc

/// One competitor: runs a fixed number of operations and says how many nanoseconds each took. What
/// has to be prepared or put back between laps is not timed.
package struct Lap {
  package let name: String
  let run: () -> Double

  package init(_ name: String, run: @escaping () -> Double) {
    self.name = name
    self.run = run
  }
}

/// The best lap of each, in nanoseconds an operation, after `rounds` rounds and one to warm up.
package func best(of laps: [Lap], rounds: Int) -> [Double] {
  var best = [Double](repeating: .infinity, count: laps.count)
  for round in 0...rounds {
    for (index, lap) in laps.enumerated() {
      let time = lap.run()
      if round > 0 { best[index] = min(best[index], time) }
    }
  }
  return best
}

/// Likewise until what the best laps say `isGood`, each round after a pause that doubles up to 64 ms: two
/// threads need both cores at once, and a neighbour may have one for seconds.
package func best(
  of laps: [Lap], rounds: Int, attempts: Int, until isGood: ([Double]) -> Bool
) -> [Double] {
  var times = best(of: laps, rounds: rounds)
  for attempt in 1..<attempts where !isGood(times) {
    usleep(1_000 << UInt32(min(attempt, 6)))
    times = zip(times, best(of: laps, rounds: rounds)).map(min)
  }
  return times
}

/// The nanoseconds that `body` takes. What it returns is used, so that it has to be computed.
@inline(never)
package func nanoseconds(_ body: () -> UInt64) -> Double {
  var start = timespec()
  var end = timespec()
  clock_gettime(CLOCK_MONOTONIC, &start)
  let result = body()
  clock_gettime(CLOCK_MONOTONIC, &end)
  keep(result)
  return Double(end.tv_sec - start.tv_sec) * 1e9 + Double(end.tv_nsec - start.tv_nsec)
}

/// Something that the compiler cannot see through.
@inline(never)
@_optimize(none)
package func keep(_ value: UInt64) {}

/// A program whose precondition does not hold measures nothing worth printing.
package func require(_ condition: Bool, _ what: String) {
  guard condition else {
    print("benchmark: \(what)")
    exit(2)
  }
}
