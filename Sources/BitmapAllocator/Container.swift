// How the set bits of a bitmap are written, whichever is smallest:
//
//   0 empty     nothing
//   1 full      nothing
//   2 list      each set bit as the number of clear bits since the set bit before
//   3 inverse   each clear bit as the number of set bits since the clear bit before
//   4 runs      pairs: clear bits before the run (less one, but for the first run), length less one
//   5 dense     2^k / 8 bytes, bit 0 first
//
// Numbers are varints of at most two bytes. The population comes before the payload, so that no
// list and no run needs a count of its own: at most 2 bytes a bit, 4 a run, never more than dense.

enum ContainerKind: UInt8 {
  case empty, full, list, inverse, runs, dense
}

extension ChunkBitmap {
  /// The smallest container. O(words), and O(runs) if there are few of them.
  func smallestContainer() -> ContainerKind {
    if takenCount == 0 { return .empty }
    if freeCount == 0 { return .full }
    let dense = capacity / 8
    guard min(takenCount, freeCount, 2 * takenRunCount) < dense else { return .dense }
    var list = 0
    var inverse = 0
    var runs = 0
    var end = 0
    var length = 0
    forEachTakenRun { run in
      let gap = run.lowerBound - end
      list += varintLength(gap) + run.count - 1
      if gap > 0 { inverse += varintLength(length) + gap - 1 }
      runs += varintLength(end == 0 ? gap : gap - 1) + varintLength(run.count - 1)
      end = run.upperBound + 1
      length = run.count
    }
    if end < capacity { inverse += varintLength(length) + capacity - end - 1 }
    let smallest = min(list, inverse, runs, dense)
    if smallest == runs { return .runs }
    return smallest == list ? .list : smallest == inverse ? .inverse : .dense
  }

  /// The number of maximal runs of set bits. O(words).
  private var takenRunCount: Int {
    var count = 0
    var before: UInt64 = 0  // bit 0: whether the bit before this word is set
    for index in 0..<wordCount {
      let word = word(index)
      count += (word & ~(word << 1 | before)).nonzeroBitCount
      before = word >> 63
    }
    return count
  }
}

// MARK: - Writing

extension [UInt8] {
  /// Appends the payload of `kind` for `bitmap`. O(payload + words).
  mutating func append(payload bitmap: ChunkBitmap, as kind: ContainerKind) {
    switch kind {
    case .empty, .full: break
    case .list: append(gapsOf: bitmap) { bitmap.word($0) }
    case .inverse: append(gapsOf: bitmap) { ~bitmap.word($0) }
    case .dense: for index in 0..<bitmap.wordCount { append(fixed: bitmap.word(index)) }
    case .runs:
      var end = 0
      bitmap.forEachTakenRun { run in
        let gap = run.lowerBound - end
        append(varint: end == 0 ? gap : gap - 1)
        append(varint: run.count - 1)
        end = run.upperBound + 1
      }
    }
  }

  private mutating func append(gapsOf bitmap: ChunkBitmap, _ word: (Int) -> UInt64) {
    var next = 0
    for index in 0..<bitmap.wordCount {
      var rest = word(index)
      while rest != 0 {
        let bit = index << 6 | rest.trailingZeroBitCount
        append(varint: bit - next)
        next = bit + 1
        rest &= rest &- 1
      }
    }
  }
}

// MARK: - Reading

extension ByteReader {
  /// A bitmap of 2^`chunkBits` bits, `population` of them set. Allocates that bitmap only.
  mutating func payload(
    _ kind: ContainerKind, population: Int, chunkBits: Int
  ) throws(ChunkCodecError) -> ChunkBitmap {
    let capacity = 1 << chunkBits
    switch kind {
    case .empty:
      guard population == 0 else { throw failure(.population) }
      return ChunkBitmap(chunkBits: chunkBits)
    case .full:
      guard population == capacity else { throw failure(.population) }
      return .full(chunkBits: chunkBits)
    case .list, .inverse, .runs, .dense:
      guard population > 0, population < capacity else { throw failure(.population) }
    }
    switch kind {
    case .dense: return try dense(population: population, chunkBits: chunkBits)
    case .runs: return try runs(population: population, chunkBits: chunkBits)
    case .inverse:
      var bitmap = ChunkBitmap.full(chunkBits: chunkBits)
      try gaps(count: capacity - population, capacity: capacity) { bitmap.free($0) }
      return bitmap
    default:
      var bitmap = ChunkBitmap(chunkBits: chunkBits)
      try gaps(count: population, capacity: capacity) { bitmap.take($0) }
      return bitmap
    }
  }

  private mutating func gaps(
    count: Int, capacity: Int, _ mark: (Int) -> Void
  ) throws(ChunkCodecError) {
    var next = 0
    for _ in 0..<count {
      let bit = next + (try varint(upTo: capacity, or: .container))
      guard bit < capacity else { throw failure(.container) }
      mark(bit)
      next = bit + 1
    }
  }

  private mutating func runs(
    population: Int, chunkBits: Int
  ) throws(ChunkCodecError) -> ChunkBitmap {
    var bitmap = ChunkBitmap(chunkBits: chunkBits)
    var end = 0
    var left = population
    while left > 0 {
      let gap = try varint(upTo: bitmap.capacity, or: .container)
      let first = end == 0 ? gap : end + gap + 1
      let length = try varint(upTo: left - 1, or: .container) + 1
      guard first + length <= bitmap.capacity else { throw failure(.container) }
      bitmap.takeAll(in: first...first + length - 1)
      end = first + length
      left -= length
    }
    return bitmap
  }

  private mutating func dense(
    population: Int, chunkBits: Int
  ) throws(ChunkCodecError) -> ChunkBitmap {
    guard remaining >= 1 << (chunkBits - 3) else { throw failure(.truncated) }
    var words: [UInt64] = []
    words.reserveCapacity(1 << (chunkBits - 6))
    for _ in 0..<1 << (chunkBits - 6) { words.append(try fixed64()) }
    let bitmap = ChunkBitmap(chunkBits: chunkBits) { words[$0] }
    guard bitmap.takenCount == population else { throw failure(.population) }
    return bitmap
  }
}
