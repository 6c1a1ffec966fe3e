// The cells and figures of the project's promise, on one server with its data on disk.

import Figures

enum Standard {
  private static let sizes = [1, 16, 64]

  /// In what order the cells are measured; those that a ratio is taken of stand next to each other.
  static func plan(seconds: Double, repeats: Int) -> [(turn: Int, cell: Cell)] {
    var plan: [(turn: Int, cell: Cell)] = []
    for turn in 1...repeats {
      func add(_ cell: Cell) { plan.append((turn, cell)) }
      for writers in sizes {
        add(Cell(work: .plain, writers: writers, seconds: seconds))
        add(Cell(work: .sameClient, writers: writers, seconds: seconds))
        add(Cell(work: .leases, writers: writers, seconds: seconds))
        if writers == 16 { add(processes16(seconds)) }
        let isNeeded = writers == 64 || turn == 1
        if isNeeded { add(Cell(work: .readModifyWrite, writers: writers, seconds: seconds)) }
        guard turn == 1 else { continue }
        add(Cell(work: .leases, writers: writers, groupCommit: false, seconds: seconds))
        add(Cell(work: .keyScan, writers: writers, seconds: seconds))
        add(Cell(work: .lockScan, writers: writers, seconds: seconds))
      }
      add(oneChunk)
      add(tight)
      add(tightNodes)
      if turn == 1 {
        add(bulk)
        add(Cell(work: .fdatasync, seconds: seconds))
        for mix in [Mix.churn, .given, .release] {
          add(Cell(writers: 64, mix: mix, seconds: seconds))
        }
        add(Cell(writers: 64, fill: 99, mix: .churn, seconds: seconds))
        add(Cell(work: .leases, ground: .disk, writers: 16, seconds: seconds))
        add(Cell(work: .leases, ground: .memory, writers: 64, seconds: seconds))
      }
    }
    return plan
  }

  private static func processes16(_ seconds: Double) -> Cell {
    Cell(writers: 16, nodes: 16, processes: 16, seconds: seconds)
  }

  /// 64 nodes, a process each, on a single chunk.
  private static let oneChunk = Cell(
    writers: 64, nodes: 64, processes: 64, pool: "10.64.0.0/24", untilFull: true)

  private static let bulk = Cell(
    work: .bits, pool: "2001:db8::/64", operations: 1, bulk: 100_000)

  /// 64 writers fill 64 chunks to the last address: of one node, and a node each.
  private static let tight = Cell(writers: 64, pool: "10.64.0.0/20", untilFull: true)
  private static let tightNodes = Cell(
    writers: 64, nodes: 64, pool: "10.64.0.0/20", untilFull: true)

  /// What must hold.
  static func figures(_ results: [CellResult]) -> [Figure] {
    func all(_ isWanted: (Cell) -> Bool) -> [CellResult] { results.filter { isWanted($0.cell) } }
    func leases(_ writers: Int) -> [CellResult] {
      let seconds = results.first?.cell.seconds ?? 0
      return all { $0 == Cell(writers: writers, seconds: seconds) }
    }
    func middle(_ of: [CellResult], _ value: (CellResult) -> Double?) -> Double {
      median(of.compactMap(value))
    }
    func sameClient(_ of: [CellResult]) -> Double { middle(of, \.ratioToSameClient) }
    let processes = all { $0.processes == 16 }
    let (one, fill) = (all { $0 == oneChunk }, all { $0 == tight })
    let fillOfNodes = all { $0 == tightNodes }
    let shared = all { $0.work == .readModifyWrite && $0.writers == 64 }
    let beside = zip(leases(64), shared).map { per($0.perSecond, $1.perSecond) }
    func figure(_ name: String, _ value: Double, _ bound: Figure.Bound) -> Figure {
      Figure("contention", name, value, bound)
    }
    let capacity = Double(Fill.capacity(oneChunk))
    return [
      figure("1 writer, leases / plain", sameClient(leases(1)), .atLeast(0.4)),
      figure("16 writers, leases / plain", sameClient(leases(16)), .atLeast(1.5)),
      figure("64 writers, leases / plain", sameClient(leases(64)), .atLeast(2)),
      figure(
        "64 writers, leases / plain on bare sockets", middle(leases(64), \.ratioToPlain),
        .atLeast(1)),
      figure("64 writers, leases / read-modify-write", median(beside), .atLeast(50)),
      figure(
        "64 writers, log entries for a lease", middle(leases(64), \.entriesPerOperation),
        .atMost(1.0 / 15)),
      figure("64 writers, fairness (Jain)", middle(leases(64), \.fairness), .atLeast(0.9)),
      figure("16 processes, leases / plain", sameClient(processes), .atLeast(0.6)),
      figure(
        "16 processes, wasted commits for a lease", middle(processes, \.conflictsPerOperation),
        .atMost(0.01)),
      figure("64 processes on a /24, least handed out", least(one), .atLeast(capacity)),
      figure("64 processes on a /24, most handed out", most(one), .atMost(capacity)),
      figure(
        "64 processes on a /24, writers refused at the end",
        one.map { Double($0.refusals) }.min() ?? .nan, .atLeast(64)),
      figure(
        "64 processes on a /24, longest wait for an answer, s",
        one.map { $0.latency.max / 1_000 }.max() ?? .nan, .atMost(30)),
      figure(
        "/20 filled by 64 writers, least handed out", least(fill),
        .atLeast(Double(Fill.capacity(tight)))),
      figure(
        "/20 filled by 64 writers, wasted commits for an address", wasted(fill), .atMost(1)),
      figure(
        "/20 filled by 64 nodes, least handed out", least(fillOfNodes),
        .atLeast(Double(Fill.capacity(tight)))),
      figure(
        "/20 filled by 64 nodes, wasted commits for an address", wasted(fillOfNodes), .atMost(1)),
      figure(
        "log entries for 100,000 addresses in bulk",
        middle(all { $0 == bulk }, \.entriesPerOperation), .atMost(30)),
      figure(
        "duplicates, leaks and other findings",
        Double(results.reduce(0) { $0 + $1.findings.count }),
        .atMost(0)),
    ]
  }

  private static func wasted(_ results: [CellResult]) -> Double {
    results.map { per(Double($0.wastedCommits), Double($0.handedOut)) }.max() ?? .nan
  }

  private static func least(_ results: [CellResult]) -> Double {
    results.map { Double($0.handedOut) }.min() ?? .nan
  }

  private static func most(_ results: [CellResult]) -> Double {
    results.map { Double($0.handedOut) }.max() ?? .nan
  }
}
