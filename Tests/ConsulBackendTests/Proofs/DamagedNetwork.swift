// A network that was sound and filled, harmed in every way that `ipamctl check` knows, each holder and
// each chunk by one fault: whose lease and chunk are both gone has nothing left that says so.

import AddressSpace
import BitmapAllocator
import IPAM
import IPAMTesting
import TestSupport
import Testing

@testable import ConsulBackend

/// 1,024 addresses in 16 chunks of 64 under a root, or 256 in four or one, with what its holders were
/// given.
struct DamagedNetwork: Sendable {
  var network: TestNetwork
  private(set) var held: [AttachmentKey: [IPAddress]] = [:]
  private let server: ConsulServer
  private let process: Process
  private var deadline: Deadline { Surroundings.system.deadline(inMilliseconds: 60_000) }

  /// - Parameter count: Holders, of whom every third has a hardware address.
  init(
    _ subnet: String, chunkBits: Int = 6, holders count: Int, on server: ConsulServer
  ) async throws {
    network = try TestNetwork([subnet])
    network.definition.chunkBits = chunkBits
    self.server = server
    process = try Process(server.address, network)
    let (process, deadline) = (process, deadline)
    held = try await withThrowingTaskGroup(of: (AttachmentKey, [IPAddress]).self) { group in
      for index in 0..<count {
        group.addTask {
          let mac = index % 3 == 0 ? MACAddress(value: UInt64(0x0200_0000_0000 + index)) : nil
          let key = process.key("held\(index)")
          let acquired = try await process.allocator.acquire(
            AcquireRequest(attachment: key, mac: mac), deadline: deadline)
          return (key, acquired.attachment.holdings.map(\.address))
        }
      }
      return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
    }
  }

  /// Harms as many chunks as there are faults of chunks, and as many holders in the others as there are
  /// faults of records.
  func harm() async throws {
    let all = try await list(.attachments(node: nil))
    let sorted = holders(all).sorted { $0.value.count > $1.value.count }
    guard sorted.count >= 4, let last = sorted.last else {
      throw TestSupportError("\(sorted.count) chunks")
    }
    try await harmRecords(sorted[0].value.sorted { $0.container < $1.container }, all)
    try put("garbage", .chunk(sorted[1].key))
    try await change(sorted[2].key) { $0.incarnation &+= 1 }
    try await harmBits(of: last.key, leasedTo: last.value)
    // Called full, though a release from it would not say that it is not.
    guard let up = sorted[0].key.pool.parent(of: sorted[0].key.node) else { return }
    try await change(ChunkKey(pool: sorted[0].key.pool, node: up.node)) { $0.bitmap.take(up.bit) }
  }

  /// Harms records and bits of one chunk, which can still be read.
  func harmOneChunk() async throws {
    let all = try await list(.attachments(node: nil))
    guard let (key, unsorted) = holders(all).first else { throw TestSupportError("no holders") }
    let names = unsorted.sorted { $0.container < $1.container }
    try await harmRecords(Array(names.prefix(names.count / 2)), all)
    try await harmBits(of: key, leasedTo: Array(names.dropFirst(names.count / 2)))
  }

  /// Who holds addresses of a chunk.
  private func holders(_ all: [StoreKey: StoreValue]) -> [ChunkKey: [AttachmentKey]] {
    var holders: [ChunkKey: [AttachmentKey]] = [:]
    for case (.attachment(let name), .attachment(let attachment)) in all where held[name] != nil {
      for holding in attachment.holdings {
        let node = holding.pool.node(of: holding.ordinal).node
        holders[ChunkKey(pool: holding.pool, node: node), default: []].append(name)
      }
    }
    return holders
  }

  private func harmRecords(
    _ names: [AttachmentKey], _ all: [StoreKey: StoreValue]
  ) async throws {
    var rest = names[...]
    func next(withMAC: Bool = false) throws -> (AttachmentKey, IPAM.Attachment) {
      while let name = rest.popFirst() {
        guard case .attachment(let attachment)? = all[.attachment(name)] else { continue }
        if !withMAC || attachment.mac != nil { return (name, attachment) }
      }
      throw TestSupportError("too few holders in one chunk")
    }
    for isGone in [true, true, false] {
      let (one, lost) = (try next(), try next())
      let lease = StoreKey.lease(one.1.holdings[0].address)
      for key in [lease, .attachment(lost.0)] {
        if isGone { try await rewrite(key) { _ in nil } } else { try put("{", key) }
      }
    }
    let (name, attachment) = try next()
    var lease = Lease(name, attachment)
    lease.nonce &+= 1
    try await rewrite(.lease(attachment.holdings[0].address)) { _ in .lease(lease) }
    for isGone in [true, false] {
      guard let mac = try next(withMAC: true).1.mac else { continue }
      if isGone { try await rewrite(.mac(mac)) { _ in nil } } else { try put("{", .mac(mac)) }
    }
    let stray = try MACAddress(parsing: "02:00:00:00:ff:ff")
    try await rewrite(.mac(stray)) { _ in .mac(name) }
  }

