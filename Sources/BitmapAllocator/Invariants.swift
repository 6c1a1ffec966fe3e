// What must always hold, checked by the tests after every event. Not part of any operation.

internal import AddressSpace

extension FreeWords {
  /// Summaries, top and count agree with the words.
  func checkInvariants(chunkBits: Int) {
    var free = 0
    var summary = [UInt64](repeating: 0, count: 4)
    for index in 0..<Self.wordCount(chunkBits: chunkBits) where words[index] != 0 {
      free += words[index].nonzeroBitCount
      summary[index >> 6] |= 1 << UInt64(index & 63)
    }
    precondition(freeCount == free, "the count of free bits is that of the words")
    for slot in 0..<4 {
      precondition(base[1 + slot] == summary[slot], "a summary bit says whether a word is empty")
      let top = base[0] >> UInt64(slot) & 1 == 1
      precondition(top == (summary[slot] != 0), "a top bit says whether a summary is empty")
    }
    precondition(base[0] >> 4 == 0, "the top has four bits")
  }
}

extension ChunkBitmap {
  /// Stops the program if an invariant does not hold. O(words).
  public func _checkInvariants() { words.checkInvariants(chunkBits: chunkBits) }
}

extension Chunk {
  /// Stops the program if an invariant does not hold. O(buckets × words).
  public func _checkInvariants() {
    bitmap._checkInvariants()
    precondition(cursor >= 0 && cursor < bitmap.capacity, "the cursor is in the chunk")
    precondition(writers.count <= Self.writerLimit, "four writers at most")
    precondition(CoolingBuckets(cooling.buckets) == cooling, "buckets are in order and disjoint")
    for bucket in cooling.buckets {
      var taken = bucket.bits
      taken.formIntersection(bitmap)
      precondition(taken == bucket.bits, "what cools is taken")
    }
  }
}

extension PoolCore {
  func checkInvariants() {
    var held = 0
    var cooling = 0
    var whole = [UInt64](repeating: 0, count: wholeCounts.count)
    for node in table.nodes {
      check(node)
      if node.level == 0 {
        held += node.takenCount - node.cooling.count
        cooling += node.cooling.count
      } else {
        for bit in 0..<1 << geometry.chunkBits where node.isTaken(bit) {
          let child = geometry.child(of: node.node, bit: bit)
          if let found = table.find(level: child.level, index: child.index.offset) {
            precondition(found.isMarked, "a taken bit over a child that exists is a mark")
          } else {
            whole[child.level] += 1
          }
        }
      }
    }
    precondition(held == heldCount, "the count of held ordinals is that of the leaves")
    precondition(cooling == coolingCount, "the count of cooling ordinals is that of the leaves")
    precondition(whole == wholeCounts, "the counts of whole nodes are those of the tree")
    precondition(table.find(level: 0, index: current.index) == current, "current is in the table")
    precondition(lostCurrent == nil, "current was made again")
  }

  private func check(_ node: PoolNode) {
    node.words.checkInvariants(chunkBits: geometry.chunkBits)
    precondition(!node.header.pointee.hasPassedChild, "no search is in progress")
    for index in 0..<node.wordCount {
      precondition(
        node.words.words[index] & ~node.usableWord(index) == 0, "what is free may be used")
    }
    for bucket in node.cooling.buckets {
      for index in 0..<node.wordCount {
        precondition(
          bucket.bits.word(index) & ~node.takenWord(index) == 0, "what cools is taken")
      }
    }
    guard node.isMarked else { return }
    precondition(node.words.freeCount == 0 && !node.hasCooling, "a marked node has nothing free")
    guard let header = node.header.pointee.parent else {
      preconditionFailure("a marked node knows its parent")
    }
    let parent = PoolNode(header: header)
    precondition(!parent.words.isFree(node.bitInParent), "a marked node's bit is taken")
    precondition(table.find(level: parent.level, index: parent.index) == parent)
  }
}

extension AddressPool {
  /// Stops the program if an invariant does not hold. O(chunks × words).
  public func _checkInvariants() { core.pointee.checkInvariants() }
}
