import AddressSpace
import BitmapAllocator
import IPAM
import IPAMTesting
import TestSupport
import Testing

// Whatever is broken, in any number: a repair ends, a second one finds nothing to do, no lease that
// could be read is gone while its attachment names it, and what is left is what only a person decides.

@Suite struct RepairPropertyTests {
  @Test(arguments: 0..<6) func anyDamageIsMended(_ round: UInt64) async throws {
    let seed = TestSeed()
    var random = SeededGenerator(seed: seed.value &+ round)
    let crowd = try await Crowd(&random)
    let sound = crowd.store.entries
    for _ in 0..<Int.random(in: 1...12, using: &random) { crowd.harm(&random) }
    // Records that nothing happened to: their holders must notice nothing.
    let untouched = sound.filter { key, entry in
      guard case .attachment(let attachment) = entry.value else { return false }
      let keys = [key] + attachment.holdings.map { StoreKey.lease($0.address) }
      return keys.allSatisfy { crowd.store.entries[$0] == sound[$0] }
    }
    let report = try await crowd.repairer.repair(deadline: .far)
    // Only a lease that cannot be read, and that nobody names, is left to a person.
    for left in report.left {
      guard left.finding.kind == .damaged, case .lease = left.finding.key, !left.isMendable else {
        Issue.record("left: \(left.finding), \(seed)")
        continue
      }
    }
    for (key, entry) in untouched {
      guard case .attachment(let attachment) = entry.value else { continue }
      for holding in attachment.holdings {
        let key = StoreKey.lease(holding.address)
        #expect(crowd.store.entries[key] == sound[key], "\(seed)")
      }
      let now = crowd.store.entries[key]?.value
      guard case .attachment(let mended) = now else {
        Issue.record("\(key) is gone, \(seed)")
        continue
      }
      #expect(Set(mended.holdings).isSuperset(of: attachment.holdings), "\(seed)")
    }
    let again = try await crowd.repairer.repair(deadline: .far)
    #expect(again.commits == 0 && again.left == report.left, "\(seed)")
  }

  @Test(arguments: 0..<4) func besideLiveTrafficNobodyLosesAnAddress(_ round: UInt64) async throws {
    let seed = TestSeed()
    var random = SeededGenerator(seed: seed.value &+ 1_000 &+ round)
    let crowd = try await Crowd(&random)
    let held = try await withThrowingTaskGroup(of: [AttachmentKey: IPAddress].self) { group in
      for worker in 0..<4 {
        group.addTask { try await crowd.live(worker) }
      }
      let repairer = crowd.repairer
      group.addTask { [random] in
        var random = random
        for _ in 0..<10 {
          // Bits and marks only: who has its records destroyed cannot be told to notice nothing.
          crowd.harmChunk(&random)
          _ = try await repairer.repair(deadline: .far)
        }
        return [:]
      }
      return try await group.reduce(into: [:]) { $0.merge($1) { $1 } }
    }
    let report = try await crowd.repairer.repair(deadline: .far)
    #expect(report.left.isEmpty, "\(seed)")
    #expect(Set(held.values).count == held.count, "\(seed)")
    for (key, address) in held {
      guard case .lease(let lease) = crowd.store.entries[.lease(address)]?.value else {
        Issue.record("\(address) of \(key) is not leased, \(seed)")
        continue
      }
      #expect(lease.attachment == key, "\(seed)")
    }
  }
}
