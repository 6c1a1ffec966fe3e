// The tables of a simulation's report, the comparison with reality, and what fails.

import Figures
import Foundation
import IPAMTesting

/// One shape on a real server and simulated.
struct Comparison: Codable {
  /// A figure of both.
  struct Figure: Codable {
    let name: String
    let simulated: Double
    let measured: Double
    /// The factor by which they may differ, either way.
    let bound: Double
    /// Below it a figure is as good as nothing: the larger of figure and this is compared, so that two
    /// that are nearly 0 agree.
    let floor: Double

    var factor: Double {
      let (left, right) = (max(simulated, floor), max(measured, floor))
      return left > right ? left / right : right / left
    }
    var holds: Bool { factor <= bound }
  }

  /// Two lost races in a hundred operations: fewer are chance, and the server writes entries of its own.
  static let floor = 0.02

  let shape: String
  let figures: [Figure]

  init(reality: Reality, simulated: SimulatedRun) {
    shape = reality.shape.name
    let real = Double(max(1, reality.succeeded))
    func figure(_ name: String, _ simulated: Double, _ measured: Double) -> Figure {
      Figure(
        name: name, simulated: simulated, measured: measured / real, bound: 1.5, floor: Self.floor)
    }
    figures = [
      figure(
        "commits/op", Double(simulated.commits) / Double(max(1, simulated.succeeded)),
        Double(reality.commits)),
      figure("conflicts/op", simulated.wastedPerOperation, Double(reality.conflicts)),
      figure("wasted/op", simulated.wastedPerOperation, Double(reality.wasted)),
      figure("bytes sent/op", simulated.bytesPerOperation.sent, reality.bytes.sent),
      figure("bytes received/op", simulated.bytesPerOperation.received, reality.bytes.received),
      Figure(
        name: "operations/s", simulated: simulated.perSecond, measured: reality.perSecond, bound: 2,
        floor: 1),
    ]
  }
}

struct SimulateReport {
  let calibration: Calibration
  let source: String
  let seed: UInt64
  var comparisons: [Comparison] = []
  var runs: [SimulatedRun] = []

  init(calibration: Calibration, source: String, seed: UInt64) {
    self.calibration = calibration
    self.source = source
    self.seed = seed
  }

  /// What must not be, each with figure and bound.
  var failures: [String] {
    var failures: [String] = []
    for comparison in comparisons {
      for figure in comparison.figures where !figure.holds {
        failures.append(
          "\(comparison.shape), \(figure.name): \(decimal(figure.simulated, 3)) simulated, "
            + "\(decimal(figure.measured, 3)) measured, a factor of \(decimal(figure.factor, 2)); "
            + "must be within \(decimal(figure.bound, 1)); again: contention-benchmark simulate")
      }
    }
    for reality in calibration.realities {
      for finding in reality.findings { failures.append("\(reality.shape.name), real: \(finding)") }
    }
    for run in runs {
      for finding in run.findings.prefix(10) {
        failures.append("\(run.nodes) nodes, simulated: \(finding); must be none; seed \(seed)")
      }
    }
    return failures
  }

  func show() {
    let service = calibration.service
    print("calibration: \(source); \(calibration.server), \(calibration.date); seed \(seed)")
    print(
      "plain commits of \(Calibration.connections) connections: "
        + "\(decimal(calibration.commitRate, 0)) a second, with a lease "
        + "\(decimal(calibration.writes[1].perSecond, 0)); way there and back "
        + "\(microseconds(Calibration.median(service.hop) * 2)), round "
        + "\(microseconds(Calibration.median(service.round))), commit "
        + "\(microseconds(Calibration.median(service.perCommit))), operation "
        + "\(microseconds(Double(service.perOperation))), read "
        + "\(microseconds(Double(service.perRead))), client "
        + "\(microseconds(Calibration.median(service.client))) (medians)\n")
    printColumns([Self.head] + runs.map(cells), leftAligned: [0])
    printColumns(
      [["reality and simulation", "figure", "simulated", "measured", "factor", "bound", "ok"]]
        + comparisons.flatMap { comparison in
          comparison.figures.map { figure in
            [
              comparison.shape, figure.name, decimal(figure.simulated, 3),
              decimal(figure.measured, 3), decimal(figure.factor, 2),
              "<= " + decimal(figure.bound, 1), figure.holds ? "yes" : "NO",
            ]
          }
        }, leftAligned: [0, 1])
    print(
      "Other programs took \(decimal(calibration.others * 100, 0)) % of the processors' time while "
        + "the server was measured\(calibration.others > 0.1 ? ": too much to rely on" : "").")
    let figures = comparisons.flatMap(\.figures)
    let missed = figures.count { !$0.holds }
    print(
      missed == 0
        ? "Reality and simulation agree: all \(figures.count) figures are within their bounds."
        : "Reality and simulation DISAGREE: \(missed) of \(figures.count) figures miss their bounds."
    )
    print(
      "Figures below \(Comparison.floor) for an operation count as that: two that are nearly 0 agree."
    )
  }

  private static let head = [
    "nodes", "pods", "subnet", "fill %", "pods/s", "of commit rate", "commits/op", "wasted/op",
    "reads/op", "B out/op", "B in/op", "p50 ms", "p99", "p99.9", "max", "Jain", "server busy %",
    "late", "duplicates",
    "limit",
  ]

  private func cells(_ run: SimulatedRun) -> [String] {
    [
      "\(run.nodes)", "\(run.pods)", run.subnet, decimal(run.fill, 0), decimal(run.perSecond, 0),
      decimal(run.perSecond / calibration.commitRate, 2), decimal(run.commitsPerOperation, 3),
      decimal(run.wastedPerOperation, 3),
      decimal(Double(run.reads) / Double(max(1, run.succeeded)), 3),
      decimal(run.bytesPerOperation.sent, 0), decimal(run.bytesPerOperation.received, 0),
      decimal(run.p50, 1),
      decimal(run.p99, 1), decimal(run.p999, 1), decimal(run.longest, 0),
      decimal(run.fairness, 3), decimal(run.busy * 100, 0), "\(run.failed)",
      "\(run.findings.count)", run.limit,
    ]
  }

  var csv: String {
    Figures.csv([Self.head] + runs.map(cells))
  }

  func encoded() throws -> Data {
    struct Everything: Encodable {
      let source: String
      let seed: UInt64
      let commitRate: Double
      let runs: [SimulatedRun]
      let comparisons: [Comparison]
      let failures: [String]
      let calibration: Calibration
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    return try encoder.encode(
      Everything(
        source: source, seed: seed, commitRate: calibration.commitRate, runs: runs,
        comparisons: comparisons, failures: failures, calibration: calibration))
  }

  private func microseconds(_ nanoseconds: Double) -> String {
    "\(decimal(nanoseconds / 1e3, 0)) µs"
  }
}
