// libFuzzer on everything that decodes stored bytes. Built outside the manifest by scripts/fuzz.
//
//   byte 0, low half    0…8: a chunk of k = 6 + that;  9…15: a snapshot of a pool
//           0x10        with the checksum as it is; else made right first, to get further
//   the rest            the bytes to decode
//
// What is decoded must be sound, and come back the same when it is encoded and decoded again.

import AddressSpace

@testable import BitmapAllocator

/// What libFuzzer calls with each input; 0 tells it to keep going.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let input = UnsafeBufferPointer(start: start, count: count)
  guard let mode = input.first else { return 0 }
  let isChunk = mode & 15 <= 8
  let key = isChunk ? "k" : ""
  var bytes = Array(input.dropFirst())
  if mode & 0x10 == 0, bytes.count >= 4 {
    bytes.removeLast(4)
    bytes.append(fixed: ChunkCodec.checksum(bytes, key: key))
  }
  if isChunk {
    checkChunk(bytes, key: key, chunkBits: 6 + Int(mode & 15))
  } else {
    checkSnapshot(bytes)
  }
  return 0
}

private func checkChunk(_ bytes: [UInt8], key: String, chunkBits: Int) {
  guard let chunk = try? ChunkCodec.decode(bytes, key: key, chunkBits: chunkBits) else { return }
  chunk._checkInvariants()
  let again = ChunkCodec.encode(chunk, key: key)
  let same = try? ChunkCodec.decode(again, key: key, chunkBits: chunkBits)
  precondition(same == chunk, "a decoded chunk comes back the same")
  precondition(again.count <= bytes.count, "nothing is smaller than what we write")
}

private func checkSnapshot(_ bytes: [UInt8]) {
  guard let snapshot = try? PoolSnapshot(bytes: bytes) else { return }
  let space = PoolSpace(geometry: snapshot.geometry)
  guard var pool = try? AddressPool(restoring: snapshot, space: space, cooldown: 60) else { return }
  pool._checkInvariants()
  let again = try? AddressPool(restoring: pool.snapshot(), space: space, cooldown: 60)
  precondition(again == pool, "a restored pool comes back the same")
  if let address = pool.acquire(now: 1) { precondition(pool.release(address, now: 1)) }
  pool._checkInvariants()
}
