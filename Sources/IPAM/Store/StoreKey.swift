public import AddressSpace
public import BitmapAllocator

// All that a store keeps for one network, as keys with values and revisions:
//
//   definition                       what the network is
//   chunk(pool, level, index)        which ordinals are taken, which chunks are full
//   lease(address)                   who holds an address
//   attachment(node, container, if)  what an attachment holds
//   mac(address)                     which attachment has a hardware address
//   cursor(set)                      where a sequential search goes on (host-local's last_reserved_ip)
//   bulk(token)                      what an unacknowledged bulk commit took (bare networks)
//   journal(node, slot)              what one of a node's last commits did, where that is configured

/// Names a chunk of a pool's fan-out tree.
public struct ChunkKey: Hashable, Sendable {
  /// The pool.
  public let pool: PoolGeometry
  /// The chunk in it.
  public let node: TreeNode

  /// A name.
  public init(pool: PoolGeometry, node: TreeNode) {
    self.pool = pool
    self.node = node
  }

  /// By what tells chunks apart: most are of one pool.
  public func hash(into hasher: inout Hasher) {
    hasher.combine(pool.subnet.address.value.low)
    hasher.combine(node.index.offset.low &+ UInt64(truncatingIfNeeded: node.level) &<< 56)
  }
}

extension ChunkKey: CustomStringConvertible {
  /// Subnet, level and index.
  public var description: String { "\(pool.subnet) level \(node.level) chunk \(node.index.offset)" }
}

/// Names a value in a store.
public enum StoreKey: Hashable, Sendable {
  case definition
  case chunk(ChunkKey)
  case lease(IPAddress)
  case attachment(AttachmentKey)
  case mac(MACAddress)
  case cursor(set: Int)
  case bulk(token: UInt64)
  case journal(JournalEntry.Key)
}

/// A value in a store.
public indirect enum StoreValue: Hashable, Sendable {
  case definition(NetworkDefinition)
  case chunk(Chunk)
  case lease(Lease)
  case attachment(Attachment)
  case mac(AttachmentKey)
  case cursor(IPAddress)
  case bulk([OffsetRange])
  case journal(JournalEntry)
  /// The bytes are there but cannot be trusted; the text says why.
  case damaged(String)
}

/// A store's version of a value. Within one store a key's revisions only grow, and all keys that one
/// commit wrote have the same.
public struct Revision: Hashable, Comparable, Sendable {
  /// The store's number; Consul's ModifyIndex, for one.
  public let number: UInt64

  /// A revision.
  public init(_ number: UInt64) {
    self.number = number
  }

  /// The key does not exist.
  public static let absent = Revision(0)

  /// Older before newer.
  public static func < (left: Revision, right: Revision) -> Bool { left.number < right.number }
}

/// What a store knows of a key.
public struct StoreEntry: Hashable, Sendable {
  /// The value; nil if the key does not exist.
  public let value: StoreValue?
  /// Its revision; ``Revision/absent`` if the key does not exist.
  public let revision: Revision

  /// A value and its revision.
  public init(_ value: StoreValue, _ revision: Revision) {
    self.value = value
    self.revision = revision
  }

  private init() {
    value = nil
    revision = .absent
  }

  /// No such key.
  public static let absent = StoreEntry()
}
