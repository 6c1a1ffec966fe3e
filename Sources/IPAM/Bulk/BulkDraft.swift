import AddressSpace
import BitmapAllocator

// One commit of a bulk acquisition in the making: whole words of free bits from one chunk after the
// other, as many chunks as a commit has operations for, and beside them the record of what was taken.
//
//   check definition · put chunk … put chunk · (put parent) · create bulk(token): the intervals
//
// A value: the view goes in, a commit or what has to be read first comes out.

/// What planning one commit of a bulk acquisition said.
enum BulkStep {
  case read(Set<StoreKey>, Consistency)
  case commit(Commit, BulkRecord)
  /// One snapshot proves that nothing is left.
  case exhausted
  /// What is left is resting after its release, or others keep changing it: to be tried again later.
  case nothingNow
}

/// The intervals of one commit, as the record in the store and as addresses.
struct BulkRecord: Hashable, Sendable {
  /// In numbers of addresses: from the first of a unit to the last of one.
  var ranges: [OffsetRange] = []
  var units = 0

  mutating func append(_ range: OffsetRange) {
    if let last = ranges.last, last.last < .max, last.last &+ .one == range.first,
      let joined = OffsetRange(first: last.first, last: range.last)
    {
      ranges[ranges.count - 1] = joined
    } else {
      ranges.append(range)
    }
  }
}

struct BulkDraft {
  /// Intervals that one record may have: 2,048 of them are 160 kB of JSON, so that with the chunks
  /// (at most 126 of 600 bytes) and in base64 a commit stays below Consul's 512 KiB.
  static let intervalLimit = 2_048

  let definition: NetworkDefinition
  let layout: SetLayout
  let node: String
  let operationLimit: Int
  let token: UInt64
  let now: UInt64
  /// Parents are left alone when races were lost: full children can be reported by somebody else.
  let setsMarks: Bool

  private var chunks: [ChunkKey: Chunk] = [:]
  private var record = BulkRecord()
  private var isFilled = false

  init(
    definition: NetworkDefinition, layout: SetLayout, node: String, operationLimit: Int,
    token: UInt64, now: UInt64, setsMarks: Bool
  ) {
    self.definition = definition
    self.layout = layout
    self.node = node
    self.operationLimit = operationLimit
    self.token = token
    self.now = now
    self.setsMarks = setsMarks
  }

  /// Plans a commit of up to `wanted` units.
  ///
  /// - Complexity: O(words of the chunks that it takes from + levels).
  mutating func plan(_ wanted: Int, _ view: View) -> BulkStep {
    var proof: Set<StoreKey> = []
    for space in layout.pools where !space.allowed.isEmpty && !isFilled && record.units < wanted {
      var hash = StableHash()
      hash.combine(node)
      hash.combine(space.geometry.subnet.description)
      guard let home = space.homeChunk(hash: hash.value) else { continue }
      if let needed = take(wanted, from: space, at: home, view, &proof) {
        // Half a commit is committed before more is read; what is less is planned again after the read.
        return chunks.count * 2 > operationLimit ? commit(view) : needed
      }
    }
    if record.units > 0 { return commit(view) }
    return nothing(proof, view)
  }

  /// Takes from one pool; what has to be read before it can go on.
  private mutating func take(
    _ wanted: Int, from space: PoolSpace, at home: ChunkIndex, _ view: View,
    _ proof: inout Set<StoreKey>
  ) -> BulkStep? {
    let pool = space.geometry
    var search = TreeSearch(space: space, start: home, order: .next, cooling: .strict)
    defer { if setsMarks { apply(search.marks, in: pool, view) } }
    while record.units < wanted, !isFilled {
      switch search.step() {
      case .read(let node):
        let key = ChunkKey(pool: pool, node: node)
        guard view[.chunk(key)] != nil else { return .read(ahead(from: node, in: pool), .cached) }
        guard let chunk = look(key, view) else {
          search.reject(node, nil)
          continue
        }
        search.supply(node, chunk)
      case .candidate(let node):
        let key = ChunkKey(pool: pool, node: node)
        // The definition's check, the record, a parent that may have to be written, and reports.
        let owed = search.marks.count { chunks[ChunkKey(pool: pool, node: $0.child)] == nil }
        let reserve = 3 + (setsMarks ? min(owed, Self.reportsPerCommit) : 0)
        guard chunks.count + reserve < operationLimit else { return nil }
        guard view[.chunk(key)] != nil else {
          return .read(ahead(of: node, wanted, in: space), .cached)
        }
        guard var chunk = look(key, view) else {
          search.reject(node, nil)
          continue
        }
        take(wanted - record.units, from: &chunk, key, space.usableBits(in: node))
        search.reject(node, chunk)
      case .cooling: return nil
      case .exhausted(let nodes):
        proof.formUnion(nodes.map { .chunk(ChunkKey(pool: pool, node: $0)) })
        return nil
      }
    }
    return nil
  }

