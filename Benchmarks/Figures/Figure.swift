/// One figure that must hold.
public struct Figure: Sendable {
  /// On which side of its bound a figure has to be.
  public enum Bound: Sendable {
    case atMost(Double)
    case atLeast(Double)
  }

  /// The group that measures it.
  public let group: String
  /// What it is.
  public let name: String
  /// Its value in this run.
  public let measured: Double
  /// What must hold.
  public let bound: Bound
  /// Where the worst was measured, or in what the figure is counted.
  public let note: String

  /// A figure.
  public init(
    _ group: String, _ name: String, _ measured: Double, _ bound: Bound, note: String = ""
  ) {
    self.group = group
    self.name = name
    self.measured = measured
    self.bound = bound
    self.note = note
  }

  /// Whether it keeps its bound; what could not be measured does not.
  public var holds: Bool {
    switch bound {
    case .atMost(let limit): measured <= limit
    case .atLeast(let limit): measured >= limit
    }
  }

  /// The value, to two decimals, or as many as a small one needs.
  public var measuredText: String { decimal(measured, below: limit) }

  /// The bound with its direction.
  public var boundText: String {
    switch bound {
    case .atMost(let limit): "<= \(decimal(limit, below: limit))"
    case .atLeast(let limit): ">= \(decimal(limit, below: limit))"
    }
  }

  private var limit: Double {
    switch bound {
    case .atMost(let limit), .atLeast(let limit): limit
    }
  }

  /// Names figure and bound, and the command that measures it again.
  public func failure(again command: String) -> String {
    "FAILED: \(name): \(measuredText), must be \(boundText); again: \(command)"
  }
}

/// Two decimals, none for whole numbers.
public func decimal(_ number: Double) -> String { decimal(number, 2) }

/// Two decimals, or four where the bound is so small that two would hide what was missed.
private func decimal(_ number: Double, below bound: Double) -> String {
  decimal(number, bound != 0 && abs(bound) < 0.1 ? 4 : 2)
}

/// Rounded to so many decimals (0 to 6), none for whole numbers.
public func decimal(_ number: Double, _ digits: Int) -> String {
  guard number.isFinite, abs(number) < 1e12 else { return number.isNaN ? "-" : "\(number)" }
  if number == number.rounded() || digits == 0 { return "\(Int(number.rounded()))" }
  let scale = (0..<digits).reduce(1) { scale, _ in scale * 10 }
  let parts = Int((abs(number) * Double(scale)).rounded())
  let fraction = "\(parts % scale)"
  let zeros = String(repeating: "0", count: digits - fraction.count)
  return (number < 0 ? "-" : "") + "\(parts / scale).\(zeros)\(fraction)"
}

/// The figures as a table.
public func printTable(_ figures: [Figure]) {
  let rows =
    [["figure", "measured", "bound", "ok", ""]]
    + figures.map { [$0.name, $0.measuredText, $0.boundText, $0.holds ? "yes" : "NO", $0.note] }
  printColumns(rows, leftAligned: [0, 3, 4])
}

/// Columns as wide as their widest cell, to the right but for those named.
public func printColumns(_ rows: [[String]], leftAligned: Set<Int> = [0, 3, 4]) {
  let columns = rows.map(\.count).max() ?? 0
  let widths = (0..<columns).map { column in
    rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
  }
  for row in rows {
    var line = ""
    for (column, cell) in row.enumerated() {
      let gap = String(repeating: " ", count: widths[column] - cell.count)
      line += (leftAligned.contains(column) ? cell + gap : gap + cell) + "  "
    }
    while line.last == " " { line.removeLast() }
    print(line)
  }
  print("")
}
