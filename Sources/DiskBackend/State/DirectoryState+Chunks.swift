import AddressSpace
import BitmapAllocator
import IPAM

// Chunks are not kept: they are what the taken addresses look like through a pool's geometry.
//
//   cells   |--1,024 addresses--|--1,024 addresses--|   cut by address
//   chunk   |-------------2^k addresses-------------|   cut by pool, aligned like the cells
//   level 1     one bit per chunk below, set if that is full
//   above       nothing: a directory of 2^24 files has other worries

extension DirectoryState {
  /// A chunk as the taken addresses make it; absent if none of it ever was.
  ///
  /// - Complexity: O(words); O(words of all children) on level 1 if some child can be full.
  mutating func chunk(_ key: ChunkKey) throws(StateUnusable) -> StoreEntry {
    switch key.node.level {
    case 0: try leaf(key)
    case 1: try parent(key)
    default: .absent
    }
  }

  private mutating func leaf(_ key: ChunkKey) throws(StateUnusable) -> StoreEntry {
    let (bitmap, stamp) = try bitmap(key)
    guard stamp > 0 else { return .absent }
    var chunk = Chunk(chunkBits: key.pool.chunkBits, incarnation: 0)
    chunk.bitmap = bitmap
    return StoreEntry(.chunk(chunk), Revision(stamp))
  }

  private mutating func parent(_ key: ChunkKey) throws(StateUnusable) -> StoreEntry {
    guard population >= 1 << UInt64(key.pool.chunkBits) else { return .absent }
    var bitmap = ChunkBitmap(chunkBits: key.pool.chunkBits)
    for bit in 0..<key.pool.existingBits(in: key.node) {
      let child = ChunkKey(pool: key.pool, node: key.pool.child(of: key.node, bit: bit))
      let (taken, stamp) = try self.bitmap(child)
      if stamp > 0, taken.takenCount == key.pool.existingBits(in: child.node) { bitmap.take(bit) }
    }
    guard bitmap.takenCount > 0 else { return .absent }
    var chunk = Chunk(chunkBits: key.pool.chunkBits, incarnation: 0)
    chunk.bitmap = bitmap
    return StoreEntry(.chunk(chunk), Revision(version))
  }

  /// The taken ordinals of a level-0 chunk, and when they changed last; 0 for never.
  private mutating func bitmap(
    _ key: ChunkKey
  ) throws(StateUnusable) -> (bitmap: ChunkBitmap, stamp: UInt64) {
    let pool = key.pool
    let first = pool.address(of: pool.ordinal(of: key.node, bit: 0))
    let count = pool.existingBits(in: key.node)
    var words = [UInt64](repeating: 0, count: 1 << (pool.chunkBits - 6))
    var stamp: UInt64 = 0
    for start in stride(from: 0, to: count, by: 1 << CellKey.addressBits) {
      guard let address = first.advanced(by: Offset(UInt64(start))),
        let cell = try cell(CellKey(address))
      else { continue }
      // A pool of fewer than 1,024 addresses is part of a cell, one of fewer than 64 of a word.
      let from = CellKey.bit(of: address)
      let mask: UInt64 = count >= 64 ? .max : (1 << UInt64(count)) - 1
      for word in 0..<min(Cell.wordCount, (count - start + 63) / 64) {
        words[start / 64 + word] = (cell.words[from / 64 + word] >> UInt64(from & 63)) & mask
        stamp = max(stamp, cell.stamps[from / 64 + word])
      }
    }
    return (ChunkBitmap(chunkBits: pool.chunkBits) { words[$0] }, stamp)
  }
}
