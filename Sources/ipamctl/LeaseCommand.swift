import AddressSpace
import ArgumentParser
import ConsulBackend
import DiskBackend
import Glibc
import IPAM
import JSON

struct LeaseCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "lease", abstract: "Shows who holds which address; acquires and releases by hand.",
    subcommands: [List.self, Acquire.self, Release.self])
}

/// A network's store: in Consul, or a directory in host-local's format.
struct StoreOptions: ParsableArguments {
  @Option(
    help: "A directory of host-local's format instead of Consul: the folder of the network's.")
  var dataDir: String?
  @OptionGroup var consul: ConsulOptions

  func store(
    _ network: String, mayBeNew: Bool = false, stateDir: String = DiskStore.defaultStateDirectory
  ) throws(Failure) -> any AllocationStore {
    guard let dataDir else { return try consul.store(network) }
    return try directory(dataDir, network, nil, mayBeNew: mayBeNew, stateDir)
  }

  /// The store with the network's definition: Consul's own, or for a directory the one of the options,
  /// if they give one.
  func store(
    _ network: String, _ source: DefinitionOptions, mayBeNew: Bool = false,
    stateDir: String = DiskStore.defaultStateDirectory
  ) async throws(Failure) -> (store: any AllocationStore, definition: NetworkDefinition?) {
    guard let dataDir else {
      try source.mustBeEmpty()
      let store = try consul.store(network)
      return (store, try await ipamctl.definition(of: store, network, consul.deadline).definition)
    }
    let definition = try source.definitionOfDirectory(network)
    return (try directory(dataDir, network, definition, mayBeNew: mayBeNew, stateDir), definition)
  }

  /// A folder that is not there holds nothing, but its name may be mistyped: only what makes one may
  /// do without.
  private func directory(
    _ dataDir: String, _ network: String, _ definition: NetworkDefinition?, mayBeNew: Bool,
    _ stateDir: String
  ) throws(Failure) -> DiskStore {
    let folder = try Self.folder(network)
    guard mayBeNew || !Terminal.isMissing("\(dataDir)/\(folder)") else {
      throw Failure(.no, "network \(network): there is no directory \(dataDir)/\(folder)")
    }
    return DiskStore(
      directory: dataDir, network: folder, definition: definition, stateDirectory: stateDir)
  }

  /// The names of all networks, sorted; of a directory those of its folders.
  func networkNames() async throws(Failure) -> [String] {
    if let dataDir {
      guard let names = Terminal.names(in: dataDir) else {
        throw Failure(.failed, "\(dataDir): \(String(cString: strerror(errno)))")
      }
      return names.filter { Terminal.isFolder("\(dataDir)/\($0)") }.sorted()
    }
    let networks = try consul.networks()
    let deadline = consul.deadline
    return try await asking { () async throws(StoreError) in
      try await networks.names(deadline: deadline)
    }
  }

  /// A network's name, which is that of a folder in a directory and of no other place.
  static func folder(_ network: String) throws(Failure) -> String {
    guard !["", ".", ".."].contains(network), !network.contains("/") else {
      throw Failure(.usage, "network name \"\(Table.printable(network))\" names no folder")
    }
    return network
  }
}

extension DefinitionOptions {
  /// The definition of a network in a directory, which keeps none; nil if no option gives it.
  func definitionOfDirectory(_ network: String) throws(Failure) -> NetworkDefinition? {
    guard !isEmpty else { return nil }
    return try NetworkDefinition(
      checking: try document(over: ["cooldown": ["seconds": .number(0)]]), name: network)
  }
}

extension AllocationStore {
  /// Visits the entries of a kind with the number of their bytes, as far as it is known: leases by
  /// address, the chunks of one level of a pool in order. From Consul it takes little memory.
  func visitInOrder(
    _ kind: StoreListing, deadline: Deadline,
    _ visit: (StoreKey, StoreEntry, Int) throws(StoreError) -> Void
  ) async throws(StoreError) {
    if let store = self as? ConsulStore {
      return try await store.listInPages(kind, deadline: deadline, visit)
    }
    var entries: [(key: StoreKey, entry: StoreEntry)] = []
    try await list(kind, deadline: deadline) { (key, entry) throws(StoreError) in
      entries.append((key, entry))
    }
    entries.sort { left, right in
      switch (left.key, right.key) {
      case (.lease(let left), .lease(let right)): left < right
      case (.chunk(let left), .chunk(let right)): left.node < right.node
      default: false
      }
    }
    for (key, entry) in entries { try visit(key, entry, 0) }
  }
}

