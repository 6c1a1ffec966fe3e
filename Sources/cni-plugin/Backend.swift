import CNI
import ConsulBackend
import DiskBackend
import IPAM

// Which store a network is kept in, and how its allocator is made from the configuration.

/// The allocator of one network and the names that its attachments have there.
struct Backend {
  /// Where host-local keeps its networks.
  static let dataDirectory = "/var/lib/cni/networks"
  /// Where this node keeps what it remembers.
  static let stateDirectory = DiskStore.defaultStateDirectory

  let allocator: NetworkAllocator
  /// What an error tells the operator to type.
  let remedies: Remedies
  /// Where this node writes down who held what and when.
  let journal: Journal
  /// Whether it is kept as host-local keeps it, and speaks as host-local does.
  var isDirectory: Bool { allocator.store.traits.isLocal }
  /// Where that is, for the log.
  let place: String
  private let definition: NetworkDefinition?
  private let nodeName: String
  private let earlierNodeNames: [String]

  init(_ invocation: Invocation, _ settings: StoreSettings, _ surroundings: Surroundings) throws {
    switch settings.backend {
    case .disk: self = try Backend(disk: invocation, settings, surroundings)
    case .consul: self = try Backend(consul: invocation, settings, surroundings)
    }
  }

  private init(
    disk invocation: Invocation, _ settings: StoreSettings, _ surroundings: Surroundings
  ) throws {
    let definition = try Self.definition(
      invocation, .init(isDirectory: true, masksHostBits: settings.type != "host-local"))
    let directory = settings.dataDirectory ?? Self.dataDirectory
    let store = DiskStore(
      directory: directory,
      network: invocation.configuration.name, definition: definition,
      stateDirectory: settings.stateDirectory ?? Self.stateDirectory,
      sync: settings.sync ?? false)
    self.definition = definition
    remedies = .directory(network: invocation.configuration.name, path: directory)
    journal = Journal(
      stateDirectory: settings.stateDirectory ?? Self.stateDirectory,
      network: invocation.configuration.name)
    place = "directory"
    nodeName = ""
    earlierNodeNames = []
    allocator = NetworkAllocator(
      store: store, networkName: invocation.configuration.name, definition: definition,
      node: Node(name: ""), repeatPolicy: .refuse, surroundings: surroundings,
      warn: Self.warn, executor: MainLoop.shared)
  }

  private init(
    consul invocation: Invocation, _ settings: StoreSettings, _ surroundings: Surroundings
  ) throws {
    HostNames.byFilesAndDNS()
    let definition = try Self.definition(
      invocation, .init(isDirectory: false, masksHostBits: true))
    let configuration: ConsulConfiguration
    do {
      configuration = try ConsulConfiguration(
        ConsulBackend.ConsulSettings(settings), environment: SystemProcess.environment)
    } catch {
      throw CNIError(.configuration, error.description)
    }
    let stateDirectory = settings.stateDirectory ?? Self.stateDirectory
    let identity = try Self.identity(invocation, settings, stateDirectory, surroundings)
    let store = ConsulStore(
      configuration, prefix: settings.consul.prefix ?? ConsulStore.defaultPrefix,
      network: invocation.configuration.name, stateDirectory: stateDirectory,
      surroundings: surroundings)
    // Held for ever: the process ends sooner than an event loop is taken down, in a thread for that.
    _ = Unmanaged.passRetained(store)
    self.definition = definition
    let remedies = Remedies.consul(
      network: invocation.configuration.name, store, stateDirectory: stateDirectory)
    self.remedies = remedies
    journal = Journal(
      stateDirectory: stateDirectory, network: invocation.configuration.name)
    place = configuration.endpoint.description
    nodeName = identity.node.name
    earlierNodeNames = identity.earlierNames
    allocator = NetworkAllocator(
      store: store, networkName: invocation.configuration.name, definition: definition,
      node: identity.node, surroundings: surroundings,
      warn: { Self.warn("\($0); to mend it: \(remedies.check)") },
      executor: MainLoop.shared)
  }

  /// The name under which an attachment is made.
  func name(of attachment: CNIAttachment) -> AttachmentKey {
    AttachmentKey(
      node: nodeName, container: attachment.containerID, interface: attachment.interfaceName)
  }

  /// The names under which it may be found: also those that this node had before, and in a directory
  /// that of an old reservation, which says no interface.
  func names(of attachment: CNIAttachment) -> [AttachmentKey] {
    var names = [name(of: attachment)]
    names += earlierNodeNames.map {
      AttachmentKey(
        node: $0, container: attachment.containerID, interface: attachment.interfaceName)
    }
    if isDirectory {
      names.append(
        AttachmentKey(node: nodeName, container: attachment.containerID, interface: ""))
    }
    return names
  }

  /// What the command has cost so far, for the log.
  var cost: [(String, String)] {
    if let disk = allocator.store as? DiskStore {
      let counters = disk.counters
      return [
        ("commits", String(counters.commits)), ("conflicts", String(counters.conflicts)),
        ("listings", String(counters.listings)),
      ]
    }
    guard let consul = allocator.store as? ConsulStore else { return [] }
    let counters = consul.counters
    return [
      ("roundTrips", String(counters.requests)), ("commits", String(counters.commits)),
      ("connections", String(counters.connections)),
      ("bytesSent", String(counters.bytesSent)), ("bytesReceived", String(counters.bytesReceived)),
    ]
  }

  /// Says on standard error in which of the given keys the definition that rules differs from the
  /// configuration.
  func warnOfDifferences(_ ruling: NetworkDefinition, in keys: Set<String>) {
    let different = definition?.differences(from: ruling).filter(keys.contains) ?? []
    guard !different.isEmpty else { return }
    Self.warn(
      "network \(ruling.name) is defined in Consul, and differs from this configuration in: "
        + different.joined(separator: ", "))
  }

  static let warn: @Sendable (String) -> Void = { text in
    Log.write(.warning, text)
  }

  /// The node's identity. What is made or collected needs the one that is kept; everything else works
  /// by the name, whatever has become of the state directory.
  private static func identity(
    _ invocation: Invocation, _ settings: StoreSettings, _ stateDirectory: String,
    _ surroundings: Surroundings
  ) throws -> NodeIdentity {
    do {
      let identity = try NodeIdentity(
        stateDirectory: stateDirectory, configuredName: settings.node,
        random: surroundings.random)
      if identity.wasCopied {
        warn(
          "\(stateDirectory) is a copy of another machine's: this is another node, "
            + "\(identity.node.name), which leaves alone what that one holds")
      }
      return identity
    } catch {
      if invocation.command == .add || invocation.command == .gc {
        throw CNIError(.inputOutput, error.description)
      }
      warn(error.description)
      return NodeIdentity(unkept: settings.node)
    }
  }

  /// The definition that the configuration gives: required for an ADD on a directory, else as far as
  /// it makes sense, because a DEL works whatever has become of the configuration.
  private static func definition(
    _ invocation: Invocation, _ defaults: NetworkDefinition.Defaults
  ) throws -> NetworkDefinition? {
    do {
      return try NetworkDefinition(invocation, defaults)
    } catch {
      if invocation.command == .del || invocation.command == .gc { return nil }
      throw error
    }
  }
}
