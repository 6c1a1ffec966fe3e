import AddressSpace
import ArgumentParser
import IPAM
import JSON

struct WhoCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "who", abstract: "Who holds an address, since when, and why it is held.",
    discussion: """
      WHY is one of leased, marked (its bit is set and there is no lease), cooling, gateway, \
      reserved, excluded, damaged (it counts as in use), outside and free. Exit status 1 if it is \
      free or outside the network. What a directory is cut into stands in configurations, so with \
      --data-dir say it by --subnet or --file; without them only leases are known.
      """)
  @Argument(help: "The network.") var network: String
  @Argument(help: "The address.") var address: String
  @OptionGroup var source: DefinitionOptions
  @OptionGroup var place: StoreOptions
  @OptionGroup var format: OutputOptions

  func run() async throws {
    let wanted = try IPAddress(argument: address, address)
    let (store, definition) = try await place.store(network, source)
    let deadline = place.consul.deadline
    let report = try await deciding { () async throws(AllocationError) in
      try await AddressReport(
        of: wanted, definition: definition, in: store, now: ConsulOptions.surroundings.now(),
        deadline: deadline)
    }
    switch format.output {
    case .json: Terminal.print(report.document.indented)
    case .table: Terminal.print(report.table)
    }
    switch report.standing {
    case .free: throw Failure(.no, "nobody holds \(report.address) of network \(network)")
    case .outside: throw Failure(.no, "\(report.address) is in no range of network \(network)")
    case .damaged: throw Failure(.failed, "see ipamctl check \(network)")
    default: return
    }
  }
}

extension AddressReport {
  fileprivate var table: String {
    var rows: [[String]] = [["why", standing.rawValue]]
    if let lease {
      rows.append(["container", lease.attachment.container])
      rows.append(["interface", lease.attachment.interface])
      if !lease.attachment.node.isEmpty { rows.append(["node", lease.attachment.node]) }
      if !lease.node.bootID.isEmpty { rows.append(["boot", lease.node.bootID]) }
      if let mac = lease.mac { rows.append(["mac", mac.description]) }
      if lease.createdAt > 0 { rows.append(["since", utc(lease.createdAt)]) }
      for (name, value) in lease.workload.labels.sorted(by: { $0.key < $1.key }) {
        rows.append(["workload", "\(name)=\(value)"])
      }
    }
    if let coolingSince { rows.append(["since", utc(coolingSince)]) }
    if let chunk { rows.append(["chunk", "\(chunk)"]) }
    rows += remarks.map { ["remark", $0] }
    return Table(["ADDRESS", address.description], rows).text
  }

  fileprivate var document: JSONValue {
    var members: [JSONValue.Member] = [
      .init("address", .string(address.description)), .init("why", .string(standing.rawValue)),
    ]
    if let lease { members.append(.init("lease", lease.document(of: address))) }
    if let lease, !lease.node.bootID.isEmpty {
      members.append(.init("boot", .string(lease.node.bootID)))
    }
    if let coolingSince { members.append(.init("coolingSince", .string(utc(coolingSince)))) }
    if let chunk { members.append(.init("chunk", .string("\(chunk)"))) }
    members.append(.init("remarks", .array(remarks.map { .string($0) })))
    return .object(members)
  }
}
