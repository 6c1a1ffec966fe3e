import AddressSpace
import BitmapAllocator

// A map as a picture, whatever the file's format: rectangles and lines of text on a canvas, in pixels
// from top left. What a cell is stands in its lightness and in a pattern over it, never in its hue
// alone; the hues are blue and orange, which all kinds of colour vision tell apart.

/// What a rectangle is filled with. Stripes, dots and crosses leave what is under them visible.
enum Ink: Int, CaseIterable {
  case paper, text, free, used1, used2, used3, used4, cooling, excluded, damaged
  case darkStripes, lightStripes, dots, crosses
}

struct Rectangle {
  var x: Int
  var y: Int
  var width: Int
  var height: Int
}

/// What a picture is drawn on.
protocol Canvas {
  /// Fills a rectangle; a title is for formats that can show one.
  mutating func fill(_ rectangle: Rectangle, _ ink: Ink, title: String?)
  /// Writes a line of text whose top left corner is given, ``MapPicture/advance`` pixels a character.
  mutating func write(_ text: String, x: Int, y: Int)
}

struct MapPicture {
  /// Cells as powers of two: all of a /16 one by one, 256 by 256; of more only 64 by 64, large enough
  /// to be seen alone and to have a title.
  static let cellLimits = (exact: 16, aggregated: 12)
  /// The width of a character and the distance of lines.
  static let (advance, lineHeight) = (12, 24)
  private static let margin = 24
  /// The width that a square map has, about.
  private static let mapWidth = 768
  /// Cells from here on have a gap around them, and a title.
  private static let gapFrom = 8

  let network: String
  let maps: [AddressMap]

  var width: Int {
    let texts = maps.flatMap { map in
      captions(map).map(\.count) + map.legend(scale: map.scale()).map { $0.text.count + 9 }
    }
    let widest = maps.map { size(of: $0).width }.max() ?? 0
    return max(widest, (texts.max() ?? 0) * Self.advance) + 2 * Self.margin
  }

  var height: Int { maps.reduce(Self.margin) { $0 + height(of: $1) + Self.margin } }

  func draw(on canvas: inout some Canvas) {
    canvas.fill(
      Rectangle(x: 0, y: 0, width: width, height: height), .paper, title: nil)
    var y = Self.margin
    for map in maps {
      draw(map, at: y, on: &canvas)
      y += height(of: map) + Self.margin
    }
  }

  // MARK: One map

  private func captions(_ map: AddressMap) -> [String] {
    let part = map.window == map.space.geometry.subnet ? "" : " of \(map.space.geometry.subnet)"
    return ["network \(network): \(map.window)\(part)", map.cellText]
  }

  private func cellSize(_ map: AddressMap) -> Int {
    max(1, min(48, Self.mapWidth / HilbertGrid(cellBits: map.cellBits).columns))
  }

  private func size(of map: AddressMap) -> (width: Int, height: Int) {
    let grid = HilbertGrid(cellBits: map.cellBits)
    return (grid.columns * cellSize(map), grid.rows * cellSize(map))
  }

  private func height(of map: AddressMap) -> Int {
    let lines = captions(map).count + map.legend(scale: map.scale()).count
    return size(of: map).height + (lines + 1) * Self.lineHeight
  }

  private func draw(_ map: AddressMap, at top: Int, on canvas: inout some Canvas) {
    let scale = map.scale()
    var y = top
    for caption in captions(map) {
      canvas.write(caption, x: Self.margin, y: y)
      y += Self.lineHeight
    }
    let cell = cellSize(map)
    let rows = HilbertGrid(cellBits: map.cellBits).cellsByRow
    for row in rows {
      if cell >= Self.gapFrom {
        for (column, index) in row.enumerated() {
          fill(
            Rectangle(x: Self.margin + column * cell, y: y, width: cell - 1, height: cell - 1),
            map.look(of: index, scale: scale), title: title(index, in: map), on: &canvas)
        }
      } else {
        fillRuns(row.map { map.look(of: $0, scale: scale) }, cell: cell, y: y, on: &canvas)
      }
      y += cell
    }
    y += Self.lineHeight
    for entry in map.legend(scale: scale) {
      for (index, look) in entry.samples.enumerated() {
        fill(
          Rectangle(x: Self.margin + index * 22, y: y - 2, width: 20, height: 18), look, title: nil,
          on: &canvas)
      }
      canvas.write(entry.text, x: Self.margin + 9 * Self.advance, y: y)
      y += Self.lineHeight
    }
  }

  private func title(_ index: Int, in map: AddressMap) -> String {
    let (cell, prefix) = (map.cells[index], map.prefix(of: index))
    let name = prefix.length == prefix.family.bitWidth ? "\(prefix.address)" : "\(prefix)"
    if cell.isDamaged { return "\(name): damaged" }
    if cell.used + cell.cooling == 0 {
      return "\(name): \(map.isAllowed(index) ? "free" : "excluded")"
    }
    if map.isExact { return "\(name): \(cell.used > 0 ? "used" : "cooling")" }
    return "\(name): \(cell.used) used, \(cell.cooling) cooling"
  }

  private func fillRuns(_ looks: [CellLook], cell: Int, y: Int, on canvas: inout some Canvas) {
    var start = 0
    for end in 1...looks.count where end == looks.count || looks[end] != looks[start] {
      fill(
        Rectangle(
          x: Self.margin + start * cell, y: y, width: (end - start) * cell, height: cell),
        looks[start], title: nil, on: &canvas)
      start = end
    }
  }

  private func fill(
    _ rectangle: Rectangle, _ look: CellLook, title: String?, on canvas: inout some Canvas
  ) {
    let inks: [Ink] =
      switch look {
      case .damaged: [.damaged, .crosses]
      case .excluded: [.excluded, .dots]
      case .free: [.free]
      case .cooling: [.cooling, .darkStripes]
      case .used(let level, let withCooling):
        [[.used1, .used2, .used3, .used4][level - 1]] + (withCooling ? [.lightStripes] : [])
      }
    for (index, ink) in inks.enumerated() {
      canvas.fill(rectangle, ink, title: index == inks.count - 1 ? title : nil)
    }
  }
}

/// The colours, for white paper and for black.
enum Theme: String, CaseIterable {
  case light, dark

  /// Red, green and blue, 8 bits each.
  func colour(_ ink: Ink) -> UInt32 {
    switch (ink, self) {
    case (.paper, .light): 0xFFFFFF
    case (.paper, .dark): 0x12161A
    case (.text, .light): 0x1B1F23
    case (.text, .dark): 0xE6EAEE
    case (.free, .light): 0xE9EEF2
    case (.free, .dark): 0x252C33
    case (.used1, .light): 0xA6CEE8
    case (.used1, .dark): 0x1D4E78
    case (.used2, .light): 0x5B9FD0
    case (.used2, .dark): 0x2F7DB8
    case (.used3, .light): 0x2468A8
    case (.used3, .dark): 0x6DB2E2
    case (.used4, .light): 0x0B2F5E
    case (.used4, .dark): 0xCFE8FA
    case (.cooling, _): 0xE69F00
    case (.excluded, .light): 0xBCC2C8
    case (.excluded, .dark): 0x4A5159
    case (.damaged, _): 0xCC4460
    case (.darkStripes, _): 0x4A3300
    case (.lightStripes, _): 0xE69F00
    case (.dots, .light): 0x4B5259
    case (.dots, .dark): 0xA9B1B8
    case (.crosses, _): 0xFFFFFF
    }
  }
}
