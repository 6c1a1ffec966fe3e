import AddressSpace
import IPAM
import JSON

/// Collects what another plugin's records say and takes it over.
struct Importer {
  let options: ImportCommand.Options
  private let node: String
  private var found: [AttachmentKey: AdoptedAttachment] = [:]
  private var unreadable: [(what: String, why: String)] = []

  init(_ options: ImportCommand.Options, node: String) {
    self.options = options
    self.node = node
  }

  var isEmpty: Bool { found.isEmpty && unreadable.isEmpty }

  /// One of the ancestor's records, {"ip", "mac", "id"}; its key says the address if `ip` does not.
  mutating func add(ancestor record: JSONValue, key: String) {
    let text = record["ip"]?.string ?? key
    guard let written = try? InterfaceAddress(parsing: text).address,
      let container = record["id"]?.string, !container.isEmpty
    else {
      guard let address = try? IPAddress(parsing: text), let container = record["id"]?.string,
        !container.isEmpty
      else {
        return refuse(key, "it names no address and container")
      }
      return add(address, container, options.interface, mac: record["mac"]?.string)
    }
    add(written, container, options.interface, mac: record["mac"]?.string)
  }

  /// A reservation of host-local's.
  mutating func add(hostLocal entry: StoreEntry, key: StoreKey) {
    guard case .lease(let address) = key else { return }
    guard case .lease(let lease) = entry.value else {
      var why = "it cannot be read"
      if case .damaged(let text) = entry.value { why = text }
      return refuse(address.description, why)
    }
    let interface = lease.attachment.interface
    add(
      address, lease.attachment.container, interface.isEmpty ? options.interface : interface,
      mac: nil)
  }

  /// Notes a record that cannot be taken over.
  mutating func refuse(_ what: String, _ why: String) { unreadable.append((what, why)) }

  mutating func add(
    _ address: IPAddress, _ container: String, _ interface: String, mac text: String?,
    node known: String? = nil, _ workload: Workload = Workload()
  ) {
    let key = AttachmentKey(node: known ?? node, container: container, interface: interface)
    // The ancestor wrote zeros for every MAC address.
    let mac = text.flatMap { try? MACAddress(parsing: $0) }.flatMap { $0.value == 0 ? nil : $0 }
    var attachment = found[key] ?? AdoptedAttachment(key: key, addresses: [], mac: mac)
    attachment.addresses.append(address.ipv4Mapped ?? address)
    attachment.workload = workload
    found[key] = attachment
  }

  /// Takes over what was collected; then `finish`, whatever could not be taken over.
  func run(
    into store: any AllocationStore, _ name: String, _ deadline: Deadline,
    _ finish: () async throws(Failure) -> Void = {}
  ) async throws(Failure) {
    let adoption = Adoption(
      into: store, networkName: name, node: Node(name: node),
      surroundings: ConsulOptions.surroundings)
    let attachments = found.values.sorted { $0.addresses[0] < $1.addresses[0] }
    let outcomes = try await deciding { () async throws(AllocationError) in
      try await adoption.adopt(attachments, dryRun: options.dryRun, deadline: deadline) {
        options.journal.write($0, name)
      }
    }
    try await finish()
    var counts = (adopted: 0, present: 0)
    var refused = unreadable
    for (attachment, outcome) in outcomes {
      switch outcome {
      case .adopted: counts.adopted += attachment.addresses.count
      case .present: counts.present += attachment.addresses.count
      case .refused(let why):
        let addresses = attachment.addresses.map(\.description).joined(separator: " ")
        refused.append((addresses, why))
      }
    }
    show(counts.adopted, counts.present, refused)
    guard refused.isEmpty else {
      throw Failure(.no, "\(refused.count.counted("record")) not imported")
    }
  }

  private func show(_ adopted: Int, _ present: Int, _ refused: [(what: String, why: String)]) {
    switch options.format.output {
    case .json:
      let list = refused.map {
        JSONValue.object([.init("record", .string($0.what)), .init("reason", .string($0.why))])
      }
      Terminal.print(
        JSONValue.object([
          .init("imported", .number(adopted)), .init("present", .number(present)),
          .init("refused", .array(list)),
        ]).indented)
    case .table:
      Terminal.print(
        "\(adopted.counted("address", "addresses")) \(options.dryRun ? "would be imported" : "imported"), "
          + "\(present) here already")
      if !refused.isEmpty {
        Terminal.print(Table(["REFUSED", "REASON"], refused.map { [$0.what, $0.why] }).text)
      }
    }
  }
}
