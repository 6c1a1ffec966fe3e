public import AddressSpace
import BitmapAllocator

/// A wish for addresses: one from each range set of the network.
public struct AcquireRequest: Hashable, Sendable {
  /// Who will hold them.
  public var attachment: AttachmentKey
  /// Addresses asked for by name; each must lie in a range set of its own.
  public var requested: [IPAddress]
  /// The attachment's hardware address, to be kept beside the lease.
  public var mac: MACAddress?
  /// Who asks.
  public var workload: Workload
  /// Prefixes will not do: the wish is refused by a network that delegates them.
  public var needsAddresses = false

  /// A wish.
  public init(
    attachment: AttachmentKey, requested: [IPAddress] = [], mac: MACAddress? = nil,
    workload: Workload = Workload()
  ) {
    self.attachment = attachment
    self.requested = requested
    self.mac = mac
    self.workload = workload
  }
}

/// What a wish for addresses led to.
public struct Acquired: Hashable, Sendable {
  /// What the attachment holds now.
  public var attachment: Attachment
  /// The definition that it was taken under.
  public var definition: NetworkDefinition
  /// The attachment held this before the call already.
  public var isRepeat: Bool
}

/// What a repeated wish of one attachment gets.
public enum RepeatPolicy: Hashable, Sendable {
  /// The same addresses again, whatever is requested.
  case sameAgain
  /// An error, as host-local has it.
  case refuse
}

/// An operation on a network failed; nothing was changed unless the error is ``outcomeUnknown``.
///
/// The descriptions are host-local's where it has one.
public enum AllocationError: Error, Hashable, Sendable {
  /// The definition contradicts itself.
  case invalidDefinition(NetworkDefinitionError)
  /// No definition was given and the store has none.
  case undefinedNetwork(String)
  /// Proof was seen that nothing is free.
  case exhausted(Exhaustion)
  /// A requested address is the gateway of its subnet.
  case requestedGateway(set: Int, IPAddress)
  /// A requested address is held already.
  case requestedTaken(set: Int, IPAddress, RangeSet, holder: AttachmentKey?)
  /// Requested addresses that no range set hands out, or that share one set.
  case requestedElsewhere([IPAddress])
  /// The attachment holds an address of this set already and repeats are refused.
  case alreadyHeld(set: Int, IPAddress, AttachmentKey)
  /// The hardware address belongs to another attachment.
  case macTaken(MACAddress, holder: AttachmentKey?)
  /// The attachment does not hold what it should.
  case notHeld(AttachmentKey, IPAddress?)
  /// A single operation would need more operations than a commit may have.
  case tooLarge(operations: Int, limit: Int)
  /// Others kept winning until the deadline, or the deadline passed before anything was tried.
  case deadlineExceeded(String)
  /// A commit was sent and no answer came before the deadline, or before the caller was cancelled; a
  /// repetition or a release resolves it.
  case outcomeUnknown(String)
  /// The store failed.
  case store(StoreError)
  /// The store was restored to an older state: what it says is free may be in use.
  case storeWentBack(network: String)
  /// Stored data is damaged and nothing else was left to allocate from.
  case damaged(String)
}

/// The proof that a range set has nothing to hand out, in figures.
public struct Exhaustion: Hashable, Sendable {
  /// The network.
  public var network: String
  /// The index of the range set.
  public var set: Int
  /// The set.
  public var ranges: RangeSet
  /// How many addresses (or units) it could hand out if all were free. All are in use, and none is
  /// cooling: that is what was proved.
  public var capacity: ExactCount
  /// How many its subnets have: the rest is outside the ranges, excluded or reserved.
  public var size: ExactCount

  /// The exhaustion of one set of a definition.
  init(_ definition: NetworkDefinition, set: Int, _ layout: SetLayout) {
    network = definition.name
    self.set = set
    ranges = definition.rangeSets[set]
    capacity = layout.capacity
    size = layout.pools.reduce(.zero) { $0 + $1.geometry.ordinalCount }
  }

  /// The proof in figures: pools, their size, and what has become of it.
  public var figures: String {
    let pools = Set(ranges.ranges.map(\.subnet.description)).sorted().joined(separator: ", ")
    return "pool \(pools): \(size) addresses, \(capacity) in use, 0 cooling, "
      + "\(size - capacity) excluded or outside the ranges"
  }
}

extension AllocationError: CustomStringConvertible {
  /// What happened, naming the values.
  public var description: String {
    switch self {
    case .invalidDefinition(let error): return error.description
    case .undefinedNetwork(let name): return "network \(name) is not defined"
    case .exhausted(let exhaustion):
      return "failed to allocate for range \(exhaustion.set): no IP addresses available in range "
        + "set: \(exhaustion.ranges)"
    case .requestedGateway(let set, let address):
      return "failed to allocate for range \(set): requested ip \(address) is subnet's gateway"
    case .requestedTaken(let set, let address, let ranges, _):
      return "failed to allocate for range \(set): requested IP address \(address) is not "
        + "available in range set \(ranges)"
    case .requestedElsewhere(let addresses):
      let list = addresses.map(\.description).joined(separator: " ")
      return "failed to allocate all requested IPs: \(list)"
    case .alreadyHeld(let set, let address, let key):
      return "failed to allocate for range \(set): \(address) has been allocated to "
        + "\(key.container), duplicate allocation is not allowed"
    case .macTaken(let mac, let holder):
      return "requested MAC address \(mac) is held by \(holder.map(\.description) ?? "another")"
    case .notHeld(let key, let address):
      let what = address.map { "address \($0)" } ?? "address"
      return "Failed to find \(what) added by container \(key.container)"
    case .tooLarge(let operations, let limit):
      return "one attachment of this network needs \(operations) operations, and here a commit may "
        + "have \(limit)"
    case .deadlineExceeded(let text), .outcomeUnknown(let text), .damaged(let text): return text
    case .storeWentBack(let network):
      return
        "the store holds an older state of network \(network) than this node has seen, as after "
        + "a restored snapshot: what it says is free may be in use"
    case .store(let error): return error.description
    }
  }
}
