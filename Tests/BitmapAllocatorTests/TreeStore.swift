// A store of chunks as a dictionary, and the short loop that performs what TreeSearch decides.

import AddressSpace
import Testing

@testable import BitmapAllocator

struct TreeStore {
  let space: PoolSpace
  var cooldown: UInt64 = 0
  var chunks: [TreeNode: Chunk] = [:]
  /// Chunks shown to searches so far.
  var reads = 0

  var geometry: PoolGeometry { space.geometry }

  func blank() -> Chunk { Chunk(chunkBits: geometry.chunkBits, incarnation: 1) }

  /// One ordinal, or `nil` if the pool is proved exhausted.
  mutating func acquire(
    from start: ChunkIndex, order: TreeSearch.Order, now: UInt64,
    rule: TreeSearch.CoolingRule = .borrow
  ) throws -> Ordinal? {
    var search = TreeSearch(space: space, start: start, order: order, cooling: rule)
    for _ in 0..<100_000 {
      switch search.step() {
      case .read(let node):
        reads += 1
        search.supply(node, chunks[node])
      case .candidate(let node):
        reads += 1
        var chunk = chunks[node] ?? blank()
        if let bit = chunk.acquire(
          in: space.usableBits(in: node), now: now, cooldown: cooldown)
        {
          chunks[node] = chunk
          apply(search.marks)
          return geometry.ordinal(of: node, bit: bit)
        }
        search.reject(node, chunk)
      case .cooling(let node):
        guard rule == .borrow else { return nil }
        let bit = chunks[node]?.borrowOldest(in: space.usableBits(in: node))
        return geometry.ordinal(of: node, bit: try #require(bit))
      case .exhausted(let proof):
        let snapshot = Dictionary(
          uniqueKeysWithValues: proof.compactMap { node in chunks[node].map { (node, $0) } })
        #expect(ExhaustionProof(of: space).check(snapshot) == .proved)
        apply(search.marks)
        return nil
      }
    }
    Issue.record("the search does not end")
    return nil
  }

  mutating func release(_ ordinal: Ordinal, now: UInt64) -> Bool {
    var (node, bit) = geometry.node(of: ordinal)
    var chunk = chunks[node] ?? blank()
    guard chunk.release(bit, now: now, cooldown: cooldown) else { return false }
    while let mark = TreeMark.toClear(for: node, chunk, in: geometry) {
      var parent = chunks[mark.parent] ?? blank()
      mark.clear(child: &chunk, parent: &parent)
      chunks[node] = chunk
      (node, chunk) = (mark.parent, parent)
    }
    chunks[node] = chunk
    return true
  }

  private mutating func apply(_ marks: [TreeMark]) {
    for mark in marks {
      var child = chunks[mark.child] ?? blank()
      guard child.isFull(existingBits: geometry.existingBits(in: mark.child)) else { continue }
      var parent = chunks[mark.parent] ?? blank()
      mark.set(child: &child, parent: &parent)
      chunks[mark.child] = child
      chunks[mark.parent] = parent
    }
  }

  /// A set bit says that the child is full and marked; a mark says that the bit is set.
  func checkTree() {
    for (node, chunk) in chunks {
      if chunk.isMarked {
        let isFull = chunk.isFull(existingBits: geometry.existingBits(in: node))
        #expect(isFull, "\(node) is marked and not full")
        guard let mark = TreeMark(node, in: geometry) else { continue }
        #expect(chunks[mark.parent]?.bitmap.isTaken(mark.bit) == true)
      }
      guard node.level > 0 else { continue }
      chunk.bitmap.forEachTakenRun { run in
        for bit in run {
          let child = chunks[geometry.child(of: node, bit: bit)]
          #expect(child?.isMarked == true, "\(node) bit \(bit) is set over a child unmarked")
        }
      }
    }
  }
}
