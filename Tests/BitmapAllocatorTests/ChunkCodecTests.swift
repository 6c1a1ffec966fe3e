import Testing

@testable import BitmapAllocator

@Suite struct ChunkCodecTests {
  /// The check value of CRC-32C: RFC 3720 appendix B.4 and the usual "123456789".
  @Test func checksumKnownAnswers() {
    func crc(_ bytes: [UInt8]) -> UInt32 {
      var checksum = Checksum()
      checksum.feed(bytes)
      return checksum.value
    }
    #expect(crc(Array("123456789".utf8)) == 0xE306_9283)
    #expect(crc([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
    #expect(crc([UInt8](repeating: 0xFF, count: 32)) == 0x62A8_AB43)
    #expect(crc(Array(0..<32)) == 0x46DD_794E)
  }

  @Test(arguments: 6...14) func roundTripOfEveryDensity(chunkBits: Int) throws {
    for step in [1, 2, 3, 5, 64, 65, 1000] {
      var chunk = Chunk(chunkBits: chunkBits, incarnation: 7)
      for bit in stride(from: 0, to: 1 << chunkBits, by: step) { chunk.bitmap.take(bit) }
      chunk.stamp(writer: .max)
      let bytes = ChunkCodec.encode(chunk, key: "k")
      #expect(try ChunkCodec.decode(bytes, key: "k", chunkBits: chunkBits) == chunk)
    }
  }
}
