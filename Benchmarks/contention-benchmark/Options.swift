import ArgumentParser
import Foundation

extension Work: ExpressibleByArgument {}

/// Where to measure and how long.
struct GroundOptions: ParsableArguments {
  @Option(
    help: "The Consul to start: a path, or a name on the PATH; else $CNI_IPAM_CONSUL, else consul.")
  var consulBinary: String?
  @Option(help: "Seconds that each cell runs.") var seconds = 4.0

  func validate() throws {
    guard seconds > 0, seconds <= 600 else {
      throw ValidationError("--seconds \(seconds): above 0, up to 600")
    }
  }

  /// The path of the Consul to start.
  func binary() throws -> String {
    let environment = ProcessInfo.processInfo.environment
    let name = consulBinary ?? environment["CNI_IPAM_CONSUL"] ?? "consul"
    return try path(of: name, option: "--consul-binary")
  }
}

/// The path of a program that is on the PATH, or is a path.
func path(of program: String, option: String) throws -> String {
  let folders = ProcessInfo.processInfo.environment["PATH"]?.split(separator: ":") ?? []
  let paths = program.contains("/") ? [program] : folders.map { "\($0)/\(program)" }
  if let path = paths.first(where: FileManager.default.isExecutableFile) { return path }
  throw ValidationError(
    "no \(program) that can be run; try \(option) \"$(scripts/install-consul)\"")
}

/// One line of standard error that the next one is written over; on a terminal only.
func showProgress(_ text: String) {
  guard isatty(STDERR_FILENO) == 1 else { return }
  FileHandle.standardError.write(Data("\r\u{1B}[K\(text)".utf8))
}

/// Values separated by commas: every combination is measured.
struct Values<Value: Sendable>: ExpressibleByArgument, Sendable, CustomStringConvertible {
  let all: [Value]
  let description: String

  init?(argument: String) {
    let parts = argument.split(separator: ",", omittingEmptySubsequences: false)
    let values = parts.compactMap { Self.parse(String($0)) }
    guard values.count == parts.count else { return nil }
    (all, description) = (values, argument)
  }

  var defaultValueDescription: String { description }

  private static func parse(_ text: String) -> Value? {
    switch Value.self {
    case is Int.Type: Int(text) as? Value
    case is String.Type: text as? Value
    case is Bool.Type: (["on": true, "off": false][text]) as? Value
    case is Chunks.Type: Chunks(rawValue: text) as? Value
    case is Mix.Type: Mix(rawValue: text) as? Value
    case is Work.Type: Work(rawValue: text) as? Value
    default: nil
    }
  }
}

extension Values: ExpressibleByStringLiteral {
  init(stringLiteral text: String) { self = Self(argument: text)! }
}

/// What a sweep varies.
struct SweepOptions: ParsableArguments {
  @Option(
    help: "The server to start: single (data on disk), dev (no disk) or cluster (three, on disk).")
  var server = "single"
  @Option(
    help: ArgumentHelp(
      "Use a Consul that runs already; its own keys are left alone.", valueName: "host:port"))
  var consul: String?
  @Option(help: "Without Consul: disk (host-local's format) or memory.") var backend: String?
  @Option(help: "Writers, 1 to 256.") var writers: Values<Int> = "1,16,64"
  @Option(help: "Processes that the writers are spread over (at most one each); 1: tasks of one.")
  var processes: Values<Int> = "1"
  @Option(help: "Nodes that the writers belong to; as many as processes unless said.")
  var nodes: Values<Int>?
  @Option(
    help: """
      Where writers meet: shared (the whole pool in one key), own (a chunk for each writer), home \
      (as in production).
      """)
  var chunks: Values<Chunks> = "home"
  @Option(help: "Whether the waiting writers of a node share a commit: on, off.")
  var groupCommit: Values<Bool> = "on"
  @Option(help: "The pool; with --chunks shared a /18 unless said.") var pool: Values<String>?
  @Option(
    help: "The binary logarithm of the addresses in a chunk, 6 to 14; the default unless said.")
  var chunkBits: Values<Int>?
  @Option(help: "Percent of the pool taken before the clock begins: 0, 50, 90, 99, 100 …")
  var fill: Values<Int> = "0"
  @Option(
    help: """
      acquire (and keep), churn (acquire and release in turn), given (addresses asked for by name), \
      release (what was acquired before).
      """)
  var mix: Values<Mix> = "acquire"
  @Flag(help: "Bits without leases, each by a commit of its own.") var bare = false
  @Option(help: "With --bare: addresses of one operation.") var bulk = 1
  @Option(
    help: """
      Baselines beside it: plain, sameClient, readModifyWrite, keyScan, lockScan, fdatasync; or none.
      """)
  var baselines = "plain"
  @Option(help: "Bytes of a plain write's value, 16 to 380,000.") var valueSize: Values<Int>?
  @Option(help: "Connections that watch the pool's keys by blocking reads.")
  var watchers: Values<Int> = "0"
  @Flag(help: "Go on until the pool refuses one more, however long that takes.") var untilFull =
    false
  @Option(help: "Stop each writer after so many operations instead of by the clock.")
  var operations: Int?
  @Option(help: "How often everything is measured.") var repeats = 1