  /// Bits without leases, and leases under clear and under cooling bits.
  private func harmBits(of key: ChunkKey, leasedTo names: [AttachmentKey]) async throws {
    let bits = names.flatMap { held[$0] ?? [] }.compactMap { key.pool.ordinal(of: $0) }
      .map { key.pool.node(of: $0) }.filter { $0.node == key.node }.map(\.bit)
    try await change(key) { chunk in
      let free = (0..<(1 << key.pool.chunkBits)).filter { !chunk.bitmap.isTaken($0) }
      for bit in free.prefix(5) { chunk.bitmap.take(bit) }
      for bit in bits.prefix(4) { chunk.bitmap.free(bit) }
      for bit in bits.dropFirst(4).prefix(2) { chunk.release(bit, now: 1_000, cooldown: 60) }
    }
  }

  /// What the harm had no part in: who was given an address has it, and nobody else.
  func expectHeld(_ moment: String, sourceLocation: SourceLocation = #_sourceLocation) async throws
  {
    let leases = try await list(.leases)
    let attachments = try await list(.attachments(node: nil))
    for (name, addresses) in held {
      for address in addresses {
        var owner: AttachmentKey?
        if case .lease(let lease)? = leases[.lease(address)] { owner = lease.attachment }
        #expect(owner == name, "\(address), \(moment)", sourceLocation: sourceLocation)
      }
      guard case .attachment(let attachment)? = attachments[.attachment(name)] else {
        Issue.record("no record of \(name), \(moment)", sourceLocation: sourceLocation)
        continue
      }
      #expect(
        attachment.holdings.map(\.address) == addresses, "\(name), \(moment)",
        sourceLocation: sourceLocation)
    }
  }

  /// Takes whatever is to be had; nothing of it may be held.
  func expectNothingHeldIsFree(
    _ moment: String, sourceLocation: SourceLocation = #_sourceLocation
  ) async throws {
    let taker = try Process(server.address, network, node: "taker")
    let others = Set(held.values.joined())
    var taken: [String] = []
    // One at a time, so that the first refusal is the last word.
    var refusal: AllocationError?
    while refusal == nil {
      do throws(AllocationError) {
        let acquired = try await taker.add("taken\(taken.count)", within: 20_000)
        taken.append("taken\(taken.count)")
        let clash = acquired.attachment.holdings.map(\.address).filter(others.contains)
        #expect(clash == [], "\(moment)", sourceLocation: sourceLocation)
      } catch {
        refusal = error
      }
    }
    for name in taken { try await taker.delete(name) }
    await taker.client.shutdown()
  }

  // MARK: - Writing

  private func put(_ garbage: String, _ key: StoreKey) throws {
    let name = try #require(process.store.schema.name(key))
    _ = try server.request("PUT", "/v1/kv/\(name)", body: garbage)
  }

  private func change(_ key: ChunkKey, _ change: (inout Chunk) -> Void) async throws {
    guard case .definition(let ruling)? = try await read(.definition).value else {
      throw TestSupportError("no definition")
    }
    try await rewrite(.chunk(key)) { value in
      var chunk = Chunk(chunkBits: key.pool.chunkBits, incarnation: ruling.incarnation)
      if case .chunk(let stored)? = value { chunk = stored }
      change(&chunk)
      chunk.stamp(writer: 0)
      return .chunk(chunk)
    }
  }

  /// Beside others who write the key, too.
  private func rewrite(
    _ key: StoreKey, _ change: (StoreValue?) -> StoreValue?
  ) async throws {
    while true {
      let entry = try await read(key)
      let operation =
        change(entry.value).map { StoreOperation.put(key, $0, expected: entry.revision) }
        ?? .delete(key, expected: entry.revision)
      switch await process.store.commit([operation], cursors: [:], deadline: deadline) {
      case .committed: return
      case .conflict: continue
      case let other: throw TestSupportError("\(key): \(other)")
      }
    }
  }

  private func read(_ key: StoreKey) async throws -> StoreEntry {
    try await process.store.read([key], consistency: .consistent, deadline: deadline)[key]
      ?? .absent
  }

  private func list(_ kind: StoreListing) async throws -> [StoreKey: StoreValue] {
    var found: [StoreKey: StoreValue] = [:]
    try await process.store.list(kind, deadline: deadline) { found[$0] = $1.value }
    return found
  }
}
