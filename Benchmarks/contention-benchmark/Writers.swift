// What writers do until their time is over: an operation after the other, each timed, each written
// down for the checks at the end.

import AddressSpace
import Foundation
import IPAM
import IPAMTesting

/// The part of a cell's writers that one process runs.
struct Writers: Sendable {
  let cell: Cell
  let place: Place
  /// The number of the process.
  let process: Int
  /// The nodes' names.
  let nodes: [String]
  /// What all share where a network is kept in memory.
  var memory: MemoryStore?
  let clock = Surroundings.system

  /// The numbers of the writers that live here.
  var numbers: [Int] {
    (0..<cell.writers).filter { $0 % cell.nodes % cell.processes == process }
  }

  static func attachment(_ node: String, _ container: String) -> AttachmentKey {
    AttachmentKey(node: node, container: container, interface: "eth0")
  }

  /// An allocator for each node, or without group commit for each writer, with a store of its own.
  private func allocators(_ stores: Stores) throws -> [Int: NetworkAllocator] {
    var byNode: [Int: NetworkAllocator] = [:]
    var byWriter: [Int: NetworkAllocator] = [:]
    let definition = try cell.definition
    for writer in numbers {
      let node = writer % cell.nodes
      if cell.groupCommit, let known = byNode[node] {
        byWriter[writer] = known
        continue
      }
      let store = try stores.open()
      let made = NetworkAllocator(
        store: store, networkName: Cell.network, definition: definition,
        node: Node(name: nodes[node], instance: "i\(node)"), surroundings: clock,
        executor: store.executor)
      byNode[node] = made
      byWriter[writer] = made
    }
    return byWriter
  }

  /// All writers of this process at once. When all is prepared, `go` says the moment of the start
  /// (monotonic, nanoseconds).
  func run(go: @Sendable () throws -> UInt64) async throws -> Share {
    if cell.work.isBaseline {
      let clocks = moments(try go())
      return try await Baseline(cell: cell, place: place, clocks: clocks).run(numbers, clock: clock)
    }
    let stores = Stores(place, cell, memory: memory)
    let bulk = cell.work == .bits
    let allocators = bulk ? [:] : try allocators(stores)
    let held = try await prepare(allocators)
    let (before, counted) = (Usage.now, stores.counts)
    let start = try go()
    let now = clock.monotonic()
    if start > now { await clock.sleep(start - now) }
    let clocks = moments(start)
    let tallies = try await withThrowingTaskGroup(of: Tally.self) { group in
      for writer in numbers {
        if bulk {
          let store = try stores.open()
          group.addTask(executorPreference: store.executor) {
            try await bits(writer, store, clocks)
          }
        } else if let allocator = allocators[writer] {
          group.addTask(executorPreference: (allocator.store as? CountingStore)?.executor) {
            await leases(writer, allocator, held[writer] ?? [], clocks)
          }
        }
      }
      return try await group.reduce(into: [Tally]()) { $0.append($1) }
    }
    var share = Share(tallies: tallies.map(TallyRecord.init))
    share.usage = Usage.now - before
    share.counts = stores.counts
    share.counts.reads -= counted.reads
    share.counts.commits -= counted.commits
    share.counts.wasted -= counted.wasted
    share.hasCounts = true
    await stores.close()
    return share
  }

  /// When counting begins and when it ends.
  private func moments(_ start: UInt64) -> (begin: UInt64, end: UInt64) {
    let begin = max(start, clock.monotonic()) + UInt64(cell.warmUp * 1e9)
    let limit = cell.untilFull || cell.operations != nil ? 600 : cell.seconds
    return (begin, begin + UInt64(limit * 1e9))
  }

  /// What a writer of mix release holds at the beginning: as much as it can release in its time, within
  /// what the pool has.
  private func prepare(_ allocators: [Int: NetworkAllocator]) async throws -> [Int: [HistoryEvent]]
  {
    guard cell.mix == .release else { return [:] }
    let each = cell.operations ?? max(1, Fill.capacity(cell) / 2 / cell.writers)
    return try await withThrowingTaskGroup(of: (Int, [HistoryEvent]).self) { group in
      for (writer, allocator) in allocators {
        group.addTask {
          var held: [HistoryEvent] = []
          for number in 0..<each {
            let key = Self.attachment(nodes[writer % cell.nodes], "r\(writer)-\(number)")
            let called = clock.monotonic()
            let got = try await allocator.acquire(
              AcquireRequest(attachment: key), deadline: deadline)
            held.append(
              HistoryEvent(
                .acquired(got.attachment.holdings.map(\.address)), key, called: called,
                returned: clock.monotonic()))
          }
          return (writer, held)
        }
      }
      return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
    }
  }

