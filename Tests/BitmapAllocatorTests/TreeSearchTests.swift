// The search driven by the stores' loop over a dictionary, beside a set of integers and beside the
// pool in memory, which must decide the same.

import AddressSpace
import TestSupport
import Testing

@testable import BitmapAllocator

func anyAllowed(_ bits: Int, holes: Int, _ random: inout SeededGenerator) -> IntervalSet {
  let last = UInt64(1) << UInt64(bits) - 1
  var set = IntervalSet(OffsetRange(.zero, Offset(last)))
  for _ in 0..<Int.random(in: 0...holes, using: &random) {
    let first = UInt64.random(in: 0...last, using: &random)
    let end = min(last, first + UInt64.random(in: 0...last / 3, using: &random))
    set.remove(OffsetRange(Offset(first), Offset(end)))
  }
  return set
}

func geometry(_ bits: Int, chunkBits: Int = 6) throws -> PoolGeometry {
  let subnet = try #require(Prefix(address: IPAddress(ipv4: 0x0A00_0000), length: 32 - bits))
  return try #require(PoolGeometry(subnet: subnet, chunkBits: chunkBits))
}

@Suite struct PassedByTests {
  /// A chunk that was passed by, not full, leaves its parent not full for the node above: no mark that
  /// would hide the chunk from everybody.
  @Test func whatIsPassedByIsNotCalledFull() throws {
    let geometry = try geometry(18)
    var search = TreeSearch(space: PoolSpace(geometry: geometry), start: ChunkIndex(.zero))
    let leaf = geometry.leaf(ChunkIndex(.zero))
    #expect(search.step() == .candidate(leaf))
    search.reject(leaf, nil)
    let above = try #require(geometry.parent(of: leaf)?.node)
    #expect(search.step() == .read(above))
    var others = Chunk(chunkBits: 6, incarnation: 1)
    for bit in 1..<64 { others.bitmap.take(bit) }
    search.supply(above, others)
    #expect(search.step() == .read(geometry.root))
    search.supply(geometry.root, nil)
    guard case .read(let next) = search.step() else {
      Issue.record("another node was expected")
      return
    }
    #expect(next != above && search.marks.isEmpty, "\(search.marks)")
  }
}

@Suite struct TreeSearchModelTests {
  /// Churn in random worlds of up to three levels, to exhaustion and back.
  @Test(arguments: 0..<40) func agreesWithASetOfIntegers(round: UInt64) throws {
    let seed = runSeed
    var random = SeededGenerator(seed: seed.value &+ round)
    let bits = Int.random(in: 0...13, using: &random)
    let geometry = try geometry(bits)
    let space = PoolSpace(geometry: geometry, allowed: anyAllowed(bits, holes: 5, &random))
    var store = TreeStore(space: space)
    var model: Set<UInt64> = []
    let all = Set(space.allowed.intervals.flatMap { $0.first.low...$0.last.low })
    let chunkCount = max(1, 1 << (bits - 6))
    let acquireWeight = Double.random(in: 0.3...0.9, using: &random)
    for _ in 0..<min(3 * all.count + 10, 3000) {
      if Double.random(in: 0..<1, using: &random) < acquireWeight {
        let start = ChunkIndex(UInt64(Int.random(in: 0..<chunkCount, using: &random)))
        let isRandom = Bool.random(using: &random)
        let order: TreeSearch.Order = isRandom ? .random(seed: random.next()) : .next
        if let got = try store.acquire(from: start, order: order, now: 0) {
          let isNew = model.insert(got.offset.low).inserted
          #expect(all.contains(got.offset.low) && isNew, "\(seed)")
        } else {
          #expect(model == all, "\(seed)")
        }
      } else {
        let ordinal = UInt64.random(in: 0..<1 << UInt64(bits), using: &random)
        let isReleased = store.release(Ordinal(ordinal), now: 0)
        let wasHeld = model.remove(ordinal) != nil
        #expect(isReleased == wasHeld, "\(seed)")
      }
    }
    store.checkTree()
    while let got = try store.acquire(from: ChunkIndex(.zero), order: .next, now: 0) {
      let isNew = model.insert(got.offset.low).inserted
      #expect(isNew, "\(seed)")
    }
    #expect(model == all, "\(seed)")
    store.checkTree()
  }

