// What the allocator is compared with. A thread and a connection for each writer, nothing between them
// and the server; and plain writes through the allocator's own client, in tasks as its callers are,
// which tell what sharing commits brings.

import AddressSpace
import BitmapAllocator
import ConsulBackend
import Foundation
import IPAM
import Synchronization

struct Baseline: Sendable {
  let cell: Cell
  let place: Place
  /// When counting begins, and when the writers stop.
  let clocks: (begin: UInt64, end: UInt64)

  /// What a writer of a baseline works with.
  private struct Desk {
    let writer: Int
    let connection: KVConnection
    let prefix: String
    let clock: Surroundings
    let clocks: (begin: UInt64, end: UInt64)
    var tally = Tally()

    var isOpen: Bool { clock.monotonic() < clocks.end }

    mutating func done(since start: UInt64) {
      tally.add(from: start, to: clock.monotonic(), counting: clocks.begin)
    }
  }

  /// All writers at once, a thread each.
  func run(_ writers: [Int], clock: Surroundings) async throws -> Share {
    let before = Usage.now
    let tallies = try await withThrowingTaskGroup(of: Tally.self) { group in
      for writer in writers {
        group.addTask {
          if cell.work == .sameClient {
            return try await writeByClient(writer, clock)
          }
          return try await onThread {
            cell.work == .fdatasync
              ? try appends(clock) : try write(writer, clock)
          }
        }
      }
      return try await group.reduce(into: [Tally]()) { $0.append($1) }
    }
    return Share(tallies: tallies.map(TallyRecord.init), usage: Usage.now - before)
  }

  private func write(_ writer: Int, _ clock: Surroundings) throws -> Tally {
    guard let address = place.consul else { throw BenchmarkError("no Consul") }
    var desk = Desk(
      writer: writer, connection: try KVConnection(address), prefix: place.prefix, clock: clock,
      clocks: clocks)
    switch cell.work {
    case .plain: try plain(&desk)
    case .readModifyWrite: try readModifyWrite(&desk)
    case .keyScan: try keyScan(&desk)
    case .lockScan: try lockScan(&desk)
    case .sameClient, .fdatasync, .leases, .bits: break
    }
    return desk.tally
  }

  /// A value that differs from the one before: Consul writes no value twice.
  private func value(_ desk: Desk) -> String {
    var bytes = [UInt8](repeating: 0xA5, count: max(16, cell.valueSize ?? 64))
    withUnsafeBytes(of: (desk.writer, desk.tally.operations + desk.tally.conflicts)) {
      bytes.replaceSubrange(0..<16, with: $0)
    }
    return Data(bytes).base64EncodedString()
  }

  private func plain(_ desk: inout Desk) throws {
    let key = "\(desk.prefix)/plain/\(desk.writer)"
    var index: UInt64 = 0
    while desk.isOpen {
      let start = desk.clock.monotonic()
      guard let new = try desk.connection.compareAndSet(key, value(desk), index: index) else {
        throw BenchmarkError("somebody else wrote \(key)")
      }
      index = new
      desk.done(since: start)
    }
  }

  /// A chunk of one's own, as the allocator writes them.
  private func writeByClient(
    _ writer: Int, _ clock: Surroundings
  ) async throws -> Tally {
    guard let address = place.consul, let subnet = Prefix(address: IPAddress(ipv4: 0), length: 8),
      let pool = PoolGeometry(subnet: subnet)
    else { throw BenchmarkError("no Consul") }
    let store = try place.consulStore(address)
    return try await withTaskExecutorPreference(store.executor) {
      let key = StoreKey.chunk(ChunkKey(pool: pool, node: pool.leaf(ChunkIndex(UInt64(writer)))))
      var chunk = Chunk(chunkBits: pool.chunkBits, incarnation: 1)
      var revision = Revision.absent
      var tally = Tally()
      while clock.monotonic() < clocks.end {
        let start = clock.monotonic()
        chunk.stamp(writer: UInt64(tally.operations + 1))
        let outcome = await store.commit(
          [.put(key, .chunk(chunk), expected: revision)], cursors: [:],
          deadline: clock.deadline(inMilliseconds: 30_000))
        guard case .committed(let new) = outcome else {
          throw BenchmarkError("a plain write ended as \(outcome)")
        }
        revision = new
        tally.add(from: start, to: clock.monotonic(), counting: clocks.begin)
      }
      await store.shutdown()
      return tally
    }
  }

