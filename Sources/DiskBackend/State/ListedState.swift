import AddressSpace

// The plain state: dictionaries, filled by one pass over the directory. What the index says is held
// against it in the tests.

/// A directory's files as a pass over them found them.
struct ListedState: DirectoryState {
  private(set) var version: UInt64 = 0
  private(set) var population: UInt64 = 0
  private(set) var cells: [CellKey: Cell] = [:]
  private(set) var holdings: [Holder: Set<IPAddress>] = [:]

  /// Nothing: there is no directory.
  init() {}

  /// - Complexity: O(n) names and file contents.
  init(of directory: NetworkDirectory, version: UInt64) throws(SystemError) {
    self.version = version
    var listed = ListedState()
    try directory.visitAddresses { (address, file) throws(SystemError) in
      switch file {
      case .absent, .empty: break
      case .unknown: listed.set(address, taken: true, version)
      case .held(let holder, _):
        listed.set(address, taken: true, version)
        listed.holdings[holder, default: []].insert(address)
      }
    }
    (cells, holdings, population) = (listed.cells, listed.holdings, listed.population)
  }

  func cell(_ key: CellKey) -> Cell? { cells[key] }

  func candidates(for holder: Holder) -> [IPAddress] { holdings[holder].map(Array.init) ?? [] }

  mutating func apply(_ changes: [DirectoryChange], version: UInt64) {
    self.version = version
    for change in changes {
      switch change {
      case .taken(let address, let holder):
        set(address, taken: true, version)
        holdings[holder, default: []].insert(address)
      case .freed(let address, let holder):
        set(address, taken: false, version)
        holdings[holder]?.remove(address)
        if holdings[holder]?.isEmpty == true { holdings[holder] = nil }
      }
    }
  }

  private mutating func set(_ address: IPAddress, taken: Bool, _ version: UInt64) {
    cells[CellKey(address), default: Cell()].set(
      CellKey.bit(of: address), taken: taken, version: version)
    population = taken ? population + 1 : population - 1
  }
}