  /// The pool in memory hands out the same ordinals, one by one, as a store that goes on from the
  /// chunk where it was.
  @Test(arguments: 0..<30) func poolDecidesTheSame(round: UInt64) throws {
    let seed = runSeed
    var random = SeededGenerator(seed: seed.value &+ round)
    let bits = Int.random(in: 0...13, using: &random)
    let geometry = try geometry(bits)
    let space = PoolSpace(geometry: geometry, allowed: anyAllowed(bits, holes: 4, &random))
    var store = TreeStore(space: space)
    var pool = AddressPool(space: space)
    var held: [Ordinal] = []
    var start = ChunkIndex(space.touchedChunks.intervals.first?.first ?? .zero)
    let acquireWeight = Double.random(in: 0.4...0.8, using: &random)
    for _ in 0..<3000 {
      if Double.random(in: 0..<1, using: &random) < acquireWeight {
        let expected = try store.acquire(from: start, order: .next, now: 0)
        let got = pool.acquire().flatMap { geometry.ordinal(of: $0) }
        #expect(got == expected, "\(seed)")
        guard let expected else { continue }
        start = geometry.node(of: expected).node.index
        held.append(expected)
      } else if let index = held.indices.randomElement(using: &random) {
        held.swapAt(index, held.count - 1)
        let ordinal = held.removeLast()
        let isReleased = store.release(ordinal, now: 0)
        let isReleasedHere = pool.release(geometry.address(of: ordinal))
        #expect(isReleased && isReleasedHere, "\(seed)")
      }
    }
    for (node, chunk) in pool.core.pointee.chunks(incarnation: 1) where node.level == 0 {
      #expect(chunk.bitmap == store.chunks[node]?.bitmap, "\(seed)")
    }
  }

  /// With a cool-down: never early under `strict`, and something as long as one is not held under
  /// `borrow`.
  @Test(arguments: 0..<20, [TreeSearch.CoolingRule.borrow, .strict])
  func coolsAcrossChunks(round: UInt64, rule: TreeSearch.CoolingRule) throws {
    let seed = runSeed
    var random = SeededGenerator(seed: seed.value &+ round)
    let bits = Int.random(in: 4...9, using: &random)
    let geometry = try geometry(bits)
    let space = PoolSpace(geometry: geometry, allowed: anyAllowed(bits, holes: 2, &random))
    let all = Set(space.allowed.intervals.flatMap { $0.first.low...$0.last.low })
    var store = TreeStore(space: space, cooldown: 16)
    var held: Set<UInt64> = []
    var released: [UInt64: UInt64] = [:]
    var now: UInt64 = 100
    for _ in 0..<1500 {
      now += UInt64.random(in: 0...1, using: &random)
      if Int.random(in: 0..<5, using: &random) < 3 {
        let start = ChunkIndex(UInt64.random(in: 0..<4, using: &random))
        let got = try store.acquire(from: start, order: .next, now: now, rule: rule)
        guard let ordinal = got?.offset.low else {
          let isEmpty = all.allSatisfy { ordinal in
            held.contains(ordinal)
              || rule == .strict && released[ordinal].map { $0 + 18 > now } ?? false
          }
          #expect(isEmpty, "\(seed)")
          continue
        }
        let isNew = held.insert(ordinal).inserted
        #expect(isNew && all.contains(ordinal), "\(seed)")
        if rule == .strict { #expect((released[ordinal] ?? 0) + 16 <= now, "\(seed)") }
        released[ordinal] = nil
      } else if let ordinal = held.sorted().randomElement(using: &random) {
        let isReleased = store.release(Ordinal(ordinal), now: now)
        #expect(isReleased, "\(seed)")
        held.remove(ordinal)
        released[ordinal] = now
      }
    }
    store.checkTree()
  }
}

@Suite struct TreeSearchTests {
  private func full(_ geometry: PoolGeometry) -> Chunk {
    var chunk = Chunk(chunkBits: geometry.chunkBits, incarnation: 1)
    chunk.bitmap = .full(chunkBits: geometry.chunkBits)
    return chunk
  }

  private func leaf(_ index: UInt64) -> TreeNode {
    TreeNode(level: 0, index: ChunkIndex(index))
  }

  @Test func goesUpAndDownAgain() throws {
    let geometry = try geometry(18)
    let parent = TreeNode(level: 1, index: ChunkIndex(UInt64(2)))
    var search = TreeSearch(
      space: PoolSpace(geometry: geometry), start: ChunkIndex(UInt64(130)))
    var step = search.step()
    #expect(step == .candidate(leaf(130)))
    search.reject(leaf(130), full(geometry))
    step = search.step()
    #expect(step == .read(parent))
    var chunk = full(geometry)
    for bit in [1, 2] { chunk.bitmap.free(bit) }
    search.supply(parent, chunk)
    // Bit 2 stands for the full leaf: a mark to set. Bit 1 comes around the end.
    #expect(search.marks.map(\.child) == [leaf(130)])
    step = search.step()
    #expect(step == .candidate(leaf(129)))
    search.reject(leaf(129), full(geometry))
    #expect(search.marks.map(\.child) == [leaf(130), leaf(129)])
    // The parent is full by these marks, which the root shows not yet.
    step = search.step()
    #expect(step == .read(geometry.root))
    search.supply(geometry.root, nil)
    #expect(search.marks.last?.child == parent)
    step = search.step()
    #expect(step == .read(TreeNode(level: 1, index: ChunkIndex(UInt64(3)))))
    search.supply(TreeNode(level: 1, index: ChunkIndex(UInt64(3))), nil)
    step = search.step()
    #expect(step == .candidate(leaf(192)))
  }

