// The codec: round trips of every container, sizes, and bytes that nobody should have written.

import AddressSpace
import Testing
import TestSupport

@testable import BitmapAllocator

/// A chunk whose set bits come in runs, dense or not, as the seed has it.
private func anyChunk(_ chunkBits: Int, _ random: inout SeededGenerator) -> Chunk {
  var chunk = Chunk(chunkBits: chunkBits, incarnation: random.next())
  let capacity = 1 << chunkBits
  chunk.bitmap = anyBitmap(chunkBits, &random)
  for _ in 0..<Int.random(in: 0...6, using: &random) { chunk.stamp(writer: random.next()) }
  chunk.generation = random.next() >> UInt64.random(in: 0...63, using: &random)
  chunk.isMarked = Bool.random(using: &random)
  chunk.cursor = Int.random(in: 0..<capacity, using: &random)
  chunk.features.compatible = random.next() >> UInt64.random(in: 0...63, using: &random)
  if Bool.random(using: &random) { chunk.features.incompatible = .bare }
  var now = random.next() >> 20
  for _ in 0..<Int.random(in: 0...20, using: &random) {
    now += UInt64.random(in: 0...100, using: &random)
    let bit = Int.random(in: 0..<capacity, using: &random)
    chunk.release(bit, now: now, cooldown: 80)
  }
  return chunk
}

private func anyBitmap(_ chunkBits: Int, _ random: inout SeededGenerator) -> ChunkBitmap {
  var bitmap = ChunkBitmap(chunkBits: chunkBits)
  let mean = 1 << Int.random(in: 0...chunkBits, using: &random)
  let gap = 1 << Int.random(in: 0...chunkBits, using: &random)
  var bit = Int.random(in: 0...gap, using: &random)
  while bit < bitmap.capacity {
    let end = min(bitmap.capacity - 1, bit + Int.random(in: 0..<mean, using: &random))
    bitmap.takeAll(in: bit...end)
    bit = end + 1 + Int.random(in: 1...gap, using: &random)
  }
  return bitmap
}

extension ContainerKind {
  /// The bytes of this container's payload for `bitmap`.
  fileprivate func size(_ bitmap: ChunkBitmap) -> Int {
    var bytes: [UInt8] = []
    bytes.append(payload: bitmap, as: self)
    return bytes.count
  }
}

@Suite struct ChunkCodecTests {
  @Test(arguments: 6...14) func roundTrip(chunkBits: Int) throws {
    let seed = runSeed
    var random = SeededGenerator(seed: seed.value &+ UInt64(chunkBits))
    for _ in 0..<150 {
      let chunk = anyChunk(chunkBits, &random)
      let bytes = ChunkCodec.encode(chunk, key: "pools/x/0/1")
      #expect(bytes.count <= ChunkCodec.sizeLimit(chunkBits: chunkBits), "\(seed)")
      let decoded = try ChunkCodec.decode(bytes, key: "pools/x/0/1", chunkBits: chunkBits)
      #expect(decoded == chunk, "\(seed)")
      decoded._checkInvariants()
    }
  }

  @Test(arguments: 6...14) func choosesTheSmallestContainer(chunkBits: Int) throws {
    let seed = runSeed
    var random = SeededGenerator(seed: seed.value &+ UInt64(chunkBits))
    var seen: Set<ContainerKind> = []
    for round in 0..<120 {
      var bitmap = anyBitmap(chunkBits, &random)
      if round == 0 { bitmap = ChunkBitmap(chunkBits: chunkBits) }
      if round == 1 { bitmap = .full(chunkBits: chunkBits) }
      let kind = bitmap.smallestContainer()
      seen.insert(kind)
      guard kind != .empty, kind != .full else { continue }
      for other in [ContainerKind.list, .inverse, .runs, .dense] {
        #expect(kind.size(bitmap) <= other.size(bitmap), "\(seed) \(kind) \(other)")
      }
      var chunk = Chunk(chunkBits: chunkBits, incarnation: 1)
      chunk.bitmap = bitmap
      let bytes = ChunkCodec.encode(chunk, key: "")
      #expect(try ChunkCodec.decode(bytes, key: "", chunkBits: chunkBits) == chunk, "\(seed)")
      checkAgainstRoaring(bitmap, kind.size(bitmap), seed)
    }
    #expect(seen.count >= 5, "\(seed) \(seen)")
  }

