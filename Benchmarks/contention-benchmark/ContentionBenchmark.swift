// Measures contention on a real Consul, with its baselines in the same run, and says whether the figures
// hold that the project promises.
//
//   contention-benchmark                     the table, about three minutes
//   contention-benchmark --json FILE         and everything measured as JSON
//
// Each cell has a new server with its data on disk. A ratio is taken of cells that were measured one
// after the other, and of several such pairs the median counts: a machine's speed drifts.

import ArgumentParser
import Foundation
import IPAM

extension Work: ExpressibleByArgument {}

@main
struct ContentionBenchmark: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "contention-benchmark",
    abstract: "Measures contention on a real Consul, against what the server can do.",
    subcommands: [Run.self, Worker.self, Simulate.self], defaultSubcommand: Run.self)
}

struct Run: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract:
      "Runs all cells and checks the figures that must hold; exit status 1 if one does not.",
    discussion: """
      plain            conditional writes of one key for each writer: the server's commit rate
      readModifyWrite  all writers on one key, again at once after a lost race
      leased           leases on a /16 by tasks of one process, which share commits
      processes        leases on a /16 by processes, a node each
      bulk             100,000 addresses of a /64 without leases
      """)
  @Option(help: "The Consul to start.") var consul = "consul"
  @Option(help: "How long each cell runs, in seconds.") var seconds = 4.0
  @Option(help: "How often each pair of cells is measured.") var repeats = 3
  @Option(help: "A file for everything measured, as JSON.") var json: String?
  @Option(help: "One kind of cell only (plain, readModifyWrite, leased), without the figures.")
  var only: Work?
  @Option(help: "How many writers, with --only.") var writers = 64

  func validate() throws {
    guard seconds > 0, seconds <= 600 else {
      throw ValidationError("--seconds: above 0, up to 600")
    }
    guard (1...99).contains(repeats) else { throw ValidationError("--repeats: 1 to 99") }
  }

  func run() async throws {
    let bench = Bench(consul: try path(), seconds: seconds)
    var report = Report()
    if let only {
      for _ in 1...repeats { report.add(try await bench.tasks(only, writers)) }
      return report.showCells()
    }
    for turn in 1...repeats {
      for writers in [1, 16, 64] {
        progress("\(writers) writers, turn \(turn) of \(repeats)")
        report.add(try await bench.tasks(.plain, writers))
        report.add(try await bench.tasks(.leased, writers))
      }
      progress("64 writers on one key, turn \(turn) of \(repeats)")
      report.add(try await bench.tasks(.readModifyWrite, 64))
      progress("16 processes, turn \(turn) of \(repeats)")
      report.add(try await bench.processes(16))
    }
    progress("100,000 addresses at once")
    report.bulk = try await bench.bulk()
    progress("")
    report.show()
    if let json { try report.encoded().write(to: URL(fileURLWithPath: json)) }
    guard report.holds else { throw ExitCode(1) }
  }

  private func path() throws -> String {
    if consul.contains("/") { return consul }
    let folders = ProcessInfo.processInfo.environment["PATH"]?.split(separator: ":") ?? []
    for folder in folders {
      let path = "\(folder)/\(consul)"
      if FileManager.default.isExecutableFile(atPath: path) { return path }
    }
    throw ValidationError("no \(consul) on the PATH: --consul $(scripts/install-consul)")
  }

  /// One line that is written over, on a terminal only.
  private func progress(_ text: String) {
    guard isatty(STDERR_FILENO) == 1 else { return }
    FileHandle.standardError.write(Data("\r\u{1B}[K\(text)".utf8))
  }
}

/// One process of many; started by the benchmark itself.
struct Worker: AsyncParsableCommand {
  static let configuration = CommandConfiguration(shouldDisplay: false)
  @Option var consulAddress: String
  @Option var number: Int
  @Option var seconds: Double
  /// A moment of the monotonic clock.
  @Option var start: UInt64

  func run() async throws {
    let node = "node-\(number)"
    let writers = Writers(address: consulAddress, subnet: "10.64.0.0/16", seconds: seconds)
    let allocator = NetworkAllocator(
      store: try writers.store("shared"), networkName: "shared",
      definition: try writers.definition("shared"), node: Node(name: node, instance: "i\(number)"),
      surroundings: writers.surroundings)
    let now = writers.surroundings.monotonic()
    if start > now { await writers.surroundings.sleep(start - now) }
    let begin = max(start, now) + 1_000_000_000
    let warm = try await writers.leased(allocator, 1_000 + number, node: node, until: begin)
    let tally = try await writers.leased(
      allocator, number, node: node, until: begin + UInt64(seconds * 1e9))
    FileHandle.standardOutput.write(try JSONEncoder().encode(WorkerReport(warm, tally)))
  }
}
