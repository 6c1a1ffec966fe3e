// What came of one measurement, as it is printed, written as JSON and as CSV.

import Figures
import Foundation
import Histogram
import IPAMTesting

struct CellResult: Codable, Sendable {
  /// Milliseconds.
  struct Latency: Codable, Sendable {
    let p50: Double
    let p90: Double
    let p99: Double
    let p999: Double
    let max: Double
    /// The curve of the percentiles, for the plot: percentile and milliseconds.
    let curve: [[Double]]
  }

  let cell: Cell
  let name: String
  /// Which repetition.
  let turn: Int
  let operations: Int
  /// How long the writers were at it, after the warm-up.
  let elapsed: Double
  let perSecond: Double
  /// Against plain writes by as many writers in the same turn.
  var ratioToPlain: Double?
  /// Against plain writes of the same turn through the allocator's own client.
  var ratioToSameClient: Double?
  let latency: Latency
  let commitsPerOperation: Double?
  let entriesPerOperation: Double?
  let roundTripsPerOperation: Double?
  /// Commits of the allocator, or writes of a baseline, that lost.
  let conflictsPerOperation: Double
  /// Addresses handed out.
  let handedOut: Int
  let wastedCommits: Int
  let refusals: Int
  let bytesOutPerOperation: Double
  let bytesInPerOperation: Double
  /// Jain's index over the writers: 1 if all did the same.
  let fairness: Double
  let least: Int
  let most: Int
  let clientProcessorSeconds: Double
  let serverProcessorSeconds: Double?
  let raftBytes: Int?
  let version: String
  /// What the audit found wrong, duplicates and leaks among it, and operations that failed; must be
  /// empty.
  let findings: [String]

  init(
    _ cell: Cell, turn: Int, _ shares: [Share], start: UInt64, entries: Int?, server: ServerUse,
    findings: [String]
  ) {
    let tallies = shares.flatMap(\.tallies)
    var latencies = Histogram<UInt32>(highestTrackableValue: Tally.longest)
    for tally in tallies {
      for pair in tally.latencies { _ = latencies.record(pair[0], count: UInt32(pair[1])) }
    }
    let counts = shares.map(\.counts).reduce(StoreCounts(), +)
    let usage = shares.map(\.usage).reduce(Usage(), +)
    let isCounted = shares.contains(where: \.hasCounts)
    let all = Double(tallies.reduce(0) { $0 + $1.allOperations })
    let conflicts = isCounted ? counts.wasted : tallies.reduce(0) { $0 + $1.conflicts }

    self.cell = cell
    self.turn = turn
    name = cell.name
    operations = tallies.reduce(0) { $0 + $1.operations }
    let end = tallies.map(\.finished).max() ?? start
    elapsed = end > start ? Double(end - start) / 1e9 : 0
    perSecond = elapsed > 0 ? Double(operations) / elapsed : 0
    latency = Latency(latencies)
    commitsPerOperation = isCounted ? per(Double(counts.commits), all) : nil
    roundTripsPerOperation = isCounted ? per(Double(counts.roundTrips), all) : nil
    entriesPerOperation = entries.map { per(Double($0), all) }
    conflictsPerOperation = per(Double(conflicts), all)
    handedOut = tallies.reduce(0) { $0 + $1.events.count { $0.addresses != nil } }
    wastedCommits = conflicts
    refusals = tallies.reduce(0) { $0 + $1.refusals }
    bytesOutPerOperation = per(Double(usage.bytesOut), all)
    bytesInPerOperation = per(Double(usage.bytesIn), all)
    fairness = jainIndex(tallies.map { Double($0.operations) })
    least = tallies.map(\.operations).min() ?? 0
    most = tallies.map(\.operations).max() ?? 0
    clientProcessorSeconds = usage.processorSeconds
    serverProcessorSeconds = server.processorSeconds
    raftBytes = server.raftBytes
    version = server.version
    self.findings = findings + tallies.flatMap(\.failures).map { "failed: \($0)" }
  }

  /// What each column is, and its value; nil where it was not measured.
  var columns: [(name: String, value: String?)] {
    func text(_ number: Double?, _ digits: Int) -> String? {
      number.flatMap { $0.isNaN ? nil : decimal($0, digits) }
    }
    return [
      ("cell", name), ("writers", "\(cell.writers)"), ("ops/s", text(perSecond, 0)),
      ("/ plain", text(ratioToPlain, 2)), ("/ client", text(ratioToSameClient, 2)),
      ("p50 ms", text(latency.p50, 2)),
      ("p90", text(latency.p90, 2)), ("p99", text(latency.p99, 1)),
      ("p99.9", text(latency.p999, 1)), ("max", text(latency.max, 0)),
      ("commits/op", text(commitsPerOperation, 3)), ("entries/op", text(entriesPerOperation, 3)),
      ("conflicts/op", text(conflictsPerOperation, 3)),
      ("trips/op", text(roundTripsPerOperation, 3)),
      ("B out/op", text(bytesOutPerOperation, 0)), ("B in/op", text(bytesInPerOperation, 0)),
      ("Jain", text(fairness, 2)), ("min", "\(least)"), ("max ops", "\(most)"),
      ("client s", text(clientProcessorSeconds, 1)), ("server s", text(serverProcessorSeconds, 1)),
      ("raft MB", text(raftBytes.map { Double($0) / 1e6 }, 1)), ("found", "\(findings.count)"),
    ]
  }
}

extension CellResult.Latency {
  /// Of a histogram of microseconds.
  init(_ latencies: Histogram<UInt32>) {
    func milliseconds(_ percentile: Double) -> Double {
      latencies.totalCount == 0 ? .nan : Double(latencies.valueAtPercentile(percentile)) / 1_000
    }
    let isEmpty = latencies.totalCount == 0
    (p50, p90) = (isEmpty ? 0 : milliseconds(50), isEmpty ? 0 : milliseconds(90))
    (p99, p999) = (isEmpty ? 0 : milliseconds(99), isEmpty ? 0 : milliseconds(99.9))
    max = isEmpty ? 0 : Double(latencies.max) / 1_000
    let points = [0, 10, 25, 50, 75, 90, 95, 98, 99, 99.5, 99.8, 99.9, 99.95, 99.99]
    curve = isEmpty ? [] : points.map { [$0, milliseconds($0)] }
  }
}

/// What the servers used while the writers wrote; nil where they are not ours.
struct ServerUse: Sendable {
  var processorSeconds: Double?
  var raftBytes: Int?
  var version = "none"
}
