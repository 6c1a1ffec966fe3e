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
    let works = try sweep.baselineWorks()
    var cells: [Cell]
    do { cells = try sweep.cells(seconds: ground.seconds) } catch let error as BenchmarkError {
      throw ValidationError(error.description)
    }
    // Baselines of a number of writers come just before the cells that are set against them.
    var planned: [Cell] = []
    for cell in cells {
      for work in works {
        for size in sweep.valueSize?.all.map(Optional.some) ?? [nil] {
          var base = Cell(
            work: work, ground: cell.ground, writers: work == .fdatasync ? 1 : cell.writers,
            seconds: cell.seconds)
          if work == .plain || work == .readModifyWrite { base.valueSize = size }
          if !planned.contains(base) { planned.append(base) }
        }
      }
      if !planned.contains(cell) { planned.append(cell) }
    }
    let plan = (1...max(1, sweep.repeats)).flatMap { turn in planned.map { (turn, $0) } }
    let needs = planned.contains(where: \.needsServer)
    let bench = Bench(binary: needs ? try ground.binary() : "", address: sweep.consul)
    var report = Report()
    try await report.measure(plan, bench)
    try report.finish(output, again: CommandLine.arguments.joined(separator: " "))
  }
}
