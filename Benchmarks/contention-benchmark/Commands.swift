import ArgumentParser
import Figures
import Foundation

/// The figures that the project promises.
struct Run: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Runs the standard cells and checks the figures that must hold.")
  @OptionGroup var ground: GroundOptions
  @OptionGroup var output: OutputOptions
  @Option(help: "How often each cell that a figure needs is measured.") var repeats = 3

  func validate() throws {
    guard (1...99).contains(repeats) else { throw ValidationError("--repeats: 1 to 99") }
  }

  func run() async throws {
    Children.cleanUpWhenInterrupted()
    try output.check()
    var report = Report()
    let plan = Standard.plan(seconds: ground.seconds, repeats: repeats)
    try await report.measure(plan, Bench(binary: try ground.binary()))
    report.figures = Standard.figures(report.results)
    try report.finish(output, again: "make bench-contention")
  }
}

/// Every combination of what is asked for.
struct Sweep: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measures every combination of the options' values.",
    discussion: "Values are separated by commas: --writers 1,16,64 --chunks shared,home.")
  @OptionGroup var ground: GroundOptions
  @OptionGroup var sweep: SweepOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    Children.cleanUpWhenInterrupted()
    try output.check()
    let planned: [Cell]
    do { planned = try sweep.plan(seconds: ground.seconds) } catch let error as BenchmarkError {
      throw ValidationError(error.description)
    }
    let plan = (1...sweep.repeats).flatMap { turn in planned.map { (turn, $0) } }
    let needs = planned.contains(where: \.needsServer)
    let bench = Bench(binary: needs ? try ground.binary() : "", address: sweep.consul)
    var report = Report()
    try await report.measure(plan, bench)
    try report.finish(output, again: CommandLine.arguments.joined(separator: " "))
  }
}
