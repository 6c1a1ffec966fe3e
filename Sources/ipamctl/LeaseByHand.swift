import AddressSpace
import ArgumentParser
import ConsulBackend
import IPAM
import JSON

// Leases by hand go through the allocator that the plugin uses. A dry run does too, on a store that
// judges the commit and does not make it.

extension LeaseCommand {
  struct Acquire: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Takes an address from each range set for a container, as an ADD would.",
      discussion: """
        What is acquired by hand carries no node instance, so no runtime's garbage collection takes \
        it back: a DEL of the container on that node does, and ipamctl lease release. On a \
        directory give --subnet or --file.
        """)
    @Argument(help: "The network.") var network: String
    @Option(help: "The container ID.") var container: String
    @Option(help: "The interface.") var interface = "eth0"
    @Option(help: "The node it is for; this host's name without it, none on a directory.")
    var node: String?
    @Option(help: "An address to take; may be given once for each range set.")
    var address: [String] = []
    @Option(help: "The hardware address to keep beside.") var mac: String?
    @Option(help: "NAME=VALUE to keep as the workload, for example K8S_POD_NAME=web.")
    var label: [String] = []
    @Flag(help: "Only say what would be acquired.") var dryRun = false
    @OptionGroup var journal: JournalOptions
    @OptionGroup var source: DefinitionOptions
    @OptionGroup var place: StoreOptions
    @OptionGroup var format: OutputOptions

    func run() async throws {
      let (store, definition) = try await place.store(
        network, source, mayBeNew: true, stateDir: journal.stateDir)
      guard let definition else { throw Failure(.usage, "--data-dir needs --subnet or --file") }
      let name = try place.nodeName(node)
      guard !container.isEmpty, !interface.isEmpty else {
        throw Failure(.usage, "--container and --interface may not be empty")
      }
      let key = AttachmentKey(node: name, container: container, interface: interface)
      var request = AcquireRequest(attachment: key)
      request.requested = try address.map { try IPAddress(argument: $0, "--address") }
      request.workload = Workload(try labels())
      do {
        request.mac = try mac.map { try MACAddress(parsing: $0) }
      } catch {
        throw Failure(.usage, "--mac: \(error)")
      }
      let allocator = NetworkAllocator(
        store: dryRun ? RehearsalStore(on: store) : store, networkName: network,
        definition: store.traits.keepsDefinition ? nil : definition, node: Node(name: name),
        repeatPolicy: store.traits.keepsOnlyLeases ? .refuse : .sameAgain,
        surroundings: ConsulOptions.surroundings, warn: { Terminal.say($0) },
        journalNode: JournalOptions.node)
      let wanted = request
      let deadline = place.consul.deadline
      let acquired = try await deciding { () async throws(AllocationError) in
        try await allocator.acquire(wanted, deadline: deadline)
      }
      if acquired.isRepeat { try refuse(wanted, key, acquired.attachment) }
      if !dryRun, !acquired.isRepeat {
        journal.write([JournalEvent(acquired: acquired.attachment, by: key)], network)
      }
      let verb = acquired.isRepeat ? "held already" : dryRun ? "would be acquired" : "acquired"
      format.show(key, acquired.attachment, verb)
    }

    /// What an attachment has is no answer to who asks for something else.
    private func refuse(
      _ wanted: AcquireRequest, _ key: AttachmentKey, _ attachment: Attachment
    ) throws(Failure) {
      let held = attachment.holdings.map(\.address)
      let missing =
        wanted.requested.filter { !held.contains($0) }.map(\.description)
        + [wanted.mac].compactMap { $0 == attachment.mac ? nil : $0?.description }
      guard missing.isEmpty else {
        throw Failure(
          .no,
          "\(key) has \(held.map(\.description).joined(separator: " ")) already, and not "
            + "\(missing.joined(separator: " ")): release it first")
      }
    }

    private func labels() throws(Failure) -> [String: String] {
      var labels: [String: String] = [:]
      for text in label {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty else {
          throw Failure(.usage, "--label \(text): NAME=VALUE is expected")
        }
        labels[String(parts[0])] = String(parts[1])
      }
      return labels
    }
  }

  struct Release: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Releases what an attachment holds, as a DEL would.",
      discussion: """
        Named by one of its addresses or by container and interface. All its addresses go together, \
        and only if it is still the same attachment by then. What another node holds is refused \
        unless forced: make sure that its container is gone, or its address gets a second holder.
        """)
    @Argument(help: "The network.") var network: String
    @Option(help: "An address that it holds.") var address: String?
    @Option(help: "Its container ID.") var container: String?
    @Option(help: "Its interface; any, if the container has only one, without this.")
    var interface: String?
    @Option(help: "The node that it must be of; this host without it.") var node: String?
    @Flag(help: "Also if another node holds it.") var force = false
    @Flag(help: "Only say what would be released.") var dryRun = false
    @OptionGroup var journal: JournalOptions
    @OptionGroup var place: StoreOptions
    @OptionGroup var format: OutputOptions

    func validate() throws {
      guard (address == nil) != (container == nil) else {
        throw ValidationError("give either --address or --container")
      }
      guard interface == nil || container != nil else {
        throw ValidationError("--interface goes with --container")
      }
    }

    func run() async throws {
      let store = try place.store(network, stateDir: journal.stateDir)
      let deadline = place.consul.deadline
      if let consul = store as? ConsulStore {
        _ = try await definition(of: consul, network, deadline)
      }
      let name = try place.nodeName(node)
      let (key, attachment) = try await find(in: store, deadline)
      guard key.node == name || force else {
        throw Failure(
          .no,
          "\(key) is of another node than \(name): if its container is gone, give --force or "
            + "--node \(key.node)")
      }
      let allocator = NetworkAllocator(
        store: dryRun ? RehearsalStore(on: store) : store, networkName: network, definition: nil,
        node: Node(name: name), surroundings: ConsulOptions.surroundings,
        warn: { Terminal.say($0) }, journalNode: JournalOptions.node)
      let released = try await deciding { () async throws(AllocationError) in
        try await allocator.release(key, only: AttachmentStamp(attachment), deadline: deadline)
      }
      guard let released else {
        throw Failure(.no, "\(key) was released or made anew meanwhile; nothing was done")
      }
      if !dryRun { journal.writeRelease(of: released, key, network) }
      format.show(key, released, dryRun ? "would be released" : "released")
    }

    /// The one attachment that the options name.
    private func find(
      in store: any AllocationStore, _ deadline: Deadline
    ) async throws(Failure) -> (AttachmentKey, Attachment) {
      var keys: [AttachmentKey] = []
      if let address {
        keys = [try await holder(of: address, in: store, deadline)]
      } else {
        try await asking { () async throws(StoreError) in
          try await store.list(.attachments(node: nil), deadline: deadline) { key, _ in
            guard case .attachment(let key) = key, key.container == container,
              interface.map({ $0 == key.interface }) ?? true
            else { return }
            keys.append(key)
          }
        }
      }
      guard let key = keys.first else {
        throw Failure(.no, "network \(network): container \(container ?? "") holds nothing")
      }
      guard keys.count == 1 else {
        let names = keys.map { "  \($0)" }.sorted().joined(separator: "\n")
        throw Failure(.no, "more than one attachment, give --interface or --address:\n\(names)")
      }
      let entry = try await asking { () async throws(StoreError) in
        try await store.read([.attachment(key)], consistency: .consistent, deadline: deadline)
      }
      guard case .attachment(let attachment)? = entry[.attachment(key)]?.value else {
        throw Failure(
          .failed, "\(key) has no record that can be read: ipamctl check \(network) --repair")
      }
      return (key, attachment)
    }

    private func holder(
      of text: String, in store: any AllocationStore, _ deadline: Deadline
    ) async throws(Failure) -> AttachmentKey {
      let address = try IPAddress(argument: text, "--address")
      let entry = try await asking { () async throws(StoreError) in
        try await store.read([.lease(address)], consistency: .consistent, deadline: deadline)
      }
      switch entry[.lease(address)]?.value {
      case .lease(let lease): return lease.attachment
      case .some:
        throw Failure(
          .failed, "the lease of \(address) cannot be read: ipamctl check \(network) --repair")
      case nil: throw Failure(.no, "nobody holds \(address) of network \(network)")
      }
    }
  }
}

