import ConsulBackend
import DiskBackend
import IPAM
import JSON

// What a node's networks need of Consul, each by the address, prefix and token that its own file gives
// the plugin. An option of the command goes before the file.

extension DoctorReport {
  /// Looks at each Consul once, and in it at each network; those that can be read there.
  mutating func examineConsul(
    of files: [NodeConfiguration], _ options: ConsulOptions, _ stateDir: String
  ) async -> [NodeConfiguration.Network] {
    var presences: [String: Bool] = [:]
    var allowed: [String: Bool] = [:]
    var reachable: [NodeConfiguration.Network] = []
    for file in files {
      for network in file.networks where network.usesConsul {
        let networks: ConsulNetworks
        do throws(Failure) {
          networks = try network.laidUnder(options, stateDir).networks(options)
        } catch {
          fail("configuration", "\(file.path): \(error)", "mend the file: every ADD fails")
          continue
        }
        let place = "\(networks.configuration)"
        if presences[place] == nil {
          presences[place] = await isPresent(networks, options.deadline)
        }
        guard presences[place] == true else { continue }
        let store = networks.store(network.name)
        let key = "\(place) \(store.nameInConsul(.definition) ?? "")"
        if allowed[key] == nil {
          let node = network.nodeName(in: network.stateDirectory(stateDir))
          allowed[key] = await isAllowed(network.name, node, networks, options.deadline)
        }
        guard allowed[key] == true else { continue }
        do throws(StoreError) {
          let entry = try await store.storedDefinition(deadline: options.deadline)
          compare(network, with: entry, of: store, in: file.path)
          try await examineName(of: network, in: store, stateDir, options.deadline)
          reachable.append(network)
        } catch {
          fail("network \(network.name)", error.description, "see what Consul's log says of it")
        }
      }
    }
    return reachable
  }

  /// Whether somebody else makes attachments by this node's name beside it. What an earlier instance made,
  /// before the state directory was lost, is older than all that this one has made.
  private mutating func examineName(
    of network: NodeConfiguration.Network, in store: ConsulStore, _ stateDir: String,
    _ deadline: Deadline
  ) async throws(StoreError) {
    let folder = network.stateDirectory(stateDir)
    guard let own = NodeIdentity(keptIn: folder)?.node else { return }
    let name = network.nodeName(in: folder)
    let isOwn = { (_: AttachmentKey, attachment: Attachment) in
      attachment.node.instance == own.instance
    }
    let others = try await store.orphans(
      ofNode: name, inUse: isOwn, isList: true, deadline: deadline)
    guard let stranger = others.strangers.first else { return }
    fail(
      "node \(name)",
      "another machine or runtime goes by this name on network \(network.name), too: it made "
        + "\(stranger)",
      "give one of the two another name (ipam.node): a list of what lives on the one says nothing of "
        + "the other's containers")
  }

  /// Looks at a Consul that no configuration names, and whether the token sees anything in it.
  mutating func examine(_ networks: ConsulNetworks, _ deadline: Deadline) async {
    guard await isPresent(networks, deadline) else { return }
    do throws(StoreError) {
      let names = try await networks.names(deadline: deadline)
      pass("token", "sees \(names.count.counted("network"))")
    } catch {
      fail("token", error.description, "give it the policy of docs/acl-policy.hcl")
    }
  }

  private mutating func isPresent(_ networks: ConsulNetworks, _ deadline: Deadline) async -> Bool {
    let place = "\(networks.configuration)"
    do throws(StoreError) {
      let presence = try await networks.presence(deadline: deadline)
      pass("Consul", "\(place) answers")
      guard let leader = presence.leader else {
        fail(
          "leader", "\(place) has none: nothing can be read or written",
          "see that more than half of the servers run and reach each other: consul operator raft "
            + "list-peers")
        return false
      }
      pass("leader", leader)
      examine(clockThere: presence.date)
      return true
    } catch {
      fail(
        "Consul", error.description,
        "start the agent, or say where Consul is: --consul, CONSUL_HTTP_ADDR, ipam.consul_addr")
      return false
    }
  }