  /// Roaring's containers: 2 bytes a value, or 2 + 4 a run, or 8 KiB.
  private func checkAgainstRoaring(_ bitmap: ChunkBitmap, _ size: Int, _ seed: TestSeed) {
    var runs = 0
    bitmap.forEachTakenRun { _ in runs += 1 }
    #expect(size <= min(2 * bitmap.takenCount, 2 + 4 * runs, 8192), "\(seed)")
    #expect(size <= bitmap.capacity / 8, "\(seed)")
  }

  @Test func headerAndTrailerAreSmall() {
    var chunk = Chunk(chunkBits: 14, incarnation: .max)
    chunk.generation = .max - 4
    for _ in 0..<4 { chunk.stamp(writer: .max) }
    chunk.features = ChunkFeatures(incompatible: .bare, compatible: .max)
    chunk.cursor = 16383
    chunk.isMarked = true
    chunk.bitmap = .full(chunkBits: 14)
    #expect(ChunkCodec.encode(chunk, key: "k").count <= 96)
  }

  /// The figure of 10,000 addresses in order from a /8: all chunks together, four writers each.
  @Test func tenThousandInOrderAreFewBytes() throws {
    let subnet = try Prefix(parsing: "10.0.0.0/8")
    let geometry = try #require(PoolGeometry(subnet: subnet))
    var store = TreeStore(space: PoolSpace(geometry: geometry))
    var start = ChunkIndex(.zero)
    for _ in 0..<10_000 {
      let got = try #require(try store.acquire(from: start, order: .next, now: 0))
      start = geometry.node(of: got).node.index
    }
    let size = store.chunks.reduce(0) { sum, entry in
      var chunk = entry.value
      for token in 0..<4 { chunk.stamp(writer: UInt64.max - UInt64(token)) }
      return sum + ChunkCodec.encode(chunk, key: geometry.name(of: entry.key)).count
    }
    #expect(size <= 600)
  }
}

@Suite struct HostileChunkTests {
  private func reason(
    _ bytes: [UInt8], key: String = "k", chunkBits: Int = 6
  ) -> ChunkCodecError.Reason? {
    do throws(ChunkCodecError) {
      let chunk = try ChunkCodec.decode(bytes, key: key, chunkBits: chunkBits)
      chunk._checkInvariants()
      let again = ChunkCodec.encode(chunk, key: key)
      let same = try ChunkCodec.decode(again, key: key, chunkBits: chunkBits)
      #expect(same == chunk)
      return nil
    } catch {
      return error.reason
    }
  }

  /// `bytes` with the last four replaced by the right checksum.
  private func sealed(_ bytes: [UInt8], key: String = "k") -> [UInt8] {
    var body = Array(bytes.dropLast(4))
    body.append(fixed: ChunkCodec.checksum(body, key: key))
    return body
  }

  @Test func namesWhatIsWrong() {
    let bytes = ChunkCodec.encode(Chunk(chunkBits: 6, incarnation: 1), key: "k")
    func with(_ position: Int, _ byte: UInt8) -> [UInt8] {
      var copy = bytes
      copy[position] = byte
      return sealed(copy)
    }
    #expect(reason(bytes) == nil)
    #expect(reason(bytes, key: "l") == .checksum)
    #expect(reason([]) == .truncated)
    #expect(reason([UInt8](repeating: 0, count: 9000)) == .tooLong)
    #expect(reason(with(0, 0)) == .magic)
    #expect(reason(with(4, 2)) == .version(2))
    #expect(reason(with(5, 0x80)) == .flags)
    #expect(reason(with(5, 6)) == .flags)
    #expect(reason(with(5, 5 << 3)) == .flags)
    #expect(reason(with(6, 7)) == .chunkBits(7))
    #expect(reason(bytes, chunkBits: 7) == .chunkBits(6))
    #expect(reason(with(7, 2)) == .incompatibleFeatures(2))
    #expect(reason(with(7, 1)) == nil)
    #expect(reason(with(18, 64)) == .cursor)
    #expect(reason(with(19, 1)) == .population)
    #expect(reason(with(19, 65)) == .population)
    #expect(reason(with(20, 17)) == .cooling)
    #expect(reason(sealed(bytes + [0])) == .trailingBytes)
    #expect(reason(with(5, 1)) == .population)
  }

