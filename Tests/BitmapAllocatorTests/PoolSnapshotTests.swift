// Snapshots from outside: what does not add up is refused with a reason, and never crashes.

import AddressSpace
import TestSupport
import Testing

@testable import BitmapAllocator

@Suite struct PoolSnapshotTests {
  private func anyPool(_ random: inout SeededGenerator) throws -> AddressPool {
    let geometry = try geometry(13)
    var pool = AddressPool(space: PoolSpace(geometry: geometry), cooldown: 50)
    for address in pool.acquire(count: 200) where Bool.random(using: &random) {
      pool.release(address, now: UInt64.random(in: 0...40, using: &random))
    }
    for _ in 0..<4 {
      _ = pool.acquirePrefix(length: Int.random(in: 21...30, using: &random))
    }
    return pool
  }

  @Test func decodesWhatItEncodes() throws {
    let seed = runSeed
    var random = seed.generator
    for _ in 0..<20 {
      let pool = try anyPool(&random)
      let snapshot = pool.snapshot(incarnation: 9)
      let read = try PoolSnapshot(bytes: snapshot.bytes)
      #expect(read == snapshot, "\(seed)")
      let restored = try AddressPool(restoring: read, space: pool.space, cooldown: 50)
      #expect(restored == pool, "\(seed)")
    }
  }

  @Test func mutationsAreRefusedOrSound() throws {
    let seed = runSeed
    var random = seed.generator
    let pool = try anyPool(&random)
    let sound = pool.snapshot().bytes
    for round in 0..<600 {
      var bytes = sound
      let index = bytes.indices.randomElement(using: &random) ?? 0
      bytes[index] = UInt8.random(in: 0...255, using: &random)
      if round % 3 == 0 { bytes = Array(bytes.prefix(index)) }
      if round % 2 == 0, bytes.count > 4 {
        bytes.removeLast(4)
        bytes.append(fixed: ChunkCodec.checksum(bytes, key: ""))
      }
      do throws(ChunkCodecError) {
        let snapshot = try PoolSnapshot(bytes: bytes)
        let space = PoolSpace(geometry: snapshot.geometry)
        try AddressPool(restoring: snapshot, space: space)._checkInvariants()
      } catch {
        #expect(!error.description.isEmpty)
      }
    }
  }

  @Test func refusesWhatContradictsItself() throws {
    let geometry = try geometry(13)
    let space = PoolSpace(geometry: geometry)
    let leaf = geometry.leaf(ChunkIndex(.zero))
    let parent = TreeNode(level: 1, index: ChunkIndex(.zero))
    func chunk(_ taken: ClosedRange<Int>) -> Chunk {
      var chunk = Chunk(chunkBits: 6, incarnation: 1)
      chunk.bitmap.takeAll(in: taken)
      return chunk
    }
    func reason(
      _ chunks: [TreeNode: Chunk], space: PoolSpace = space
    ) -> ChunkCodecError.Reason? {
      let encoded = chunks.map { node, chunk in
        (node, ChunkCodec.encode(chunk, key: geometry.name(of: node)))
      }
      let snapshot = PoolSnapshot(
        geometry: geometry, chunks: Dictionary(uniqueKeysWithValues: encoded))
      do throws(ChunkCodecError) {
        let pool = try AddressPool(restoring: snapshot, space: space)
        pool._checkInvariants()
        return nil
      } catch { return error.reason }
    }
    #expect(reason([:]) == nil)
    #expect(reason([leaf: chunk(0...63), parent: chunk(0...0)]) == nil)
    #expect(reason([parent: chunk(0...0)]) == nil)
    // The parent says full, the child is not.
    #expect(reason([leaf: chunk(0...62), parent: chunk(0...0)]) == .node)
    // The root says that all below is taken as a whole, and yet there is something.
    #expect(reason([leaf: chunk(0...63), geometry.root: chunk(0...0)]) == .node)
    // Bits that do not exist, or may not be used.
    #expect(reason([geometry.root: chunk(0...63)]) == .node)
    let most = PoolSpace(geometry: geometry, allowed: IntervalSet(OffsetRange(1, 500)))
    #expect(reason([leaf: chunk(0...3)], space: most) == .node)
    #expect(reason([leaf: chunk(1...3)], space: most) == nil)
    #expect(reason([parent: chunk(0...0)], space: most) == .node)
    let other = try #require(PoolGeometry(subnet: geometry.subnet, chunkBits: 7))
    #expect(reason([:], space: PoolSpace(geometry: other)) == .geometry)
  }

  /// A value under another chunk's name is refused, as in a store.
  @Test func chunksAreBoundToTheirNames() throws {
    var pool = AddressPool(space: PoolSpace(geometry: try geometry(13)))
    _ = pool.acquire()
    let snapshot = pool.snapshot()
    let bytes = try #require(snapshot.chunks.values.first)
    let moved = PoolSnapshot(
      geometry: pool.geometry, chunks: [pool.geometry.leaf(ChunkIndex(UInt64(1))): bytes])
    #expect(throws: ChunkCodecError.self) {
      try AddressPool(restoring: moved, space: pool.space)
    }
  }
}