  private mutating func isAllowed(
    _ network: String, _ node: String, _ networks: ConsulNetworks, _ deadline: Deadline
  ) async -> Bool {
    do throws(StoreError) {
      let denied = try await networks.denied(network: network, node: node, deadline: deadline)
      guard denied.isEmpty else {
        fail(
          "token for \(network)", "may not: \(denied.joined(separator: ", "))",
          "give it the policy of docs/acl-policy.hcl, with this prefix and network")
        return false
      }
      pass("token for \(network)", "may do all that is needed")
      return true
    } catch {
      fail("token for \(network)", error.description, "see what Consul's log says of it")
      return false
    }
  }
}

extension NodeConfiguration.Network {
  /// Whether the addresses are in Consul, as the plugin decides it.
  var usesConsul: Bool { text("backend").map { $0 == "consul" } ?? (type != "host-local") }

  /// Where they are if not.
  var dataDirectory: String { text("dataDir") ?? DiskStore.defaultDirectory }

  func stateDirectory(_ given: String) -> String {
    given == DiskStore.defaultStateDirectory ? text("stateDir") ?? given : given
  }

  /// The name that this node has on the network.
  func nodeName(in stateDirectory: String) -> String {
    text("node") ?? NodeIdentity(keptIn: stateDirectory)?.node.name ?? "node"
  }

  /// The network with what the command was told in place of what its file says; of two members of one
  /// name the last counts.
  func laidUnder(_ options: ConsulOptions, _ stateDir: String) -> Self {
    guard case .object(var members) = ipam else { return self }
    func lay(_ key: String, _ value: String?) {
      if let value { members.append(.init(key, .string(value))) }
    }
    func drop(_ keys: String...) { members += keys.map { .init($0, .null) } }
    if options.address != nil { drop("consul_port", "scheme") }
    if options.tokenFile != nil { drop("token") }
    lay("consul_addr", options.address)
    lay("prefix", options.prefix == ConsulStore.defaultPrefix ? nil : options.prefix)
    lay("dc", options.datacenter)
    lay("token_file", options.tokenFile)
    lay("ca_file", options.caFile)
    lay("cert_file", options.certFile)
    lay("key_file", options.keyFile)
    lay("tls_server_name", options.tlsServerName)
    lay("namespace", options.namespace)
    lay("partition", options.partition)
    lay("stateDir", stateDirectory(stateDir))
    // Shorter than a plugin is waited for.
    lay("timeout", "4s")
    var network = self
    network.ipam = .object(members)
    return network
  }

  /// The networks of the Consul that the file names.
  fileprivate func networks(_ options: ConsulOptions) throws(Failure) -> ConsulNetworks {
    var settings = ConsulSettings()
    settings.address = text("consul_addr")
    settings.port = ipam["consul_port"]?.integer ?? text("consul_port").flatMap { Int($0) }
    settings.scheme = text("scheme")
    settings.token = text("token").map { ConsulSecret($0) }
    settings.datacenter = text("dc")
    settings.tokenFile = text("token_file")
    settings.caFile = text("ca_file")
    settings.certFile = text("cert_file")
    settings.keyFile = text("key_file")
    settings.tlsServerName = text("tls_server_name")
    settings.namespace = text("namespace")
    settings.partition = text("partition")
    settings.timeout = .seconds(options.seconds)
    if options.address != nil { settings.names = .options }
    do {
      return ConsulNetworks(
        try ConsulConfiguration(settings, environment: Terminal.environment),
        prefix: text("prefix") ?? ConsulStore.defaultPrefix,
        surroundings: ConsulOptions.surroundings)
    } catch {
      throw Failure(.usage, error.description)
    }
  }

  /// A text of the ipam section; an empty one is none.
  private func text(_ key: String) -> String? {
    ipam[key]?.string.flatMap { $0.isEmpty ? nil : $0 }
  }
}
