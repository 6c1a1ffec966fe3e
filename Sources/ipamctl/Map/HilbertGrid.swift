// Hilbert's curve: a line of addresses folded into a plane so that neighbours on the line are
// neighbours in the plane, and every prefix is one square or two squares side by side.
//
//   2^2 cells   0 3      2^3 cells   0 3 4 7      2^4 cells    0  1 14 15
//               1 2                  1 2 5 6                   3  2 13 12
//                                                              4  7  8 11
//                                                              5  6  9 10
//
// It begins top left and ends top right, which lets two squares join into one line. (D. Hilbert,
// Math. Ann. 38, 1891; the loop over the two bits of each level is the usual one.)

/// Where each of 2^`cellBits` cells lies.
struct HilbertGrid {
  let cellBits: Int

  var columns: Int { 1 << ((cellBits + 1) / 2) }
  var rows: Int { 1 << (cellBits / 2) }

  /// Column and row of a cell, from top left. O(cellBits).
  func position(of cell: Int) -> (column: Int, row: Int) {
    let (square, squareBits) = (cell >> (rows.trailingZeroBitCount * 2), cellBits / 2)
    var rest = cell
    var (column, row) = (0, 0)
    for level in 0..<squareBits {
      let side = 1 << level
      let (right, low) = ((rest >> 1) & 1, (rest ^ (rest >> 1)) & 1)
      if low == 0 {
        if right == 1 { (column, row) = (side - 1 - column, side - 1 - row) }
        swap(&column, &row)
      }
      (column, row) = (column + right * side, row + low * side)
      rest >>= 2
    }
    return (square * rows + column, row)
  }

  /// The cells in the order in which they are read: rows from the top, each from the left.
  var cellsByRow: [[Int]] {
    var lines = [[Int]](repeating: [Int](repeating: 0, count: columns), count: rows)
    for cell in 0..<(1 << cellBits) {
      let (column, row) = position(of: cell)
      lines[row][column] = cell
    }
    return lines
  }
}
