// The bitmap beside an array of booleans: every pattern at the edges of words for the small sizes,
// random events for all sizes.

import Testing
import TestSupport

@testable import BitmapAllocator

/// The slow bitmap: one boolean a bit, true where taken.
private struct SlowBitmap {
  var taken: [Bool]

  func free(in range: ClosedRange<Int>) -> [Int] { range.filter { !taken[$0] } }

  func alignedBlock(_ order: Int, in range: ClosedRange<Int>) -> Int? {
    stride(from: 0, to: taken.count, by: 1 << order).first { first in
      let block = first...first + (1 << order) - 1
      return range.contains(first) && range.contains(block.upperBound)
        && !block.contains { taken[$0] }
    }
  }

  func cyclic(from start: Int, in range: ClosedRange<Int>) -> Int? {
    let free = free(in: range)
    return free.first { $0 >= start } ?? free.first
  }
}

private func expectSame(
  _ bitmap: ChunkBitmap, _ slow: SlowBitmap, _ ranges: [ClosedRange<Int>], starts: [Int],
  _ comment: Comment
) {
  bitmap._checkInvariants()
  #expect(bitmap.takenCount == slow.taken.count { $0 }, comment)
  for range in ranges {
    let free = slow.free(in: range)
    #expect(bitmap.freeCount(in: range) == free.count, comment)
    #expect(bitmap.firstFree(in: range) == free.first, comment)
    #expect(bitmap.firstTaken(in: range) == range.first { slow.taken[$0] }, comment)
    #expect(bitmap.nthFree(free.count, in: range) == nil, comment)
    #expect(bitmap.nthFree(free.count - 1, in: range) == free.last, comment)
    #expect(bitmap.nthFree(free.count / 2, in: range) == free.dropFirst(free.count / 2).first)
    for order in 0...bitmap.chunkBits {
      let block = bitmap.freeAlignedBlock(order: order, in: range)
      #expect(block == slow.alignedBlock(order, in: range), comment)
    }
    for start in starts {
      #expect(bitmap.nextFree(from: start, in: range) == free.first { $0 >= start }, comment)
      var copy = bitmap
      let cyclic = slow.cyclic(from: start, in: range)
      let taken = copy.takeNext(from: start, in: range)
      #expect(taken == cyclic, comment)
      if let cyclic {
        #expect(copy.isTaken(cyclic) && copy.takenCount == bitmap.takenCount + 1, comment)
        copy._checkInvariants()
      }
    }
  }
}

@Suite struct ChunkBitmapTests {
  @Test(arguments: 6...8, [true, false])
  func everyPatternAtTheEdgesOfWords(chunkBits: Int, isFull: Bool) {
    let last = (1 << chunkBits) - 1
    for edge in stride(from: 64, through: max(64, last - 63), by: 64) {
      let bits = (edge - 2...edge + 2).filter { $0 <= last }
      let ends = ([0, last] + bits).sorted()
      let ranges = ends.flatMap { low in ends.filter { $0 >= low }.map { low...$0 } }
      for pattern in 0..<1 << bits.count {
        var bitmap: ChunkBitmap = isFull ? .full(chunkBits: chunkBits) : .init(chunkBits: chunkBits)
        var slow = SlowBitmap(taken: Array(repeating: isFull, count: last + 1))
        for (position, bit) in bits.enumerated() {
          let taken = pattern >> position & 1 == 1
          _ = taken ? bitmap.take(bit) : bitmap.free(bit)
          slow.taken[bit] = taken
        }
        let some = pattern % 4 == 0 ? ranges : [0...last, ranges[pattern % ranges.count]]
        expectSame(
          bitmap, slow, some, starts: [0, edge - 1, min(edge, last)], "\(edge) \(pattern)")
      }
    }
  }

