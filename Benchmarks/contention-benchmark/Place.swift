// Where the network of one cell is kept, so that a worker process finds it too.

import ConsulBackend
import DiskBackend
import Foundation
import IPAM
import IPAMTesting

/// Enough to open a store.
struct Place: Codable, Sendable {
  /// HOST:PORT of a Consul, or nil.
  var consul: String?
  /// Where keys begin there; new for every cell, for the Consul may be somebody's.
  var prefix = "contention/\(String(UInt32.random(in: 0...(.max)), radix: 36))"
  /// A folder of the cell's own: the disk backend's, and the fdatasync loop's.
  var folder: String

  /// A connection, or a directory, of its own. Memory is what all of a process share.
  func store(_ cell: Cell, memory: MemoryStore?) throws -> any AllocationStore {
    if let memory { return memory }
    guard let consul else {
      return DiskStore(
        directory: "\(folder)/networks", network: Cell.network, definition: try cell.definition,
        stateDirectory: "\(folder)/state")
    }
    return try consulStore(consul)
  }

  func consulStore(_ address: String) throws -> ConsulStore {
    var settings = ConsulSettings()
    settings.address = address
    return ConsulStore(
      try ConsulConfiguration(settings, environment: Self.credentials), prefix: prefix,
      network: Cell.network, surroundings: .system)
  }

  /// What the environment says of a Consul that is not ours; the address is said on the command line.
  private static var credentials: [String: String] {
    ProcessInfo.processInfo.environment.filter {
      $0.key.hasPrefix("CONSUL_") && $0.key != "CONSUL_HTTP_ADDR"
    }
  }
}

extension AllocationStore {
  /// Closes connections, where there are any.
  func close() async { await (self as? ConsulStore)?.shutdown() }
}

/// What a process can have made only once: counted stores, opened as writers need them.
final class Stores {
  private let place: Place
  private let cell: Cell
  private let memory: MemoryStore?
  private var counted: [CountingStore] = []
  private var opened: [any AllocationStore] = []

  init(_ place: Place, _ cell: Cell, memory: MemoryStore?) {
    (self.place, self.cell, self.memory) = (place, cell, memory)
  }

  /// A store of its own, counted.
  func open() throws -> CountingStore {
    let store = try place.store(cell, memory: memory)
    opened.append(store)
    let counting = CountingStore(store)
    counted.append(counting)
    return counting
  }

  var counts: StoreCounts { counted.map(\.counts).reduce(StoreCounts(), +) }

  func close() async {
    for store in opened { await store.close() }
  }
}
