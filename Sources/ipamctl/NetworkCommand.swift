import AddressSpace
import ArgumentParser
import ConsulBackend
import IPAM
import JSON

struct NetworkCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "network",
    abstract: "Lists networks; creates, shows, changes, trims and deletes those in Consul.",
    subcommands: [List.self, Create.self, Show.self, Update.self, Delete.self, Trim.self])
}

/// Reads a definition that has to be there.
func definition(
  of store: ConsulStore, _ name: String, _ deadline: Deadline
) async throws(Failure) -> (definition: NetworkDefinition, entry: StoreEntry) {
  let entry = try await asking { () async throws(StoreError) in
    try await store.storedDefinition(deadline: deadline)
  }
  switch entry.value {
  case .definition(let definition): return (definition, entry)
  case .damaged(let text):
    throw Failure(.failed, "the definition of network \(name) cannot be read: \(text)")
  default: throw Failure(.no, "network \(name) is not defined")
  }
}

extension NetworkCommand {
  struct Show: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Shows a network's definition.")
    @Argument(help: "The network.") var name: String
    @OptionGroup var consul: ConsulOptions
    @OptionGroup var format: OutputOptions

    func run() async throws {
      let store = try consul.store(name)
      let deadline = consul.deadline
      let found = try await ipamctl.definition(of: store, name, deadline).definition
      let count = try await asking { () async throws(StoreError) in
        try await store.leaseCount(deadline: deadline)
      }
      switch format.output {
      case .json: Terminal.print(found.document.indented)
      case .table: Terminal.print(found.table(leases: count))
      }
    }
  }

  struct Create: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Defines a network, by a JSON file or by flags; refuses if it exists.")
    @Argument(help: "The network.") var name: String
    @OptionGroup var source: DefinitionOptions
    @OptionGroup var consul: ConsulOptions
    @OptionGroup var format: OutputOptions
    @Flag(help: "Only say what would be created.") var dryRun = false

    func run() async throws {
      guard !source.isEmpty else { throw Failure(.usage, "give --file or --subnet") }
      try checkNewName(name)
      let store = try consul.store(name)
      var wanted = try NetworkDefinition(
        checking: try source.document(over: .object([])), name: name)
      wanted.incarnation = ConsulOptions.surroundings.random()
      let deadline = consul.deadline
      // Refused where the ancestor's data stands: it would be handed out again.
      let stored = try await asking { () async throws(StoreError) in
        try await store.read([.definition], consistency: .consistent, deadline: deadline)
      }
      guard stored[.definition] == .absent else {
        let command = "ipamctl network update \(name.shellWord)\(store.operatorWords)"
        throw Failure(.no, "network \(name) exists; change it with: \(command)")
      }
      if wanted.kind == .bare { try await refuseLeases(store, deadline) }
      if !dryRun { try await write(wanted, .absent, store, deadline) }
      format.confirm(wanted, dryRun ? "would be created" : "created")
    }

    /// A deletion that was interrupted, or a definition that was lost, leaves leases. A network that
    /// looks at none would hand their addresses out again.
    private func refuseLeases(_ store: ConsulStore, _ deadline: Deadline) async throws(Failure) {
      let count = try await asking { () async throws(StoreError) in
        try await store.leaseCount(deadline: deadline)
      }
      guard count > 0 else { return }
      throw Failure(
        .no,
        "\(count.counted("lease")) of an earlier network \(name) would be handed out again: ipamctl "
          + "network delete \(name.shellWord)\(store.operatorWords) --force")
    }
  }

  struct Update: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Changes a network's definition.",
      discussion: """
        A file replaces the definition, flags replace their part of it. Refused if addresses that \
        are held would lie outside the ranges, unless forced; and always if the chunk size or the \
        unit of a subnet would change while something in it is held.
        """)
    @Argument(help: "The network.") var name: String
    @OptionGroup var source: DefinitionOptions
    @OptionGroup var consul: ConsulOptions
    @OptionGroup var format: OutputOptions
    @Flag(help: "Also if addresses that are held would lie outside the ranges.") var force = false
    @Flag(help: "Only say what would change.") var dryRun = false

    func run() async throws {
      guard !source.isEmpty else { throw Failure(.usage, "give --file or what is to change") }
      let store = try consul.store(name)
      let deadline = consul.deadline
      let (old, entry) = try await ipamctl.definition(of: store, name, deadline)
      var new = try NetworkDefinition(
        checking: try source.document(over: old.document), name: name)
      guard new.incarnation == 0 || new.incarnation == old.incarnation else {
        throw Failure(.no, "the document is of another incarnation of network \(name)")
      }
      new.incarnation = old.incarnation
      let change = DefinitionChange(from: old, to: new)
      let obstacles = try await deciding { () async throws(AllocationError) in
        try await change.obstacles(in: store, deadline: deadline)
      }
      try refuse(obstacles)
      guard !dryRun else { return format.confirm(new, "would be changed", old) }
      let revision = try await write(new, entry.revision, store, deadline)
      // Until that commit an ADD could still go by the old definition; from then on none can.
      let late = try await deciding { () async throws(AllocationError) in
        try await change.obstacles(in: store, deadline: deadline)
      }
      do {
        try refuse(late)
      } catch {
        try await write(old, revision, store, deadline)
        throw Failure(error.status, "changed back, because meanwhile: \(error.description)")
      }
      format.confirm(new, "changed", old)
    }

    private func refuse(_ obstacles: [DefinitionChange.Obstacle]) throws(Failure) {
      var lines: [String] = []
      for obstacle in obstacles {
        switch obstacle {
        case .otherNetwork(let text):
          throw Failure(.no, "that is another network: \(text); delete and create it")
        case .recut(let subnet, let inUse):
          throw Failure(
            .no,
            "the chunk size or unit of \(subnet) cannot change while it has \(inUse): release them "
              + "first")
        case .stranded(let address, let holder):
          lines.append("  \(address)  \(holder?.description ?? "marked")")
        }
      }
      guard !lines.isEmpty, !force else { return }
      throw Failure(
        .no,
        "\(lines.count.counted("address", "addresses")) in use would lie outside the ranges (--force changes it all the "
          + "same; they stay with their holders until these release them):\n"
          + lines.joined(separator: "\n"))
    }
  }

  struct Delete: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Removes a network with all its keys; refuses while addresses are held.")
    @Argument(help: "The network.") var name: String
    @OptionGroup var consul: ConsulOptions
    @Flag(help: "Also if addresses are held, or keys there are none of a network's.")
    var force = false
    @Flag(help: "Only say what would be removed.") var dryRun = false
    @OptionGroup var format: OutputOptions

    func run() async throws {
      let store = try consul.store(name)
      let deadline = consul.deadline
      let outcome = try await asking { () async throws(StoreError) in
        try await store.removeNetwork(force: force, dryRun: dryRun, deadline: deadline)
      }
      switch outcome {
      case .removed(let keys):
        format.confirmRemoval(of: keys, keys.counted("key"), network: name, dryRun: dryRun)
      case .absent: throw Failure(.no, "there is no network \(name)")
      case .changed:
        throw Failure(
          .no, "the definition of network \(name) changed meanwhile; nothing was removed")
      case .madeAgain(let removed):
        throw Failure(
          .no,
          "\(removed.counted("key")) of network \(name) removed, but a node made it anew meanwhile: "
            + "take it out of the nodes' configurations first")
      case .foreign(let count, let first):
        throw Failure(
          .no,
          "not removed: \(count.counted("key")) below \(name) that no network has, such as \(first): "
            + "is the prefix right? --force removes them all the same")
      case .inUse(let held):
        let lines = held.map { key, entry in "  \(describe(key, entry))" }.sorted()
        let more = lines.count - Self.shownHolders
        throw Failure(
          .no,
          "network \(name) is in use (--force removes it all the same):\n"
            + lines.prefix(Self.shownHolders).joined(separator: "\n")
            + (more > 0 ? "\n  and \(more) more" : ""))
      }
    }

    /// Enough to see whose network it is.
    private static let shownHolders = 20

    private func describe(_ key: StoreKey, _ entry: StoreEntry) -> String {
      switch (key, entry.value) {
      case (.lease(let address), .lease(let lease)): "\(address)  \(lease.attachment)"
      case (.lease(let address), _): "\(address)  (the lease cannot be read)"
      case (.chunk(let chunk), _): "\(chunk) has marked addresses"
      default: "\(key)"
      }
    }
  }
}

