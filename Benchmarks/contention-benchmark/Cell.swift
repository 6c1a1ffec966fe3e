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
  /// Lost races as the writers saw them; unknown where an allocator hides them.
  let conflictsPerOperation: Double?
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
    _ cell: String, _ tallies: [Tally], seconds: Double, entries: Int, used: ServerUse,
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
    conflictsPerOperation =
      cell == Work.readModifyWrite.rawValue
      ? Double(sum.conflicts) / Double(max(1, sum.operations)) : nil
    (p50, p90) = (milliseconds(50), milliseconds(90))
    (p99, p999) = (milliseconds(99), milliseconds(99.9))
    longest = Double(sum.latencies.max) / 1_000
    let total = operations.reduce(0, +)
    fairness = squares > 0 ? total * total / (squares * Double(operations.count)) : 0
    least = Int(operations.min() ?? 0)
    most = Int(operations.max() ?? 0)
    serverProcessor = used.processorSeconds
    raftBytes = used.raftBytes
    self.findings = findings
  }
}

/// What the server used while the writers wrote.
struct ServerUse {
  let processorSeconds: Double
  let raftBytes: Int

  init(_ server: ConsulServer, since before: Double) {
    processorSeconds = server.processorSeconds - before
    raftBytes = server.raftBytes
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
    let (before, processor) = (try server.lastLogIndex() ?? 0, server.processorSeconds)
    let ran = try await writers.run(work, count)
    let entries = (try server.lastLogIndex() ?? 0) - before
    let used = ServerUse(server, since: processor)
    let told = (ran.tallies + [ran.warm]).flatMap(\.addresses)
    return CellResult(
      work.rawValue, ran.tallies, seconds: seconds, entries: entries, used: used,
      findings: work == .leased ? try await audit(writers, told: told) : [])
  }

  /// Writers as processes, a node each, on one network. They begin at one moment; the first second
  /// counts for the log, not for the rate: log entries are set against all operations.
  func processes(_ count: Int) async throws -> CellResult {
    let server = try await ConsulServer(binary: consul)
    defer { server.end() }
    let writers = Writers(address: server.address, subnet: "10.64.0.0/16", seconds: seconds)
    // The network is there before they are.
    let first = try await writers.run(.leased, 0)
    let (before, processor) = (try server.lastLogIndex() ?? 0, server.processorSeconds)
    let start = writers.surroundings.monotonic() + 2_000_000_000
    let address = server.address
    let reports = try await withThrowingTaskGroup(of: WorkerReport.self) { group in
      for number in 0..<count {
        group.addTask { try await worker(number, address, start: start) }
      }
      return try await group.reduce(into: [WorkerReport]()) { $0.append($1) }
    }
    let entries = (try server.lastLogIndex() ?? 0) - before
    let used = ServerUse(server, since: processor)
    let all = reports.reduce(0) { $0 + $1.addresses.count }
    let measured = reports.reduce(0) { $0 + $1.operations }
    let told =
      try first.warm.addresses
      + reports.flatMap(\.addresses).map { try IPAddress(parsing: $0) }
    return CellResult(
      "processes", reports.map(\.tally), seconds: seconds,
      entries: Int((Double(entries) * Double(measured) / Double(max(1, all))).rounded(.up)),
      used: used, findings: try await audit(writers, told: told))
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
    let offsets = ranges.compactMap { OffsetRange(first: $0.first.value, last: $0.last.value) }
    let different = IntervalSet(offsets).count
    return (entries, different == 100_000 ? [] : ["\(different) addresses instead of 100,000"])
  }

  private func worker(
    _ number: Int, _ address: String, start: UInt64
  ) async throws -> WorkerReport {
    let process = Process()
    let output = Pipe()
    process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
    process.arguments =
      ["worker", "--consul-address", address, "--number", "\(number)"]
      + ["--seconds", "\(seconds)", "--start", "\(start)"]
    process.standardOutput = output
    try process.run()
    let data = try await Task.detached {
      try output.fileHandleForReading.readToEnd() ?? Data()
    }.value
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw BenchmarkError("worker \(number) failed") }
    return try JSONDecoder().decode(WorkerReport.self, from: data)
  }

  /// What is wrong: in the store, bits, leases and attachments against each other; and the leases
  /// against the addresses that the writers were told, each of which must be told once.
  private func audit(_ writers: Writers, told: [IPAddress]) async throws -> [String] {
    let store = try writers.store("shared")
    let deadline = writers.surroundings.deadline(inMilliseconds: 60_000)
    let entries = try await store.read(
      [.definition], consistency: .consistent, deadline: deadline)
    guard case .definition(let ruling)? = entries[.definition]?.value else {
      return ["no definition"]
    }
    var findings = try await Auditor(of: store, definition: ruling).findings(deadline: deadline)
      .map { "\($0)" }
    var leases: Set<IPAddress> = []
    try await store.list(.leases, deadline: deadline) { key, _ in
      if case .lease(let address) = key { leases.insert(address) }
    }
    let known = Set(told)
    if known.count != told.count {
      findings.append("\(told.count - known.count) addresses were given out twice")
    }
    for address in known.subtracting(leases).sorted() { findings.append("\(address) has no lease") }
    for address in leases.subtracting(known).sorted() { findings.append("\(address) leaked") }
    await store.shutdown()
    return findings
  }
}

/// What a worker process prints.
struct WorkerReport: Codable {
  /// All that it was told, from the start.
  var addresses: [String]
  /// The operations after the first second.
  var operations: Int
  /// Microseconds, and how often.
  var latencies: [[UInt64]]

  init(_ warm: Tally, _ tally: Tally) {
    addresses = (warm.addresses + tally.addresses).map(\.description)
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
