// Times, each as a ratio to something measured in turns with it.

import Figures
import Workloads

func chunkFigures(_ options: borrowing Options) -> [Figure] {
  var table = [["acquire on a chunk, ns", "bare loop", "bitmap", "chunk"]]
  var worst: [(ratio: Double, cell: ChunkCell?)] = [(0, nil), (0, nil)]
  for cell in ChunkCell.all {
    let times = best(of: cell.contest, rounds: options.rounds)
    table.append([cell.description] + times.map(decimal))
    for index in 0...1 where times[index + 1] / times[0] > worst[index].ratio {
      worst[index] = (times[index + 1] / times[0], cell)
    }
  }
  if options.showsAll { printColumns(table) }
  let rows: [(name: String, limit: Double)] = [
    ("acquire, ChunkBitmap / bare loop over flat words", 3),
    // It also looks after ranges and cool-down, which the loop has not.
    ("acquire, Chunk / bare loop over flat words", 4),
  ]
  return zip(rows, worst).map { row, worst in
    Figure(
      "chunk", row.name, worst.ratio, .atMost(row.limit),
      note: "worst: \(worst.cell?.description ?? "")")
  }
}

func poolFigures(_ options: borrowing Options) -> [Figure] {
  let cells = PoolCell.all
  let laps = cells.map { cell in
    let workload = PoolWorkload(cell)
    workload.prepare()
    return Lap(cell.description) {
      nanoseconds { workload.acquireAndRelease(4_000) } / 4_000
    }
  }
  let times = best(of: laps, rounds: options.rounds)
  if options.showsAll {
    let rows = zip(cells, times).map { [$0.description, decimal($1)] }
    printColumns([["acquire and release on a pool", "ns"]] + rows)
  }
  let order = times.indices.sorted { times[$0] < times[$1] }
  guard let first = order.first, let last = order.last else { return [] }
  return [
    Figure(
      "pool", "acquire+release on a pool, slowest / fastest", times[last] / times[first],
      .atMost(2),
      note:
        "\(cells[first]): \(decimal(times[first])) ns; \(cells[last]): \(decimal(times[last])) ns")
  ]
}

/// A thousand at once against a thousand one by one, in each pool that has as many. Up to 90 % there
/// are several free ordinals in a word, and taking them together must pay; above, each has to be
/// found by itself, and it must not cost more than that.
func bulkFigures(_ options: borrowing Options) -> [Figure] {
  var table = [["acquire of 1,000, ns each", "single", "bulk"]]
  var worst: [(ratio: Double, cell: PoolCell?)] = [(0, nil), (0, nil)]
  for cell in PoolCell.all where cell.free >= 1_000 {
    let times = best(of: bulkContest(cell), rounds: options.rounds)
    table.append([cell.description] + times.map(decimal))
    let index = cell.fill.isDense ? 1 : 0
    if times[1] / times[0] > worst[index].ratio { worst[index] = (times[1] / times[0], cell) }
  }
  if options.showsAll { printColumns(table) }
  let rows: [(name: String, limit: Double)] = [
    ("bulk of 1,000 / single acquire, up to 90%", 1.0 / 3),
    ("bulk of 1,000 / single acquire, above 90%", 1.25),
  ]
  return zip(rows, worst).map { row, worst in
    Figure(
      "bulk", row.name, worst.ratio, .atMost(row.limit),
      note: "worst: \(worst.cell?.description ?? "")")
  }
}

private func bulkContest(_ cell: PoolCell) -> [Lap] {
  let workload = PoolWorkload(cell)
  workload.prepare()
  return [
    Lap("single") {
      let time = nanoseconds { workload.acquire(1_000) } / 1_000
      keep(workload.giveBack())
      return time
    },
    Lap("bulk") {
      let time = nanoseconds { workload.acquireBulk(1_000) } / 1_000
      require(workload.giveBack() == 1_000, "fewer than a thousand at once")
      return time
    },
  ]
}

func offsetFigures(_ options: borrowing Options) -> [Figure] {
  let workload = OffsetWorkload()
  let operations: [(name: String, ours: () -> UInt64, native: () -> UInt64)] = [
    ("add", workload.add, workload.addNative),
    ("subtract", workload.subtract, workload.subtractNative),
    ("shift", workload.shift, workload.shiftNative),
  ]
  return operations.map { operation in
    require(operation.ours() == operation.native(), "\(operation.name) is wrong")
    let laps = [
      Lap("GMP") { nanoseconds(operation.ours) / Double(workload.count) },
      Lap("UInt128") { nanoseconds(operation.native) / Double(workload.count) },
    ]
    let times = best(of: laps, rounds: options.rounds * 4)
    return Figure(
      "offset", "\(operation.name) by GMP / UInt128", times[0] / times[1], .atMost(6),
      note: "\(decimal(times[0])) ns")
  }
}

func textFigures(_ options: borrowing Options) -> [Figure] {
  let workload = TextWorkload()
  let laps = [
    Lap("ours") { nanoseconds(workload.parseAndPrint) / Double(workload.count) },
    Lap("glibc") { nanoseconds(workload.parseAndPrintByGlibc) / Double(workload.count) },
  ]
  let times = best(of: laps, rounds: options.rounds * 2)
  return [
    Figure(
      "text", "parse+print of IPv6 / inet_pton+inet_ntop", times[0] / times[1], .atMost(1),
      note: "\(decimal(times[0])) ns")
  ]
}

func threadFigures(_ options: borrowing Options) -> [Figure] {
  var table = [["two threads, ns a pair and thread", "two pools", "one pool", "one thread"]]
  var worst: (share: Double, cell: PoolCell?) = (.infinity, nil)
  let bound = 0.8
  for size in PoolSize.allCases {
    let cell = PoolCell(size: size, fill: .half)
    let workloads = [(2, 2), (1, 2), (1, 1)].map { pools, threads in
      ThreadWorkload(cell, pools: pools, threads: threads)
    }
    let laps = workloads.map { workload in
      Lap("threads") { workload.acquireAndRelease(5_000) }
    }
    let times = best(of: laps, rounds: options.rounds, attempts: 40) { $0[0] / $0[1] >= bound }
    table.append([cell.description] + times.map(decimal))
    if times[0] / times[1] < worst.share { worst = (times[0] / times[1], cell) }
  }
  if options.showsAll { printColumns(table) }
  return [
    Figure(
      "thread", "two threads on one pool / on two pools", worst.share, .atLeast(bound),
      note: "worst: \(worst.cell?.description ?? "")")
  ]
}
