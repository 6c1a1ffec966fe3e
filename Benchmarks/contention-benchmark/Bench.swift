// Runs one cell: new ground, writers, what it cost the server, the audit, and the ground is removed.

import BitmapAllocator
import Foundation
import IPAM
import IPAMTesting

struct Bench: Sendable {
  /// The program to start as a server.
  let binary: String
  /// HOST:PORT of a Consul that runs already, for cells on ground `address`.
  var address: String?

  /// Measures one cell.
  func measure(_ cell: Cell, turn: Int = 1) async throws -> CellResult {
    try cell.check()
    let folder = try Children.folder()
    defer { Children.remove(folder) }
    var place = Place(folder: folder.path)
    var servers: ConsulServer?
    if cell.ground == .address {
      place.consul = address
    } else if cell.needsServer {
      servers = try await ConsulServer(
        binary: binary, cell.ground, for: "\(cell.name), \(cell.writers) writers")
      place.consul = servers?.address
    }
    defer { servers?.end() }
    do {
      let result = try await measure(cell, turn, place, servers)
      try removeKeys(cell, place)
      return result
    } catch {
      try? removeKeys(cell, place)
      throw error
    }
  }

  /// What the server has used, at one moment.
  private struct Reading: Sendable {
    var entries: Int?
    var processor: Double?
    var state: ServerState?

    init(_ place: Place, _ servers: ConsulServer?) throws {
      guard let address = place.consul else { return }
      state = try ServerState(address)
      (entries, processor) = (state?.lastLogIndex, servers?.processorSeconds)
    }
  }

  private func measure(
    _ cell: Cell, _ turn: Int, _ place: Place, _ servers: ConsulServer?
  ) async throws -> CellResult {
    let memory = cell.ground == .memory ? MemoryStore() : nil
    let nodes = try await Self.nodes(cell)
    var history: [HistoryEvent] = []
    if cell.work == .leases {
      let store = try place.store(cell, memory: memory)
      try await found(cell, store)
      history = try await Fill.run(cell, store)
      await store.close()
    }
    let watchers = try Watchers(cell.watchers, place)
    defer { watchers.end() }

    let ran =
      cell.processes == 1
      ? try await tasks(cell, place, nodes, memory) { try Reading(place, servers) }
      : try await processes(cell, place, nodes) { try Reading(place, servers) }
    let after = try Reading(place, servers)
    let raftBytes = servers?.raftBytes
    watchers.end()

    history += try ran.shares.flatMap(\.tallies).flatMap { try $0.history() }
    var findings: [String] = []
    if !cell.work.isBaseline {
      let store = try place.store(cell, memory: memory)
      findings = try await Audit(cell: cell, store: store, history: history).findings()
      await store.close()
    }
    func difference(_ value: (Reading) -> Double?) -> Double? {
      guard let end = value(after), let begin = value(ran.before) else { return nil }
      return end - begin
    }
    return CellResult(
      cell, turn: turn, ran.shares, start: ran.start,
      entries: difference { $0.entries.map(Double.init) }.map { Int($0) },
      server: ServerUse(
        processorSeconds: difference(\.processor), raftBytes: raftBytes,
        version: after.state.map { "Consul \($0.version)" } ?? cell.ground.rawValue),
      findings: findings)
  }

  private typealias Ran = (shares: [Share], before: Reading, start: UInt64)

  private func tasks(
    _ cell: Cell, _ place: Place, _ nodes: [String], _ memory: MemoryStore?,
    reading: @Sendable @escaping () throws -> Reading
  ) async throws -> Ran {
    let writers = Writers(cell: cell, place: place, process: 0, nodes: nodes, memory: memory)
    nonisolated(unsafe) var begun: (Reading, UInt64)?
    let share = try await writers.run {
      let now = Surroundings.system.monotonic()
      begun = (try reading(), now)
      return now
    }
    guard let begun else { throw BenchmarkError("the writers never began") }
    return ([share], begun.0, begun.1 + UInt64(cell.warmUp * 1e9))
  }

  /// Each process prepares, says so, and begins at the moment that it is told.
  private func processes(
    _ cell: Cell, _ place: Place, _ nodes: [String],
    reading: @Sendable @escaping () throws -> Reading
  ) async throws -> Ran {
    var workers: [WorkerProcess] = []
    defer { for worker in workers { worker.end() } }
    for number in 0..<cell.processes {
      workers.append(
        try await WorkerProcess(
          WorkerOrder(cell: cell, place: place, process: number, nodes: nodes)))
    }
    for worker in workers { try await worker.isReady() }
    let before = try reading()
    let start = Surroundings.system.monotonic() + 100_000_000
    for worker in workers { try worker.begin(at: start) }
    var shares: [Share] = []
    for worker in workers { shares.append(try await worker.share()) }
    return (shares, before, start + UInt64(cell.warmUp * 1e9))
  }

  /// The network is there before the writers are.
  private func found(_ cell: Cell, _ store: any AllocationStore) async throws {
    let allocator = NetworkAllocator(
      store: store, networkName: Cell.network, definition: try cell.definition,
      node: Node(name: cell.ground == .disk ? "" : "founder", instance: "f"),
      surroundings: .system)
    try await allocator.probe(deadline: Surroundings.system.deadline(inMilliseconds: 30_000))
  }

  /// The nodes' names. With a chunk for each, names whose homes differ: tried out in memory.
  static func nodes(_ cell: Cell) async throws -> [String] {
    guard cell.ground != .disk else { return Array(repeating: "", count: cell.nodes) }
    guard cell.chunks == .own, cell.work == .leases else {
      return (0..<cell.nodes).map { "node-\($0)" }
    }
    var names: [String] = []
    var homes: Set<String> = []
    for number in 0..<100_000 where names.count < cell.nodes {
      let store = MemoryStore()
      let allocator = NetworkAllocator(
        store: store, networkName: Cell.network, definition: try cell.definition,
        node: Node(name: "node-\(number)", instance: "i"), surroundings: .system)
      _ = try await allocator.acquire(
        AcquireRequest(attachment: Writers.attachment("node-\(number)", "c")),
        deadline: Surroundings.system.deadline(inMilliseconds: 30_000))
      let leaves = store.entries.keys.compactMap { key -> String? in
        if case .chunk(let chunk) = key, chunk.node.level == 0 { return "\(chunk)" }
        return nil
      }
      if let home = leaves.first, homes.insert(home).inserted { names.append("node-\(number)") }
    }
    guard names.count == cell.nodes else {
      throw BenchmarkError(
        "--chunks own: \(cell.pool) has \(homes.count) chunks for \(cell.nodes) nodes; "
          + "take a larger --pool")
    }
    return names
  }

  /// In a Consul that is somebody's, nothing stays.
  private func removeKeys(_ cell: Cell, _ place: Place) throws {
    guard cell.ground == .address, let address = place.consul else { return }
    _ = try KVConnection(address).send("DELETE", "/v1/kv/\(place.prefix)/?recurse")
  }
}

extension Cell {
  var needsServer: Bool { ground.isConsul && ground != .address && work != .fdatasync }
}
