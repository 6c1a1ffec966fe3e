import AddressSpace
import CNI
import ConsulBackend
import IPAM

// Between a runtime's words and ours: configuration to definition, attachment to result, error to code.

extension NetworkDefinition {
  /// What a definition has where a configuration says nothing, by the store that it is for.
  struct Defaults {
    /// A directory: the configuration is the definition.
    let isDirectory: Bool
    /// Only host-local refuses host bits; the ancestor masked them.
    let masksHostBits: Bool

    var order: SearchOrder { isDirectory ? .sequential : .homeChunk }
    var cooldown: UInt32 { isDirectory ? 0 : 60 }
  }

  /// The definition that a configuration gives; nil if it has no ranges, because then the one in
  /// Consul has to say them.
  init?(_ invocation: Invocation, _ defaults: Defaults) throws {
    let settings = try invocation.configuration.poolSettings()
    guard defaults.isDirectory || settings.runtimeRangeSets.isEmpty else {
      // What one attachment brings along must not become the network for all.
      throw CNIError(
        .configuration,
        "network \(invocation.configuration.name) is in Consul and hands out no other ranges than "
          + "its own",
        details: "remove runtimeConfig.ipRanges, or the capability ipRanges")
    }
    guard defaults.isDirectory || !settings.allRangeSets.isEmpty else { return nil }
    let rules = SubnetRange.Rules(
      masksHostBits: defaults.masksHostBits, allowsSmallSubnets: settings.allowSmallSubnets)
    let texts = settings.allRangeSets.map { $0.map(SubnetRange.Text.init) }
    let sets: [RangeSet]
    do {
      sets = try RangeSet.sets(texts, rules: rules)
    } catch {
      throw CNIError(.configuration, error.description)
    }
    if invocation.command == .add {
      Self.warnOfHostBits(in: texts.joined())
      if let length = settings.unitPrefixLength,
        sets.contains(where: { length < $0.family.bitWidth })
      {
        throw CNIError(
          .configuration, "ipam.unitPrefixLength is \(length): a container needs an address",
          details: "pools of prefixes are for the library")
      }
    }
    try invocation.configuration.requireRoom(for: sets.map(\.family))
    do {
      try RangeSet.checkDisjoint(sets)
    } catch {
      throw CNIError(.configuration, error.description)
    }
    self.init(
      name: invocation.configuration.name, rangeSets: sets, exclusions: settings.exclusions,
      routes: settings.routes.map(IPAM.Route.init),
      dns: try Self.dns(settings, isNeeded: invocation.command == .add),
      cooldown: Cooldown(
        seconds: settings.cooldown.map { UInt32($0.components.seconds) } ?? defaults.cooldown,
        policy: settings.cooldownPolicy == .strict ? .strict : .borrow),
      searchOrder: settings.searchOrder.map { $0 == .sequential ? .sequential : .homeChunk }
        ?? defaults.order,
      chunkBits: settings.chunkBits, unitPrefixLength: settings.unitPrefixLength,
      journal: settings.journal ?? 0)
  }

  /// Host bits that were refused are an error already; those that are left were masked.
  private static func warnOfHostBits(in texts: some Sequence<SubnetRange.Text>) {
    for text in texts {
      guard let subnet = text.subnet, let written = try? InterfaceAddress(parsing: subnet),
        written.address != written.prefix.address
      else { continue }
      Backend.warn("the subnet \(subnet) has host bits set: taken as \(written.prefix)")
    }
  }

  private static func dns(_ settings: PoolSettings, isNeeded: Bool) throws -> IPAM.DNS {
    guard isNeeded, let path = settings.resolvConf, !path.isEmpty else { return IPAM.DNS() }
    do {
      let dns = CNI.DNS(resolvConf: try SystemProcess.read(file: path))
      return IPAM.DNS(
        nameservers: dns.nameservers, domain: dns.domain.isEmpty ? nil : dns.domain,
        search: dns.search, options: dns.options)
    } catch {
      throw CNIError(.inputOutput, "\(error)", details: "mend or remove ipam.resolvConf")
    }
  }
}

extension PoolSettings {
  /// The keys that a file sets, of those in which definitions can differ: a default is no opinion.
  var opinions: Set<String> {
    var keys: Set<String> = []
    if !allRangeSets.isEmpty { keys.insert("ranges") }
    if !exclusions.isEmpty { keys.insert("exclude") }
    if !routes.isEmpty { keys.insert("routes") }
    if resolvConf != nil { keys.insert("resolvConf") }
    if cooldown != nil { keys.insert("cooldown") }
    if cooldownPolicy != nil { keys.insert("cooldownPolicy") }
    if searchOrder != nil { keys.insert("searchOrder") }
    if chunkBits != nil { keys.insert("chunkBits") }
    if unitPrefixLength != nil { keys.insert("unitPrefixLength") }
    if journal != nil { keys.insert("journal") }
    return keys
  }
}