  @Test func skipsWhatIsExcludedWhole() throws {
    let geometry = try geometry(24, chunkBits: 12)
    let allowed = IntervalSet([OffsetRange(0, 4095), OffsetRange(9_000_000, 9_000_001)])
    var search = TreeSearch(
      space: PoolSpace(geometry: geometry, allowed: allowed), start: ChunkIndex(.zero))
    search.reject(leaf(0), full(geometry))
    var step = search.step()
    #expect(step == .read(geometry.root))
    search.supply(geometry.root, nil)
    step = search.step()
    #expect(step == .candidate(leaf(9_000_000 >> 12)))
    // A start where nothing is allowed, or none is at all, is no candidate.
    var elsewhere = TreeSearch(space: search.space, start: ChunkIndex(UInt64(7)))
    step = elsewhere.step()
    #expect(step == .read(geometry.root))
    var beyond = TreeSearch(space: search.space, start: ChunkIndex(UInt64(1) << 40))
    step = beyond.step()
    #expect(step == .read(geometry.root))
  }

  @Test func unreadableIsPassedByButProvesNothing() throws {
    let geometry = try geometry(8)
    let space = PoolSpace(geometry: geometry)
    var search = TreeSearch(space: space, start: ChunkIndex(.zero))
    for index in 0..<4 as Range<UInt64> {
      if index == 1 { search.supply(geometry.root, nil) }
      let step = search.step()
      #expect(step == .candidate(leaf(index)))
      search.reject(leaf(index), index == 2 ? nil : full(geometry))
      if index == 0 { _ = search.step() }
    }
    #expect(search.marks.map(\.child) == [leaf(0), leaf(1), leaf(3)])
    guard case .exhausted(let proof) = search.step() else {
      Issue.record("nothing is left")
      return
    }
    #expect(proof == [geometry.root, leaf(0), leaf(1), leaf(3)])
    var snapshot = Dictionary(uniqueKeysWithValues: [0, 1, 3].map { (leaf($0), full(geometry)) })
    let check = ExhaustionProof(of: space)
    #expect(check.check(snapshot) == .notFull(at: leaf(2)))
    snapshot[leaf(2)] = full(geometry)
    #expect(check.check(snapshot) == .proved)
    snapshot[leaf(3)]?.release(5, now: 10, cooldown: 60)
    #expect(check.check(snapshot) == .notFull(at: leaf(3)))
  }

  @Test func borrowsAfterThreeChunks() throws {
    let geometry = try geometry(12)
    let space = PoolSpace(geometry: geometry)
    func cooling(since: UInt64) -> Chunk {
      var chunk = full(geometry)
      chunk.release(3, now: since, cooldown: 60)
      return chunk
    }
    for rule in [TreeSearch.CoolingRule.borrow, .strict] {
      var search = TreeSearch(space: space, start: ChunkIndex(.zero), cooling: rule)
      search.reject(leaf(0), cooling(since: 20))
      _ = search.step()
      search.supply(geometry.root, nil)
      _ = search.step()
      search.reject(leaf(1), cooling(since: 10))
      var step = search.step()
      #expect(step == .candidate(leaf(2)))
      search.reject(leaf(2), cooling(since: 30))
      step = search.step()
      #expect(step == (rule == .borrow ? .cooling(leaf(1)) : .candidate(leaf(3))))
      guard rule == .borrow else { continue }
      // Somebody else was quicker.
      search.reject(leaf(1), full(geometry))
      step = search.step()
      #expect(step == .cooling(leaf(0)))
      #expect(search.marks.isEmpty)
    }
  }

  /// Nodes with different seeds go to different chunks, and a seed always to the same.
  @Test func randomOrderSpreads() throws {
    let geometry = try geometry(24, chunkBits: 12)
    let space = PoolSpace(geometry: geometry)
    let firsts = (0..<200 as Range<UInt64>).map { seed -> TreeSearch.Step in
      var search = TreeSearch(
        space: space, start: ChunkIndex(.zero), order: .random(seed: seed / 2))
      search.reject(leaf(0), full(geometry))
      search.supply(geometry.root, nil)
      return search.step()
    }
    #expect(Set(firsts).count > 90)
    #expect(stride(from: 0, to: 200, by: 2).allSatisfy { firsts[$0] == firsts[$0 + 1] })
  }

  /// In a pool that is full but for one chunk, a search reads a path, not the chunks.
  @Test func costsAPathWhenMarksAreKeptUp() throws {
    let geometry = try geometry(18)
    var store = TreeStore(space: PoolSpace(geometry: geometry))
    var start = ChunkIndex(.zero)
    while let got = try store.acquire(from: start, order: .next, now: 0) {
      start = geometry.node(of: got).node.index
    }
    let isReleased = store.release(Ordinal(UInt64(200_000)), now: 0)
    #expect(isReleased)
    store.reads = 0
    let got = try store.acquire(from: ChunkIndex(.zero), order: .next, now: 0)
    #expect(got == Ordinal(UInt64(200_000)))
    #expect(store.reads <= 5)
  }
}