extension LeaseCommand {
  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Lists the leases of a network, by address.",
      discussion: "Every filter that is given must hold. Text is compared exactly.")
    @Argument(help: "The network.") var network: String
    @Option(help: "Only those of this node.") var node: String?
    @Option(help: "Only those of this container ID.") var container: String?
    @Option(help: "Only those of this pod (K8S_POD_NAME) or Nomad task group.") var pod: String?
    @Option(help: "Only those of this namespace (K8S_POD_NAMESPACE, NOMAD_NAMESPACE).")
    var namespace: String?
    @Option(help: "Only that of this MAC address.") var mac: String?
    @Option(help: "Only those in this prefix, for example 10.1.2.0/24.") var prefix: String?
    @Option(help: "Only those held for at least this many seconds.") var olderThan: UInt64?
    @Flag(help: "Only those that predate this host's boot; from Consul with --node, this host.")
    var beforeBoot = false
    @OptionGroup var place: StoreOptions
    @OptionGroup var format: OutputOptions

    func run() async throws {
      let filter = try filter()
      let store = try place.store(network)
      let deadline = place.consul.deadline
      var listing = LeaseListing(format.output)
      var damaged: [IPAddress] = []
      var isEmpty = true
      try await asking { () async throws(StoreError) in
        try await store.visitInOrder(.leases, deadline: deadline) { (key, entry, _) in
          guard case .lease(let address) = key else { return }
          isEmpty = false
          guard case .lease(let lease) = entry.value else {
            damaged.append(address)
            return
          }
          if filter.includes(address, lease) { listing.add(address, lease) }
        }
      }
      // Without a lease the network may be empty, or none.
      if isEmpty, let consul = store as? ConsulStore {
        _ = try await definition(of: consul, network, deadline)
      }
      listing.finish()
      for address in damaged {
        Terminal.say("the lease of \(address) cannot be read: ipamctl check \(network) --repair")
      }
      if !damaged.isEmpty { throw Failure(.failed, damaged.count.counted("damaged lease")) }
    }

    private func filter() throws(Failure) -> LeaseFilter {
      var filter = LeaseFilter(
        node: node, container: container, pod: pod, namespace: namespace)
      do {
        filter.mac = try mac.map { try MACAddress(parsing: $0) }
      } catch {
        throw Failure(.usage, "--mac: \(error)")
      }
      do {
        filter.prefix = try prefix.map { try Prefix(parsing: $0) }
      } catch {
        throw Failure(.usage, "--prefix: \(error)")
      }
      let now = ConsulOptions.surroundings.now()
      filter.createdUpTo = olderThan.map { now > $0 ? now - $0 : 0 }
      guard !beforeBoot || place.dataDir != nil || node != nil else {
        throw Failure(.usage, "--before-boot: give this host's name with --node")
      }
      filter.boot = beforeBoot ? HostBoot(now: now) : nil
      return filter
    }
  }
}

/// Leases as they are printed, each once it is known.
private struct LeaseListing {
  private let format: OutputFormat
  private var table = LongTable([
    "ADDRESS", "CONTAINER", "INTERFACE", "NODE", "MAC", "SINCE", "WORKLOAD",
  ])
  private var array = LongArray()

  init(_ format: OutputFormat) { self.format = format }

  mutating func add(_ address: IPAddress, _ lease: Lease) {
    switch format {
    case .json: array.add(lease.document(of: address))
    case .table:
      table.add([
        address.description, lease.attachment.container, lease.attachment.interface,
        lease.attachment.node.isEmpty ? "-" : lease.attachment.node,
        lease.mac?.description ?? "-", lease.createdAt == 0 ? "-" : utc(lease.createdAt),
        lease.workload.title ?? "-",
      ])
    }
  }

  mutating func finish() {
    switch format {
    case .json: array.finish()
    case .table: table.print()
    }
  }
}

/// Which leases are wanted: those for which all that is set holds.
struct LeaseFilter {
  var node: String?
  var container: String?
  var pod: String?
  var namespace: String?
  var mac: MACAddress?
  var prefix: Prefix?
  var createdUpTo: UInt64?
  var boot: HostBoot?

  func includes(_ address: IPAddress, _ lease: Lease) -> Bool {
    (node.map { $0 == lease.attachment.node } ?? true)
      && (container.map { $0 == lease.attachment.container } ?? true)
      && (pod.map { lease.workload.pod == $0 } ?? true)
      && (namespace.map { lease.workload.namespace == $0 } ?? true)
      && (mac.map { $0 == lease.mac } ?? true)
      && (prefix?.contains(address) ?? true)
      && (createdUpTo.map { lease.createdAt > 0 && lease.createdAt <= $0 } ?? true)
      && (boot.map { $0.isAfter(lease) } ?? true)
  }
}

extension Workload {
  var pod: String? { labels["K8S_POD_NAME"] ?? labels["NOMAD_GROUP_NAME"] }
  var namespace: String? { labels["K8S_POD_NAMESPACE"] ?? labels["NOMAD_NAMESPACE"] }

  /// Namespace and pod, or what else is known.
  var title: String? {
    if let pod { return namespace.map { "\($0)/\(pod)" } ?? pod }
    return labels.min { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
  }
}

extension Lease {
  func document(of address: IPAddress) -> JSONValue {
    var members: [JSONValue.Member] = [
      .init("address", .string(address.description)),
      .init("container", .string(attachment.container)),
      .init("interface", .string(attachment.interface)),
    ]
    if !attachment.node.isEmpty { members.append(.init("node", .string(attachment.node))) }
    if let mac { members.append(.init("mac", .string(mac.description))) }
    if createdAt > 0 { members.append(.init("since", .string(utc(createdAt)))) }
    let labels = workload.labels.sorted { $0.key < $1.key }
    if !labels.isEmpty {
      members.append(
        .init("workload", .object(labels.map { .init($0.key, .string($0.value)) })))
    }
    return .object(members)
  }
}
