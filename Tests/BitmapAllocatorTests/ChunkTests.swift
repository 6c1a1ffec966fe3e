// Acquire, release and cool-down in one chunk, beside a dictionary of release times.

import Testing
import TestSupport

@testable import BitmapAllocator

@Suite struct ChunkTests {
  @Test(arguments: 0..<60) func coolsForLongEnoughAndNotMuchLonger(round: UInt64) {
    let seed = runSeed
    var random = SeededGenerator(seed: seed.value &+ round)
    let cooldown: UInt64 = [0, 1, 7, 60, 1000].randomElement(using: &random) ?? 0
    let span = CoolingBuckets.span(cooldown: cooldown)
    var chunk = Chunk(chunkBits: 6, incarnation: 1)
    let allowed = [2...20, 30...61]
    let usable = Set(allowed.joined())
    var held: Set<Int> = []
    var released: [Int: UInt64] = [:]
    var now: UInt64 = 5000
    for _ in 0..<400 {
      now += UInt64.random(in: 0...3, using: &random) * span / 2
      switch Int.random(in: 0..<5, using: &random) {
      case 0, 1:
        let bit = chunk.acquire(in: allowed, now: now, cooldown: cooldown)
        let must = usable.contains { bit in
          !held.contains(bit) && (released[bit].map { $0 + cooldown + span <= now } ?? true)
        }
        #expect(bit != nil || !must, "\(seed)")
        guard let bit else { break }
        #expect(usable.contains(bit) && !held.contains(bit), "\(seed)")
        #expect((released[bit] ?? 0) + cooldown <= now, "\(seed)")
        held.insert(bit)
        released[bit] = nil
      case 2:
        guard let bit = chunk.borrowOldest(in: allowed) else { break }
        #expect(released[bit] != nil && !held.contains(bit), "\(seed)")
        #expect(released.values.allSatisfy { $0 + span > released[bit] ?? 0 }, "\(seed)")
        held.insert(bit)
        released[bit] = nil
      default:
        let bit = Int.random(in: 0..<64, using: &random)
        #expect(chunk.isHeld(bit) == held.contains(bit), "\(seed)")
        let isReleased = chunk.release(bit, now: now, cooldown: cooldown)
        let wasHeld = held.remove(bit) != nil
        #expect(isReleased == wasHeld, "\(seed)")
        if isReleased, cooldown > 0 { released[bit] = now }
      }
      // What has expired in the chunk is free there; the rest of it still waits.
      for bit in released.keys where !chunk.bitmap.isTaken(bit) { released[bit] = nil }
      chunk._checkInvariants()
      #expect(chunk.bitmap.takenCount == held.count + chunk.cooling.count, "\(seed)")
      #expect(chunk.cooling.buckets.count <= 10, "\(seed)")
    }
  }

  @Test func cursorMovesOnAndWraps() {
    var chunk = Chunk(chunkBits: 6, incarnation: 1)
    func next() -> Int? { chunk.acquire(in: [2...4, 62...63], now: 0, cooldown: 0) }
    let first = (0..<6).map { _ in next() }
    #expect(first == [2, 3, 4, 62, 63, nil])
    chunk.release(62, now: 0, cooldown: 0)
    chunk.release(3, now: 0, cooldown: 0)
    let again = [next(), next()]
    #expect(again == [3, 62])
  }

  /// A crash-looping container does not get the address that it just lost.
  @Test func doesNotReuseAtOnce() {
    var chunk = Chunk(chunkBits: 8, incarnation: 1)
    var seen: Set<Int> = []
    for _ in 0..<256 {
      guard let bit = chunk.acquire(in: [0...255], now: 0, cooldown: 0) else { break }
      let isNew = seen.insert(bit).inserted
      #expect(isNew)
      chunk.release(bit, now: 0, cooldown: 0)
    }
    #expect(seen.count == 256)
  }

  @Test func bucketFromTheFutureCountsAsNow() {
    var chunk = Chunk(chunkBits: 6, incarnation: 1)
    for bit in 0..<3 { _ = chunk.acquire(bit: bit, now: 0, cooldown: 60) }
    chunk.release(0, now: 9_000_000, cooldown: 60)
    chunk.release(1, now: 1000, cooldown: 60)
    #expect(chunk.cooling.buckets.map(\.since) == [1000])
    #expect(chunk.cooling.count == 2)
    chunk.release(2, now: 990, cooldown: 60)
    #expect(chunk.cooling.buckets.map(\.since) == [990])
    chunk.expire(now: 1050, cooldown: 60)
    #expect(chunk.bitmap.takenCount == 0)
  }

  /// No release comes to set its time right: it waits for that, unless it is far away.
  @Test func bucketFromFarAheadHasCooled() {
    for (ahead, isWaitedFor) in [(3_600, true), (3_601, false), (UInt64.max - 1000, false)] {
      var chunk = Chunk(chunkBits: 6, incarnation: 1)
      _ = chunk.acquire(bit: 7, now: 1000, cooldown: 60)
      chunk.release(7, now: 1000 + ahead, cooldown: 60)
      let isTaken = chunk.acquire(bit: 7, borrowing: false, now: 1000, cooldown: 60)
      #expect(isTaken != isWaitedFor, "\(ahead)")
    }
  }

  /// More buckets than a cool-down makes, as after a change of it: the oldest join younger ones.
  @Test func bucketsAreBounded() {
    var cooling = CoolingBuckets()
    for bit in 0..<64 { cooling.insert(bit, now: UInt64(bit) * 10, cooldown: 8, chunkBits: 6) }
    #expect(cooling.count == 64)
    #expect(cooling.buckets.count == CoolingBuckets.bucketLimit)
    #expect(CoolingBuckets(cooling.buckets) == cooling)
    #expect(cooling.contains(0) && cooling.buckets[0].since == 480)
  }

  @Test func acquiresManyAndBlocks() {
    var chunk = Chunk(chunkBits: 7, incarnation: 1)
    let many = chunk.acquire(count: 3, in: [5...100], now: 0, cooldown: 0)
    #expect(many == [5, 6, 7])
    let block = chunk.acquireAlignedBlock(order: 4, in: [5...100], now: 0, cooldown: 0)
    #expect(block == 16)
    let next = chunk.acquire(in: [5...100], now: 0, cooldown: 0)
    #expect(next == 8)
    let isTakenTwice = chunk.acquire(bit: 20, now: 0, cooldown: 0)
    #expect(!isTakenTwice)
    let large = chunk.acquireAlignedBlock(order: 6, in: [5...100], now: 0, cooldown: 0)
    #expect(large == nil)
    chunk.release(20, now: 0, cooldown: 9)
    let isPatient = chunk.acquire(bit: 20, borrowing: false, now: 1, cooldown: 9)
    let isBorrowed = chunk.acquire(bit: 20, now: 1, cooldown: 9)
    #expect(!isPatient && isBorrowed)
  }

  @Test func remembersFourWriters() {
    var chunk = Chunk(chunkBits: 6, incarnation: 1)
    for token in 1...6 { chunk.stamp(writer: UInt64(token)) }
    #expect(chunk.writers == [6, 5, 4, 3] && chunk.generation == 6)
    #expect(chunk.wasWritten(by: 3) && !chunk.wasWritten(by: 2))
  }
}