  @Test(arguments: 6...14) func agreesWithBooleans(chunkBits: Int) {
    let seed = runSeed
    var random = SeededGenerator(seed: seed.value &+ UInt64(chunkBits))
    var bitmap = ChunkBitmap(chunkBits: chunkBits)
    var slow = SlowBitmap(taken: Array(repeating: false, count: 1 << chunkBits))
    for _ in 0..<(chunkBits > 9 ? 12 : 120) {
      let ends = [
        Int.random(in: bitmap.allBits, using: &random),
        Int.random(in: bitmap.allBits, using: &random),
      ].sorted()
      let range = ends[0]...ends[1]
      let bit = range.lowerBound
      switch Int.random(in: 0..<6, using: &random) {
      case 0:
        let wasFree = bitmap.take(bit)
        #expect(wasFree == !slow.taken[bit], "\(seed)")
        slow.taken[bit] = true
      case 1:
        let wasTaken = bitmap.free(bit)
        #expect(wasTaken == slow.taken[bit], "\(seed)")
        slow.taken[bit] = false
      case 2:
        bitmap.takeAll(in: range)
        for bit in range { slow.taken[bit] = true }
      case 3:
        bitmap.freeAll(in: range)
        for bit in range { slow.taken[bit] = false }
      case 4: takeMany(&bitmap, &slow, range, &random, seed)
      default: checkRandomFree(bitmap, slow, range, &random, seed)
      }
      expectSame(bitmap, slow, [range], starts: [range.upperBound], "\(seed)")
      checkRuns(bitmap, slow, seed)
    }
  }

  private func takeMany(
    _ bitmap: inout ChunkBitmap, _ slow: inout SlowBitmap, _ range: ClosedRange<Int>,
    _ random: inout SeededGenerator, _ seed: TestSeed
  ) {
    let cursor = Int.random(in: bitmap.allBits, using: &random)
    let count = Int.random(in: 0...range.count + 1, using: &random)
    let middle = (range.lowerBound + range.upperBound) / 2
    let ranges =
      range.count > 3 ? [range.lowerBound...middle, middle + 2...range.upperBound] : [range]
    let usable = ranges.filter { !$0.isEmpty }.flatMap { slow.free(in: $0) }
    let expected = usable.filter { $0 >= cursor } + usable.filter { $0 < cursor }
    var bits: [Int] = []
    let taken = bitmap.takeUpTo(count, in: ranges, from: cursor, into: &bits)
    #expect(taken == bits.count && bits == Array(expected.prefix(count)), "\(seed)")
    for bit in bits { slow.taken[bit] = true }
  }

  private func checkRandomFree(
    _ bitmap: ChunkBitmap, _ slow: SlowBitmap, _ range: ClosedRange<Int>,
    _ random: inout SeededGenerator, _ seed: TestSeed
  ) {
    let free = slow.free(in: range)
    let bit = bitmap.randomFree(hash: random.next(), in: [range])
    #expect(bit.map(free.contains) ?? free.isEmpty, "\(seed)")
    #expect(bitmap.randomFree(hash: 0, in: [range]) == free.first, "\(seed)")
    #expect(bitmap.randomFree(hash: .max, in: [range]) == free.last, "\(seed)")
  }

  private func checkRuns(_ bitmap: ChunkBitmap, _ slow: SlowBitmap, _ seed: TestSeed) {
    var rebuilt = ChunkBitmap(chunkBits: bitmap.chunkBits)
    var end = -2
    bitmap.forEachTakenRun { run in
      #expect(run.lowerBound > end + 1, "\(seed)")
      rebuilt.takeAll(in: run)
      end = run.upperBound
    }
    #expect(rebuilt == bitmap, "\(seed)")
    let words = ChunkBitmap(chunkBits: bitmap.chunkBits) { bitmap.word($0) }
    #expect(words == bitmap, "\(seed)")
  }

  @Test func combinesAndCopies() {
    var odd = ChunkBitmap(chunkBits: 7)
    for bit in stride(from: 1, to: 128, by: 2) { odd.take(bit) }
    var even = ChunkBitmap.full(chunkBits: 7)
    even.subtract(odd)
    #expect(even.takenCount == 64 && even.isTaken(0) && !even.isTaken(1))
    var all = even
    all.formUnion(odd)
    #expect(all == .full(chunkBits: 7) && even.takenCount == 64)
    all.formIntersection(odd)
    #expect(all == odd && all.hashValue == odd.hashValue)
    #expect(odd != ChunkBitmap(chunkBits: 7) && odd != ChunkBitmap(chunkBits: 8))
  }

  @Test func refusesBitsOutsideIt() async {
    await #expect(processExitsWith: .failure) { _ = ChunkBitmap(chunkBits: 6).isTaken(64) }
    await #expect(processExitsWith: .failure) { _ = ChunkBitmap(chunkBits: 6).isTaken(-1) }
    await #expect(processExitsWith: .failure) { _ = ChunkBitmap(chunkBits: 5) }
    await #expect(processExitsWith: .failure) { _ = ChunkBitmap(chunkBits: 15) }
  }
}
