import AddressSpace
import ArgumentParser
import ConsulBackend
import DiskBackend
import IPAM
import JSON

extension NetworkCommand {
  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Lists the networks, in Consul or in a directory, which keeps no definitions.")
    @OptionGroup var place: StoreOptions
    @OptionGroup var format: OutputOptions

    private struct Row {
      let name: String
      let leases: Int
      var kind = "-"
      var subnets = "-"
      var definition = JSONValue.null
    }

    func run() async throws {
      var rows: [Row] = []
      for name in try await place.networkNames() {
        rows.append(try await place.dataDir == nil ? inConsul(name) : inDirectory(name))
      }
      switch format.output {
      case .json:
        let records = rows.map { row -> JSONValue in
          ["name": .string(row.name), "leases": .number(row.leases), "definition": row.definition]
        }
        Terminal.print(JSONValue.array(records).indented)
      case .table:
        let cells = rows.map { [$0.name, $0.kind, String($0.leases), $0.subnets] }
        Terminal.print(Table(["NETWORK", "KIND", "LEASES", "SUBNETS"], cells).text)
      }
    }

    private func inConsul(_ name: String) async throws -> Row {
      let store = try place.consul.store(name)
      let deadline = place.consul.deadline
      let (entry, count) = try await asking {
        () async throws(StoreError) -> (StoreEntry, Int) in
        (
          try await store.storedDefinition(deadline: deadline),
          try await store.leaseCount(deadline: deadline)
        )
      }
      var row = Row(name: name, leases: count)
      row.subnets = entry == .absent ? "(no definition)" : "(damaged definition)"
      if case .definition(let definition) = entry.value {
        let sets = definition.rangeSets.map { set in
          set.ranges.map(\.subnet.description).joined(separator: ",")
        }
        row.subnets = sets.joined(separator: " ")
        row.kind = definition.kind.rawValue
        row.definition = definition.document
      }
      return row
    }

    private func inDirectory(_ name: String) async throws -> Row {
      let store = try place.store(name)
      let deadline = place.consul.deadline
      let count = try await asking { () async throws(StoreError) -> Int in
        var count = 0
        try await store.list(.leases, deadline: deadline) { (_, _) in count += 1 }
        return count
      }
      return Row(name: name, leases: count)
    }
  }
}
