/// One figure that must hold.
struct Figure {
  enum Bound {
    case atMost(Double)
    case atLeast(Double)
  }

  /// The group that measures it, for `--only`.
  let group: String
  let name: String
  let measured: Double
  let bound: Bound
  /// Where the worst was measured, or in what the figure is counted.
  let note: String

  init(_ group: String, _ name: String, _ measured: Double, _ bound: Bound, note: String = "") {
    self.group = group
    self.name = name
    self.measured = measured
    self.bound = bound
    self.note = note
  }

  var holds: Bool {
    switch bound {
    case .atMost(let limit): measured <= limit
    case .atLeast(let limit): measured >= limit
    }
  }

  var measuredText: String { decimal(measured) }

  var boundText: String {
    switch bound {
    case .atMost(let limit): "<= \(decimal(limit))"
    case .atLeast(let limit): ">= \(decimal(limit))"
    }
  }
}

/// Two decimals, none for whole numbers.
func decimal(_ number: Double) -> String {
  if number == number.rounded(), abs(number) < 1e15 { return "\(Int(number))" }
  let hundredths = Int((abs(number) * 100).rounded())
  let fraction = hundredths % 100
  return (number < 0 ? "-" : "") + "\(hundredths / 100).\(fraction < 10 ? "0" : "")\(fraction)"
}

/// The figures as a table.
func printTable(_ figures: [Figure]) {
  let rows =
    [["figure", "measured", "bound", "ok", ""]]
    + figures.map { [$0.name, $0.measuredText, $0.boundText, $0.holds ? "yes" : "NO", $0.note] }
  printColumns(rows)
}

/// Columns as wide as their widest cell; the second and third to the right.
func printColumns(_ rows: [[String]]) {
  let columns = rows.map(\.count).max() ?? 0
  let widths = (0..<columns).map { column in
    rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
  }
  for row in rows {
    var line = ""
    for (column, cell) in row.enumerated() {
      let gap = String(repeating: " ", count: widths[column] - cell.count)
      line += (column == 0 || column > 2 ? cell + gap : gap + cell) + "  "
    }
    while line.last == " " { line.removeLast() }
    print(line)
  }
  print("")
}