  private var deadline: Deadline { clock.deadline(inMilliseconds: 30_000) }

  /// The mix of the cell, each operation with the deadline that a runtime would give it.
  private func leases(
    _ writer: Int, _ allocator: NetworkAllocator, _ held: [HistoryEvent],
    _ clocks: (begin: UInt64, end: UInt64)
  ) async -> Tally {
    var tally = Tally()
    let node = nodes[writer % cell.nodes]
    tally.events = held
    var names = held.map(\.attachment)
    var wanted = cell.mix == .given ? Fill.given(cell, writer) : []
    var number = 0
    while clock.monotonic() < clocks.end, tally.allOperations < cell.operations ?? .max {
      var isRefused = false
      if cell.mix == .release {
        guard let name = names.popLast() else { break }
        await release(name, allocator, clocks.begin, &tally)
      } else {
        if cell.mix == .given, wanted.isEmpty { break }
        number += 1
        let key = Self.attachment(node, "c\(writer)-\(number)")
        let request = AcquireRequest(
          attachment: key, requested: wanted.popLast().map { [$0] } ?? [])
        isRefused = await !acquire(request, allocator, clocks.begin, &tally)
        if !isRefused, cell.mix == .churn {
          await release(key, allocator, clocks.begin, &tally)
        }
      }
      if isRefused, cell.untilFull || cell.fill < 100 { break }
      if tally.failures.count >= 10 { break }
    }
    return tally
  }

  /// Whether it got an address.
  private func acquire(
    _ request: AcquireRequest, _ allocator: NetworkAllocator, _ begin: UInt64, _ tally: inout Tally
  ) async -> Bool {
    let called = clock.monotonic()
    do throws(AllocationError) {
      let got = try await allocator.acquire(request, deadline: deadline)
      let returned = clock.monotonic()
      tally.events.append(
        HistoryEvent(
          .acquired(got.attachment.holdings.map(\.address)), request.attachment, called: called,
          returned: returned))
      tally.add(from: called, to: returned, counting: begin)
      return true
    } catch {
      if case .exhausted = error {
        tally.refusals += 1
        tally.add(from: called, to: clock.monotonic(), counting: begin)
      } else {
        tally.failures.append("\(request.attachment): \(error)")
      }
      return false
    }
  }

  private func release(
    _ key: AttachmentKey, _ allocator: NetworkAllocator, _ begin: UInt64, _ tally: inout Tally
  ) async {
    let called = clock.monotonic()
    do throws(AllocationError) {
      if try await allocator.release([key], deadline: deadline) == nil {
        tally.failures.append("\(key): held nothing")
      }
    } catch {
      tally.failures.append("\(key): \(error)")
    }
    let returned = clock.monotonic()
    tally.events.append(HistoryEvent(.released, key, called: called, returned: returned))
    tally.add(from: called, to: returned, counting: begin)
  }

  /// Bits without leases: a job for each operation.
  private func bits(
    _ writer: Int, _ store: CountingStore, _ clocks: (begin: UInt64, end: UInt64)
  ) async throws -> Tally {
    var tally = Tally()
    let node = nodes[writer % cell.nodes]
    let allocator = BulkAllocator(
      store: store, networkName: Cell.network, definition: try cell.definition, node: node,
      surroundings: clock)
    while clock.monotonic() < clocks.end, tally.allOperations < cell.operations ?? .max {
      let called = clock.monotonic()
      do throws(AllocationError) {
        let ranges = try await allocator.acquire(
          cell.bulk, job: clock.random(), deadline: deadline)
        let returned = clock.monotonic()
        let offsets = ranges.compactMap { OffsetRange(first: $0.first.value, last: $0.last.value) }
        let different = IntervalSet(offsets).count
        if different != ExactCount(UInt64(cell.bulk)) {
          tally.failures.append("\(different) addresses instead of \(cell.bulk)")
        }
        tally.events.append(
          HistoryEvent(
            .acquired(ranges.map(\.first)),
            Self.attachment(node, "b\(writer)-\(tally.allOperations)"), called: called,
            returned: returned))
        tally.add(from: called, to: returned, counting: clocks.begin)
      } catch {
        if case .exhausted = error {
          tally.refusals += 1
        } else {
          tally.failures.append("\(error)")
        }
        break
      }
    }
    return tally
  }
}