  /// The population stands before the words: a reader that believed it would count wrong for ever.
  @Test func aDenseChunkCountsWhatItHas() {
    var chunk = Chunk(chunkBits: 6, incarnation: 1)
    chunk.bitmap = ChunkBitmap(chunkBits: 6) { _ in 0x9669_6996_5AA5_A55A }
    let bytes = ChunkCodec.encode(chunk, key: "k")
    #expect(reason(bytes) == nil && bytes[19] == 32)
    for wrong in [1, 31, 33, 64] as [UInt8] {
      var copy = bytes
      copy[19] = wrong
      #expect(reason(sealed(copy)) == .population, "\(wrong)")
    }
  }

  /// A number has one encoding: not longer than it has to be, and not past 64 bits.
  @Test func numbersHaveOneEncoding() throws {
    var chunk = Chunk(chunkBits: 6, incarnation: 1)
    chunk.generation = 1
    let bytes = ChunkCodec.encode(chunk, key: "k")
    func generation(_ varint: [UInt8]) -> [UInt8] {
      sealed(Array(bytes[..<17]) + varint + Array(bytes[18...]))
    }
    #expect(bytes[17] == 1 && reason(generation([1])) == nil)
    #expect(reason(generation([0x81, 0x00])) == .number)
    let nines = [UInt8](repeating: 0xFF, count: 9)
    #expect(reason(generation(nines + [0x01])) == nil)
    #expect(reason(generation(nines + [0x02])) == .number)
    #expect(reason(generation(nines + [0x81, 0x01])) == .number)
  }

  @Test(arguments: [6, 8, 12]) func everyTruncationIsRefused(chunkBits: Int) {
    let seed = runSeed
    var random = seed.generator
    for _ in 0..<20 {
      let bytes = ChunkCodec.encode(anyChunk(chunkBits, &random), key: "k")
      for count in 0..<bytes.count {
        let cut = Array(bytes.prefix(count))
        #expect(reason(cut, chunkBits: chunkBits) != nil, "\(seed)")
        guard count >= 4, count % 7 == 0 else { continue }
        #expect(reason(sealed(cut), chunkBits: chunkBits) != nil, "\(seed)")
      }
    }
  }

  /// Any byte anywhere, with a right checksum: refused, or a chunk that is sound.
  @Test(arguments: [6, 7, 9, 12]) func mutationsAreRefusedOrSound(chunkBits: Int) {
    let seed = runSeed
    var random = seed.generator
    for _ in 0..<400 {
      let sound = ChunkCodec.encode(anyChunk(chunkBits, &random), key: "k")
      var bytes = sound
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        let index = bytes.indices.randomElement(using: &random) ?? 0
        switch Int.random(in: 0..<4, using: &random) {
        case 0: bytes[index] = UInt8.random(in: 0...255, using: &random)
        case 1: bytes[index] ^= 1 << UInt8.random(in: 0...7, using: &random)
        case 2: bytes.insert(UInt8.random(in: 0...255, using: &random), at: index)
        default: if bytes.count > 5 { bytes.remove(at: index) }
        }
      }
      #expect(bytes == sound || reason(bytes, chunkBits: chunkBits) != nil, "\(seed)")
      _ = reason(sealed(bytes), chunkBits: chunkBits)
    }
  }

  @Test func noiseIsRefused() {
    let seed = runSeed
    var random = seed.generator
    for _ in 0..<500 {
      let count = Int.random(in: 0...300, using: &random)
      var bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
      #expect(reason(bytes) != nil, "\(seed)")
      bytes = Array(ChunkCodec.magic + [1] + bytes)
      _ = reason(sealed(bytes))
    }
  }

  /// The check value of CRC-32C: RFC 3720 appendix B.4, and the usual "123456789".
  @Test func checksumKnownAnswers() {
    func crc(_ bytes: [UInt8]) -> UInt32 { ChunkCodec.checksum(bytes, key: "") }
    #expect(crc(Array("123456789".utf8)) == 0xE306_9283)
    #expect(crc([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
    #expect(crc([UInt8](repeating: 0xFF, count: 32)) == 0x62A8_AB43)
    #expect(crc(Array(0..<32)) == 0x46DD_794E)
    #expect(ChunkCodec.checksum(Array("1234".utf8), key: "56789") == 0xE306_9283)
  }
}
