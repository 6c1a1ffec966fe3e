public import AddressSpace

// What a network is. On Consul it is a key of its own and rules whatever a client's file says; on a
// directory each client's file is the definition.

/// A named network: from each of its range sets an attachment gets one address.
public struct NetworkDefinition: Hashable, Sendable {
  /// Whether addresses are leased to attachments or only marked in the bitmaps.
  public enum Kind: String, Hashable, Sendable {
    /// Every address has a lease and an attachment (CNI).
    case leased
    /// Bits only (bulk use by a library's user); repair never clears them.
    case bare
  }

  /// Where a search for a free address begins.
  public enum SearchOrder: String, Hashable, Sendable {
    /// In the node's home chunk (the default on Consul).
    case homeChunk
    /// After the address handed out last (host-local's round robin; the default on a directory).
    case sequential
  }

  /// What happens to an address after its release.
  public struct Cooldown: Hashable, Sendable {
    /// What a node does that finds only cooling addresses.
    public enum Policy: String, Hashable, Sendable {
      /// Take the oldest cooling one that was seen.
      case borrow
      /// Wait until one has cooled down.
      case strict
    }
    /// How long a released address stays unavailable, in seconds; 0 for not at all.
    public var seconds: UInt32
    /// What to do when nothing else is left.
    public var policy: Policy

    /// A cool-down.
    public init(seconds: UInt32, policy: Policy = .borrow) {
      self.seconds = seconds
      self.policy = policy
    }

    /// None.
    public static let none = Cooldown(seconds: 0)
  }

  /// The network's name.
  public var name: String
  /// A random number that tells this definition from an earlier one of the same name.
  public var incarnation: UInt64
  /// Leased or bare.
  public var kind: Kind
  /// One address comes from each.
  public var rangeSets: [RangeSet]
  /// Addresses that are never handed out.
  public var exclusions: [AddressRange]
  /// Routes that every result carries.
  public var routes: [Route]
  /// Name service that every result carries.
  public var dns: DNS
  /// The cool-down after a release.
  public var cooldown: Cooldown
  /// Where the search begins.
  public var searchOrder: SearchOrder
  /// The binary logarithm of the ordinals in a chunk (6...14); nil for the default of each pool,
  /// which is smaller for leases of many nodes than for bulk use.
  public var chunkBits: Int?
  /// The prefix length that one ordinal stands for; nil for single addresses.
  public var unitPrefixLength: Int?
  /// How many commits of each node the store keeps in its journal, of ``journalSizes``; 0 for none.
  public var journal: Int

  /// What a journal may keep. A commit takes a kilobyte or two of the store's memory, so that 4,096
  /// of 1,000 nodes would be 4 GB and more.
  public static let journalSizes = 0...4_096

  /// A definition.
  public init(
    name: String, incarnation: UInt64 = 0, kind: Kind = .leased, rangeSets: [RangeSet],
    exclusions: [AddressRange] = [], routes: [Route] = [], dns: DNS = DNS(),
    cooldown: Cooldown = .none, searchOrder: SearchOrder = .homeChunk, chunkBits: Int? = nil,
    unitPrefixLength: Int? = nil, journal: Int = 0
  ) {
    self.name = name
    self.incarnation = incarnation
    self.kind = kind
    self.rangeSets = rangeSets
    self.exclusions = exclusions
    self.routes = routes
    self.dns = dns
    self.cooldown = cooldown
    self.searchOrder = searchOrder
    self.chunkBits = chunkBits
    self.unitPrefixLength = unitPrefixLength
    self.journal = journal
  }
}

/// A route of a result; the destination is kept as written (RFC 4632 host bits included), because
/// host-local passes it through.
public struct Route: Hashable, Sendable, Codable {
  /// The destination in CIDR notation.
  public var dst: String
  /// The next hop.
  public var gw: String?
  /// Maximum transmission unit in bytes (CNI 1.1.0).
  public var mtu: Int?
  /// Maximum segment size to advertise in bytes (CNI 1.1.0).
  public var advmss: Int?
  /// The route's priority, lower wins (CNI 1.1.0).
  public var priority: Int?
  /// The routing table (CNI 1.1.0).
  public var table: Int?
  /// The route's scope (CNI 1.1.0).
  public var scope: Int?

  /// A route.
  public init(
    dst: String, gw: String? = nil, mtu: Int? = nil, advmss: Int? = nil, priority: Int? = nil,
    table: Int? = nil, scope: Int? = nil
  ) {
    self.dst = dst
    self.gw = gw
    self.mtu = mtu
    self.advmss = advmss
    self.priority = priority
    self.table = table
    self.scope = scope
  }
}

/// Name service of a result.
public struct DNS: Hashable, Sendable, Codable {
  /// Addresses of name servers.
  public var nameservers: [String]
  /// The local domain.
  public var domain: String?
  /// Search domains.
  public var search: [String]
  /// Resolver options.
  public var options: [String]

  /// Name service.
  public init(
    nameservers: [String] = [], domain: String? = nil, search: [String] = [],
    options: [String] = []
  ) {
    self.nameservers = nameservers
    self.domain = domain
    self.search = search
    self.options = options
  }

  /// Whether nothing is set.
  public var isEmpty: Bool {
    nameservers.isEmpty && domain == nil && search.isEmpty && options.isEmpty
  }
}