extension SubnetRange.Text {
  init(_ text: RangeText) {
    self.init(
      subnet: text.subnet, rangeStart: text.rangeStart, rangeEnd: text.rangeEnd,
      gateway: text.gateway)
  }
}

extension IPAM.Route {
  init(_ route: CNI.Route) {
    self.init(
      dst: route.destination.description, gw: route.gateway?.description, mtu: route.mtu,
      advmss: route.advmss, priority: route.priority, table: route.table, scope: route.scope)
  }
}

extension CNI.Route {
  init(_ route: IPAM.Route) throws {
    self.init(
      destination: try InterfaceAddress(parsing: route.dst),
      gateway: try route.gw.map { try IPAddress(parsing: $0) })
    mtu = route.mtu
    advmss = route.advmss
    priority = route.priority
    table = route.table
    scope = route.scope
  }
}

extension AddResult {
  init(_ acquired: Acquired) throws {
    var addresses: [Address] = []
    for holding in acquired.attachment.holdings {
      guard
        let address = InterfaceAddress(
          address: holding.address, prefixLength: holding.prefixLength)
      else {
        throw CNIError(
          .damagedData,
          "the record of \(holding.address) has the prefix length \(holding.prefixLength)")
      }
      addresses.append(Address(address, gateway: holding.gateway))
    }
    var dns = CNI.DNS()
    dns.nameservers = acquired.definition.dns.nameservers
    dns.domain = acquired.definition.dns.domain ?? ""
    dns.search = acquired.definition.dns.search
    dns.options = acquired.definition.dns.options
    self.init(
      addresses: addresses, routes: try acquired.definition.routes.map { try CNI.Route($0) },
      dns: dns)
  }
}

extension ConsulBackend.ConsulSettings {
  init(_ settings: StoreSettings) {
    self.init()
    let consul = settings.consul
    address = consul.address
    port = consul.port
    scheme = consul.scheme?.rawValue
    token = consul.token.map { ConsulSecret($0) }
    tokenFile = consul.tokenFile
    caFile = consul.caFile
    certFile = consul.certificateFile
    keyFile = consul.keyFile
    tlsServerName = consul.tlsServerName
    namespace = consul.namespace
    partition = consul.partition
    datacenter = consul.datacenter
    timeout = settings.timeout
    consistency = consul.consistency?.rawValue
  }
}

extension CNIError {
  /// What an operation's failure is to the runtime.
  init(_ error: AllocationError, _ remedies: Remedies) {
    let (code, details) = Self.classify(error, remedies)
    self.init(code, error.description, details: details)
  }

  private static func classify(
    _ error: AllocationError, _ remedies: Remedies
  ) -> (Code, String) {
    switch error {
    case .invalidDefinition: (.configuration, "mend the network's ranges")
    case .undefinedNetwork:
      (
        .configuration,
        "give the network a subnet" + (remedies.create.map { ", or define it: \($0)" } ?? "")
      )
    case .exhausted(let exhaustion):
      (
        .exhausted,
        "\(exhaustion.figures); \(remedies.list) shows who holds them"
      )
    case .requestedGateway, .requestedTaken(_, _, _, holder: nil):
      (.taken, "request another address or none")
    case .requestedTaken(_, _, _, let holder?):
      (.taken, "it is held by \(holder); request another address or none")
    case .requestedElsewhere: (.configuration, "no range set hands these addresses out")
    case .alreadyHeld: (.taken, "DEL the attachment before it is added again")
    case .macTaken: (.taken, "request another MAC address or none")
    case .notHeld(_, nil): (.checkFailed, "nothing is reserved for it; ADD it again")
    case .notHeld: (.checkFailed, "it is reserved for nobody or another; ADD it again")
    case .tooLarge:
      (.configuration, "use fewer range sets, or an agent of Consul 1.14 or newer")
    case .deadlineExceeded: (.tryAgainLater, "try again, or raise ipam.timeout")
    case .outcomeUnknown: (.tryAgainLater, "repeat the ADD or DEL: it finds out what happened")
    case .storeWentBack: (.tryAgainLater, "mend it with: \(remedies.check)")
    case .damaged: (.damagedData, remedies.check)
    case .store(let error): classify(error, remedies)
    }
  }

  private static func classify(_ error: StoreError, _ remedies: Remedies) -> (Code, String) {
    switch error.kind {
    case .unavailable: (.tryAgainLater, "check that the store is up and reachable from this node")
    case .io: (.inputOutput, "")
    case .refused: (.configuration, "")
    case .damaged: (.damagedData, remedies.check)
    }
  }
}
