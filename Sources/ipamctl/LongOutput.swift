import JSON

// Output of any length in little memory: rows wait as bytes until the widths of their columns are known,
// elements of a JSON array are printed as they come.

/// A table whose rows are kept as text and printed at the end.
struct LongTable {
  private static let separator: UInt8 = 0x1F
  private static let blockSize = 1 << 16
  private var widths: [Int]
  private var cells: [UInt8] = []

  init(_ head: [String]) {
    widths = head.map { _ in 0 }
    add(head)
  }

  /// Adds a row of as many cells as the head has.
  mutating func add(_ row: [String]) {
    for (index, cell) in row.enumerated() {
      let cell = Table.printable(cell)
      widths[index] = max(widths[index], Self.width(of: cell))
      cells += cell.utf8
      cells.append(Self.separator)
    }
  }

  /// Characters, which in plain ASCII are bytes (and a printable cell has no control characters).
  private static func width(of cell: String) -> Int {
    cell.utf8.allSatisfy { $0 < 0x80 } ? cell.utf8.count : cell.count
  }

  private static func width(of cell: ArraySlice<UInt8>) -> Int {
    cell.allSatisfy { $0 < 0x80 } ? cell.count : String(decoding: cell, as: UTF8.self).count
  }

  /// Prints all rows; the last column is not padded.
  func print() {
    var block: [UInt8] = []
    var column = 0
    var start = cells.startIndex
    for end in cells.indices where cells[end] == Self.separator {
      let cell = cells[start..<end]
      start = end + 1
      block += cell
      column += 1
      guard column == widths.count else {
        let width = Self.width(of: cell)
        block += repeatElement(UInt8(ascii: " "), count: widths[column - 1] + 2 - width)
        continue
      }
      block.append(UInt8(ascii: "\n"))
      column = 0
      guard block.count >= Self.blockSize else { continue }
      Terminal.write(block)
      block.removeAll(keepingCapacity: true)
    }
    Terminal.write(block)
  }
}

/// A JSON array that is printed element by element, as ``JSONValue/indented`` prints a whole one.
struct LongArray {
  private var isEmpty = true
  private var block: [UInt8] = []

  mutating func add(_ element: JSONValue) {
    block += (isEmpty ? "[\n    " : ",\n    ").utf8
    isEmpty = false
    element.append(to: &block, levels: 1)
    if block.count >= 1 << 16 {
      Terminal.write(block)
      block.removeAll(keepingCapacity: true)
    }
  }

  /// Prints what is left and the end.
  mutating func finish() {
    block += (isEmpty ? "[]\n" : "\n]\n").utf8
    Terminal.write(block)
    block = []
  }
}
