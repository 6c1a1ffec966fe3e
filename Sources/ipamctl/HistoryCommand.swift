import AddressSpace
import ArgumentParser
import ConsulBackend
import DiskBackend
import IPAM
import JSON

struct HistoryCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "history", abstract: "Who held an address when, or what a container held.",
    discussion: """
      Read from the journal that this node keeps on its disk, for each network the last megabyte or \
      two. With --consul (or CONSUL_HTTP_ADDR) also from Consul, where networks whose definition \
      says "journal" have the last commits of all nodes; what stands in both is shown once. Exit \
      status 1 if nothing is known.
      """)
  @Argument(help: "An address, a container ID, or container/interface.") var subject: String
  @Option(help: "Only in this network.") var network: String?
  @Option(help: "Where the plugin keeps what it remembers.")
  var stateDir = DiskStore.defaultStateDirectory
  @OptionGroup var consul: ConsulOptions
  @OptionGroup var format: OutputOptions

  func validate() throws {
    guard !subject.isEmpty else { throw ValidationError("the subject is empty") }
  }

  func run() async throws {
    var history = History(of: subject)
    var trouble: Failure?
    do throws(Failure) {
      try await readConsul(&history)
    } catch {
      // What this node knows is worth the more when nobody else can be asked.
      trouble = error
    }
    for name in network.map({ [$0] }) ?? Journal.networks(in: stateDir) {
      Journal(stateDirectory: stateDir, network: name).visit { history.add($0, in: name) }
    }
    show(history.sorted)
    if let trouble { throw trouble }
    guard !history.isEmpty else {
      throw Failure(
        .no,
        "nothing is known of \(subject) in \(stateDir)/journal"
          + (consul.isGiven ? " and in the journals in Consul" : "; --consul asks there too"))
    }
  }

  private func readConsul(_ history: inout History) async throws(Failure) {
    guard consul.isGiven else { return }
    let networks = try consul.networks()
    let deadline = consul.deadline
    var names = network.map { [$0] } ?? []
    if network == nil {
      names = try await asking { () async throws(StoreError) in
        try await networks.names(deadline: deadline)
      }
    }
    for name in names {
      var found: [(entry: JournalEntry, revision: Revision)] = []
      var damaged = 0
      try await asking { () async throws(StoreError) in
        try await networks.store(name).listInPages(.journal(node: nil), deadline: deadline) {
          (_, stored, _) in
          guard case .journal(let entry) = stored.value else {
            damaged += 1
            return
          }
          if entry.events.contains(where: history.isMeant) {
            found.append((entry, stored.revision))
          }
        }
      }
      for (entry, revision) in found {
        for event in entry.events { history.add(event, in: name, revision) }
      }
      if damaged > 0 {
        Terminal.say("network \(name): \(damaged.counted("entry", "entries")) cannot be read")
      }
    }
  }

  private func show(_ found: [History.Item]) {
    switch format.output {
    case .json: Terminal.print(JSONValue.array(found.map(\.document)).indented)
    case .table:
      let head = [
        "TIME", "EVENT", "NETWORK", "ADDRESSES", "NODE", "CONTAINER", "INTERFACE", "WORKLOAD",
      ]
      Terminal.print(Table(head, found.map(\.row)).text)
    }
  }
}

/// Events of one address or container from several journals, each once.
struct History {
  struct Item {
    let network: String
    var event: JournalEvent
    /// Which of two events of one second came first: by Consul's count, else as they were read.
    var order: (revision: Revision, index: Int)
  }

  /// What makes two events the same. By its nonce an attachment is acquired once and released once,
  /// whoever looked at which clock, and also where the labels had no room.
  private struct Identity: Hashable {
    let network: String
    let event: JournalEvent

    init(_ event: JournalEvent, in network: String) {
      self.network = network
      var event = event
      if event.nonce != 0 { (event.time, event.workload) = (0, Workload()) }
      self.event = event
    }
  }

  private let subject: String
  private let address: IPAddress?
  private var items: [Identity: Item] = [:]

  init(of subject: String) {
    self.subject = subject
    let address = try? IPAddress(parsing: subject)
    self.address = address.map { $0.ipv4Mapped ?? $0 }
  }

  var isEmpty: Bool { items.isEmpty }

  /// Whether an event is about the subject.
  func isMeant(_ event: JournalEvent) -> Bool {
    let key = event.attachment
    return address.map(event.addresses.contains)
      ?? (subject == key.container || subject == "\(key.container)/\(key.interface)")
  }

  /// Takes in an event, if it is about the subject and not known yet.
  mutating func add(_ event: JournalEvent, in network: String, _ revision: Revision = .absent) {
    guard isMeant(event) else { return }
    let identity = Identity(event, in: network)
    guard let known = items[identity] else {
      items[identity] = Item(network: network, event: event, order: (revision, items.count))
      return
    }
    if known.event.workload.labels.isEmpty { items[identity]?.event.workload = event.workload }
  }

  /// The oldest first.
  var sorted: [Item] {
    items.values.sorted { left, right in
      (left.event.time, left.order.revision, left.order.index)
        < (right.event.time, right.order.revision, right.order.index)
    }
  }
}

extension History.Item {
  var document: JSONValue {
    let labels = event.workload.labels.sorted { $0.key < $1.key }
    return [
      "time": .string(utc(event.time)), "event": .string(event.kind.rawValue),
      "network": .string(network),
      "addresses": .array(event.addresses.map { .string($0.description) }),
      "node": .string(event.attachment.node), "container": .string(event.attachment.container),
      "interface": .string(event.attachment.interface),
      "workload": .object(labels.map { .init($0.key, .string($0.value)) }),
    ]
  }

  var row: [String] {
    [
      utc(event.time), event.kind.rawValue, network,
      event.addresses.map(\.description).joined(separator: " "),
      event.attachment.node.isEmpty ? "-" : event.attachment.node,
      event.attachment.container, event.attachment.interface, event.workload.title ?? "-",
    ]
  }
}
