import AddressSpace
import BitmapAllocator
import IPAM

// What the checks share: the networks, short words for the seam's calls, and commits as allocation
// makes them (leases, attachment and chunks together), because stores that keep only leases take no
// others.

/// The networks that the checks run on.
enum Networks {
  static let plain: @Sendable () throws -> NetworkDefinition = {
    try network([["10.1.0.0/16"], ["2001:db8::/64"]])
  }
  static let small: @Sendable () throws -> NetworkDefinition = { try network([["10.1.0.0/28"]]) }
  static let lopsided: @Sendable () throws -> NetworkDefinition = {
    try network([["10.1.0.0/24"], ["2001:db8::/126"]])
  }
  /// A tree of 16 chunks of 64 under a root.
  static let tree: @Sendable () throws -> NetworkDefinition = {
    try network([["10.1.0.0/22"]], chunkBits: 6)
  }

  static func network(
    _ sets: [[String]], chunkBits: Int? = nil
  ) throws(NetworkDefinitionError) -> NetworkDefinition {
    let texts = sets.map { $0.map { SubnetRange.Text(subnet: $0) } }
    return NetworkDefinition(
      name: "conformance", incarnation: 0x5EED, rangeSets: try RangeSet.sets(texts),
      chunkBits: chunkBits)
  }
}

/// A store under a check.
struct Workbench: Sendable {
  let check: String
  let store: any AllocationStore
  let definition: NetworkDefinition
  let surroundings: Surroundings

  var deadline: Deadline { surroundings.deadline(inMilliseconds: 60_000) }

  // MARK: - Judging

  func failure(_ expected: String, _ found: String) -> ConformanceFailure {
    ConformanceFailure(check: check, expected: expected, found: found)
  }

  func expect(
    _ condition: Bool, _ expected: @autoclosure () -> String, _ found: @autoclosure () -> String
  ) throws(ConformanceFailure) {
    if !condition { throw failure(expected(), found()) }
  }

  func expect<Value: Equatable>(
    _ what: String, of found: Value, is expected: Value
  ) throws(ConformanceFailure) {
    if found != expected { throw failure("\(what) to be \(expected)", "\(found)") }
  }

  // MARK: - Reading and committing

  func read(
    _ keys: Set<StoreKey>, _ consistency: Consistency = .consistent
  ) async throws -> [StoreKey: StoreEntry] {
    let answer = try await store.read(keys, consistency: consistency, deadline: deadline)
    for key in keys where answer[key] == nil {
      throw failure("an entry for every key read", "none for \(key)")
    }
    return answer
  }

  func read(_ key: StoreKey) async throws -> StoreEntry {
    try await read([key])[key] ?? .absent
  }

  func commit(
    _ operations: [StoreOperation], cursors: [Int: IPAddress] = [:]
  ) async -> CommitOutcome {
    await store.commit(operations, cursors: cursors, deadline: deadline)
  }

  /// Commits what must succeed; the revision that it gave.
  @discardableResult
  func mustCommit(
    _ operations: [StoreOperation], cursors: [Int: IPAddress] = [:]
  ) async throws -> Revision {
    let outcome = await commit(operations, cursors: cursors)
    guard case .committed(let revision) = outcome else {
      throw failure("the commit to happen", "\(outcome)")
    }
    try expect(revision > .absent, "a revision above absent", "\(revision)")
    return revision
  }

  /// Commits what must lose, naming no operations but these.
  func mustConflict(_ operations: [StoreOperation], at guilty: Set<Int>) async throws {
    let outcome = await commit(operations)
    guard case .conflict(let indices) = outcome else {
      throw failure("a conflict", "\(outcome)")
    }
    try expect(
      !indices.isEmpty && Set(indices).isSubset(of: guilty), "a conflict of \(guilty.sorted())",
      "a conflict of \(indices)")
  }

  func list(_ kind: StoreListing) async throws -> [StoreKey: StoreEntry] {
    var found: [StoreKey: StoreEntry] = [:]
    var twice: StoreKey?
    try await store.list(kind, deadline: deadline) { (key, entry) throws(StoreError) in
      if found.updateValue(entry, forKey: key) != nil { twice = key }
    }
    if let twice { throw failure("each key once in a listing", "\(twice) twice") }
    return found
  }

  // MARK: - Commits as allocation makes them

  func pool(_ set: Int = 0) throws -> PoolGeometry {
    try definition.layouts()[set].pools[0].geometry
  }

