// The chunks of a pool that exist, by level and index: an open-addressed table with linear probing,
// at most half full. It owns its nodes. Chunks come into being when they are first used,
// so that a pool of 2^128 addresses costs what is used of it.

internal import AddressSpace

struct NodeTable: ~Copyable {
  private struct Entry {
    var hash: UInt64 = 0
    var header: UnsafeMutablePointer<PoolNode.Header>?
  }

  private var entries: UnsafeMutablePointer<Entry>
  /// The table has 2^`bits` entries.
  private var bits: Int
  private(set) var count = 0

  init() { self.init(bits: 2) }

  private init(bits: Int) {
    self.bits = bits
    entries = Self.blank(bits)
  }

  private static func blank(_ bits: Int) -> UnsafeMutablePointer<Entry> {
    let entries = UnsafeMutablePointer<Entry>.allocate(capacity: 1 << bits)
    entries.initialize(repeating: Entry(), count: 1 << bits)
    return entries
  }

  /// Copies of all nodes, with parents only where they were known.
  init(copying other: borrowing NodeTable) {
    self.init(bits: other.bits)
    let nodes = other.nodes
    for node in nodes { insert(PoolNode(copying: node)) }
    for node in nodes {
      guard let parent = node.header.pointee.parent else { continue }
      let copy = find(level: node.level, index: node.index)
      let above = PoolNode(header: parent)
      copy?.header.pointee.parent = find(level: above.level, index: above.index)?.header
    }
  }

  deinit {
    for node in nodes { node.destroy() }
    entries.deallocate()
  }

  /// The node, if it exists. O(1) expected.
  @inline(__always)
  func find(level: Int, index: Offset) -> PoolNode? {
    let hash = Self.hash(level: level, index: index)
    var slot = Int(truncatingIfNeeded: hash &>> UInt64(truncatingIfNeeded: 64 &- bits))
    while let header = entries[slot].header {
      if entries[slot].hash == hash, header.pointee.index == index,
        header.pointee.level == Int32(truncatingIfNeeded: level)
      {
        return PoolNode(header: header)
      }
      slot = (slot &+ 1) & (1 &<< bits &- 1)
    }
    return nil
  }

  /// Adds a node that is not there. O(1) amortized.
  mutating func insert(_ node: PoolNode) {
    if (count + 1) * 2 > 1 << bits { rebuild(bits: bits + 1) { _ in true } }
    place(Entry(hash: Self.hash(level: node.level, index: node.index), header: node.header))
    count += 1
  }

  /// Destroys the nodes for which `isUseless` holds. O(nodes).
  mutating func remove(where isUseless: (PoolNode) -> Bool) {
    rebuild(bits: bits) { !isUseless($0) }
  }

  /// All nodes, in no order. O(nodes).
  var nodes: [PoolNode] {
    (0..<1 << bits).compactMap { entries[$0].header.map(PoolNode.init(header:)) }
  }

  /// The bytes allocated for table and nodes. O(nodes).
  var allocatedBytes: Int {
    nodes.reduce((1 << bits) * MemoryLayout<Entry>.stride) { $0 + $1.allocatedBytes }
  }

  private mutating func rebuild(bits newBits: Int, keeping isKept: (PoolNode) -> Bool) {
    let old = UnsafeBufferPointer(start: entries, count: 1 << bits)
    bits = newBits
    count = 0
    entries = Self.blank(bits)
    for entry in old {
      guard let header = entry.header else { continue }
      if isKept(PoolNode(header: header)) {
        place(entry)
        count += 1
      } else {
        PoolNode(header: header).destroy()
      }
    }
    old.deallocate()
  }

  private func place(_ entry: Entry) {
    var slot = Int(truncatingIfNeeded: entry.hash >> UInt64(64 - bits))
    while entries[slot].header != nil { slot = (slot + 1) & (1 << bits - 1) }
    entries[slot] = entry
  }

  /// Fibonacci hashing of both halves: neighbours land apart, the high bits are the good ones.
  @inline(__always)
  private static func hash(level: Int, index: Offset) -> UInt64 {
    let mixed = (index.low ^ UInt64(truncatingIfNeeded: level) &<< 58) &* 0x9E37_79B9_7F4A_7C15
    return (mixed ^ index.high ^ mixed &>> 32) &* 0xD6E8_FEB8_6659_FD93
  }
}
