import AddressSpace
import IPAM
internal import Glibc

// The file of the index, in the state directory and never in the network's:
//
//   header | cells: open addressing by cell | holders: open addressing by fingerprint, many per holder
//
// It needs no locking of its own, because it is touched only under the lock of the directory that its
// header names, and no journal: whatever changes the directory gives that another time than the header
// says, the header is written last, and so what a killed process left half written is not believed. A
// loss of power could reorder the writes, so it is believed only in the boot that wrote it.

/// Where an index is and when it is believed.
struct IndexFile: Sendable {
  let folder: String
  let name: String

  /// Nil without a state directory.
  init?(stateDirectory: String, directory: String) {
    guard !stateDirectory.isEmpty, !stateDirectory.utf8.contains(0) else { return nil }
    folder = "\(stateDirectory)/index"
    name = String(Fingerprint(directory.utf8).value, radix: 16)
  }

  var path: String { "\(folder)/\(name)" }

  /// Whether something stands in its place that is no index.
  var isDamaged: Bool {
    guard let file = try? Descriptor(file: path, flags: O_RDONLY),
      let bytes = try? file.read(upTo: IndexHeader.size)
    else { return false }
    return IndexHeader(bytes) == nil
  }

  /// What processes left that died in ``create(from:of:)``; under the directory's lock only.
  var leftovers: [String] {
    guard let folder = try? Descriptor(directory: folder) else { return [] }
    var paths: [String] = []
    try? folder.visitNames { other, _ in
      if other.hasPrefix(name + ".") { paths.append("\(folder.path)/\(other)") }
    }
    return paths.sorted()
  }

  /// The kernel's name of this boot, hashed; nil where it gives none, and then no index is kept.
  private static var bootID: UInt64? {
    guard
      let file = try? Descriptor(file: "/proc/sys/kernel/random/boot_id", flags: O_RDONLY),
      let text = try? file.read(upTo: 64), !text.isEmpty
    else { return nil }
    return Fingerprint(text).value
  }

  /// The index, if it is true of the directory as that is now.
  func open(of directory: FileIdentity, at modified: FileTime) -> IndexState? {
    guard let descriptor = try? Descriptor(file: path, flags: O_RDWR),
      let bytes = try? descriptor.read(upTo: IndexHeader.size),
      let header = IndexHeader(bytes),
      header.directory == directory, header.modified == modified, header.bootID == Self.bootID
    else { return nil }
    return IndexState(header, IndexTables(descriptor, header))
  }

  /// Writes an index of what is listed, not believed before it is sealed; nil where it cannot be
  /// written, which costs only speed.
  ///
  /// - Complexity: O(n).
  func create(from listed: ListedState, of directory: FileIdentity) -> IndexState? {
    guard let bootID = Self.bootID else { return nil }
    var header = IndexHeader(
      bootID: bootID, directory: directory, version: listed.version,
      population: listed.population, cells: listed.cells.count,
      holders: listed.holdings.values.reduce(0) { $0 + $1.count })
    let temporary = "\(name).\(directory.inode)"
    do throws(SystemError) {
      try makeDirectories(folder, mode: 0o700)
      let parent = try Descriptor(directory: folder)
      try? parent.unlink(temporary)
      let file = try Descriptor(
        temporary, in: parent, flags: O_RDWR | O_CREAT | O_EXCL, mode: 0o600)
      do throws(SystemError) {
        try file.write(header.image(of: listed))
        try parent.rename(temporary, to: name)
      } catch {
        try? parent.unlink(temporary)
        throw error
      }
      return IndexState(header, IndexTables(file, header))
    } catch {
      return nil
    }
  }
}

/// What the file begins with.
struct IndexHeader: Hashable, Sendable {
  static let size = 14 * 8
  private static let magic: UInt64 = 0x3149_4D41_5049_4E43

  var bootID: UInt64
  var directory: FileIdentity
  /// The time of the directory for which the index is true.
  var modified = FileTime(seconds: 0, nanoseconds: 0)
  var version: UInt64
  var population: UInt64
  var cellCapacity: Int
  var cellsUsed: Int
  var holderCapacity: Int
  /// Those removed included.
  var holdersUsed: Int

  /// Tables with room for about twice as much; none is ever more than three quarters full.
  init(
    bootID: UInt64, directory: FileIdentity, version: UInt64, population: UInt64, cells: Int,
    holders: Int
  ) {
    self.bootID = bootID
    self.directory = directory
    self.version = version
    self.population = population
    (cellsUsed, holdersUsed) = (0, 0)
    cellCapacity = (cells * 2 + 16).nextPowerOfTwo
    holderCapacity = (holders * 2 + 64).nextPowerOfTwo
  }

  /// Nil if these are not the bytes of one.
  init?(_ bytes: [UInt8]) {
    guard bytes.count == Self.size else { return nil }
    let words = bytes.words
    guard words[0] == Self.magic, words[13] == Fingerprint(bytes.prefix(13 * 8)).value,
      let cellCapacity = Int(exactly: words[8]), let holderCapacity = Int(exactly: words[10])
    else { return nil }
    bootID = words[1]
    directory = FileIdentity(device: words[2], inode: words[3])
    modified = FileTime(
      seconds: Int64(bitPattern: words[4]), nanoseconds: Int64(bitPattern: words[5]))
    version = words[6]
    population = words[7]
    self.cellCapacity = cellCapacity
    cellsUsed = Int(clamping: words[9])
    self.holderCapacity = holderCapacity
    holdersUsed = Int(clamping: words[11])
  }

  var bytes: [UInt8] {
    let words = [
      Self.magic, bootID, directory.device, directory.inode, UInt64(bitPattern: modified.seconds),
      UInt64(bitPattern: modified.nanoseconds), version, population, UInt64(cellCapacity),
      UInt64(cellsUsed), UInt64(holderCapacity), UInt64(holdersUsed), 0,
    ].bytes
    return words + [Fingerprint(words).value].bytes
  }

  var isCrowded: Bool {
    cellsUsed > cellCapacity / 4 * 3 || holdersUsed > holderCapacity / 4 * 3
  }
}

extension Int {
  fileprivate var nextPowerOfTwo: Int {
    self <= 1 ? 1 : 1 << (Int.bitWidth - (self - 1).leadingZeroBitCount)
  }
}

// MARK: - Words in bytes, in the order of this machine, which is the only one that reads them

extension [UInt8] {
  var words: [UInt64] { self[...].words }
}

extension ArraySlice<UInt8> {
  var words: [UInt64] {
    withUnsafeBytes { bytes in
      (0..<bytes.count / 8).map { bytes.loadUnaligned(fromByteOffset: $0 * 8, as: UInt64.self) }
    }
  }
}

extension [UInt64] {
  var bytes: [UInt8] { withUnsafeBytes { Array<UInt8>($0) } }
}
