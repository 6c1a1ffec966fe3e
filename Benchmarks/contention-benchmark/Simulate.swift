// More nodes than this machine can run: the planner of every node in virtual time, with the times of a
// real server that was measured in the same run.
//
//   real server ──▶ calibration ──▶ simulation of 10, 100, 1,000, 10,000 nodes ──▶ table
//        └────── 16 and 64 writers, in reality and simulated ──▶ must agree, or exit status 1

import AddressSpace
import ArgumentParser
import Foundation
import IPAM
import IPAMTesting

struct Simulate: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Simulates clusters of up to 10,000 nodes with the times of a measured server.",
    discussion: """
      Every node starts its share of the pods, one after the other and as fast as it can: the start \
      of a whole cluster. The decisions are the production planner's. Before that, a real server is \
      measured (about a minute), and runs of 16 and 64 writers are compared with their simulation: \
      commits, conflicts and wasted commits for an operation must agree within a factor of 1.5, rates \
      within 2, or the exit status is 1. The same seed and calibration give the same table.

        simulate --nodes 10000 --pods 1000000 --save-calibration FILE
        simulate --calibration FILE --seed 2      another chance, no server
      """)
  @Option(help: "The largest cluster; the others have 10, 100, 1,000, … nodes.") var nodes = 10_000
  @Option(help: "Pods of the largest cluster; the others have as many for each node.")
  var pods = 1_000_000
  @Option(help: "Pods that a node starts at once, as one process with shared commits.")
  var callers = 1
  @Option(help: "The network is the smallest that the pods fill to no more than this, in percent.")
  var maxFill = 80
  @Option(
    help: ArgumentHelp(
      "This network instead, filled to its last address by every cluster; --pods is of no account.",
      valueName: "subnet"))
  var fillUp: String?
  @Option(help: "The binary logarithm of the addresses in a chunk (6…14); the default if left out.")
  var chunkBits: Int?
  @Option(help: "What decides all chance.") var seed: UInt64 = 1
  @Option(help: "The Consul to start; else $CNI_IPAM_CONSUL, else consul.")
  var consul = ProcessInfo.processInfo.environment["CNI_IPAM_CONSUL"] ?? "consul"
  @Option(help: "How long each step of the calibration measures, in seconds.") var seconds = 3.0
  @Option(help: "Measurements of an earlier run, instead of measuring now.") var calibration:
    String?
  @Option(help: "A file to keep the measurements in.") var saveCalibration: String?
  @Option(help: "A file for everything, as JSON.") var json: String?
  @Option(help: "A file for the table, as CSV.") var csv: String?

  func validate() throws {
    guard (1...100_000).contains(nodes) else { throw ValidationError("--nodes: 1 to 100,000") }
    guard (1...100).contains(callers) else { throw ValidationError("--callers: 1 to 100") }
    guard pods >= nodes * callers, pods <= 10_000_000 else {
      throw ValidationError("--pods: at least one for each node and caller, up to 10,000,000")
    }
    if let fillUp { try validate(fillUp) }
    guard (1...100).contains(maxFill) else { throw ValidationError("--max-fill: 1 to 100") }
    guard chunkBits.map((6...14).contains) ?? true else {
      throw ValidationError("--chunk-bits: 6 to 14")
    }
    guard seconds >= 0.5, seconds <= 60 else { throw ValidationError("--seconds: 0.5 to 60") }
  }

  func run() async throws {
    Children.cleanUpWhenInterrupted()
    for (option, path) in [
      ("--save-calibration", saveCalibration), ("--json", json), ("--csv", csv),
    ] {
      if let path { try OutputFile(path, for: option).check() }
    }
    let measured: Calibration
    if let calibration {
      measured = try Calibration(contentsOf: calibration)
    } else {
      measured = try await Measurement(
        consul: try path(of: consul, option: "--consul"), seconds: seconds, progress: showProgress
      ).calibration()
    }
    if let saveCalibration {
      try OutputFile(saveCalibration, for: "--save-calibration").write(measured.encoded())
    }
    var report = SimulateReport(
      calibration: measured, source: calibration.map { "file \($0)" } ?? "measured in this run",
      seed: seed)
    for reality in measured.realities {
      showProgress("simulating \(reality.shape.name)")
      let ran = try SimulatedRun(of: reality.shape, measured, seed: seed)
      report.comparisons.append(Comparison(reality: reality, simulated: ran))
    }
    for shape in try shapes() {
      showProgress("simulating \(shape.name)")
      report.runs.append(
        try SimulatedRun(
          of: shape, measured, chunkBits: chunkBits, endsWhenFull: fillUp != nil, seed: seed
        ) {
          showProgress("simulating \(shape.name): \($0) %")
        })
    }
    showProgress("")
    report.show()
    for failure in report.failures {
      FileHandle.standardError.write(Data("FAILED: \(failure)\n".utf8))
    }
    try writeAll([
      { if let json { try OutputFile(json, for: "--json").write(report.encoded()) } },
      { if let csv { try OutputFile(csv, for: "--csv").write(Data(report.csv.utf8)) } },
    ])
    guard report.failures.isEmpty else { throw ExitCode(1) }
  }

  /// The clusters, smallest first.
  func shapes() throws -> [Shape] {
    let sizes = sequence(first: 10) { $0 * 10 }.prefix { $0 < nodes } + [nodes]
    return try sizes.map { size in
      if let fillUp {
        return Shape(
          name: "\(size) nodes", nodes: size, callers: callers, operations: 1 << 24,
          subnet: fillUp, keeps: 1 << 24)
      }
      // A pod more rather than less, so that each caller has as many.
      let each = (pods + nodes * callers - 1) / (nodes * callers)
      return Shape(
        name: "\(size) nodes", nodes: size, callers: callers, operations: each,
        subnet: try subnet(for: size * callers * each), keeps: each)
    }
  }

  private func validate(_ subnet: String) throws {
    guard let prefix = try? Prefix(parsing: subnet), prefix.family == .ipv4,
      (8...28).contains(prefix.length)
    else { throw ValidationError("--fill-up \(subnet): an IPv4 subnet from a /8 to a /28") }
  }

  /// The smallest subnet of 10.0.0.0/8 that so many pods fill to no more than wanted; network,
  /// broadcast and gateway address are nobody's.
  private func subnet(for pods: Int) throws -> String {
    for length in stride(from: 28, through: 8, by: -1)
    where ((1 << (32 - length)) - 3) * maxFill >= pods * 100 { return "10.0.0.0/\(length)" }
    throw ValidationError(
      "--pods \(pods): 10.0.0.0/8 is too small for them at --max-fill \(maxFill)")
  }
}

