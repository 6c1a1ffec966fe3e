import AddressSpace
import BitmapAllocator

// A map in the terminal. A cell is two columns wide, so that it looks square; every look has signs of
// its own, so that colour only helps.

struct TerminalMap {
  /// Text is not made narrower than this.
  private static let leastTextWidth = 40

  let map: AddressMap
  let columns: Int
  let isUnicode: Bool
  let hasColours: Bool

  /// How many cells, as a power of two, fit into so many columns: a square of them, or two.
  static func cellLimit(columns: Int) -> Int {
    let cells = max(1, columns / 2)
    return (Int.bitWidth - 1 - cells.leadingZeroBitCount) * 2
  }

  var lines: [String] {
    let scale = map.scale()
    let grid = HilbertGrid(cellBits: map.cellBits)
    var lines = [title] + folded(scaleOfCells, indentation: 0) + [""]
    for row in grid.cellsByRow { lines.append(line(row.map { map.look(of: $0, scale: scale) })) }
    lines.append("")
    for entry in map.legend(scale: scale) {
      let samples = line(entry.samples)
      let padding = String(repeating: " ", count: max(0, 8 - entry.samples.count * 2))
      let texts = folded("          \(entry.text)", indentation: 20)
      lines.append("\(samples)\(padding)  \(texts[0].dropFirst(10))")
      lines += texts.dropFirst()
    }
    return lines
  }

  /// Text in lines that fit, broken between words; all but the first are indented.
  private func folded(_ text: String, indentation: Int) -> [String] {
    let width = max(columns, Self.leastTextWidth)
    var lines: [String] = []
    var rest = text[...]
    while rest.count > width,
      let end = rest.prefix(width + 1).dropFirst(indentation).lastIndex(of: " ")
    {
      lines.append(String(rest[..<end]))
      rest = String(repeating: " ", count: indentation) + rest[end...].dropFirst()
    }
    return lines + [String(rest)]
  }

  private var title: String {
    let part = map.window == map.space.geometry.subnet ? "" : " of \(map.space.geometry.subnet)"
    return "\(map.window)\(part)"
  }

  private var scaleOfCells: String { map.cellText + "; the first is top left, the last top right" }

  /// Cells side by side; the colour changes only where it has to.
  private func line(_ looks: [CellLook]) -> String {
    var text = ""
    var colour: Terminal.Colour?
    for look in looks {
      let wanted = hasColours ? self.colour(look) : nil
      if wanted != colour { text += wanted.map { "\u{1B}[\($0.rawValue)m" } ?? "\u{1B}[0m" }
      colour = wanted
      text += signs(look)
    }
    return colour == nil ? text : text + "\u{1B}[0m"
  }

  private func signs(_ look: CellLook) -> String {
    switch look {
    case .damaged: return "??"
    case .excluded: return isUnicode ? "××" : "xx"
    case .free: return isUnicode ? "··" : ".."
    case .cooling: return "~~"
    case .used(let level, let withCooling):
      let sign = (isUnicode ? ["░", "▒", "▓", "█"] : ["-", "=", "*", "#"])[level - 1]
      return sign + (withCooling ? "~" : sign)
    }
  }

  private func colour(_ look: CellLook) -> Terminal.Colour? {
    switch look {
    case .damaged: .red
    case .excluded: .grey
    case .free: nil
    case .cooling: .yellow
    case .used: .blue
    }
  }
}

// MARK: - Words that all forms of a map share

extension AddressMap {
  /// What one cell is.
  var cellText: String {
    let unit = space.geometry.unitPrefixLength
    let name = unit == window.family.bitWidth ? "addresses" : "/\(unit) prefixes"
    let length = window.length + cellBits
    if isExact { return "a cell is \(name == "addresses" ? "an address" : "a /\(unit)")" }
    return "a cell is a /\(length): \(unitsPerCell) \(name)"
  }

  /// The looks that there can be, with what they mean and how much there is.
  func legend(scale: Int?) -> [(samples: [CellLook], text: String)] {
    func used(_ level: Int) -> CellLook { .used(level: level, withCooling: false) }
    var entries: [(samples: [CellLook], text: String)] = []
    if isExact {
      entries.append(([used(4)], "used      \(counts.used)"))
    } else {
      entries.append(([used(1), used(2), used(3), used(4)], "used      \(counts.used)"))
      let thirds =
        scale.map { "in thirds of the busiest cell's \($0)" } ?? "in thirds of a cell"
      entries.append(([], "          \(thirds); the last: nothing is free"))
    }
    entries.append(([.cooling], "cooling   \(counts.cooling)"))
    entries.append(([.excluded], "excluded  \(counts.excluded)"))
    entries.append(([.free], "free      \(counts.free)"))
    if counts.damagedChunks > 0 {
      entries.append(([.damaged], "damaged   \(counts.damagedChunks) of the chunks: ipamctl check"))
    }
    return entries
  }
}
