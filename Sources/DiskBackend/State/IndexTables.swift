import AddressSpace

// The two tables of an index, both with linear probing. A slot's first word is its tag: 0 for never
// used, 1 for used once and free again.
//
//   cell     family | first address, 2 words | 16 words of bits | 16 stamps
//   holder   fingerprint | address, 2 words

/// Slots in the file.
struct IndexTables: Sendable {
  /// Where something is, or would be put, and what is there.
  struct Slot {
    var place: Int
    var words: [UInt64]
  }

  private final class File: Sendable {
    let descriptor: Descriptor
    init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }
  }

  static let cellWords = 3 + 2 * Cell.wordCount
  static let holderWords = 3
  static let removed: UInt64 = 1

  private let file: File
  private let cellCapacity: Int
  private let holderCapacity: Int

  init(_ descriptor: consuming Descriptor, _ header: IndexHeader) {
    file = File(descriptor)
    (cellCapacity, holderCapacity) = (header.cellCapacity, header.holderCapacity)
  }

  /// The cell's slot, or the one where it belongs.
  ///
  /// - Complexity: O(1) expected; one system call.
  func cell(_ key: CellKey) throws(StateUnusable) -> Slot {
    let name = key.words
    var found: Slot?
    try probe(
      .cells, capacity: cellCapacity, from: Fingerprint(name.bytes).value, window: 1
    ) { slot in
      guard slot.words[0] == 0 || slot.words.starts(with: name) else { return true }
      found = slot
      return false
    }
    guard let found else { throw StateUnusable(reason: "the table of cells is full") }
    return found
  }

  /// The slots of a holder's files, and where one more goes.
  ///
  /// - Complexity: O(k) expected in what is found.
  func holder(
    _ fingerprint: UInt64
  ) throws(StateUnusable) -> (found: [Slot], free: Slot) {
    var found: [Slot] = []
    var free: Slot?
    try probe(.holders, capacity: holderCapacity, from: fingerprint >> 2, window: 8) { slot in
      switch slot.words[0] {
      case fingerprint: found.append(slot)
      case Self.removed, 0: if free == nil { free = slot }
      default: break
      }
      return slot.words[0] != 0
    }
    guard let free else { throw StateUnusable(reason: "the table of holders is full") }
    return (found, free)
  }

  /// Writes a slot where it was found.
  func write(_ slot: Slot) throws(StateUnusable) {
    try write(slot.words.bytes, at: slot.place)
  }

  func write(_ header: IndexHeader) throws(StateUnusable) {
    try write(header.bytes, at: 0)
  }

  private func write(_ bytes: [UInt8], at position: Int) throws(StateUnusable) {
    do throws(SystemError) {
      try file.descriptor.write(bytes, at: position)
    } catch {
      throw StateUnusable(reason: error.description)
    }
  }

  private enum Table { case cells, holders }

  /// Visits slots from a hash on, until the body has enough.
  private func probe(
    _ table: Table, capacity: Int, from hash: UInt64, window: Int, _ body: (Slot) -> Bool
  ) throws(StateUnusable) {
    guard capacity > 0, capacity & (capacity - 1) == 0 else {
      throw StateUnusable(reason: "a table has \(capacity) slots")
    }
    let size = (table == .cells ? Self.cellWords : Self.holderWords) * 8
    let start =
      IndexHeader.size + (table == .cells ? 0 : cellCapacity * Self.cellWords * 8)
    var index = Int(truncatingIfNeeded: hash) & (capacity - 1)
    var visited = 0
    while visited < capacity {
      let count = min(window, capacity - index)
      let bytes: [UInt8]
      do throws(SystemError) {
        bytes = try file.descriptor.read(upTo: count * size, at: start + index * size)
      } catch {
        throw StateUnusable(reason: error.description)
      }
      guard bytes.count == count * size else { throw StateUnusable(reason: "the file is cut off") }
      for slot in 0..<count {
        let words = bytes[(slot * size)..<((slot + 1) * size)].words
        guard body(Slot(place: start + (index + slot) * size, words: words)) else { return }
      }
      index = (index + count) & (capacity - 1)
      visited += count
    }
  }
}

// MARK: - The whole file

extension IndexHeader {
  /// A file of what is listed, with a header that nobody believes; counts what it uses.
  mutating func image(of listed: ListedState) -> [UInt8] {
    let cells = cellCapacity * IndexTables.cellWords
    var words = [UInt64](
      repeating: 0, count: cells + holderCapacity * IndexTables.holderWords)
    func put(_ slot: [UInt64], hash: UInt64, start: Int, capacity: Int) {
      var index = Int(truncatingIfNeeded: hash) & (capacity - 1)
      while words[start + index * slot.count] != 0 { index = (index + 1) & (capacity - 1) }
      let place = start + index * slot.count
      words.replaceSubrange(place..<(place + slot.count), with: slot)
    }
    for (key, cell) in listed.cells {
      let name = key.words
      put(
        name + cell.words + cell.stamps, hash: Fingerprint(name.bytes).value, start: 0,
        capacity: cellCapacity)
      cellsUsed += 1
    }
    for (holder, addresses) in listed.holdings {
      let fingerprint = holder.fingerprint
      for address in addresses {
        put(
          [fingerprint] + address.words, hash: fingerprint >> 2, start: cells,
          capacity: holderCapacity)
        holdersUsed += 1
      }
    }
    return [UInt8](repeating: 0, count: Self.size) + words.bytes
  }
}

extension CellKey {
  /// Family and first address; no two cells have the same.
  var words: [UInt64] {
    let first = prefix << Self.addressBits
    return [family == .ipv4 ? 4 : 6, first.high, first.low]
  }
}

extension Holder {
  /// Never 0 or 1, which mean that a slot is free.
  var fingerprint: UInt64 { Fingerprint(content).value | 3 }
}

extension IPAddress {
  /// IPv4 as mapped to IPv6: no file is named after such an address.
  var words: [UInt64] {
    family == .ipv4 ? [0, 0xFFFF << 32 | value.low] : [value.high, value.low]
  }

  init(words high: UInt64, _ low: UInt64) {
    let address = IPAddress(ipv6: Offset(high: high, low: low))
    self = address.ipv4Mapped ?? address
  }
}
