// A pool that is partly taken before the clock begins, evenly all over, and addresses to ask for by
// name. The benchmark enumerates; nothing that it measures does.

import AddressSpace
import Foundation
import IPAM
import IPAMTesting

enum Fill {
  /// The addresses of the cell's pool that can be handed out.
  static func addresses(_ cell: Cell) throws -> [IPAddress] {
    let prefix = try Prefix(parsing: cell.pool)
    let bits = prefix.family.bitWidth - prefix.length
    let base = prefix.address.description.split(separator: ".").compactMap { UInt32($0) }
    guard prefix.family == .ipv4, base.count == 4, (2...20).contains(bits) else {
      throw BenchmarkError("\(cell.pool): only IPv4 pools up to a /12 are filled or asked by name")
    }
    let first = base.reduce(0) { $0 << 8 | $1 }
    // Network, gateway and broadcast address are not handed out.
    return (first + 2..<first + (1 << bits) - 1).map { IPAddress(ipv4: $0) }
  }

  /// How many can be handed out.
  static func capacity(_ cell: Cell) -> Int { (try? addresses(cell).count) ?? 1 << 16 }

  /// All addresses in an order that is the same in every process: those taken first, then those that
  /// writers ask for.
  private static func shuffled(_ cell: Cell) throws -> [IPAddress] {
    var generator = Chance(seed: 0x5EED)
    return try addresses(cell).shuffled(using: &generator)
  }

  private static func taken(_ cell: Cell, of capacity: Int) -> Int {
    let count = capacity * cell.fill / 100
    // At the brim the writers' own addresses are the last ones: pods = addresses.
    return cell.fill == 100 && cell.mix == .churn ? count - cell.writers : count
  }

  /// What a writer asks for, last one first.
  static func given(_ cell: Cell, _ writer: Int) -> [IPAddress] {
    guard let all = try? shuffled(cell) else { return [] }
    return all.dropFirst(taken(cell, of: all.count)).enumerated()
      .filter { $0.offset % cell.writers == writer }.map(\.element)
  }

  /// Fills the pool; what was told belongs to the history.
  static func run(_ cell: Cell, _ store: any AllocationStore) async throws -> [HistoryEvent] {
    guard cell.fill > 0, !cell.work.isBaseline else { return [] }
    let clock = Surroundings.system
    let node = cell.ground == .disk ? "" : "filler"
    let allocator = NetworkAllocator(
      store: store, networkName: Cell.network, definition: try cell.definition,
      node: Node(name: node, instance: "f"), surroundings: clock)
    let all = try shuffled(cell)
    let addresses = all.prefix(taken(cell, of: all.count))
    return try await withThrowingTaskGroup(of: [HistoryEvent].self) { group in
      for part in 0..<64 {
        group.addTask {
          var events: [HistoryEvent] = []
          for (index, address) in addresses.enumerated() where index % 64 == part {
            let key = Writers.attachment(node, "f\(index)")
            let called = clock.monotonic()
            _ = try await allocator.acquire(
              AcquireRequest(attachment: key, requested: [address]),
              deadline: clock.deadline(inMilliseconds: 60_000))
            events.append(
              HistoryEvent(.acquired([address]), key, called: called, returned: clock.monotonic()))
          }
          return events
        }
      }
      return try await group.reduce(into: []) { $0 += $1 }
    }
  }
}
