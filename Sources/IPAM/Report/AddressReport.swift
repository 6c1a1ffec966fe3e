public import AddressSpace
import BitmapAllocator

// One address, and why it is or is not to be had: what its lease says, else its bit, else the rules of
// the definition, in the order in which an ADD would meet them.

/// What is known of one address of a network.
public struct AddressReport: Hashable, Sendable {
  /// Why an address is held, or that it is not.
  public enum Standing: String, Hashable, Sendable, CaseIterable {
    /// An attachment holds it.
    case leased
    /// Its bit is set and nobody holds it: all that a bare network has; elsewhere it is lost.
    case marked
    /// It was released a moment ago and is not handed out again yet.
    case cooling
    /// It is its subnet's gateway.
    case gateway
    /// It is its subnet's network, anycast or broadcast address.
    case reserved
    /// The definition excludes it.
    case excluded
    /// No range of the network has it.
    case outside
    /// Its lease or its chunk cannot be read: it counts as in use.
    case damaged
    /// It can be handed out.
    case free
  }

  /// The address asked for; of a delegated prefix its first.
  public let address: IPAddress
  /// Why it is held.
  public let standing: Standing
  /// Who holds it, where somebody does.
  public let lease: Lease?
  /// Since when it cools, in seconds since 1970.
  public let coolingSince: UInt64?
  /// The chunk that has its bit; nil outside all pools.
  public let chunk: ChunkKey?
  /// What an operator should know beside, in one sentence each.
  public let remarks: [String]
}

extension AddressReport {
  /// Looks an address up.
  ///
  /// - Parameters:
  ///   - address: The address.
  ///   - definition: What the network is; nil if that is not known: then only leases tell.
  ///   - store: Where its allocation lives.
  ///   - now: Seconds since 1970.
  ///   - deadline: When to give up.
  /// - Throws: ``AllocationError``.
  /// - Complexity: two reads of a handful of keys, whatever the network's size.
  public init(
    of address: IPAddress, definition: NetworkDefinition?, in store: any AllocationStore,
    now: UInt64, deadline: Deadline
  ) async throws(AllocationError) {
    var layouts: [SetLayout] = []
    do {
      layouts = try definition?.layouts() ?? []
    } catch {
      throw .invalidDefinition(error)
    }
    let pool = layouts.flatMap(\.pools).first { $0.geometry.ordinal(of: address) != nil }?.geometry
    let place = pool.flatMap { pool in
      pool.ordinal(of: address).map { (pool: pool, ordinal: $0, leaf: pool.node(of: $0)) }
    }
    let unit = place.map { $0.pool.address(of: $0.ordinal) } ?? address
    let chunkKey = place.map { ChunkKey(pool: $0.pool, node: $0.leaf.node) }
    let leaseKey = StoreKey.lease(unit)
    var keys: Set<StoreKey> = [leaseKey]
    if let chunkKey { keys.insert(.chunk(chunkKey)) }
    let found: [StoreKey: StoreEntry]
    var owner: StoreEntry?
    do {
      // On a directory a snapshot is a pass over all files, and every read is of one moment anyway.
      found = try await store.read(
        keys, consistency: store.traits.isLocal ? .consistent : .snapshot, deadline: deadline)
      if case .lease(let lease) = found[leaseKey]?.value {
        let key = StoreKey.attachment(lease.attachment)
        owner = try await store.read([key], consistency: .consistent, deadline: deadline)[key]
      }
    } catch {
      throw .store(error)
    }
    let lease = found[leaseKey] ?? .absent
    let chunk = chunkKey.map { found[.chunk($0)] ?? .absent }
    let bit = Bit(chunk, place?.leaf.bit, definition, now)
    let rule = Self.rule(for: unit, definition, layouts)

    self.address = unit
    self.chunk = chunkKey
    self.lease = lease.lease
    (standing, coolingSince) =
      switch (lease.value, bit) {
      case (.lease, _): (.leased, nil)
      case (.some, _), (nil, .unreadable): (.damaged, nil)
      case (nil, .set): (.marked, nil)
      case (nil, .cooling(let since)): (.cooling, since)
      case (nil, .clear): (rule, nil)
      }
    remarks = Self.remarks(
      lease: lease, owner: owner, bit: bit, rule: rule, definition: definition,
      unit: unit, asked: address, keepsOnlyLeases: store.traits.keepsOnlyLeases)
  }

  /// What the definition says of an address that nobody holds.
  private static func rule(
    for address: IPAddress, _ definition: NetworkDefinition?, _ layouts: [SetLayout]
  ) -> Standing {
    guard let definition else { return .free }
    if layouts.contains(where: { $0.segment(allowing: address) != nil }) { return .free }
    let ranges = definition.rangeSets.flatMap(\.ranges).filter { $0.subnet.contains(address) }
    if ranges.contains(where: { $0.gateway == address }) { return .gateway }
    if ranges.contains(where: { $0.reserved.contains(address) }) { return .reserved }
    if definition.exclusions.contains(where: { $0.contains(address) }) { return .excluded }
    return .outside
  }

  private static func remarks(
    lease: StoreEntry, owner: StoreEntry?, bit: Bit, rule: Standing,
    definition: NetworkDefinition?, unit: IPAddress, asked: IPAddress, keepsOnlyLeases: Bool
  ) -> [String] {
    var remarks: [String] = []
    if unit != asked { remarks.append("\(asked) lies in the delegated prefix that begins there") }
    switch lease.value {
    case .lease(let held):
      if rule != .free { remarks.append("no ADD would hand it out now: it is \(rule.rawValue)") }
      if bit == .clear, rule != .outside, !keepsOnlyLeases, definition != nil {
        remarks.append("its bit is clear: ipamctl check --repair sets it")
      }
      if case .attachment(let attachment) = owner?.value {
        let others = attachment.holdings.map(\.address).filter { $0 != unit }
        if !others.isEmpty {
          remarks.append("held together with \(others.map(\.description).joined(separator: ", "))")
        }
      } else {
        remarks.append("\(held.attachment) has no record that can be read: ipamctl check --repair")
      }
    case .damaged(let text): remarks.append("its lease cannot be read: \(text)")
    default:
      if case .unreadable(let text) = bit { remarks.append("its chunk cannot be read: \(text)") }
      if bit == .set, definition?.kind == .leased {
        remarks.append("no lease says who has it: ipamctl check --repair frees it")
      }
    }
    return remarks
  }

  /// What a bitmap says of an address.
  private enum Bit: Hashable {
    case clear, set
    case cooling(since: UInt64)
    case unreadable(String)

    init(
      _ entry: StoreEntry?, _ bit: Int?, _ definition: NetworkDefinition?, _ now: UInt64
    ) {
      guard let entry, let bit, let value = entry.value else {
        self = .clear
        return
      }
      guard case .chunk(let chunk) = value, bit < chunk.bitmap.capacity else {
        if case .damaged(let text) = value {
          self = .unreadable(text)
        } else {
          self = .unreadable("a value of another kind")
        }
        return
      }
      let cooldown = UInt64(definition?.cooldown.seconds ?? 0)
      if let bucket = chunk.cooling.buckets.first(where: { $0.bits.isTaken(bit) }) {
        let isOver = bucket.since <= now && now - bucket.since >= cooldown
        self = isOver ? .clear : .cooling(since: bucket.since)
      } else {
        self = chunk.bitmap.isTaken(bit) ? .set : .clear
      }
    }
  }
}

extension StoreEntry {
  /// The lease, if this is one that can be read.
  var lease: Lease? {
    if case .lease(let lease) = value { lease } else { nil }
  }
}