  func validate() throws {
    guard (1...99).contains(repeats) else {
      throw ValidationError("--repeats \(repeats): 1 to 99")
    }
    guard consul == nil || backend == nil else {
      throw ValidationError("--consul and --backend: one of them")
    }
  }

  /// The ground that the options name.
  func ground() throws -> Ground {
    if let backend {
      guard let ground = Ground(rawValue: backend), !ground.isConsul else {
        throw ValidationError("--backend \(backend): disk or memory")
      }
      return ground
    }
    if consul != nil { return .address }
    guard let ground = Ground(rawValue: server), ground.isConsul, ground != .address else {
      throw ValidationError("--server \(server): single, dev or cluster")
    }
    return ground
  }

  /// The baselines that the options name.
  private func baselineWorks() throws -> [Work] {
    guard baselines != "none" else { return [] }
    let works = Values<Work>(argument: baselines)?.all ?? []
    guard !works.isEmpty, works.allSatisfy(\.isBaseline) else {
      throw ValidationError(
        "--baselines \(baselines): plain, sameClient, readModifyWrite, keyScan, lockScan, fdatasync "
          + "or none")
    }
    let isConsul = try ground().isConsul
    return works.filter { $0 == .fdatasync || isConsul }
  }

  /// What is measured in one turn: baselines of a number of writers come just before the cells that
  /// are set against them.
  func plan(seconds: Double) throws -> [Cell] {
    let works = try baselineWorks()
    var planned: [Cell] = []
    for cell in try cells(seconds: seconds) {
      for work in works {
        for size in valueSize?.all.map(Optional.some) ?? [nil] {
          var base = Cell(
            work: work, ground: cell.ground, writers: work == .fdatasync ? 1 : cell.writers,
            seconds: cell.seconds)
          if work == .plain || work == .readModifyWrite { base.valueSize = size }
          if !planned.contains(base) { planned.append(base) }
        }
      }
      if !planned.contains(cell) { planned.append(cell) }
    }
    for cell in planned { try cell.check() }
    return planned
  }

  /// Every combination, the widest last.
  private func cells(seconds: Double) throws -> [Cell] {
    var cells = [
      Cell(
        work: bare ? .bits : .leases, ground: try ground(), seconds: seconds,
        operations: operations, bulk: bulk, untilFull: untilFull)
    ]
    func vary<Value>(_ values: [Value]?, _ set: (inout Cell, Value) -> Void) {
      guard let values else { return }
      cells = cells.flatMap { cell in
        values.map { value in
          var cell = cell
          set(&cell, value)
          return cell
        }
      }
    }
    vary(chunks.all) {
      $0.chunks = $1
      if $1 == .shared { $0.pool = "10.64.0.0/18" }
    }
    vary(pool?.all) { $0.pool = $1 }
    vary(chunkBits?.all) { $0.bits = $1 }
    vary(mix.all) { $0.mix = $1 }
    vary(fill.all) { $0.fill = $1 }
    vary(groupCommit.all) { $0.groupCommit = $1 }
    vary(watchers.all) { $0.watchers = $1 }
    vary(processes.all) { ($0.processes, $0.nodes) = ($1, $1) }
    vary(nodes?.all) { $0.nodes = $1 }
    vary(writers.all) {
      $0.writers = $1
      if $0.chunks == .own { $0.nodes = $1 }
      $0.nodes = min($0.nodes, $1)
      $0.processes = min($0.processes, max(1, $0.nodes))
    }
    return cells
  }
}
