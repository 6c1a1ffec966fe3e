// The short matrix that CI runs: counts against a file, on a Consul of its own. Counts do not depend on
// the machine, but some depend on who comes first; those have bounds with room. Time is only compared
// within the run, and widely.

import ArgumentParser
import Figures
import Foundation

struct Check: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Checks counts that must not grow against a file; half a minute.")
  @OptionGroup var ground: GroundOptions
  @OptionGroup var output: OutputOptions
  @Option(help: "The file of bounds.") var thresholds = "Benchmarks/thresholds-contention.txt"
  @Flag(help: "Write the bounds anew from what is measured now.") var update = false

  func run() async throws {
    Children.cleanUpWhenInterrupted()
    try output.check()
    let bench = Bench(binary: try ground.binary())
    let file = URL(fileURLWithPath: thresholds)
    var report = Report()
    // Other work on the machine can spoil a matrix (a server that loses its leadership, say), but not
    // often three in a row. What an audit finds is never forgiven.
    for _ in 1...3 {
      try await report.measure(Self.cells.map { (1, $0.cell) }, bench)
      let results = Array(report.results.suffix(Self.cells.count))
      let counts = Self.counts(results)
      if update {
        try Thresholds.write(
          counts.map { ($0.name, $0.bound) }, head: Self.head, digits: 3, to: file)
      }
      let bounds = try Thresholds(file: file)
      let figures =
        counts.map { Figure("contention", $0.name, $0.value, .atMost(bounds[$0.name])) }
        + Self.ratios(results)
      // What one matrix missed another may hold; what is wrong misses in each.
      report.figures =
        report.figures.isEmpty
        ? figures : zip(report.figures, figures).map { $0.holds ? $0 : $1 }
      if report.figures.allSatisfy(\.holds) { break }
    }
    report.figures.append(
      Figure(
        "contention", "duplicates, leaks and other findings",
        Double(report.results.reduce(0) { $0 + $1.findings.count }), .atMost(0)))
    try report.finish(output, again: "scripts/bench contention check")
  }

  /// How far a count may move by chance.
  private enum Room {
    /// Not at all.
    case none
    /// Digits of indices and of times differ.
    case few
    /// It depends a little on who comes first.
    case order
    /// It is decided by races.
    case races

    func bound(_ value: Double) -> Double {
      switch self {
      case .none: value
      case .few: value * 1.05 + 0.05
      case .order: value * 1.5 + 0.1
      case .races: value * 2 + 0.25
      }
    }
  }

  private typealias Row = (name: String, cell: Cell, room: Room)

  private static var cells: [Row] {
    [
      ("plain.1", Cell(work: .plain, seconds: 1), .none),
      ("one-writer", Cell(writers: 1, operations: 200), .none),
      ("one-writer.churn", Cell(writers: 1, mix: .churn, operations: 200), .none),
      ("one-writer.given", Cell(writers: 1, mix: .given, operations: 200), .none),
      ("16-writers", Cell(writers: 16, operations: 100), .order),
      ("8-processes", Cell(writers: 8, nodes: 8, processes: 8, operations: 50), .order),
      (
        "fill-24",
        Cell(writers: 8, nodes: 8, pool: "10.64.0.0/24", untilFull: true), .races
      ),
    ]
  }

  private static func counts(
    _ results: [CellResult]
  ) -> [(name: String, value: Double, bound: Double)] {
    zip(cells, results).filter { $0.0.cell.work == .leases }.flatMap { row, result in
      // Where nothing is by chance, bytes still are: indices grow by digits.
      let bytes = row.room == .none ? .few : row.room
      // The servers write entries of their own into the log.
      let entries = bytes
      let figures: [(String, Double?, Room)] = [
        ("commits", result.commitsPerOperation, row.room),
        ("conflicts", result.conflictsPerOperation, row.room),
        ("round-trips", result.roundTripsPerOperation, row.room),
        ("log-entries", result.entriesPerOperation, entries),
        ("bytes-out", result.bytesOutPerOperation, bytes),
        ("bytes-in", result.bytesInPerOperation, bytes),
      ]
      return figures.map { name, value, room in
        let value = value ?? .nan
        return ("\(row.name).\(name)", value, room.bound(value))
      }
    }
  }

  /// Far from what is measured on any machine: a factor of ten is a bug, a factor of two may be a
  /// neighbour.
  private static func ratios(_ results: [CellResult]) -> [Figure] {
    func rate(_ name: String) -> Double {
      zip(cells, results).first { $0.0.name == name }?.1.perSecond ?? .nan
    }
    let fill = zip(cells, results).first { $0.0.name == "fill-24" }?.1
    return [
      Figure(
        "contention", "1 writer, leases / plain, rate", per(rate("one-writer"), rate("plain.1")),
        .atLeast(0.1)),
      Figure(
        "contention", "16 writers / 1 writer, rate", per(rate("16-writers"), rate("one-writer")),
        .atLeast(0.8)),
      Figure(
        "contention", "a /24 filled by 8 nodes, handed out",
        fill.map { Double($0.handedOut) } ?? .nan, .atLeast(253)),
    ]
  }

  private static let head = """
    # Counts of the short contention matrix, for each operation; written by `make bench-update`, with
    # room where chance decides. Say in the commit why one grew.

    """
}
