// The table, and the figures that must hold.

import Foundation

struct Report {
  private(set) var cells: [CellResult] = []
  var bulk: (entries: Int, findings: [String]) = (0, [])

  mutating func add(_ cell: CellResult) { cells.append(cell) }

  /// A figure that must hold.
  private struct Figure {
    let name: String
    let value: Double
    let bound: Double
    let isMost: Bool
    var holds: Bool { isMost ? value <= bound : value >= bound }
  }

  private func all(_ name: String, _ writers: Int) -> [CellResult] {
    cells.filter { $0.cell == name && $0.writers == writers }
  }

  private func median(_ values: [Double]) -> Double {
    values.isEmpty ? .nan : values.sorted()[values.count / 2]
  }

  /// The median ratio of cells measured in the same turn.
  private func ratio(_ name: String, to base: String, _ writers: Int) -> Double {
    median(zip(all(name, writers), all(base, writers)).map { $0.perSecond / $1.perSecond })
  }

  private var figures: [Figure] {
    let leased = all("leased", 64)
    let processes = all("processes", 16)
    return [
      Figure(
        name: "1 caller, leased / plain", value: ratio("leased", to: "plain", 1), bound: 0.4,
        isMost: false),
      Figure(
        name: "16 callers, leased / plain", value: ratio("leased", to: "plain", 16), bound: 1.5,
        isMost: false),
      Figure(
        name: "64 callers, leased / plain", value: ratio("leased", to: "plain", 64), bound: 2,
        isMost: false),
      Figure(
        name: "64 callers, leased / read-modify-write",
        value: ratio("leased", to: "readModifyWrite", 64), bound: 50, isMost: false),
      Figure(
        name: "64 callers, log entries for a lease",
        value: median(leased.map(\.entriesPerOperation)), bound: 1.0 / 15, isMost: true),
      Figure(
        name: "64 callers, fairness (Jain)", value: median(leased.map(\.fairness)), bound: 0.9,
        isMost: false),
      Figure(
        name: "16 processes, leased / plain",
        value: median(zip(processes, all("plain", 16)).map { $0.perSecond / $1.perSecond }),
        bound: 0.6, isMost: false),
      Figure(
        name: "16 processes, wasted commits for a lease",
        value: median(processes.map { $0.entriesPerOperation - 1 }), bound: 0.01, isMost: true),
      Figure(
        name: "log entries for 100,000 addresses in bulk", value: Double(bulk.entries), bound: 30,
        isMost: true),
      Figure(
        name: "duplicates, leaks and other findings", value: Double(findings.count), bound: 0,
        isMost: true),
    ]
  }

  private var findings: [String] { cells.flatMap(\.findings) + bulk.findings }

  var holds: Bool { figures.allSatisfy(\.holds) }

  func showCells() {
    let head = [
      "cell", "writers", "ops/s", "entries/op", "conflicts/op", "p50 ms", "p90", "p99", "p99.9",
      "max", "Jain",
      "min", "max ops", "server s", "raft.db MB",
    ]
    let rows = cells.map { cell in
      [
        cell.cell, "\(cell.writers)", decimal(cell.perSecond, 0),
        decimal(cell.entriesPerOperation, 3),
        cell.conflictsPerOperation.map { decimal($0, 2) } ?? "-", decimal(cell.p50, 1),
        decimal(cell.p90, 1),
        decimal(cell.p99, 1), decimal(cell.p999, 1), decimal(cell.longest, 0),
        decimal(cell.fairness, 2),
        "\(cell.least)", "\(cell.most)", decimal(cell.serverProcessor, 1),
        decimal(Double(cell.raftBytes) / 1e6, 1),
      ]
    }
    printColumns([head] + rows)
  }

  func show() {
    showCells()
    printColumns(
      [["figure", "measured", "bound", "ok"]]
        + figures.map { figure in
          [
            figure.name, decimal(figure.value, 3),
            (figure.isMost ? "<= " : ">= ") + decimal(figure.bound, 3), figure.holds ? "yes" : "NO",
          ]
        })
    for finding in findings.prefix(20) { print("FOUND: \(finding)") }
    for figure in figures where !figure.holds {
      print(
        "FAILED: \(figure.name): \(decimal(figure.value, 3)), must be "
          + "\(figure.isMost ? "at most" : "at least") \(decimal(figure.bound, 3)); again: make bench-contention"
      )
    }
  }

  func encoded() throws -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    return try encoder.encode(cells)
  }

  private func decimal(_ number: Double, _ digits: Int) -> String {
    String(format: "%.\(digits)f", number)
  }

  private func printColumns(_ rows: [[String]]) {
    let widths = (0..<(rows.first?.count ?? 0)).map { column in
      rows.map { $0[column].count }.max() ?? 0
    }
    for row in rows {
      let cells = row.enumerated().map { column, cell in
        let gap = String(repeating: " ", count: widths[column] - cell.count)
        return column == 0 ? cell + gap : gap + cell
      }
      print(cells.joined(separator: "  "))
    }
    print("")
  }
}
