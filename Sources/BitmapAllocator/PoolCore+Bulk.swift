// Many ordinals at once: whole words of free bits are taken, not one bit after the other.

extension PoolCore {
  /// Takes up to `count` ordinals, next-fit, and hands each word of them to `emit`: the leaf, the
  /// bit where the word begins, and the bits of the word that were taken. Returns how many.
  /// O(words + count).
  @inline(__always)
  mutating func acquire(
    count: Int, now: UInt64, _ emit: (_ leaf: PoolNode, _ origin: Int, _ word: UInt64) -> Void
  ) -> Int {
    var left = count
    while left > 0 {
      if cooldown != 0 { expire(current, now: now) }
      // From the cursor to the end, then from the start.
      for start in [current.cursor, 0] where left > 0 && current.words.freeCount > 0 {
        let taken = takeWords(left, from: start, emit)
        left -= taken
        heldCount += taken
      }
      guard left > 0, let (leaf, bit) = acquire(now: now) else { break }
      emit(leaf, bit & ~63, 1 << UInt64(bit & 63))
      left -= 1
    }
    return count - left
  }

  /// Takes up to `count` free bits of the current leaf from `start` on. Summary and count are
  /// brought up to date once for 64 words.
  @inline(__always)
  private func takeWords(
    _ count: Int, from start: Int,
    _ emit: (_ leaf: PoolNode, _ origin: Int, _ word: UInt64) -> Void
  ) -> Int {
    let words = current.words
    var left = count
    var allowed = ~UInt64(0) << UInt64(start & 63)
    var index = start >> 6
    while left > 0 {
      if words.words[index] & allowed == 0 {
        index = words.nextOccupied(after: index)
        allowed = ~0
        guard index >= 0 else { break }
      }
      let free = words.words[index] & allowed
      let chosen = free.nonzeroBitCount <= left ? free : free.lowestSet(left)
      let taken = chosen.nonzeroBitCount
      words.shrink(word: index, to: words.words[index] & ~chosen, taken: taken)
      left -= taken
      emit(current, index << 6, chosen)
      let end = index << 6 + 64 - chosen.leadingZeroBitCount
      current.cursor = end & (1 << geometry.chunkBits - 1)
    }
    return count - left
  }
}
