// The real runs of a simulation's report: the server under reads and writes of known size, and the
// allocator over a store that costs nothing.

import AddressSpace
import BitmapAllocator
import ConsulBackend
import Foundation
import IPAM
import IPAMTesting

struct Measurement {
  let consul: String
  let seconds: Double
  let progress: (String) -> Void

  /// Measures a server and what the simulation is checked against, each step with a new server.
  func calibration() async throws -> Calibration {
    let before = MachineUse()
    var version = ""
    var reads: [UInt64] = []
    var readsPerSecond = 0.0
    var readBytes = Calibration.Bytes(sent: 0, received: 0)
    var writes: [Calibration.Write] = []
    for leases in [0, 1, 31] {
      try await withServer("measuring commits of \(leases) leases") { server in
        version = server.version
        let load = ServerLoad(address: server.address, leases: leases)
        let alone = try await load.run(.write, connections: 1, seconds: seconds)
        let all = try await load.run(
          .write, connections: Calibration.connections, seconds: seconds)
        writes.append(
          Calibration.Write(
            operations: 1 + 2 * leases, latencies: Calibration.quantiles(alone.latencies),
            between: Calibration.quantiles(all.between), perSecond: all.perSecond,
            bytes: all.bytesOfOne))
        guard leases == 1 else { return }
        progress("measuring reads")
        reads = try await load.run(.read, connections: 1, seconds: seconds).latencies
        let read = try await load.run(
          .read, connections: Calibration.connections, seconds: seconds)
        (readsPerSecond, readBytes) = (read.perSecond, read.bytesOfOne)
      }
    }
    progress("measuring the allocator")
    let planning = try await planning()
    var realities: [Reality] = []
    for shape in Shape.all {
      try await withServer("measuring \(shape.name)") {
        realities.append(try await Reality(of: shape, on: $0))
      }
    }
    return try Calibration(
      server: version, date: Date().formatted(.iso8601),
      processors: ProcessInfo.processInfo.activeProcessorCount,
      others: MachineUse().others(since: before), reads: Calibration.quantiles(reads),
      readsPerSecond: readsPerSecond, readBytes: readBytes,
      chunkBytes: Double(Traffic.encoded(ServerLoad.chunk())), writes: writes,
      planning: Calibration.quantiles(planning),
      realities: realities)
  }

  private func withServer(
    _ step: String, _ body: (ConsulServer) async throws -> Void
  ) async throws {
    progress(step)
    let server = try await ConsulServer(binary: consul, for: step)
    defer { server.end() }
    try await body(server)
  }

  /// Acquisitions over memory, one after the other.
  private func planning() async throws -> [UInt64] {
    let surroundings = Surroundings.system
    let scenario = try Shape.all[0].scenario(.init(hop: [0], round: [0], perCommit: [0]))
    let allocator = NetworkAllocator(
      store: MemoryStore(), networkName: "net", definition: scenario.definition,
      node: Node(name: "n0"), surroundings: surroundings)
    var samples: [UInt64] = []
    for number in 0..<5_000 {
      let key = AttachmentKey(node: "n0", container: "c\(number)", interface: "eth0")
      let start = surroundings.monotonic()
      _ = try await allocator.acquire(
        AcquireRequest(attachment: key), deadline: surroundings.deadline(inMilliseconds: 30_000))
      // The first ones find caches cold.
      if number >= 1_000 { samples.append(surroundings.monotonic() - start) }
    }
    return samples
  }
}

/// A store on a server, with connections of its own.
func realStore(_ address: String, _ network: String) throws -> ConsulStore {
  var settings = ConsulSettings()
  settings.address = address
  return ConsulStore(
    try ConsulConfiguration(settings, environment: [:]), network: network, surroundings: .system)
}

/// Connections that read or write at a server as fast as it answers, each a key of its own.
struct ServerLoad {
  enum Kind { case read, write }

  /// What came of a load.
  struct Result {
    var latencies: [UInt64] = []
    /// Moments at which something ended.
    var ends: [UInt64] = []
    var start: UInt64 = 0
    var usage = Usage()

    static let window: UInt64 = 50_000_000
    /// The first tenth of a second fills queues and connections.
    private var steady: [UInt64] { ends.filter { $0 >= start + 2 * Self.window } }

    var perSecond: Double {
      guard let last = ends.max(), !steady.isEmpty else { return 0 }
      return Double(steady.count) * 1e9 / Double(last - start - 2 * Self.window)
    }

