import AddressSpace
import ArgumentParser
import ConsulBackend
import Glibc
import IPAM
import JSON

struct WhoCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "who", abstract: "Who holds an address, since when, and why it is held.",
    discussion: """
      WHY is one of leased, marked (its bit is set and there is no lease), cooling, gateway, \
      reserved, excluded, damaged (it counts as in use), outside and free. Exit status 1 if it is \
      free or outside the network. Without a network, all that have the address are looked \
      through. What a directory is cut into stands in configurations, so with --data-dir say it by \
      --subnet or --file; without them only leases are known.
      """)
  @Argument(
    help: ArgumentHelp(
      "The network; or only the address, to look in all of them.", valueName: "network-or-address"))
  var first: String
  @Argument(help: "The address in that network.") var address: String?
  @OptionGroup var source: DefinitionOptions
  @OptionGroup var place: StoreOptions
  @OptionGroup var format: OutputOptions

  func run() async throws {
    let wanted = try IPAddress(argument: address ?? first, "the address")
    guard address != nil else { return try await lookEverywhere(for: wanted) }
    let report = try await report(on: wanted, in: first)
    switch format.output {
    case .json: Terminal.print(report.document().indented)
    case .table: Terminal.print(report.table())
    }
    switch report.standing {
    case .free: throw Failure(.no, "nobody holds \(report.address) of network \(first)")
    case .outside: throw Failure(.no, "\(report.address) is in no range of network \(first)")
    case .damaged: throw Failure(.failed, "see ipamctl check \(first)")
    default: return
    }
  }

  private func report(
    on wanted: IPAddress, in network: String
  ) async throws(Failure) -> AddressReport {
    let (store, definition) = try await place.store(network, source)
    let deadline = place.consul.deadline
    return try await deciding { () async throws(AllocationError) in
      try await AddressReport(
        of: wanted, definition: definition, in: store, now: ConsulOptions.surroundings.now(),
        deadline: deadline)
    }
  }

  /// In all networks that have the address, and of a directory's, in those where it is held.
  private func lookEverywhere(for wanted: IPAddress) async throws(Failure) {
    guard source.isEmpty else { throw Failure(.usage, "a definition is of one network: name it") }
    var found: [(network: String, report: AddressReport)] = []
    var failures: [Failure] = []
    for network in try await place.networkNames() {
      do throws(Failure) {
        let report = try await report(on: wanted, in: network)
        let isThere = report.standing != .outside
        guard isThere, place.dataDir == nil || report.standing != .free else { continue }
        found.append((network, report))
        if report.standing == .damaged {
          failures.append(Failure(.failed, "see ipamctl check \(network)"))
        }
      } catch {
        guard error.status != .unavailable else { throw error }
        // What a removal left behind has no definition.
        if error.status != .no { failures.append(error) }
      }
    }
    switch format.output {
    case .json:
      Terminal.print(JSONValue.array(found.map { $1.document(in: $0) }).indented)
    case .table:
      if !found.isEmpty {
        Terminal.print(found.map { $1.table(in: $0) }.joined(separator: "\n\n"))
      }
    }
    for failure in failures.dropLast() { Terminal.say(failure.description) }
    if let last = failures.last { throw last }
    guard found.contains(where: { $0.report.standing != .free }) else {
      throw Failure(
        .no, found.isEmpty ? "no network has \(wanted)" : "nobody holds \(wanted)")
    }
  }
}

extension AddressReport {
  fileprivate func table(in network: String? = nil) -> String {
    var rows = network.map { [["network", $0]] } ?? []
    rows.append(["why", standing.rawValue])
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

  fileprivate func document(in network: String? = nil) -> JSONValue {
    var members = [JSONValue.Member("address", .string(address.description))]
    if let network { members.append(.init("network", .string(network))) }
    members.append(.init("why", .string(standing.rawValue)))
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
