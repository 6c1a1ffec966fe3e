import AddressSpace
import ArgumentParser
import DiskBackend
import IPAM
import JSON

struct HistoryCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "history", abstract: "Who held an address when, or what a container held.",
    discussion: """
      Read from the journal that the plugin keeps on this node, for each network the last megabyte \
      or two: run it on the node. What other nodes did stands in theirs. Exit status 1 if nothing \
      is known.
      """)
  @Argument(help: "An address, a container ID, or container/interface.") var subject: String
  @Option(help: "Only in this network.") var network: String?
  @Option(help: "Where the plugin keeps what it remembers.")
  var stateDir = DiskStore.defaultStateDirectory
  @OptionGroup var format: OutputOptions

  func run() async throws {
    let address = try? IPAddress(parsing: subject)
    let wanted = address.map { $0.ipv4Mapped ?? $0 }
    var found: [(network: String, event: JournalEvent)] = []
    for name in network.map({ [$0] }) ?? Journal.networks(in: stateDir) {
      Journal(stateDirectory: stateDir, network: name).visit { event in
        let key = event.attachment
        let isMeant =
          wanted.map(event.addresses.contains)
          ?? (subject == key.container || subject == "\(key.container)/\(key.interface)")
        if isMeant { found.append((name, event)) }
      }
    }
    show(found.sorted { $0.event.time < $1.event.time })
    guard !found.isEmpty else {
      throw Failure(.no, "the journals in \(stateDir)/journal know nothing of \(subject)")
    }
  }

  private func show(_ found: [(network: String, event: JournalEvent)]) {
    switch format.output {
    case .json:
      let events = found.map { network, event -> JSONValue in
        let labels = event.workload.labels.sorted { $0.key < $1.key }
        return [
          "time": .string(utc(event.time)), "event": .string(event.kind.rawValue),
          "network": .string(network),
          "addresses": .array(event.addresses.map { .string($0.description) }),
          "node": .string(event.attachment.node),
          "container": .string(event.attachment.container),
          "interface": .string(event.attachment.interface),
          "workload": .object(labels.map { .init($0.key, .string($0.value)) }),
        ]
      }
      Terminal.print(JSONValue.array(events).indented)
    case .table:
      let rows = found.map { network, event in
        [
          utc(event.time), event.kind.rawValue, network,
          event.addresses.map(\.description).joined(separator: " "),
          event.attachment.node.isEmpty ? "-" : event.attachment.node,
          event.attachment.container, event.attachment.interface, event.workload.title ?? "-",
        ]
      }
      let head = [
        "TIME", "EVENT", "NETWORK", "ADDRESSES", "NODE", "CONTAINER", "INTERFACE", "WORKLOAD",
      ]
      Terminal.print(Table(head, rows).text)
    }
  }
}