  /// The address with this ordinal in the pool of a set.
  func address(_ ordinal: UInt64, set: Int = 0) throws -> IPAddress {
    try pool(set).address(of: Ordinal(ordinal))
  }

  func chunkKey(_ address: IPAddress) throws -> (key: ChunkKey, bit: Int) {
    for layout in try definition.layouts() {
      for space in layout.pools {
        guard let ordinal = space.geometry.ordinal(of: address) else { continue }
        let (node, bit) = space.geometry.node(of: ordinal)
        return (ChunkKey(pool: space.geometry, node: node), bit)
      }
    }
    throw failure("an address of the network", "\(address)")
  }

  func key(_ container: String, node: String = "node-a") -> AttachmentKey {
    AttachmentKey(
      node: store.traits.isShared ? node : "", container: container, interface: "eth0")
  }

  func attachment(
    _ key: AttachmentKey, _ addresses: [IPAddress], mac: MACAddress? = nil
  ) throws -> Attachment {
    let holdings = try addresses.map { address in
      let (chunk, bit) = try chunkKey(address)
      return Attachment.Holding(
        address: address, prefixLength: chunk.pool.subnet.length, pool: chunk.pool,
        ordinal: chunk.pool.ordinal(of: chunk.node, bit: bit),
        gateway: chunk.pool.subnet.first.advanced(by: .one))
    }
    let isBare = store.traits.keepsOnlyLeases
    return Attachment(
      holdings: holdings,
      node: Node(name: key.node, instance: isBare ? "" : "i-1", bootID: isBare ? "" : "b-1"),
      mac: mac, workload: Workload(isBare ? [:] : ["K8S_POD_NAME": "web-0 \"quoted\" ü"]),
      nonce: isBare ? 0 : 0xFEED_F00D_0000_0001, createdAt: 1_700_000_000)
  }

  /// The operations that give an attachment these addresses: leases, attachment, MAC, then chunks.
  func granting(
    _ addresses: [IPAddress], to key: AttachmentKey, mac: MACAddress? = nil,
    chunks: [StoreKey: StoreEntry]? = nil
  ) async throws -> [StoreOperation] {
    let attachment = try attachment(key, addresses, mac: mac)
    let lease = Lease(key, attachment)
    var operations: [StoreOperation] = addresses.map {
      .put(.lease($0), .lease(lease), expected: .absent)
    }
    operations.append(.put(.attachment(key), .attachment(attachment), expected: .absent))
    if let mac { operations.append(.put(.mac(mac), .mac(key), expected: .absent)) }
    return operations
      + (try await changing(addresses, chunks: chunks) { $0.bitmap.take($1) })
  }

  /// The operations that take everything from an attachment.
  func releasing(_ key: AttachmentKey) async throws -> [StoreOperation] {
    let entry = try await read(.attachment(key))
    guard case .attachment(let attachment) = entry.value else {
      throw failure("attachment \(key)", "\(entry)")
    }
    let addresses = attachment.holdings.map(\.address)
    var operations: [StoreOperation] = [.delete(.attachment(key), expected: entry.revision)]
    operations += addresses.map { .delete(.lease($0), expected: entry.revision) }
    if let mac = attachment.mac { operations.append(.delete(.mac(mac), expected: entry.revision)) }
    return operations + (try await changing(addresses, chunks: nil) { $0.bitmap.free($1) })
  }

  private func changing(
    _ addresses: [IPAddress], chunks: [StoreKey: StoreEntry]?, _ change: (inout Chunk, Int) -> Void
  ) async throws -> [StoreOperation] {
    let places = try addresses.map(chunkKey)
    let keys = Set(places.map { StoreKey.chunk($0.key) })
    let entries = if let chunks { chunks } else { try await read(keys) }
    var written: [StoreKey: Chunk] = [:]
    for (key, bit) in places {
      let stored = StoreKey.chunk(key)
      var chunk =
        written[stored] ?? entries[stored]?.value?.asChunk
        ?? Chunk(chunkBits: key.pool.chunkBits, incarnation: definition.incarnation)
      change(&chunk, bit)
      written[stored] = chunk
    }
    return written.map { key, chunk in
      .put(key, .chunk(chunk), expected: entries[key]?.revision ?? .absent)
    }
  }
}

extension StoreValue {
  var asChunk: Chunk? { if case .chunk(let chunk) = self { chunk } else { nil } }
  var asLease: Lease? { if case .lease(let lease) = self { lease } else { nil } }
  var asAttachment: Attachment? { if case .attachment(let value) = self { value } else { nil } }
}
