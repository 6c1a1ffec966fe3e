// What writers did, and how it adds up.

import AddressSpace
import Foundation
import Histogram
import IPAM
import IPAMTesting

/// What one writer did.
struct Tally: Sendable {
  /// After the warm-up; these count for the rate.
  var operations = 0
  /// All, the warm-up's too; these are what commits and log entries are set against.
  var allOperations = 0
  /// Lost races, where the writer itself is who loses them (the baselines).
  var conflicts = 0
  /// Answers that the pool has nothing left.
  var refusals = 0
  /// When the last operation ended, nanoseconds on the monotonic clock.
  var finished: UInt64 = 0
  /// Microseconds.
  var latencies = Histogram<UInt32>(highestTrackableValue: Tally.longest)
  /// What the writer was told, in order.
  var events: [HistoryEvent] = []
  /// Operations that ended as they must not.
  var failures: [String] = []
  static let longest: UInt64 = 120_000_000

  /// Takes down an operation; `begin` is when counting for the rate begins.
  mutating func add(from start: UInt64, to end: UInt64, counting begin: UInt64) {
    allOperations += 1
    finished = max(finished, end)
    guard start >= begin else { return }
    operations += 1
    _ = latencies.record(min((end - start) / 1_000, Self.longest))
  }
}

/// What the writers of one process did, and what it cost: what a worker prints.
struct Share: Codable, Sendable {
  var tallies: [TallyRecord] = []
  var counts = StoreCounts()
  var usage = Usage()
  /// Whether `counts` were counted: the baselines have no store.
  var hasCounts = false
}

/// What a process used.
struct Usage: Codable, Sendable {
  var processorSeconds = 0.0
  /// By write calls: nearly all are requests to the server.
  var bytesOut: UInt64 = 0
  /// By read calls.
  var bytesIn: UInt64 = 0

  static func - (left: Usage, right: Usage) -> Usage {
    Usage(
      processorSeconds: left.processorSeconds - right.processorSeconds,
      bytesOut: left.bytesOut &- right.bytesOut, bytesIn: left.bytesIn &- right.bytesIn)
  }

  static func + (left: Usage, right: Usage) -> Usage {
    Usage(
      processorSeconds: left.processorSeconds + right.processorSeconds,
      bytesOut: left.bytesOut &+ right.bytesOut, bytesIn: left.bytesIn &+ right.bytesIn)
  }

  /// This process's, so far.
  static var now: Usage {
    var times = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &times)
    func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
    var usage = Usage(processorSeconds: seconds(times.ru_utime) + seconds(times.ru_stime))
    let text = (try? String(contentsOfFile: "/proc/self/io", encoding: .utf8)) ?? ""
    for line in text.split(separator: "\n") {
      let parts = line.split(separator: " ")
      guard parts.count == 2, let value = UInt64(parts[1]) else { continue }
      if parts[0] == "wchar:" { usage.bytesOut = value }
      if parts[0] == "rchar:" { usage.bytesIn = value }
    }
    return usage
  }
}

/// Processor time at one moment, in seconds since the machine and this program began.
struct MachineUse {
  /// Of all programs.
  private var all = 0.0
  /// Of this one, and of those that it started and saw end.
  private let own: Double
  private let now = Surroundings.system.monotonic()

  init() {
    func seconds(of whose: __rusage_who) -> Double {
      var times = rusage()
      getrusage(__rusage_who_t(whose.rawValue), &times)
      return [times.ru_utime, times.ru_stime].reduce(0) {
        $0 + Double($1.tv_sec) + Double($1.tv_usec) / 1e6
      }
    }
    own = seconds(of: RUSAGE_SELF) + seconds(of: RUSAGE_CHILDREN)
    // cpu  user nice system idle iowait irq softirq steal
    let text = (try? String(contentsOfFile: "/proc/stat", encoding: .utf8)) ?? ""
    let ticks = text.prefix { $0 != "\n" }.split(separator: " ").dropFirst().prefix(8).compactMap {
      Double($0)
    }
    for (index, count) in ticks.enumerated() where index != 3 && index != 4 {
      all += count / Double(sysconf(Int32(_SC_CLK_TCK)))
    }
  }

  /// The part of the processors' time that others took since, 0 to 1.
  func others(since start: MachineUse) -> Double {
    let elapsed = Double(now - start.now) / 1e9
    let count = Double(ProcessInfo.processInfo.activeProcessorCount)
    return min(1, max(0, ((all - start.all) - (own - start.own)) / (elapsed * count)))
  }
}

/// A tally as a worker prints it.
struct TallyRecord: Codable, Sendable {
  struct Event: Codable, Sendable {
    /// Nil for a release.
    var addresses: [String]?
    var node: String
    var container: String
    var called: UInt64
    var returned: UInt64
  }

  var operations: Int
  var allOperations: Int
  var conflicts: Int
  var refusals: Int
  var finished: UInt64
  /// Microseconds, and how often.
  var latencies: [[UInt64]]
  var events: [Event]
  var failures: [String]

  init(_ tally: Tally) {
    (operations, allOperations) = (tally.operations, tally.allOperations)
    (conflicts, refusals) = (tally.conflicts, tally.refusals)
    finished = tally.finished
    latencies = tally.latencies.recordedValues().map { [$0.value, UInt64($0.count)] }
    failures = tally.failures
    events = tally.events.map { event in
      var addresses: [String]?
      if case .acquired(let told) = event.kind { addresses = told.map(\.description) }
      return Event(
        addresses: addresses, node: event.attachment.node, container: event.attachment.container,
        called: event.called, returned: event.returned)
    }
  }

  /// The history as the checker takes it.
  func history() throws -> [HistoryEvent] {
    try events.map { event in
      let kind: HistoryEvent.Kind =
        try event.addresses.map { .acquired(try $0.map { try IPAddress(parsing: $0) }) }
        ?? .released
      return HistoryEvent(
        kind, Writers.attachment(event.node, event.container), called: event.called,
        returned: event.returned)
    }
  }
}
