// Measures a plan, shows how far it is, and puts the results where they are wanted.

import ArgumentParser
import Figures
import Foundation

struct Report {
  private(set) var results: [CellResult] = []
  var figures: [Figure] = []

  /// Measures cell by cell, each with its turn; a line that is written over tells how far it is, on a
  /// terminal only.
  mutating func measure(_ plan: [(turn: Int, cell: Cell)], _ bench: Bench) async throws {
    for (index, item) in plan.enumerated() {
      Self.progress(index, of: plan.count, "\(item.cell.name), \(item.cell.writers) writers")
      var result = try await bench.measure(item.cell, turn: item.turn)
      result.ratioToPlain = baseline(.plain, beside: result)
      result.ratioToSameClient = baseline(.sameClient, beside: result)
      results.append(result)
    }
    Self.progress(plan.count, of: plan.count, nil)
  }

  /// Against the commit rate of the same turn, ground and number of writers.
  private func baseline(_ work: Work, beside result: CellResult) -> Double? {
    let beside = results.last {
      $0.cell.work == work && $0.cell.valueSize == nil && $0.turn == result.turn
        && $0.cell.ground == result.cell.ground && $0.cell.writers == result.cell.writers
        && $0.perSecond > 0
    }
    return beside.map { result.perSecond / $0.perSecond }
  }

  private static func progress(_ done: Int, of all: Int, _ text: String?) {
    let width = 24
    let filled = width * done / max(1, all)
    let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: width - filled)
    let line = text.map { "\(bar) \(done)/\(all)  \($0)" } ?? ""
    showProgress(line)
  }

  /// All that is wrong, with the cell it was found in.
  private var findings: [String] {
    results.flatMap { result in
      result.findings.map { "\(result.name), \(result.cell.writers) writers: \($0)" }
    }
  }

  /// Prints, writes files, and fails if something does not hold.
  func finish(_ output: OutputOptions, again: String) throws {
    let rows = results.map(\.columns)
    let head = rows.first?.map(\.name) ?? []
    printColumns([head] + rows.map { $0.map { $0.value ?? "-" } }, leftAligned: [0])
    if !figures.isEmpty { printTable(figures) }
    for finding in findings.prefix(20) { print("FOUND: \(finding)") }
    if findings.count > 20 { print("and \(findings.count - 20) more") }
    let missed = figures.filter { !$0.holds }
    for figure in missed { print(figure.failure(again: again)) }
    let text = csv([head] + rows.map { $0.map { $0.value ?? "" } })
    try writeAll([
      { if let path = output.json { try OutputFile(path, for: "--json").write(json()) } },
      { if let path = output.csv { try OutputFile(path, for: "--csv").write(Data(text.utf8)) } },
      { if let folder = output.report { try page(in: folder) } },
    ])
    if !findings.isEmpty || !missed.isEmpty { throw ExitCode(1) }
  }

  private struct Document: Encodable {
    struct Row: Encodable {
      let name: String
      let measured: Double?
      let bound: String
      let holds: Bool
    }
    let date: String
    let processors: Int
    let kernel: String
    let command: String
    let figures: [Row]
    let results: [CellResult]
  }

  private func json() throws -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    let kernel = try? String(contentsOfFile: "/proc/sys/kernel/osrelease", encoding: .utf8)
    let rest = CommandLine.arguments.dropFirst()
    return try encoder.encode(
      Document(
        date: ISO8601DateFormatter().string(from: Date()),
        processors: ProcessInfo.processInfo.activeProcessorCount,
        kernel: kernel?.trimmingCharacters(in: .whitespacesAndNewlines) ?? "unknown",
        command: (["contention-benchmark"] + rest).joined(separator: " "),
        figures: figures.map {
          Document.Row(
            name: $0.name, measured: $0.measured.isNaN ? nil : $0.measured, bound: $0.boundText,
            holds: $0.holds)
        }, results: results))
  }

  /// The page is drawn by a script of its own from the same JSON.
  private func page(in folder: String) throws {
    let file = "\(folder)/results.json"
    try OutputFile(file, for: "--report").write(json())
    // The program stands in Benchmarks/.build of the repository that the script belongs to.
    let program = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().path
    let root = program.range(of: "/Benchmarks/.build/").map { String(program[..<$0.lowerBound]) }
    let script = "\(root ?? ".")/scripts/bench-report"
    let process = Process()
    process.executableURL = URL(fileURLWithPath: script)
    process.arguments = [file, "\(folder)/index.html"]
    try process.run()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      throw BenchmarkError("\(script) failed; again: \(script) \(file) \(folder)/index.html")
    }
  }
}