extension StoreOptions {
  /// The node that something is done for: the one given, else this host; a directory has none.
  func nodeName(_ given: String?) throws(Failure) -> String {
    guard dataDir == nil else {
      guard given == nil else {
        throw Failure(.usage, "a directory belongs to one node: no --node")
      }
      return ""
    }
    let name = NodeIdentity(unkept: given).node.name
    guard !name.isEmpty else { throw Failure(.usage, "this host has no name: give --node") }
    return name
  }
}

extension OutputOptions {
  /// Says what became of an attachment's addresses.
  fileprivate func show(_ key: AttachmentKey, _ attachment: Attachment, _ verb: String) {
    switch output {
    case .json:
      let holdings = attachment.holdings.map { holding -> JSONValue in
        var members: [JSONValue.Member] = [
          .init("address", .string(holding.address.description)),
          .init("prefixLength", .number(holding.prefixLength)),
        ]
        if let gateway = holding.gateway {
          members.append(.init("gateway", .string(gateway.description)))
        }
        return .object(members)
      }
      Terminal.print(
        JSONValue.object([
          .init("state", .string(verb)), .init("container", .string(key.container)),
          .init("interface", .string(key.interface)), .init("node", .string(key.node)),
          .init("addresses", .array(holdings)),
        ]).indented)
    case .table:
      let rows = attachment.holdings.map { holding in
        [
          "\(holding.address)/\(holding.prefixLength)", holding.gateway?.description ?? "-",
          key.container, key.interface, key.node.isEmpty ? "-" : key.node, verb,
        ]
      }
      Terminal.print(
        Table(["ADDRESS", "GATEWAY", "CONTAINER", "INTERFACE", "NODE", "STATE"], rows).text)
    }
  }
}
