import AddressSpace
import IPAM
import IPAMTesting
import Testing

/// What repairs and imports tell the journal: who holds an address no more, and who holds it now.
@Suite struct RepairJournalTests {
  /// An address and who is said to hold it, by a lease or by a record.
  private struct Claim: Hashable {
    let address: IPAddress
    let holder: AttachmentKey
  }

  @Test(arguments: RepairTests.breakages)
  func aRepairNotesWhatAHolderLoses(_ breakage: RepairTests.Breakage) async throws {
    let broken = try await Broken(subnet: breakage.subnet)
    var definition = broken.definition
    definition.journal = 8
    broken.store.overwrite(.definition, .definition(definition))
    try breakage.damage(broken)
    let before = claims(in: broken.store)
    var told: [JournalEvent] = []
    let report = try await broken.repairer.repair(deadline: .far) { told += $0.events }
    #expect(report.left.isEmpty)
    let lost = before.subtracting(claims(in: broken.store))
    #expect(Set(told.flatMap(claims(of:))) == lost)
    #expect(told.allSatisfy { $0.kind == .release && $0.nonce != 0 })
    #expect(noted(in: broken.store) == Set(told), "in the commits themselves")
  }

  /// The entry rides along: no commit more, and none that is too large.
  @Test func anImportNotesWhatItTakesOver() async throws {
    var commits: [Int] = []
    for journal in [0, 8] {
      let broken = try await Broken()
      var definition = broken.definition
      definition.journal = journal
      broken.store.overwrite(.definition, .definition(definition))
      let before = broken.store.counts.commits
      let adopted = try (0..<40).map { number in
        AdoptedAttachment(
          key: AttachmentKey(node: "n", container: "c\(number)", interface: "eth0"),
          addresses: [try IPAddress(parsing: "10.1.0.\(10 + number)")])
      }
      var told: [JournalEvent] = []
      let outcomes = try await Adoption(
        into: broken.store, networkName: "net", node: Node(name: "n"), surroundings: .system
      ).adopt(adopted, dryRun: false, deadline: .far) { told += $0 }
      #expect(outcomes.allSatisfy { $0.1 == .adopted })
      #expect(told.map(\.attachment) == adopted.map(\.key))
      for event in told {
        guard
          case .attachment(let made)? = broken.store.entries[.attachment(event.attachment)]?
            .value
        else { throw AuditorTestError() }
        #expect(event == JournalEvent(acquired: made, by: event.attachment))
      }
      #expect(noted(in: broken.store) == Set(journal > 0 ? told : []))
      commits.append(broken.store.counts.commits - before)
    }
    #expect(commits == [2, 2])
  }

  private func claims(of event: JournalEvent) -> [Claim] {
    event.addresses.map { Claim(address: $0, holder: event.attachment) }
  }

  private func claims(in store: MemoryStore) -> Set<Claim> {
    store.entries.reduce(into: []) { claims, item in
      switch (item.key, item.value.value) {
      case (.lease(let address), .lease(let lease)):
        claims.insert(Claim(address: address, holder: lease.attachment))
      case (.attachment(let name), .attachment(let attachment)):
        for held in attachment.holdings {
          claims.insert(Claim(address: held.address, holder: name))
        }
      default: break
      }
    }
  }

  private func noted(in store: MemoryStore) -> Set<JournalEvent> {
    store.entries.values.reduce(into: []) { events, entry in
      if case .journal(let noted) = entry.value { events.formUnion(noted.events) }
    }
  }
}