    /// Of each read or write: nothing else of this process writes or reads meanwhile.
    var bytesOfOne: Calibration.Bytes {
      let count = Double(max(1, ends.count))
      return Calibration.Bytes(
        sent: Double(usage.bytesOut) / count, received: Double(usage.bytesIn) / count)
    }

    /// The mean time between two ends, for each window: one that saw none counts as if it had seen one.
    var between: [UInt64] {
      var counts: [UInt64: Int] = [:]
      for end in steady { counts[(end - start) / Self.window, default: 0] += 1 }
      // The last window is not full.
      guard let last = counts.keys.max(), last > 2 else { return [] }
      return (2..<last).map { Self.window / UInt64(max(1, counts[$0] ?? 0)) }
    }
  }

  let address: String
  let leases: Int
  private let surroundings = Surroundings.system

  init(address: String, leases: Int) {
    self.address = address
    self.leases = leases
  }

  func run(_ kind: Kind, connections: Int, seconds: Double) async throws -> Result {
    let pool = PoolGeometry(subnet: try Prefix(parsing: "10.0.0.0/8"), chunkBits: 12)
    guard let pool else { throw BenchmarkError("a /8 is a pool") }
    let before = Usage.now
    let start = surroundings.monotonic()
    let end = start + UInt64(seconds * 1e9)
    return try await withThrowingTaskGroup(of: Result.self) { group in
      for index in 0..<connections {
        group.addTask {
          try await connection(index, kind, pool, "load-\(connections)", until: end)
        }
      }
      var all = try await group.reduce(into: Result()) {
        $0.latencies += $1.latencies
        $0.ends += $1.ends
      }
      all.start = start
      all.usage = Usage.now - before
      return all
    }
  }

  /// Half full and without any order, as a chunk is that many nodes use: its largest encoding.
  static func chunk() -> Chunk {
    var random = Chance(seed: 0x5EED)
    var chunk = Chunk(chunkBits: 12, incarnation: 1)
    chunk.bitmap = ChunkBitmap(chunkBits: 12) { _ in random.next() }
    return chunk
  }

  private func connection(
    _ index: Int, _ kind: Kind, _ pool: PoolGeometry, _ network: String, until end: UInt64
  ) async throws -> Result {
    let store = try realStore(address, network)
    let key = ChunkKey(pool: pool, node: pool.leaf(ChunkIndex(UInt64(index))))
    var random = SystemRandomNumberGenerator()
    var chunk = Self.chunk()
    var revision = Revision.absent
    var result = Result()
    while surroundings.monotonic() < end {
      let deadline = surroundings.deadline(inMilliseconds: 120_000)
      let start = surroundings.monotonic()
      switch kind {
      case .read: _ = try await store.read([.chunk(key)], consistency: .stored, deadline: deadline)
      case .write:
        chunk.stamp(writer: random.next())
        let operations =
          [.put(.chunk(key), .chunk(chunk), expected: revision)]
          + made(by: index, result.ends.count, key)
        switch await store.commit(operations, cursors: [:], deadline: deadline) {
        case .committed(let new): revision = new
        case let outcome: throw BenchmarkError("a write of the calibration ended as \(outcome)")
        }
      }
      let now = surroundings.monotonic()
      result.latencies.append(now - start)
      result.ends.append(now)
    }
    await store.shutdown()
    return result
  }

  /// The leases and attachments of a commit, new ones each time.
  private func made(by index: Int, _ turn: Int, _ key: ChunkKey) -> [StoreOperation] {
    (0..<leases).flatMap { lease -> [StoreOperation] in
      let number = UInt64(index) << 18 | UInt64(turn * leases + lease) & 0x3_FFFF
      let address = key.pool.address(of: Ordinal(number))
      let name = AttachmentKey(node: "n\(index)", container: "c\(number)", interface: "eth0")
      let attachment = Attachment(
        holdings: [
          Attachment.Holding(
            address: address, prefixLength: 8, pool: key.pool, ordinal: Ordinal(number),
            gateway: nil)
        ],
        node: Node(name: name.node), nonce: number, createdAt: surroundings.now())
      return [
        .put(.attachment(name), .attachment(attachment), expected: .absent),
        .put(.lease(address), .lease(Lease(name, attachment)), expected: .absent),
      ]
    }
  }
}
