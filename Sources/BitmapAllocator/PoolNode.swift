// One chunk in a pool's memory, one allocation: a header of a cache line, the free-bit words with
// their summaries, and, where not every bit may be used, a mask of those that may.
//
//   [ header 64 | summaries 64 | words 2^k / 8 | mask 2^k / 8, if cut ]
//
// A bit is free here only if it may be used: the search needs no other test. In a leaf a bit is an
// ordinal; above, it is a child, free unless that child is known to have nothing free.

internal import AddressSpace

/// An unowned reference to a chunk that a `NodeTable` owns.
struct PoolNode: Equatable {
  struct Header {
    let index: Offset
    /// The first address below the node.
    let firstAddress: Offset
    /// The node above, once it is known to exist.
    var parent: UnsafeMutablePointer<Header>?
    var cooling: UnsafeMutablePointer<CoolingBuckets>?
    /// On level 1: the leaves seen so far, by bit.
    var leaves: UnsafeMutablePointer<UnsafeMutablePointer<Header>?>?
    let level: Int32
    let chunkBits: UInt8
    /// Whether some bits may not be used; then the mask is there.
    let isCut: Bool
    /// Whether the parent's bit for this node is taken because nothing is free here.
    var isMarked = false
    /// Whether a search in progress has passed by a child, which then only looks taken.
    var hasPassedChild = false
  }

  let header: UnsafeMutablePointer<Header>

  init(header: UnsafeMutablePointer<Header>) { self.header = header }

  static func == (left: PoolNode, right: PoolNode) -> Bool { left.header == right.header }

  /// A node all of whose usable bits are free.
  init(_ node: TreeNode, of space: PoolSpace) {
    let geometry = space.geometry
    let k = geometry.chunkBits
    let usable = space.usableBits(in: node)
    let isCut = usable != [0...(1 << k) - 1]
    let slots = FreeWords.slotCount(chunkBits: k) + (isCut ? FreeWords.wordCount(chunkBits: k) : 0)
    let raw = Self.allocate(slots: slots)
    precondition(MemoryLayout<Header>.size <= 64)
    let shift = geometry.coveredBits(node.level) + geometry.unitShift
    let below = node.index.offset.wide.shiftedLeft(shift)
    header = raw.bindMemory(to: Header.self, capacity: 1)
    header.initialize(
      to: Header(
        index: node.index.offset,
        firstAddress: Offset(wide: geometry.subnet.address.value.wide | below),
        parent: nil, cooling: nil, leaves: nil, level: Int32(node.level), chunkBits: UInt8(k),
        isCut: isCut))
    (raw + 64).bindMemory(to: UInt64.self, capacity: slots).initialize(repeating: 0, count: slots)
    words.reset(freeBits: 1 << k, chunkBits: k)
    if isCut {
      words.restrict(to: usable, chunkBits: k)
      mask.update(from: words.words, count: wordCount)
    }
  }

  /// Header and slots, filled up to whole pairs of cache lines: processors fetch them in pairs, and
  /// two threads' nodes share none.
  private static func byteCount(slots: Int) -> Int { (64 + slots * 8 + 127) & ~127 }

  private static func allocate(slots: Int) -> UnsafeMutableRawPointer {
    .allocate(byteCount: byteCount(slots: slots), alignment: 128)
  }

  /// A copy without its parent, which another table has yet to find.
  init(copying other: PoolNode) {
    let raw = Self.allocate(slots: other.slotCount)
    raw.copyMemory(from: other.header, byteCount: 64 + other.slotCount * 8)
    header = raw.assumingMemoryBound(to: Header.self)
    header.pointee.parent = nil
    header.pointee.leaves = nil
    if let cooling = other.header.pointee.cooling {
      header.pointee.cooling = .allocate(capacity: 1)
      header.pointee.cooling?.initialize(to: cooling.pointee)
    }
  }

  /// Frees the memory.
  func destroy() {
    header.pointee.cooling?.deinitialize(count: 1)
    header.pointee.cooling?.deallocate()
    header.pointee.leaves?.deallocate()
    UnsafeMutableRawPointer(header).deallocate()
  }

