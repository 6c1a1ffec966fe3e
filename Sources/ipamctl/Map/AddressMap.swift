import AddressSpace
import BitmapAllocator
import IPAM

// What a map shows, before it is drawn: a stretch of a pool cut into 2^n cells of equal size.
//
//   pool     10.0.0.0/8        2^24 addresses
//   window   10.0.0.0/8        all of it, or a prefix in it (--prefix)
//   cell     10.x.y.0/24       2^16 of them: 256 addresses each
//
// Chunks that were never touched are no keys and cost nothing: only what is there is counted.

/// Counts of what lies in each cell.
struct AddressMap {
  let space: PoolSpace
  /// What is shown.
  let window: Prefix
  /// The binary logarithm of the number of cells.
  let cellBits: Int
  private let unitsPerCellBits: Int
  private let first: Offset
  private(set) var cells: [Cell]
  private(set) var counts: Counts

  struct Cell {
    /// Held, and released but not free yet; both also where nothing may be handed out any more.
    var used = 0
    var cooling = 0
    /// A chunk in it cannot be read.
    var isDamaged = false
  }

  /// Units (addresses, or prefixes of a pool that delegates them) of the window; they add up.
  struct Counts {
    var total = ExactCount.zero
    var allowed = ExactCount.zero
    var used = 0
    var cooling = 0
    /// Used or cooling, but outside the ranges.
    var outside = 0
    var damagedChunks = 0

    var free: ExactCount { allowed - ExactCount(UInt64(used + cooling - outside)) }
    var excluded: ExactCount { total - allowed - ExactCount(UInt64(outside)) }
  }

  /// A map whose cells are units if it has at most 2^`limits.exact` of them, else of at most
  /// 2^`limits.aggregated` cells; nil if the window does not lie in the pool or is smaller than one of
  /// its units.
  init?(of space: PoolSpace, window: Prefix, limits: (exact: Int, aggregated: Int)) {
    let pool = space.geometry
    guard pool.subnet.contains(window), let ordinals = pool.ordinals(of: window) else { return nil }
    let windowBits = pool.unitPrefixLength - window.length
    self.space = space
    self.window = window
    first = ordinals.first
    cellBits = windowBits <= limits.exact ? windowBits : min(windowBits, limits.aggregated)
    unitsPerCellBits = windowBits - cellBits
    cells = [Cell](repeating: Cell(), count: 1 << cellBits)
    counts = Counts()
    counts.total = ordinals.count
    counts.allowed = space.allowed.intersection(with: ordinals)
      .reduce(ExactCount.zero) { $0 + $1.count }
  }

  /// The prefix that a cell stands for.
  func prefix(of cell: Int) -> Prefix {
    let address = space.geometry.address(of: Ordinal(ordinals(of: cell).first))
    guard let prefix = Prefix(address: address, length: window.length + cellBits) else {
      preconditionFailure("a cell is a part of the window")
    }
    return prefix
  }

  /// How many units a cell stands for.
  var unitsPerCell: ExactCount { .powerOfTwo(unitsPerCellBits) }

  private func ordinals(of cell: Int) -> OffsetRange {
    let low = first + Offset(cell) << unitsPerCellBits
    let high = low | ~(Offset.max << unitsPerCellBits)
    return OffsetRange(first: low, last: high) ?? OffsetRange(low)
  }

  /// How much of a cell may be handed out.
  func allowed(in cell: Int) -> ExactCount {
    space.allowed.intersection(with: ordinals(of: cell)).reduce(.zero) { $0 + $1.count }
  }

  /// Whether any of a cell may be handed out.
  func isAllowed(_ cell: Int) -> Bool { space.allowed.overlaps(ordinals(of: cell)) }

  private func cell(of ordinal: Offset) -> Int? {
    guard ordinal >= first else { return nil }
    return ((ordinal &- first) >> unitsPerCellBits).int.flatMap { $0 < cells.count ? $0 : nil }
  }
}

// MARK: - Filling it

extension AddressMap {
  /// Counts an address that is held.
  mutating func add(_ address: IPAddress) {
    guard let ordinal = space.geometry.ordinal(of: address)?.offset, let cell = cell(of: ordinal)
    else { return }
    cells[cell].used += 1
    counts.used += 1
    if !space.allowed.contains(ordinal) { counts.outside += 1 }
  }