  private func readModifyWrite(_ desk: inout Desk) throws {
    let key = "\(desk.prefix)/shared"
    while desk.isOpen {
      let start = desk.clock.monotonic()
      while desk.isOpen {
        let seen = try desk.connection.send("GET", "/v1/kv/\(key)")
        let index = seen.number("ModifyIndex") ?? 0
        if try desk.connection.compareAndSet(key, value(desk), index: index) != nil {
          desk.done(since: start)
          break
        }
        desk.tally.conflicts += 1
      }
    }
  }

  /// The lowest address without a key, by a list of all keys. The names are offsets in the pool.
  private func lowestFree(_ desk: Desk) throws -> String {
    let list = try desk.connection.send("GET", "/v1/kv/\(desk.prefix)/addresses/?keys")
    // Fixed width: the order of names is the order of addresses.
    let names = Set(list.strings.map { $0.suffix(8) })
    let free = (0...).lazy.map { String(format: "%08d", $0) }.first { !names.contains($0[...]) }
    return "\(desk.prefix)/addresses/\(free ?? "")"
  }

  private func keyScan(_ desk: inout Desk) throws {
    while desk.isOpen {
      let start = desk.clock.monotonic()
      while desk.isOpen {
        let key = try lowestFree(desk)
        if try desk.connection.compareAndSet(key, value(desk), index: 0) != nil {
          desk.done(since: start)
          break
        }
        desk.tally.conflicts += 1
      }
    }
  }

  /// A session for each writer; who does not get the lock waits for a change of it, as Consul's own
  /// client does.
  private func lockScan(_ desk: inout Desk) throws {
    let made = try desk.connection.send(
      "PUT", "/v1/session/create", Array(#"{"LockDelay": "0s"}"#.utf8))
    guard made.status == 200, let session = made.strings.last else {
      throw BenchmarkError("no session: \(made.status) \(made.text)")
    }
    defer { _ = try? desk.connection.send("PUT", "/v1/session/destroy/\(session)") }
    let lock = "/v1/kv/\(desk.prefix)/lock"
    while desk.isOpen {
      let start = desk.clock.monotonic()
      var isHeld = false
      while desk.isOpen, !isHeld {
        isHeld = try desk.connection.send("PUT", "\(lock)?acquire=\(session)").text
          .hasPrefix("true")
        if !isHeld {
          desk.tally.conflicts += 1
          let seen = try desk.connection.send("GET", lock)
          if seen.text.contains("\"Session\"") {
            _ = try desk.connection.send("GET", "\(lock)?index=\(seen.index)&wait=100ms")
          }
        }
      }
      guard isHeld else { break }
      let key = try lowestFree(desk)
      let index = try desk.connection.compareAndSet(key, value(desk), index: 0)
      guard index != nil else { throw BenchmarkError("\(key) was taken under the lock") }
      _ = try desk.connection.send("PUT", "\(lock)?release=\(session)")
      desk.done(since: start)
    }
  }

  private func appends(_ clock: Surroundings) throws -> Tally {
    var tally = Tally()
    let descriptor = open("\(place.folder)/appends", O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw BenchmarkError("\(place.folder): \(errno)") }
    defer { close(descriptor) }
    let block = [UInt8](repeating: 0xA5, count: 8_192)
    while clock.monotonic() < clocks.end {
      let start = clock.monotonic()
      guard Foundation.write(descriptor, block, block.count) == block.count,
        Foundation.fdatasync(descriptor) == 0
      else { throw BenchmarkError("\(place.folder): errno \(errno)") }
      tally.add(from: start, to: clock.monotonic(), counting: clocks.begin)
    }
    return tally
  }
}

/// Runs blocking work on a thread of its own.
func onThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value
{
  try await withCheckedThrowingContinuation { caller in
    Thread.detachNewThread { caller.resume(with: Result { try body() }) }
  }
}

/// Connections that wait for changes of chunks, as whoever watches a pool does.
final class Watchers: Sendable {
  private let isOver = Atomic(false)
  nonisolated(unsafe) private let connections: [KVConnection]

  init(_ count: Int, _ place: Place) throws {
    guard count > 0, let address = place.consul else {
      connections = []
      return
    }
    connections = try (0..<count).map { _ in try KVConnection(address) }
    for index in connections.indices {
      Thread.detachNewThread { [self] in watch(connections[index], place) }
    }
  }

  /// Ends the waiting; a call under way fails, as it shall.
  func end() {
    isOver.store(true, ordering: .relaxed)
    for connection in connections { connection.interrupt() }
  }

  private func watch(_ connection: KVConnection, _ place: Place) {
    var index: UInt64 = 0
    let target = "/v1/kv/\(place.prefix)/\(Cell.network)/pools/?recurse&wait=10s&index="
    while !isOver.load(ordering: .relaxed) {
      guard let reply = try? connection.send("GET", "\(target)\(index)") else { return }
      index = max(1, reply.index)
    }
  }
}
