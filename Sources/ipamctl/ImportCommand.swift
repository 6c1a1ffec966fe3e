import AddressSpace
import ArgumentParser
import ConsulBackend
import DiskBackend
import IPAM
import JSON

// Addresses that another plugin handed out, taken over into a network in Consul. What is imported
// is only read, and a second import changes nothing.

struct ImportCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import",
    abstract: "Restores an export, or takes over what another plugin handed out.",
    subcommands: [Restore.self, Ancestor.self, HostLocal.self, Whereabouts.self],
    defaultSubcommand: Restore.self)

  struct Options: ParsableArguments {
    @Option(help: "The interface of attachments of which none is known.")
    var interface = "eth0"
    @Flag(help: "Only say what would be imported.") var dryRun = false
    @OptionGroup var journal: JournalOptions
    @OptionGroup var consul: ConsulOptions
    @OptionGroup var format: OutputOptions
  }

  struct Ancestor: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "cni-ipam-consul",
      abstract: "Takes over a network of the earlier plugin, from its keys at the root.",
      discussion: """
        Stop the earlier plugin on all nodes first: both at once would hand out the same \
        addresses. Until the import is complete no node is given an address of the network; if it \
        is interrupted, run it again. The earlier plugin's keys are left as they are. It did not record nodes: give --node if all \
        containers run on one, so that this plugin's DEL there finds them; without it they stand \
        under no node.
        """)
    @Argument(help: "The network.") var name: String
    @Option(help: "The node that the attachments are on.") var node = ""
    @OptionGroup var options: Options

    func run() async throws {
      let networks = try options.consul.networks()
      let deadline = options.consul.deadline
      let data = try await asking { () async throws(StoreError) in
        try await networks.ancestorData(of: name, deadline: deadline)
      }
      guard data.settings != nil || !data.records.isEmpty else {
        throw Failure(.no, "there is no data of the earlier plugin under the key \"\(name)\"")
      }
      let store = networks.store(name)
      func stored() async throws(Failure) -> StoreEntry {
        try await asking { () async throws(StoreError) in
          try await store.storedDefinition(deadline: deadline)
        }
      }
      var target: any AllocationStore = store
      var known = try await stored()
      if known == .absent {
        guard var made = try data.settings.map({ try NetworkDefinition(ancestor: $0, name: name) })
        else {
          throw Failure(
            .no,
            "the key \"\(name)\" with the network's settings is missing: nothing says its subnet")
        }
        made.incarnation = ConsulOptions.surroundings.random()
        if options.dryRun { target = MemoryStore() }
        // Until all are taken over, nobody is given an address that somebody has.
        try await create(restoration(of: made, in: target).closed, target, deadline)
        Terminal.say("network \(name) \(options.dryRun ? "would be" : "is") defined")
        known = try await stored()
      }
      var importer = Importer(options, node: node)
      for (key, record) in data.records { importer.add(ancestor: record, key: key) }
      try await importer.run(into: target, name, deadline) { () async throws(Failure) in
        try await open(known, data.settings, store, deadline)
      }
    }

    private func restoration(
      of definition: NetworkDefinition, in store: any AllocationStore
    ) -> Restoration {
      Restoration(of: definition, in: store, surroundings: ConsulOptions.surroundings)
    }

    /// Opens a network that is closed because this import, or one before it, has made it.
    private func open(
      _ known: StoreEntry, _ settings: JSONValue?, _ store: ConsulStore, _ deadline: Deadline
    ) async throws(Failure) {
      guard !options.dryRun, let settings, case .definition(let definition)? = known.value else {
        return
      }
      var made = try NetworkDefinition(ancestor: settings, name: name)
      made.incarnation = definition.incarnation
      let restoration = restoration(of: made, in: store)
      guard definition == restoration.closed else { return }
      try await deciding { () async throws(AllocationError) in
        try await restoration.finish(deadline: deadline)
      }
    }

    private func create(
      _ definition: NetworkDefinition, _ store: any AllocationStore, _ deadline: Deadline
    ) async throws(Failure) {
      let operation = StoreOperation.put(.definition, .definition(definition), expected: .absent)
      switch await store.commit([operation], cursors: [:], deadline: deadline) {
      case .committed, .conflict: return
      case .refused(let error): throw Failure(error)
      case .tooLarge: throw definition.refusal(by: store)
      case .unavailable(let text), .unknown(let text): throw Failure(.unavailable, text)
      }
    }
  }

  struct HostLocal: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "host-local",
      abstract: "Takes over a directory of host-local's, such as /var/lib/cni/networks/NAME.",
      discussion: """
        The network must be defined in Consul: ipamctl network create. Switch the node's \
        configuration over before containers come and go on it again.
        """)
    @Argument(help: "The network's directory.") var directory: String
    @Option(
      help: "The node whose directory it is, as the plugin's configuration or host name says.")
    var node: String
    @Option(help: "The network in Consul; the directory's name without this.")
    var network: String?
    @OptionGroup var options: Options

    func run() async throws {
      let parts = directory.split(separator: "/", omittingEmptySubsequences: true)
      guard let last = parts.last else { throw Failure(.usage, "\(directory) names no network") }
      let parent = (directory.hasPrefix("/") ? "/" : "./") + parts.dropLast().joined(separator: "/")
      let name = network ?? String(last)
      let deadline = options.consul.deadline
      let source = DiskStore(directory: parent, network: String(last), definition: nil)
      var importer = Importer(options, node: node)
      try await asking { () async throws(StoreError) in
        try await source.list(.leases, deadline: deadline) { (key, entry) throws(StoreError) in
          importer.add(hostLocal: entry, key: key)
        }
      }
      guard !importer.isEmpty else {
        throw Failure(
          .no,
          Terminal.exists(directory)
            ? "\(directory) has no addresses of host-local's"
            : "there is no directory \(directory)")
      }
      try await importer.run(into: try options.consul.store(name), name, deadline)
    }
  }
}

extension NetworkDefinition {
  /// The definition that the ancestor's settings mean: {"gw", "net", "start", "end", "routes"}.
  init(ancestor settings: JSONValue, name: String) throws(Failure) {
    func text(_ key: String) -> String? {
      guard let text = settings[key]?.string, !text.isEmpty else { return nil }
      return text
    }
    let routes = (settings["routes"]?.elements ?? []).compactMap { route -> Route? in
      guard let dst = route["dst"]?.string ?? route.string, !dst.isEmpty else { return nil }
      let gateway = route["gw"]?.string
      return Route(dst: dst, gw: gateway?.isEmpty == false ? gateway : nil)
    }
    do {
      let range = SubnetRange.Text(
        subnet: text("net"), rangeStart: text("start"), rangeEnd: text("end"),
        gateway: text("gw"))
      self.init(
        name: name,
        rangeSets: try RangeSet.sets([[range]], rules: SubnetRange.Rules(masksHostBits: true)),
        routes: routes, cooldown: Cooldown(seconds: NetworkDefinition.defaultCooldown))
      // Whatever the ancestor let pass must be a definition that every node can read.
      self = try NetworkDefinition(document: document, name: name)
    } catch {
      throw Failure(.failed, "the settings in key \"\(name)\" make no network: \(error)")
    }
  }
}
