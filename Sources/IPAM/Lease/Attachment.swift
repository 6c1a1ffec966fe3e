public import AddressSpace
public import BitmapAllocator

/// Names an attachment: one interface of one container, on one node.
public struct AttachmentKey: Hashable, Sendable {
  /// The node; empty on a directory, which belongs to one node anyway.
  public let node: String
  /// The container ID (CNI_CONTAINERID).
  public let container: String
  /// The interface name (CNI_IFNAME); empty for the reservations of plugins that knew none.
  public let interface: String

  /// A name.
  public init(node: String, container: String, interface: String) {
    self.node = node
    self.container = container
    self.interface = interface
  }

  /// By what tells attachments apart: most are of one node.
  public func hash(into hasher: inout Hasher) {
    hasher.combine(container)
    hasher.combine(interface)
  }
}

extension AttachmentKey: CustomStringConvertible {
  /// `container/interface` and, where there is one, the node.
  public var description: String {
    "\(container)/\(interface)" + (node.isEmpty ? "" : " on node \(node)")
  }
}

/// A host of the cluster and this installation's life on it.
public struct Node: Hashable, Sendable {
  /// Its name, from the configuration or the host.
  public var name: String
  /// A random number made once in the node's state directory: two hosts of one name differ in it.
  public var instance: String
  /// The kernel's boot id at the time of the operation.
  public var bootID: String

  /// A node.
  public init(name: String, instance: String = "", bootID: String = "") {
    self.name = name
    self.instance = instance
    self.bootID = bootID
  }
}

/// Who asked for an address, in the words of the orchestrator (K8S_POD_NAME, NOMAD_ALLOC_ID, …).
public struct Workload: Hashable, Sendable {
  /// Names and values, sorted by name.
  public var labels: [String: String]

  /// A workload.
  public init(_ labels: [String: String] = [:]) {
    self.labels = labels
  }
}

/// What an attachment holds; written once, with its leases and bits, in one commit.
public struct Attachment: Hashable, Sendable {
  /// An address and the bit that stands for it.
  public struct Holding: Hashable, Sendable {
    /// The address (of a delegated prefix: its first).
    public var address: IPAddress
    /// The subnet's prefix length, as results print it.
    public var prefixLength: Int
    /// The pool that the bit is in.
    public var pool: PoolGeometry
    /// The bit.
    public var ordinal: Ordinal
    /// The gateway that the result named.
    public var gateway: IPAddress?

    /// A holding.
    public init(
      address: IPAddress, prefixLength: Int, pool: PoolGeometry, ordinal: Ordinal,
      gateway: IPAddress?
    ) {
      self.address = address
      self.prefixLength = prefixLength
      self.pool = pool
      self.ordinal = ordinal
      self.gateway = gateway
    }
  }

  /// One for each range set, in order.
  public var holdings: [Holding]
  /// The node that made it.
  public var node: Node
  /// The hardware address, where one was given.
  public var mac: MACAddress?
  /// Who asked.
  public var workload: Workload
  /// A random number that tells this commit from every other.
  public var nonce: UInt64
  /// Seconds since 1970 by the node's clock.
  public var createdAt: UInt64

  /// An attachment.
  public init(
    holdings: [Holding], node: Node, mac: MACAddress? = nil, workload: Workload = Workload(),
    nonce: UInt64, createdAt: UInt64
  ) {
    self.holdings = holdings
    self.node = node
    self.mac = mac
    self.workload = workload
    self.nonce = nonce
    self.createdAt = createdAt
  }
}

/// An address held by an attachment.
public struct Lease: Hashable, Sendable {
  /// Who holds it.
  public var attachment: AttachmentKey
  /// The node that made it.
  public var node: Node
  /// The hardware address beside it, for an EVPN control plane.
  public var mac: MACAddress?
  /// Who asked.
  public var workload: Workload
  /// The nonce of the commit that made it.
  public var nonce: UInt64
  /// Seconds since 1970 by the node's clock.
  public var createdAt: UInt64

  /// A lease.
  public init(
    attachment: AttachmentKey, node: Node, mac: MACAddress?, workload: Workload, nonce: UInt64,
    createdAt: UInt64
  ) {
    self.attachment = attachment
    self.node = node
    self.mac = mac
    self.workload = workload
    self.nonce = nonce
    self.createdAt = createdAt
  }

  /// The lease that belongs to an attachment.
  public init(_ key: AttachmentKey, _ attachment: Attachment) {
    self.init(
      attachment: key, node: attachment.node, mac: attachment.mac, workload: attachment.workload,
      nonce: attachment.nonce, createdAt: attachment.createdAt)
  }
}
