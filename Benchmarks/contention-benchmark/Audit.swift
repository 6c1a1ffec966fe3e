// What is wrong after a cell: in the store, bits, leases and attachments against each other; in what
// the writers were told, addresses that two held at once; and the leases against what writers hold.

import AddressSpace
import Foundation
import IPAM
import IPAMTesting

struct Audit: Sendable {
  let cell: Cell
  let store: any AllocationStore
  let history: [HistoryEvent]

  func findings() async throws -> [String] {
    var findings = HistoryChecker.findings(history).map { "duplicate: \($0)" }
    if cell.work == .bits { return findings }
    let deadline = Surroundings.system.deadline(inMilliseconds: 120_000)
    findings += try await Auditor(of: store, definition: try await definition(deadline))
      .findings(deadline: deadline).map { "\($0)" }

    var leases: Set<IPAddress> = []
    try await store.list(.leases, deadline: deadline) { key, _ in
      if case .lease(let address) = key { leases.insert(address) }
    }
    let released = Set(history.filter { $0.kind == .released }.map(\.attachment))
    var held: Set<IPAddress> = []
    for event in history where !released.contains(event.attachment) {
      guard case .acquired(let addresses) = event.kind else { continue }
      for address in addresses where !held.insert(address).inserted {
        findings.append("duplicate: \(address) was given out twice")
      }
    }
    findings += held.subtracting(leases).sorted().map { "lost: \($0) has no lease" }
    findings += leases.subtracting(held).sorted().map { "leak: nobody was told of \($0)" }
    return findings
  }

  /// The definition that rules: the store's, where it keeps one.
  private func definition(_ deadline: Deadline) async throws -> NetworkDefinition {
    guard store.traits.keepsDefinition else { return try cell.definition }
    let key = StoreKey.definition
    let entries = try await store.read([key], consistency: .consistent, deadline: deadline)
    guard case .definition(let ruling)? = entries[key]?.value else {
      throw BenchmarkError("the network has no definition")
    }
    return ruling
  }
}