/// Refuses a name that no runtime can give a network.
func checkNewName(_ name: String) throws(Failure) {
  guard name.isCNIName else {
    throw Failure(
      .usage,
      "network name \"\(Table.printable(name))\": letters, digits, _ . and - only, and a letter or "
        + "digit first, as CNI wants it")
  }
}

/// Writes a definition if the one there is still the one that was read.
@discardableResult
private func write(
  _ definition: NetworkDefinition, _ expected: Revision, _ store: ConsulStore, _ deadline: Deadline
) async throws(Failure) -> Revision {
  let operation = StoreOperation.put(.definition, .definition(definition), expected: expected)
  switch await store.commit([operation], cursors: [:], deadline: deadline) {
  case .committed(let revision): return revision
  case .conflict:
    throw Failure(
      .no,
      "somebody else \(expected == .absent ? "created" : "changed") network \(definition.name) "
        + "just now; nothing was written")
  case .refused(let error): throw Failure(error)
  case .tooLarge: throw definition.refusal(by: store)
  case .unavailable(let text): throw Failure(.unavailable, text)
  case .unknown(let text):
    throw Failure(
      .unavailable,
      "\(text); whether it was written is not known: ipamctl network show \(definition.name)")
  }
}

extension NetworkDefinition {
  /// A definition from a document, its errors as the program's.
  init(checking document: JSONValue, name: String) throws(Failure) {
    do {
      try self.init(document: document, name: name)
    } catch {
      throw Failure(.usage, "the definition of network \(name): \(error)")
    }
  }

