import AddressSpace

/// What the index says of a directory, read as far as it is asked for.
struct IndexState: DirectoryState {
  /// So many files are read as fast as an index: five calls of the system each, in the turn of a burst
  /// of processes that all wait for it.
  static let smallest: UInt64 = 12

  private var header: IndexHeader
  private let tables: IndexTables

  init(_ header: IndexHeader, _ tables: IndexTables) {
    (self.header, self.tables) = (header, tables)
  }

  var version: UInt64 { header.version }
  var population: UInt64 { header.population }

  func cell(_ key: CellKey) throws(StateUnusable) -> Cell? {
    let words = try tables.cell(key).words
    return words[0] == 0 ? nil : Cell(slot: words)
  }

  func candidates(for holder: Holder) throws(StateUnusable) -> [IPAddress] {
    try tables.holder(holder.fingerprint).found.map { IPAddress(words: $0.words[1], $0.words[2]) }
  }

  mutating func apply(_ changes: [DirectoryChange], version: UInt64) throws(StateUnusable) {
    header.version = version
    for change in changes {
      switch change {
      case .taken(let address, let holder):
        try set(address, taken: true)
        try add(holder, address)
      case .freed(let address, let holder):
        try set(address, taken: false)
        try remove(holder, address)
      }
    }
    if header.isCrowded { throw StateUnusable(reason: "the index needs larger tables") }
  }

  mutating func seal(
    _ directory: FileIdentity, _ modified: FileTime
  ) throws(StateUnusable) {
    (header.directory, header.modified) = (directory, modified)
    try tables.write(header)
  }

  private mutating func set(_ address: IPAddress, taken: Bool) throws(StateUnusable) {
    let key = CellKey(address)
    var slot = try tables.cell(key)
    var cell = slot.words[0] == 0 ? Cell() : Cell(slot: slot.words)
    if slot.words[0] == 0 { header.cellsUsed += 1 }
    cell.set(CellKey.bit(of: address), taken: taken, version: header.version)
    slot.words = key.words + cell.words + cell.stamps
    try tables.write(slot)
    if taken {
      header.population += 1
    } else {
      guard header.population > 0 else { throw StateUnusable(reason: "more freed than taken") }
      header.population -= 1
    }
  }

  private mutating func add(_ holder: Holder, _ address: IPAddress) throws(StateUnusable) {
    var slot = try tables.holder(holder.fingerprint).free
    if slot.words[0] == 0 { header.holdersUsed += 1 }
    slot.words = [holder.fingerprint] + address.words
    try tables.write(slot)
  }

  private mutating func remove(_ holder: Holder, _ address: IPAddress) throws(StateUnusable) {
    let found = try tables.holder(holder.fingerprint).found
    guard var slot = found.first(where: { Array($0.words[1...]) == address.words }) else {
      throw StateUnusable(reason: "a file that went is not in the index")
    }
    slot.words = [IndexTables.removed, 0, 0]
    try tables.write(slot)
  }
}

extension Cell {
  fileprivate init(slot: [UInt64]) {
    self.init(
      words: Array(slot[3..<(3 + Cell.wordCount)]), stamps: Array(slot[(3 + Cell.wordCount)...]))
  }
}