  private mutating func take(
    _ wanted: Int, from chunk: inout Chunk, _ key: ChunkKey, _ usable: [ClosedRange<Int>]
  ) {
    let before = chunk
    let cooldown = UInt64(definition.cooldown.seconds)
    var bits = chunk.acquire(count: wanted, in: usable, now: now, cooldown: cooldown)
    guard !bits.isEmpty else { return }
    var taken = record(with: bits, of: key)
    if taken.ranges.count > Self.intervalLimit {
      isFilled = true
      chunk = before
      guard record.units == 0 else { return }
      // One chunk of single free bits: no more of them than a record has room for.
      bits = chunk.acquire(
        count: Self.intervalLimit, in: usable, now: now, cooldown: cooldown)
      taken = record(with: bits, of: key)
    }
    record = taken
    chunks[key] = chunk
  }

  private func record(with bits: [Int], of key: ChunkKey) -> BulkRecord {
    var record = record
    for bit in bits.sorted() {
      let unit = key.pool.prefix(of: key.pool.ordinal(of: key.node, bit: bit))
      OffsetRange(first: unit.first.value, last: unit.last.value).map { record.append($0) }
    }
    record.units += bits.count
    return record
  }

  /// The chunk as the draft leaves it, or as it was seen; an empty one if there is none; nil if it is
  /// not known, or nothing may be taken from it.
  private func look(_ key: ChunkKey, _ view: View) -> Chunk? {
    if let drafted = chunks[key] { return drafted }
    guard let entry = view[.chunk(key)] else { return nil }
    switch entry.value {
    case nil:
      return Chunk(
        chunkBits: key.pool.chunkBits, incarnation: definition.incarnation,
        features: ChunkFeatures(incompatible: [.bare]))
    case .chunk(let chunk) where chunk.incarnation == definition.incarnation: return chunk
    default: return nil
    }
  }

  /// Full chunks of earlier commits that one commit reports besides its own, each an operation more.
  private static let reportsPerCommit = 8

  /// Reports full chunks to their parents, as far as the commit has operations left: those that it
  /// fills, and those that an earlier one filled and did not report.
  private mutating func apply(_ marks: [TreeMark], in pool: PoolGeometry, _ view: View) {
    for mark in marks {
      let childKey = ChunkKey(pool: pool, node: mark.child)
      let parentKey = ChunkKey(pool: pool, node: mark.parent)
      let more = [childKey, parentKey].count { chunks[$0] == nil }
      guard chunks.count + more + 2 <= operationLimit, view[.chunk(parentKey)] != nil,
        var child = look(childKey, view), var parent = look(parentKey, view),
        // Of a tree node only if the marks below it were all set: one may have been left out here.
        child.isFull(existingBits: pool.existingBits(in: mark.child))
      else { continue }
      mark.set(child: &child, parent: &parent)
      chunks[childKey] = child
      chunks[parentKey] = parent
    }
  }

  private func commit(_ view: View) -> BulkStep {
    var operations: [StoreOperation] = []
    if let entry = view[.definition] { operations.append(.check(.definition, entry.revision)) }
    for (key, var chunk) in chunks {
      chunk.stamp(writer: token)
      let revision = view[.chunk(key)]?.revision ?? .absent
      operations.append(.put(.chunk(key), .chunk(chunk), expected: revision))
    }
    operations.append(.put(.bulk(token: token), .bulk(record.ranges), expected: .absent))
    return .commit(Commit(operations: operations, cursors: [:], token: token), record)
  }

  private func nothing(_ found: Set<StoreKey>, _ view: View) -> BulkStep {
    var keys = found.union([.definition])
    for space in layout.pools {
      keys.formUnion(
        space.proofNodes.map { .chunk(ChunkKey(pool: space.geometry, node: $0)) })
    }
    guard view.isSnapshot(of: keys) else { return .read(keys, .snapshot) }
    let isProved = layout.pools.allSatisfy { space in
      var snapshot: [TreeNode: Chunk] = [:]
      for case .chunk(let key) in keys where key.pool == space.geometry {
        snapshot[key.node] = view[.chunk(key)]?.chunk
      }
      return ExhaustionProof(of: space).check(snapshot) == .proved
    }
    return isProved ? .exhausted : .nothingNow
  }

  // MARK: - Reading ahead

  /// A node and all above it.
  private func ahead(from node: TreeNode, in pool: PoolGeometry) -> Set<StoreKey> {
    var keys: Set<StoreKey> = []
    var next: TreeNode? = node
    while let node = next {
      keys.insert(.chunk(ChunkKey(pool: pool, node: node)))
      next = pool.parent(of: node)?.node
    }
    return keys
  }

  /// A chunk, those after it that the rest will most likely come from, and what is above the first.
  private func ahead(
    of node: TreeNode, _ wanted: Int, in space: PoolSpace
  ) -> Set<StoreKey> {
    let pool = space.geometry
    var keys = ahead(from: node, in: pool)
    let count = min(operationLimit, (wanted - record.units) >> pool.chunkBits + 2)
    for step in 0..<UInt64(count) {
      let index = node.index.offset.addingReportingOverflow(Offset(step))
      let next = TreeNode(level: 0, index: ChunkIndex(index.partialValue))
      if index.overflow { break }
      guard pool.exists(next) else { break }
      if space.coverage(of: next) != .none { keys.insert(.chunk(ChunkKey(pool: pool, node: next))) }
    }
    return keys
  }
}