/// What came of one simulated cluster.
struct SimulatedRun: Codable {
  let nodes: Int
  let pods: Int
  let subnet: String
  /// Pods of all that the network can hand out, in percent.
  let fill: Double
  let succeeded: Int
  /// Operations that ended without success: too late, or nothing free.
  let failed: Int
  let commits: Int
  let conflicts: Int
  let reads: Int
  /// Of all requests and replies.
  let bytes: Calibration.Bytes
  let perSecond: Double
  let p50: Double
  let p99: Double
  let p999: Double
  let longest: Double
  /// Over the nodes, when half of all was done.
  let fairness: Double
  /// The part of the time that the server was at work.
  let busy: Double
  /// Virtual time.
  let seconds: Double
  /// Duplicates, leaks and wrong answers; must be empty.
  let findings: [String]

  /// All commits, lost races included, for each success.
  var commitsPerOperation: Double { Double(commits + conflicts) / Double(max(1, succeeded)) }
  /// A lost race is an entry of the log that changed nothing.
  var wastedPerOperation: Double { Double(conflicts) / Double(max(1, succeeded)) }

  var bytesPerOperation: Calibration.Bytes {
    let count = Double(max(1, succeeded))
    return Calibration.Bytes(sent: bytes.sent / count, received: bytes.received / count)
  }

  init(
    of shape: Shape, _ measured: Calibration, chunkBits: Int? = nil,
    endsWhenFull: Bool = false, seed: UInt64, progress: (Int) -> Void = { _ in }
  ) throws {
    var scenario = try shape.scenario(measured.service, chunkBits: chunkBits)
    scenario.endsWhenFull = endsWhenFull
    let room = try scenario.definition.layouts()[0].capacity.uint64.flatMap { Int(exactly: $0) }
    guard let room else { throw BenchmarkError("\(shape.subnet) is too large to simulate") }
    let store = CompactStore()
    let metered = MeteredStore(store, Traffic(measured))
    let simulation = Simulation(scenario, capacity: room, seed: seed, store: metered)
    let report = simulation.run(progress: progress).report
    bytes = metered.bytes
    let latencies = report.latencies.sorted()
    func milliseconds(_ part: Double) -> Double {
      guard !latencies.isEmpty else { return 0 }
      let index = Int((Double(latencies.count) * part).rounded(.up)) - 1
      return Double(latencies[max(0, index)]) / 1e6
    }
    nodes = shape.nodes
    pods = endsWhenFull ? room : shape.nodes * shape.callers * shape.operations
    (subnet, fill) = (shape.subnet, Double(store.leaseCount) / Double(room) * 100)
    succeeded = report.succeeded
    // Where the pool is to be filled, each caller is refused once.
    failed = report.failed + (endsWhenFull ? 0 : report.exhausted)
    (commits, conflicts, reads) = (report.commits, report.conflicts, report.reads)
    seconds = Double(report.elapsed) / 1e9
    perSecond = Double(report.succeeded) / max(seconds, 1e-9)
    (p50, p99, p999) = (milliseconds(0.5), milliseconds(0.99), milliseconds(0.999))
    longest = milliseconds(1)
    fairness = report.fairness
    busy = min(
      1, Double(report.busy) / Double(max(1, report.elapsed) * UInt64(measured.service.processors)))
    // Where an operation ended in doubt or too late, its caller has released it since.
    findings =
      report.duplicates + report.lies + simulation.findings(in: store) + store.findings()
  }

  /// What a faster cluster would need first.
  var limit: String {
    if busy < 0.9 { return "way and rounds" }
    return wastedPerOperation < 1 ? "commit rate" : "lost races"
  }
}