  /// Why a store that refused the definition's commit for its size did so.
  func refusal(by store: any AllocationStore) -> Failure {
    do {
      try checkOneCommit(limit: store.traits.operationLimit)
      return Failure(.failed, "the definition of network \(name) is too large")
    } catch {
      return Failure(.failed, "the definition of network \(name): \(error)")
    }
  }

  /// What an operator wants to see at a glance.
  func table(leases: Int) -> String {
    var rows: [[String]] = [
      ["kind", kind.rawValue], ["leases", String(leases)],
    ]
    for (index, set) in rangeSets.enumerated() {
      for range in set.ranges {
        let gateway = range.gateway.map { ", gateway \($0)" } ?? ""
        rows.append(["range set \(index)", "\(range) of \(range.subnet)\(gateway)"])
      }
    }
    for (index, layout) in ((try? layouts()) ?? []).enumerated() {
      rows.append(["capacity of set \(index)", layout.capacity.description])
    }
    for exclusion in exclusions { rows.append(["excluded", exclusion.description]) }
    for route in routes {
      rows.append(["route", route.dst + (route.gw.map { " via \($0)" } ?? "")])
    }
    if !dns.isEmpty { rows.append(["name servers", dns.nameservers.joined(separator: " ")]) }
    rows.append(["cool-down", "\(cooldown.seconds) s, \(cooldown.policy.rawValue)"])
    rows.append(["search order", searchOrder.rawValue])
    if let chunkBits { rows.append(["chunk bits", String(chunkBits)]) }
    if let unitPrefixLength { rows.append(["delegates", "/\(unitPrefixLength)"]) }
    if journal > 0 { rows.append(["journal", "\(journal.counted("commit")) of each node"]) }
    rows.append(["incarnation", Offset(incarnation).hex(digits: 16)])
    return Table(["NETWORK", name], rows).text
  }
}

extension String {
  /// Whether a runtime can name a network or a container so.
  var isCNIName: Bool {
    let alphanumeric = { (byte: UInt8) in
      (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
    }
    return utf8.first.map(alphanumeric) == true
      && utf8.allSatisfy { alphanumeric($0) || "_.-".utf8.contains($0) }
  }
}

extension OutputOptions {
  /// Says what was done with a definition, or shows it.
  func confirm(_ definition: NetworkDefinition, _ verb: String, _ old: NetworkDefinition? = nil) {
    switch output {
    case .json: Terminal.print(definition.document.indented)
    case .table:
      let keys = old.map { definition.differences(from: $0) } ?? []
      let what = old == nil ? "" : ": " + (keys.isEmpty ? "nothing" : keys.joined(separator: ", "))
      Terminal.print("network \(definition.name) \(verb)\(what)")
    }
  }
  /// What went, or would go, as a line or as JSON.
  func confirmRemoval(of count: Int, _ counted: String, network: String, dryRun: Bool) {
    switch output {
    case .json:
      Terminal.print(
        JSONValue.object([
          .init("network", .string(network)), .init("removed", .number(count)),
          .init("dryRun", .bool(dryRun)),
        ]).indented)
    case .table:
      Terminal.print("network \(network): \(counted) \(dryRun ? "would be " : "")removed")
    }
  }
}