  /// Counts a chunk of the pool; what has cooled down by `now` (seconds since 1970) is free.
  ///
  /// - Complexity: O(words), by population counts.
  mutating func add(_ chunk: Chunk, at node: TreeNode, now: UInt64, cooldown: UInt64) {
    let pool = space.geometry
    let base = pool.ordinals(of: node).first
    let existing = pool.existingBits(in: node)
    let usable = space.usableBits(in: node)
    let step = min(64, 1 << min(unitsPerCellBits, 6))
    for index in 0..<chunk.bitmap.wordCount {
      var taken = chunk.bitmap.word(index) & mask(0...(existing - 1), word: index)
      guard taken != 0 else { continue }
      var cooling: UInt64 = 0
      for bucket in chunk.cooling.buckets {
        if bucket.since <= now, now - bucket.since >= cooldown {
          taken &= ~bucket.bits.word(index)
        } else {
          cooling |= bucket.bits.word(index)
        }
      }
      cooling &= taken
      let inside = usable.reduce(UInt64(0)) { $0 | mask($1, word: index) }
      for start in stride(from: 0, to: 64, by: step) {
        let part = mask(start...(start + step - 1), word: 0)
        guard taken & part != 0, let cell = cell(of: base + Offset(index * 64 + start))
        else { continue }
        let count = (
          used: (taken & ~cooling & part).nonzeroBitCount, cooling: (cooling & part).nonzeroBitCount
        )
        cells[cell].used += count.used
        cells[cell].cooling += count.cooling
        counts.used += count.used
        counts.cooling += count.cooling
        counts.outside += (taken & ~inside & part).nonzeroBitCount
      }
    }
  }

  /// Notes a chunk of which nothing can be said.
  mutating func addDamaged(_ node: TreeNode) {
    let pool = space.geometry
    let ordinals = pool.ordinals(of: node)
    guard let shown = ordinals.intersection(pool.ordinals(of: window) ?? ordinals),
      let low = cell(of: shown.first), let high = cell(of: shown.last)
    else { return }
    counts.damagedChunks += 1
    for cell in low...high { cells[cell].isDamaged = true }
  }

  /// The bits of a word, 64 `index` … 64 `index` + 63 of all, that lie in a range.
  private func mask(_ range: ClosedRange<Int>, word index: Int) -> UInt64 {
    let low = max(range.lowerBound - index * 64, 0)
    let high = min(range.upperBound - index * 64, 63)
    guard low <= high else { return 0 }
    return (UInt64.max >> UInt64(63 - (high - low))) << UInt64(low)
  }
}

// MARK: - What a cell looks like

/// How a cell is drawn, in whatever medium.
enum CellLook: Hashable {
  case damaged
  case excluded
  case free
  case cooling
  /// Use in thirds, 1…3, or 4 for all that may be handed out; and whether something cools too.
  case used(level: Int, withCooling: Bool)
}

extension AddressMap {
  /// Whether a cell is one address (or unit).
  var isExact: Bool { unitsPerCellBits == 0 }

  /// What the levels are thirds of: nil for what may be handed out in the cell itself; where even
  /// the busiest cell has less than a quarter in use (a /8, IPv6), that cell's number.
  func scale() -> Int? {
    let busiest = cells.indices.max { cells[$0].used < cells[$1].used } ?? 0
    let used = cells[busiest].used
    guard used > 0, !isExact else { return nil }
    return ExactCount(UInt64(used) * 4) < unitsPerCell ? used : nil
  }

  /// The look of a cell, by the map's ``scale()``.
  func look(of index: Int, scale: Int?) -> CellLook {
    let cell = cells[index]
    if cell.isDamaged { return .damaged }
    guard cell.used > 0 else {
      return cell.cooling > 0 ? .cooling : isAllowed(index) ? .free : .excluded
    }
    let withCooling = cell.cooling > 0
    let allowed = allowed(in: index)
    if ExactCount(UInt64(cell.used)) >= allowed {
      return .used(level: 4, withCooling: withCooling)
    }
    let share = ExactCount(UInt64(cell.used))
      .fraction(of: scale.map { ExactCount(UInt64($0)) } ?? allowed)
    return .used(level: min(3, Int(share * 3) + 1), withCooling: withCooling)
  }
}
