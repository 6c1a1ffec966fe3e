// What a simulation takes from a real server, and how: no time in it is a constant of the code.
//
//   reads, 64 connections       the time between reads: how long one keeps the processors busy
//   read, one connection        half of each sample, without that, is the way to the server or back
//   writes, 64 connections      the time between commits of 1, 3 and 63 operations, in windows of 50 ms:
//                               how long one keeps the processors busy; the slope is what an operation
//                               adds. Rounds of the log are shared then, and others work meanwhile
//   write, one connection       without the way and the processors' part, a sample is what a round of
//                               the leader takes (log, disk, quorum)
//   allocator over memory       what a client works on a wish before its commit is sent

import Foundation
import IPAMTesting

/// Measurements of one server, as a file keeps them; times are nanoseconds.
struct Calibration: Codable, Equatable {
  /// Commits of one size.
  struct Write: Codable, Equatable {
    let operations: Int
    /// One connection.
    let latencies: [UInt64]
    /// The mean time between two commits of all connections together, for each window of 50 ms.
    let between: [UInt64]
    let perSecond: Double
    /// Bytes of a request and of its reply, headers included.
    let bytes: Bytes
  }

  /// Bytes that a process wrote and read.
  struct Bytes: Codable, Equatable {
    var sent: Double
    var received: Double
  }

  /// The server, and when it was measured.
  let server: String
  let date: String
  /// Of the machine, for server and clients together.
  let processors: Int
  /// The part of their time that other programs took meanwhile, 0 to 1.
  let others: Double
  /// One connection.
  let reads: [UInt64]
  /// Of all connections together.
  let readsPerSecond: Double
  /// Of a read.
  let readBytes: Bytes
  /// What of a read's reply, and of each write, is the chunk's value.
  let chunkBytes: Double
  /// By operations, fewest first: 1 (the plain commit rate), 3 (one lease), 63 (31 leases).
  let writes: [Write]
  let planning: [UInt64]
  /// What the simulation is held against.
  let realities: [Reality]

  /// Connections that load the server.
  static let connections = 64

  /// The rate of plain commits on own keys, a second.
  var commitRate: Double { writes.first?.perSecond ?? 0 }

  /// Reads a file that ``encoded()`` wrote.
  init(contentsOf path: String) throws {
    do {
      let data = try Data(contentsOf: URL(fileURLWithPath: path))
      self = try JSONDecoder().decode(Calibration.self, from: data)
    } catch {
      throw BenchmarkError(
        "--calibration \(path): \(error.localizedDescription) Write one with --save-calibration")
    }
    try check()
  }

  init(
    server: String, date: String, processors: Int, others: Double, reads: [UInt64],
    readsPerSecond: Double, readBytes: Bytes, chunkBytes: Double, writes: [Write],
    planning: [UInt64], realities: [Reality]
  ) throws {
    self.server = server
    self.date = date
    self.processors = processors
    self.others = others
    self.reads = reads
    self.readsPerSecond = readsPerSecond
    self.readBytes = readBytes
    self.chunkBytes = chunkBytes
    self.writes = writes
    self.planning = planning
    self.realities = realities
    try check()
  }

  private func check() throws {
    guard writes.count >= 2, !reads.isEmpty, !planning.isEmpty, readsPerSecond > 0, processors > 0,
      writes.allSatisfy({ !$0.latencies.isEmpty && !$0.between.isEmpty && $0.perSecond > 0 }),
      zip(writes, writes.dropFirst()).allSatisfy({ $0.operations < $1.operations })
    else {
      throw BenchmarkError(
        "the calibration lacks samples: reads, planning and at least two sizes of writes, smallest "
          + "first, each with latencies and rates; measure longer (--seconds) or anew")
    }
  }

  func encoded() throws -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    return try encoder.encode(self)
  }

  /// Processors that work at once: those of the machine, but no more than leave each request as much
  /// time as it takes alone. More connections than one may wait for something else than processors.
  private var workers: Int {
    let lease = writes[1]
    let most = min(
      Self.median(reads) * readsPerSecond, Self.median(lease.latencies) * lease.perSecond)
    return max(1, min(processors, Int(min(most / 1e9, 1_024))))
  }

  /// The measurements as the simulation draws from them.
  var service: Scenario.Service {
    let lease = writes[1]
    let largest = writes[writes.count - 1]
    // Of requests that end every so often when all processors work, each keeps one of them so many times
    // as long.
    let share = Double(workers)
    let perOperation =
      share * (1e9 / largest.perSecond - 1e9 / lease.perSecond)
      / Double(largest.operations - lease.operations)
    let (read, commit) = (share * 1e9 / readsPerSecond, share * 1e9 / lease.perSecond)
    let way = max(0, Self.median(reads) - read)
    let operations = Double(lease.operations) * max(0, perOperation)
    return Scenario.Service(
      hop: reads.map { Self.positive(Double($0) - read) / 2 },
      round: lease.latencies.map { Self.positive(Double($0) - way - commit) },
      processors: workers,
      perCommit: lease.between.map { Self.positive(share * Double($0) - operations) },
      spell: ServerLoad.Result.window, perOperation: Self.positive(perOperation),
      perRead: Self.positive(read), client: planning)
  }

  /// As many samples as a calibration keeps of a distribution, its largest among them.
  static func quantiles(_ samples: [UInt64], _ count: Int = 1_000) -> [UInt64] {
    let sorted = samples.sorted()
    guard sorted.count > count else { return sorted }
    return (1...count).map { sorted[sorted.count * $0 / count - 1] }
  }

  static func median(_ samples: [UInt64]) -> Double {
    Double(samples.sorted()[samples.count / 2])
  }

  private static func positive(_ nanoseconds: Double) -> UInt64 { UInt64(max(0, nanoseconds)) }
}