  /// The bytes of the node and of what it has beside. O(buckets).
  var allocatedBytes: Int {
    let leaves = header.pointee.leaves == nil ? 0 : 8 << chunkBits
    let bucket = (FreeWords.slotCount(chunkBits: chunkBits) + 4) * 8
    return Self.byteCount(slots: slotCount) + leaves + cooling.buckets.count * bucket
  }

  @inline(__always)
  var words: FreeWords {
    FreeWords((UnsafeMutableRawPointer(header) + 64).assumingMemoryBound(to: UInt64.self))
  }

  private var mask: UnsafeMutablePointer<UInt64> { words.words + wordCount }
  private var slotCount: Int { FreeWords.firstWord + wordCount * (header.pointee.isCut ? 2 : 1) }

  var wordCount: Int { FreeWords.wordCount(chunkBits: chunkBits) }
  var chunkBits: Int { Int(header.pointee.chunkBits) }
  var level: Int { Int(header.pointee.level) }
  var index: Offset { header.pointee.index }
  var node: TreeNode { TreeNode(level: level, index: ChunkIndex(index)) }

  /// Where the next search begins.
  @inline(__always)
  var cursor: Int {
    get { Int(truncatingIfNeeded: words.base[6]) }
    nonmutating set { words.base[6] = UInt64(truncatingIfNeeded: newValue) }
  }

  @inline(__always)
  var isMarked: Bool {
    get { header.pointee.isMarked }
    nonmutating set { header.pointee.isMarked = newValue }
  }

  /// The bit that stands for this node in its parent.
  @inline(__always)
  var bitInParent: Int {
    Int(truncatingIfNeeded: header.pointee.index.low) & (1 &<< chunkBits &- 1)
  }

  /// Bits of word `index` that may be used.
  func usableWord(_ index: Int) -> UInt64 { header.pointee.isCut ? mask[index] : ~0 }

  /// Bits of word `index` that are taken; what may not be used is not.
  func takenWord(_ index: Int) -> UInt64 { usableWord(index) & ~words.words[index] }

  /// Whether `bit` may be used.
  @inline(__always)
  func isUsable(_ bit: Int) -> Bool {
    !header.pointee.isCut || mask[bit >> 6] >> UInt64(bit & 63) & 1 == 1
  }

  /// Whether `bit` may be used and is taken.
  @inline(__always)
  func isTaken(_ bit: Int) -> Bool { !words.isFree(bit) && isUsable(bit) }

  /// The number of bits that are taken.
  var takenCount: Int { (0..<wordCount).reduce(0) { $0 + takenWord($1).nonzeroBitCount } }

  /// The leaf of `bit`, if it was noted.
  @inline(__always)
  func notedLeaf(_ bit: Int) -> PoolNode? {
    guard let leaf = header.pointee.leaves?[bit] else { return nil }
    return PoolNode(header: leaf)
  }

  /// Notes the leaf of `bit` in a node of level 1.
  func note(_ leaf: PoolNode, at bit: Int) {
    if header.pointee.leaves == nil {
      header.pointee.leaves = .allocate(capacity: 1 << chunkBits)
      header.pointee.leaves?.initialize(repeating: nil, count: 1 << chunkBits)
    }
    header.pointee.leaves?[bit] = leaf.header
  }

  /// Forgets the leaves noted, because some are about to go.
  func forgetLeaves() {
    header.pointee.leaves?.deallocate()
    header.pointee.leaves = nil
  }

  /// The released ordinals that wait.
  var cooling: CoolingBuckets { header.pointee.cooling?.pointee ?? CoolingBuckets() }

  @inline(__always)
  var hasCooling: Bool {
    guard let cooling = header.pointee.cooling else { return false }
    return !cooling.pointee.isEmpty
  }

  /// Changes the released ordinals that wait.
  func withCooling<Result>(_ body: (inout CoolingBuckets) -> Result) -> Result {
    if header.pointee.cooling == nil {
      header.pointee.cooling = .allocate(capacity: 1)
      header.pointee.cooling?.initialize(to: CoolingBuckets())
    }
    guard let cooling = header.pointee.cooling else { preconditionFailure("allocated above") }
    return body(&cooling.pointee)
  }
}
