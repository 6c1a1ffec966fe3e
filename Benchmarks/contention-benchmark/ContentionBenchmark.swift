// Measures contention, with its baselines in the same run, and says whether the figures hold that the
// project promises.
//
// Each cell has new ground: a server of its own with its data in a new folder. A ratio is taken of
// cells that were measured one after the other, and of several such pairs the median counts: a
// machine's speed drifts.

import ArgumentParser

@main
struct ContentionBenchmark: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "contention-benchmark",
    abstract: "Many writers, one pool of addresses: how fast, how fair, and at what cost.",
    discussion: """
      run       the figures that the project promises, each beside its baseline (eight minutes)
      sweep     what you ask for: every combination of the options' values
      check     counts that must not grow, quickly, against a file; for CI
      simulate  clusters of up to 10,000 nodes in virtual time, with a real server's times

      Examples:
        contention-benchmark run --report report
        contention-benchmark sweep --writers 1,4,16,64 --chunks shared,home --mix churn
        contention-benchmark sweep --writers 64 --processes 64 --pool 10.64.0.0/24 --until-full
        contention-benchmark sweep --server cluster --writers 16 --group-commit on,off
        contention-benchmark sweep --backend disk --writers 8 --processes 8

      What a column means is said in docs/benchmarks.md. The exit status is 1 if the audit finds a
      duplicate, a leak or anything else wrong, or if a figure misses its bound.
      """,
    subcommands: [Run.self, Sweep.self, Check.self, Simulate.self, Worker.self],
    defaultSubcommand: Run.self)
}
