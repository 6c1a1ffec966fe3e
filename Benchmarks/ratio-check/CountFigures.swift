// Bytes and allocations: they are the same on every machine. Those that the issue of the table does
// not bound are held to what is checked in, so that a change that costs more is a decision.

import CHeap
import Figures
import FoundationEssentials
import Workloads

func byteFigures(_ options: borrowing Options) -> [Figure] {
  let samples = EncodedBytes.samples
  func most(_ value: (EncodedBytes) -> Int) -> Double { Double(samples.map(value).max() ?? 0) }
  var figures = [
    Figure(
      "bytes", "payload - dense words, most of \(samples.count) chunks",
      most { $0.payload - $0.dense }, .atMost(0), note: "bytes"),
    Figure(
      "bytes", "header and trailer with four tokens, most", most(\.around), .atMost(96),
      note: "bytes"),
    Figure(
      "bytes", "chunks of 10,000 in order from a /8", Double(EncodedBytes.inOrder(10_000)),
      .atMost(600), note: "bytes"),
  ]
  if samples.allSatisfy({ $0.roaring != nil }) {
    figures.append(
      Figure(
        "bytes", "payload - CRoaring's, most", most { $0.payload - ($0.roaring ?? 0) },
        .atMost(0), note: "bytes"))
  } else {
    print("CRoaring is not installed (libroaring-dev): not compared with.\n")
  }
  return figures
}

func heapFigures(_ options: borrowing Options) -> [Figure] {
  let before = cheap_bytes_in_use()
  let pool = RandomPool(count: 1_000)
  let bytes = Double(cheap_bytes_in_use() - before)
  withExtendedLifetime(pool) {}
  return [
    Figure(
      "heap", "a pool of ::/0 with 1,000 random addresses", bytes / 1_024, .atMost(1_024),
      note: "KiB")
  ]
}

/// The allocations of `count` operations, for each; the first is not counted.
private func allocations(_ count: Int, _ body: () -> UInt64) -> Double {
  keep(body())
  let before = cheap_allocations()
  keep(body())
  return Double(cheap_allocations() - before) / Double(count)
}

private func counts() -> [(name: String, value: Double)] {
  let pool = PoolWorkload(PoolCell(size: .slash16, fill: .half))
  pool.prepare()
  let chunk = ChunkBytesWorkload(ChunkCell(chunkBits: 12, fill: .half))
  let (texts, offsets) = (TextWorkload(), OffsetWorkload())
  var counts: [(name: String, value: Double)] = [
    ("allocations.pool.acquire-release", allocations(1_000) { pool.acquireAndRelease(1_000) }),
    ("allocations.pool.given-address", allocations(1_000) { pool.acquireGiven(1_000) }),
    (
      "allocations.pool.bulk-of-1000",
      allocations(1) { pool.acquireBulk(1_000) &+ pool.giveBack() }
    ),
    ("allocations.offset.add", allocations(offsets.count, offsets.add)),
    ("allocations.offset.subtract", allocations(offsets.count, offsets.subtract)),
    ("allocations.offset.shift", allocations(offsets.count, offsets.shift)),
    ("allocations.address.parse", allocations(texts.count, texts.parse)),
    ("allocations.address.print", allocations(texts.count, texts.print)),
    ("allocations.chunk.encode", allocations(100) { chunk.encode(100) }),
    ("allocations.chunk.decode", allocations(100) { chunk.decode(100) }),
  ]
  for cell in ChunkCell.all {
    let name = "bytes.chunk.2^\(cell.chunkBits).\(cell.fill)".split(separator: " ")
    counts.append((name.joined(separator: "-"), Double(EncodedBytes.total(cell))))
  }
  return counts
}

/// The counts against the file of thresholds, or into it.
func countFigures(_ options: borrowing Options) throws -> [Figure] {
  let counts = counts()
  let file = URL(filePath: options.thresholds)
  if options.updates { try Thresholds.write(counts, head: thresholdsHead, to: file) }
  let bounds = try Thresholds(file: file)
  return counts.map { name, value in
    Figure("counts", name, value, .atMost(bounds[name]))
  }
}

private let thresholdsHead = """
  # Counts that must not grow; written by `make bench-update`. Say in the commit why one did.

  """
