// What writers do, until their time is over: an operation after the other, each timed, each counted.

import AddressSpace
import BitmapAllocator
import ConsulBackend
import Histogram
import IPAM
import IPAMTesting

/// What one writer did.
struct Tally: Sendable {
  var operations = 0
  var conflicts = 0
  /// What the writer was told that it holds.
  var addresses: [IPAddress] = []
  /// Microseconds.
  var latencies = Histogram<UInt32>(highestTrackableValue: Tally.longest)
  static let longest: UInt64 = 120_000_000

  mutating func add(_ nanoseconds: UInt64) {
    operations += 1
    _ = latencies.record(min(nanoseconds / 1_000, Self.longest))
  }

  mutating func add(_ other: Tally) {
    operations += other.operations
    conflicts += other.conflicts
    addresses += other.addresses
    latencies.add(other.latencies)
  }
}

/// What writers of one kind do together.
enum Work: String, Sendable, CaseIterable {
  /// One conditional write of a key of one's own: what the server can do.
  case plain
  /// Read, change and write one key that all share, again at once after a lost race.
  case readModifyWrite
  /// Leases of one process: the home chunk, and a commit for all who wait.
  case leased
}

/// What all writers did, and the one who came first and is not counted.
struct Ran: Sendable {
  let tallies: [Tally]
  let warm: Tally
}

struct Writers: Sendable {
  let address: String
  let subnet: String
  let seconds: Double
  let surroundings = Surroundings.system

  func store(_ network: String) throws -> ConsulStore {
    var settings = ConsulSettings()
    settings.address = address
    return ConsulStore(
      try ConsulConfiguration(settings, environment: [:]), network: network,
      surroundings: surroundings)
  }

  func definition(_ network: String, kind: NetworkDefinition.Kind = .leased) throws
    -> NetworkDefinition
  {
    NetworkDefinition(
      name: network, kind: kind,
      rangeSets: try RangeSet.sets([[SubnetRange.Text(subnet: subnet)]]))
  }

  /// All writers at once; what each did.
  func run(_ work: Work, _ count: Int) async throws -> Ran {
    let shared = try store("shared")
    let allocator = NetworkAllocator(
      store: shared, networkName: "shared", definition: try definition("shared"),
      node: Node(name: "node-0", instance: "i"), surroundings: surroundings)
    var warm = Tally()
    if work == .leased { warm.addresses = try await acquire(allocator, "warm-up") }
    let end = surroundings.monotonic() + UInt64(seconds * 1e9)
    let tallies = try await withThrowingTaskGroup(of: Tally.self) { group in
      for writer in 0..<count {
        group.addTask {
          switch work {
          case .plain: try await plain(writer, until: end)
          case .readModifyWrite: try await readModifyWrite(until: end)
          case .leased: try await leased(allocator, writer, until: end)
          }
        }
      }
      return try await group.reduce(into: [Tally]()) { $0.append($1) }
    }
    return Ran(tallies: tallies, warm: warm)
  }

  private var deadline: Deadline { surroundings.deadline(inMilliseconds: 120_000) }

  func acquire(_ allocator: NetworkAllocator, _ container: String, node: String = "node-0")
    async throws -> [IPAddress]
  {
    try await allocator.acquire(
      AcquireRequest(
        attachment: AttachmentKey(node: node, container: container, interface: "eth0")),
      deadline: deadline
    ).attachment.holdings.map(\.address)
  }

  func leased(
    _ allocator: NetworkAllocator, _ writer: Int, node: String = "node-0", until end: UInt64
  ) async throws -> Tally {
    var tally = Tally()
    while surroundings.monotonic() < end {
      let start = surroundings.monotonic()
      tally.addresses += try await acquire(
        allocator, "c\(writer)-\(tally.operations)", node: node)
      tally.add(surroundings.monotonic() - start)
    }
    return tally
  }

  private func key(_ index: UInt64) throws -> StoreKey {
    let pool = PoolGeometry(subnet: try Prefix(parsing: "10.0.0.0/8"))
    guard let pool else { throw BenchmarkError("a /8 is a pool") }
    return .chunk(ChunkKey(pool: pool, node: pool.leaf(ChunkIndex(index))))
  }

  private func plain(_ writer: Int, until end: UInt64) async throws -> Tally {
    var tally = Tally()
    // A connection of one's own.
    let store = try store("plain")
    let key = try key(UInt64(writer))
    var revision = Revision.absent
    var chunk = Chunk(chunkBits: 12, incarnation: 1)
    while surroundings.monotonic() < end {
      let start = surroundings.monotonic()
      chunk.stamp(writer: UInt64(tally.operations + 1))
      switch await store.commit(
        [.put(key, .chunk(chunk), expected: revision)], cursors: [:], deadline: deadline)
      {
      case .committed(let new): revision = new
      case let outcome: throw BenchmarkError("a plain write ended as \(outcome)")
      }
      tally.add(surroundings.monotonic() - start)
    }
    await store.shutdown()
    return tally
  }

  private func readModifyWrite(until end: UInt64) async throws -> Tally {
    var tally = Tally()
    let store = try store("shared-key")
    let key = try key(0)
    while surroundings.monotonic() < end {
      let start = surroundings.monotonic()
      while surroundings.monotonic() < end {
        let entry = try await store.read([key], consistency: .stored, deadline: deadline)[key]
        var chunk = Chunk(chunkBits: 12, incarnation: 1)
        if case .chunk(let seen)? = entry?.value { chunk = seen }
        chunk.stamp(writer: surroundings.random())
        let outcome = await store.commit(
          [.put(key, .chunk(chunk), expected: entry?.revision ?? .absent)], cursors: [:],
          deadline: deadline)
        if case .committed = outcome {
          tally.add(surroundings.monotonic() - start)
          break
        }
        tally.conflicts += 1
      }
    }
    await store.shutdown()
    return tally
  }
}
