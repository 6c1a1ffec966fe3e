// One measurement: a server that is new, writers of one kind and number, and what came of it, with the
// server's own counts and a full audit.

import AddressSpace
import ConsulBackend
import Foundation
import Histogram
import IPAM

struct CellResult: Codable {
  let cell: String
  let writers: Int
  let operations: Int
  let perSecond: Double
  let entriesPerOperation: Double
  let conflictsPerOperation: Double
  let p50: Double
  let p90: Double
  let p99: Double
  let p999: Double
  let longest: Double
  /// Jain's index over the writers: 1 if all did the same.
  let fairness: Double
  let least: Int
  let most: Int
  let serverProcessor: Double
  let raftBytes: Int
  /// What the audit found wrong, duplicates and leaks among it; must be empty.
  let findings: [String]

  init(
    _ cell: String, _ tallies: [Tally], seconds: Double, entries: Int, server: ConsulServer,
    findings: [String]
  ) {
    var sum = Tally()
    for tally in tallies { sum.add(tally) }
    let operations = tallies.map { Double($0.operations) }
    let squares = operations.reduce(0) { $0 + $1 * $1 }
    func milliseconds(_ percentile: Double) -> Double {
      Double(sum.latencies.valueAtPercentile(percentile)) / 1_000
    }
    self.cell = cell
    writers = tallies.count
    self.operations = sum.operations
    perSecond = Double(sum.operations) / seconds
    entriesPerOperation = Double(entries) / Double(max(1, sum.operations))
    conflictsPerOperation = Double(sum.conflicts) / Double(max(1, sum.operations))
    (p50, p90) = (milliseconds(50), milliseconds(90))
    (p99, p999) = (milliseconds(99), milliseconds(99.9))
    longest = Double(sum.latencies.max) / 1_000
    let total = operations.reduce(0, +)
    fairness = squares > 0 ? total * total / (squares * Double(operations.count)) : 0
    least = Int(operations.min() ?? 0)
    most = Int(operations.max() ?? 0)
    serverProcessor = server.processorSeconds
    raftBytes = server.raftBytes
    self.findings = findings
  }
}

struct Bench {
  let consul: String
  let seconds: Double

  /// Writers as tasks of this process.
  func tasks(_ work: Work, _ count: Int) async throws -> CellResult {
    let server = try await ConsulServer(binary: consul)
    defer { server.end() }
    let writers = Writers(address: server.address, subnet: "10.64.0.0/16", seconds: seconds)
    let before = try server.lastLogIndex() ?? 0
    let tallies = try await writers.run(work, count)
    let entries = (try server.lastLogIndex() ?? 0) - before
    let held = tallies.reduce(work == .leased ? 1 : 0) { $0 + $1.operations }
    return CellResult(
      work.rawValue, tallies, seconds: seconds, entries: entries, server: server,
      findings: work == .leased ? try await audit(writers, held: held) : [])
  }

  /// Writers as processes, a node each, on one network.
  func processes(_ count: Int) async throws -> CellResult {
    let server = try await ConsulServer(binary: consul)
    defer { server.end() }
    let writers = Writers(address: server.address, subnet: "10.64.0.0/16", seconds: seconds)
    // The network is there before they are.
    _ = try await writers.run(.leased, 0)
    let before = try server.lastLogIndex() ?? 0
    let address = server.address
    let outputs = try await withThrowingTaskGroup(of: WorkerReport.self) { group in
      for number in 0..<count {
        group.addTask { try await worker(number, address) }
      }
      return try await group.reduce(into: [WorkerReport]()) { $0.append($1) }
    }
    // The first second counts for the log, not for the rate: entries are set against all operations.
    let entries = (try server.lastLogIndex() ?? 0) - before
    let all = outputs.reduce(0) { $0 + $1.all }
    let measured = outputs.reduce(0) { $0 + $1.tally.operations }
    return CellResult(
      "processes", outputs.map(\.tally), seconds: seconds,
      entries: entries * measured / max(1, all), server: server,
      findings: try await audit(writers, held: all + 1))
  }

  /// 100,000 addresses without leases: the commits that they cost.
  func bulk() async throws -> (entries: Int, findings: [String]) {
    let server = try await ConsulServer(binary: consul)
    defer { server.end() }
    let writers = Writers(address: server.address, subnet: "2001:db8::/64", seconds: seconds)
    let allocator = BulkAllocator(
      store: try writers.store("bulk"), networkName: "bulk",
      definition: try writers.definition("bulk", kind: .bare), node: "node-0",
      surroundings: writers.surroundings)
    let before = try server.lastLogIndex() ?? 0
    let deadline = writers.surroundings.deadline(inMilliseconds: 60_000)
    let ranges = try await allocator.acquire(100_000, job: 1, deadline: deadline)
    let entries = (try server.lastLogIndex() ?? 0) - before
    let sum = ranges.reduce(0) { $0 + (Int($1.count.description) ?? 0) }
    return (entries, sum == 100_000 ? [] : ["\(sum) addresses instead of 100,000"])
  }

  private func worker(_ number: Int, _ address: String) async throws -> WorkerReport {
    let process = Process()
    let output = Pipe()
    process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
    process.arguments =
      ["worker", "--consul-address", address, "--number", "\(number)"]
      + ["--seconds", "\(seconds)"]
    process.standardOutput = output
    try process.run()
    let data = try await Task.detached {
      try output.fileHandleForReading.readToEnd() ?? Data()
    }.value
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw BenchmarkError("worker \(number) failed") }
    return try JSONDecoder().decode(WorkerReport.self, from: data)
  }

  /// What is wrong in the store: bits, leases and attachments against each other, and their number
  /// against what the writers were told.
  private func audit(_ writers: Writers, held: Int?) async throws -> [String] {
    let store = try writers.store("shared")
    let deadline = writers.surroundings.deadline(inMilliseconds: 60_000)
    let definition = try await store.read(
      [.definition], consistency: .consistent, deadline: deadline)
    guard case .definition(let ruling)? = definition[.definition]?.value else {
      return ["no definition"]
    }
    var findings = try await Auditor(of: store, definition: ruling).findings(deadline: deadline)
      .map { "\($0)" }
    var leases = 0
    try await store.list(.leases, deadline: deadline) { _, _ in leases += 1 }
    if let held, leases != held { findings.append("\(leases) leases for \(held) acquisitions") }
    await store.shutdown()
    return findings
  }
}

/// What a worker process prints.
struct WorkerReport: Codable {
  /// Operations from the start; the others are those after the first second.
  var all: Int
  var operations: Int
  /// Microseconds, and how often.
  var latencies: [[UInt64]]

  init(all: Int, _ tally: Tally) {
    self.all = all
    operations = tally.operations
    latencies = tally.latencies.recordedValues().map { [$0.value, UInt64($0.count)] }
  }

  var tally: Tally {
    var tally = Tally()
    tally.operations = operations
    for pair in latencies { _ = tally.latencies.record(pair[0], count: UInt32(pair[1])) }
    return tally
  }
}
