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

/// A network of 16 chunks of 64 under a root, with some hundred attachments.
private struct Crowd: Sendable {
  let store = MemoryStore()
  let definition: NetworkDefinition

  init(_ random: inout SeededGenerator) async throws {
    let sets = try RangeSet.sets([[SubnetRange.Text(subnet: "10.1.0.0/22")]])
    definition = NetworkDefinition(
      name: "net", incarnation: random.next(), rangeSets: sets, chunkBits: 6)
    store.overwrite(.definition, .definition(definition))
    let count = Int.random(in: 20...400, using: &random)
    let allocator = allocator("node-a")
    for index in 0..<count {
      let key = AttachmentKey(node: "node-a", container: "c\(index)", interface: "eth0")
      let mac = index % 3 == 0 ? MACAddress(value: UInt64(0x0200_0000_0000 + index)) : nil
      _ = try await allocator.acquire(
        AcquireRequest(attachment: key, mac: mac), deadline: .far)
    }
  }

  var repairer: Repairer {
    Repairer(of: store, networkName: "net", surroundings: .system)
  }

  func allocator(_ node: String) -> NetworkAllocator {
    NetworkAllocator(
      store: store, networkName: "net", definition: nil, node: Node(name: node),
      surroundings: .system)
  }

  /// Adds and removes, and says what is held in the end.
  func live(_ worker: Int) async throws -> [AttachmentKey: IPAddress] {
    let node = "worker-\(worker)"
    var held: [AttachmentKey: IPAddress] = [:]
    for index in 0..<60 {
      let key = AttachmentKey(node: node, container: "w\(index)", interface: "eth0")
      // A process for each, as a runtime has it.
      let allocator = allocator(node)
      guard
        let acquired = try? await allocator.acquire(
          AcquireRequest(attachment: key), deadline: .far)
      else { continue }
      held[key] = acquired.attachment.holdings[0].address
      if index % 3 != 0 {
        _ = try await allocator.release([key], deadline: .far)
        held[key] = nil
      }
    }
    return held
  }

  /// Destroys, damages or alters one thing.
  func harm(_ random: inout SeededGenerator) {
    guard
      let (key, entry) = store.entries.filter({ $0.key != .definition })
        .sorted(by: { "\($0.key)" < "\($1.key)" }).randomElement(using: &random)
    else { return }
    if case .chunk = key { return harmChunk(&random) }
    switch (Int.random(in: 0..<3, using: &random), entry.value) {
    case (0, _): store.overwrite(key, nil)
    case (1, _): store.overwrite(key, .damaged("by the test"))
    case (_, .lease(var lease)):
      lease.nonce = random.next()
      store.overwrite(key, .lease(lease))
    case (_, .attachment(var attachment)):
      attachment.holdings = []
      store.overwrite(key, .attachment(attachment))
    default: store.overwrite(key, nil)
    }
  }

  /// Damages or alters a chunk of either level.
  func harmChunk(_ random: inout SeededGenerator) {
    let chunks = store.entries.filter { if case .chunk = $0.key { true } else { false } }
      .sorted(by: { "\($0.key)" < "\($1.key)" })
    guard let (key, entry) = chunks.randomElement(using: &random),
      case .chunk(var chunk) = entry.value
    else { return }
    let bit = Int.random(in: 0..<16, using: &random)
    switch Int.random(in: 0..<6, using: &random) {
    case 0: return store.overwrite(key, .damaged("by the test"))
    case 1: return store.overwrite(key, nil)
    case 2: chunk.bitmap.take(bit)
    case 3: chunk.bitmap.free(bit)
    case 4: chunk.isMarked.toggle()
    default: chunk.incarnation = random.next()
    }
    store.overwrite(key, .chunk(chunk))
  }
}
