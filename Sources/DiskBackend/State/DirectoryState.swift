import AddressSpace

// What the store needs to know of a directory without looking at each file: which addresses are taken,
// and where the files of a holder are. Two values know it: one listed into memory by a pass over the
// directory, one kept in a file beside (the index). Either is believed only while the directory is as
// our last commit left it.
//
// Taken addresses are kept by cells of 1,024, cut by address and not by pool, because a directory
// outlives the configurations that it was used with. Each word of 64 addresses, which is the smallest
// chunk, remembers when it changed: so a chunk's revision moves only if the chunk does.

/// Names the 1,024 addresses that share all but their last ten bits.
struct CellKey: Hashable, Sendable {
  static let addressBits = 10

  let family: AddressFamily
  /// The common bits.
  let prefix: Offset

  init(_ address: IPAddress) {
    family = address.family
    prefix = address.value >> Self.addressBits
  }

  init(family: AddressFamily, prefix: Offset) {
    self.family = family
    self.prefix = prefix
  }

  /// An address's place in its cell.
  static func bit(of address: IPAddress) -> Int {
    Int(truncatingIfNeeded: address.value.low) & ((1 << addressBits) - 1)
  }
}

/// Which of 1,024 addresses are taken.
struct Cell: Hashable, Sendable {
  static let wordCount = (1 << CellKey.addressBits) / 64

  /// Bit set: taken.
  private(set) var words: [UInt64]
  /// The version of the directory in which each word changed last; 0 for never.
  private(set) var stamps: [UInt64]

  /// All free.
  init() {
    words = Array(repeating: 0, count: Self.wordCount)
    stamps = words
  }

  /// Both have ``wordCount`` elements.
  init(words: [UInt64], stamps: [UInt64]) {
    self.words = words
    self.stamps = stamps
  }

  mutating func set(_ bit: Int, taken: Bool, version: UInt64) {
    let mask = UInt64(1) << UInt64(bit & 63)
    if taken { words[bit >> 6] |= mask } else { words[bit >> 6] &= ~mask }
    stamps[bit >> 6] = version
  }
}

/// A file that came or went.
enum DirectoryChange: Hashable, Sendable {
  case taken(IPAddress, Holder)
  case freed(IPAddress, Holder)

  var address: IPAddress {
    switch self {
    case .taken(let address, _), .freed(let address, _): address
    }
  }
}

/// A state turned out to be of no use; another is made by a pass over the directory.
struct StateUnusable: Error, Hashable, Sendable {
  let reason: String
}

/// What is known of a directory's files.
protocol DirectoryState: Sendable {
  /// Grows with each change of the directory that was seen.
  var version: UInt64 { get }
  /// How many addresses are taken.
  var population: UInt64 { get }

  /// Which addresses of a cell are taken; nil if none ever was.
  ///
  /// - Complexity: O(1).
  mutating func cell(_ key: CellKey) throws(StateUnusable) -> Cell?

  /// Where a holder's files are, and perhaps some others: the files themselves tell.
  ///
  /// - Complexity: O(k) in the files found.
  mutating func candidates(for holder: Holder) throws(StateUnusable) -> [IPAddress]

  /// Takes in what a commit changed, all of one new version.
  ///
  /// - Complexity: O(changes), amortized.
  mutating func apply(_ changes: [DirectoryChange], version: UInt64) throws(StateUnusable)

  /// Takes note of the directory, and its time, for which it is true.
  mutating func seal(_ directory: FileIdentity, _ modified: FileTime) throws(StateUnusable)
}

extension DirectoryState {
  /// For what is kept in memory only.
  mutating func seal(_ directory: FileIdentity, _ modified: FileTime) {}
}
