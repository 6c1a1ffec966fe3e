// The microbenchmarks. Time is in nanoseconds an operation and tells about the machine it was taken
// on; the figures that must hold are in ratio-check.
//
// What can be done once only cannot be timed by itself: acquire and release are timed apart where a
// thousand ordinals are free, together everywhere. In a /64 and ::/0 a window of 2^20 ordinals is
// used, all others are taken in the tree.

import Benchmark
import Workloads

let benchmarks: @Sendable () -> Void = {
  Benchmark.defaultConfiguration = Benchmark.Configuration(
    metrics: [.wallClock], timeUnits: .nanoseconds, warmupIterations: 3, scalingFactor: .kilo,
    maxDuration: .milliseconds(150))
  poolBenchmarks()
  bulkBenchmarks()
  threadBenchmarks()
  chunkBenchmarks()
  textBenchmarks()
}

/// What the threads measure themselves: the time to start them is not in it.
@Sendable
private func threadBenchmarks() {
  let pair = BenchmarkMetric.custom("time of a pair, ns", useScalingFactor: false)
  for cell in PoolCell.all where cell.free >= 2 {
    for (pools, name) in [(1, "one pool"), (2, "a pool each")] {
      Benchmark(
        "acquire+release by two threads on \(name), \(cell)",
        configuration: Benchmark.Configuration(metrics: [pair])
      ) { benchmark, workload in
        benchmark.measurement(pair, Int(workload.acquireAndRelease(2_000)))
      } setup: {
        ThreadWorkload(cell, pools: pools, threads: 2)
      }
    }
  }
}

/// A benchmark of 1,000 operations on what `setup` makes.
@Sendable
private func thousand<State>(
  _ name: String, setup: @escaping @Sendable () -> State,
  _ body: @escaping @Sendable (State) -> UInt64
) {
  Benchmark(name) { _, state in
    keep(body(state))
  } setup: {
    setup()
  }
}

@Sendable
private func poolBenchmarks() {
  for cell in PoolCell.all {
    thousand("acquire+release, \(cell)", setup: { PoolWorkload(cell) }) {
      $0.acquireAndRelease(1_000)
    }
    thousand("given address, \(cell)", setup: { PoolWorkload(cell) }) { $0.acquireGiven(1_000) }
    let blocks = PoolCell(size: cell.size, fill: cell.fill, groupBits: 4)
    thousand("contiguous 16, \(blocks)", setup: { PoolWorkload(blocks) }) {
      $0.acquireBlock(1_000)
    }
  }
}

@Sendable
private func bulkBenchmarks() {
  for cell in PoolCell.all where cell.free >= 1_000 {
    Benchmark("acquire, \(cell)") { benchmark, workload in
      benchmark.startMeasurement()
      keep(workload.acquire(1_000))
      benchmark.stopMeasurement()
      keep(workload.giveBack())
    } setup: {
      PoolWorkload(cell)
    }
    Benchmark("release, \(cell)") { benchmark, workload in
      keep(workload.acquire(1_000))
      benchmark.startMeasurement()
      keep(workload.giveBack())
      benchmark.stopMeasurement()
    } setup: {
      PoolWorkload(cell)
    }
    Benchmark("bulk of 1,000, \(cell)") { benchmark, workload in
      benchmark.startMeasurement()
      keep(workload.acquireBulk(1_000))
      benchmark.stopMeasurement()
      keep(workload.giveBack())
    } setup: {
      PoolWorkload(cell)
    }
  }
}

@Sendable
private func chunkBenchmarks() {
  for cell in ChunkCell.all {
    thousand("encode a chunk, \(cell)", setup: { ChunkBytesWorkload(cell) }) { $0.encode(1_000) }
    thousand("decode a chunk, \(cell)", setup: { ChunkBytesWorkload(cell) }) { $0.decode(1_000) }
  }
  for cell in ChunkCell.all where cell.chunkBits == 12 {
    for name in ChunkPairs.names {
      thousand("acquire+release on a chunk, \(cell), \(name)", setup: { ChunkPairs(cell, name) }) {
        $0.run(1_000)
      }
    }
  }
}

@Sendable
private func textBenchmarks() {
  thousand("parse an IPv6 address", setup: { TextWorkload() }) { $0.parse() }
  thousand("print an IPv6 address", setup: { TextWorkload() }) { $0.print() }
  thousand("parse+print an IPv6 address", setup: { TextWorkload() }) { $0.parseAndPrint() }
  thousand("parse+print an IPv6 address, glibc", setup: { TextWorkload() }) {
    $0.parseAndPrintByGlibc()
  }
}
