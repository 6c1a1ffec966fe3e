import AddressSpace
import BitmapAllocator
import IPAM
import IPAMTesting
import Synchronization
import TestSupport
import Testing

// A repair to whom something happens before each of its calls of the store: containers come and go,
// more is broken, somebody else repairs. The order is the seed's, so that a failure can be replayed.

@Suite struct RepairInterleavingTests {
  @Test(arguments: 0..<16) func whoWasToldAnAddressHasIt(_ round: UInt64) async throws {
    let seed = TestSeed()
    let street = try await Street(seed.value &+ 2_000 &+ round)
    let here = "\(seed), round \(round)"
    for _ in 0..<4 {
      _ = try await Repairer(of: street, networkName: "net", surroundings: street.surroundings)
        .repair(deadline: .far)
    }
    let crowd = street.crowd
    let report = try await crowd.repairer.repair(deadline: .far)
    for left in report.left {
      guard left.finding.kind == .damaged, case .lease = left.finding.key else {
        Issue.record("left: \(left.finding), \(here)")
        continue
      }
    }
    let held = street.held
    var leased: [AttachmentKey: Set<IPAddress>] = [:]
    for (key, entry) in crowd.store.entries {
      guard case .lease(let address) = key, case .lease(let lease) = entry.value,
        lease.attachment.node == Street.node
      else { continue }
      leased[lease.attachment, default: []].insert(address)
    }
    #expect(leased == held.mapValues { Set($0.holdings.map(\.address)) }, "\(here)")
    for (name, attachment) in held {
      #expect(
        crowd.store.entries[.attachment(name)]?.value == .attachment(attachment),
        "\(name), \(here)")
      guard let mac = attachment.mac else { continue }
      #expect(crowd.store.entries[.mac(mac)]?.value == .mac(name), "\(mac), \(here)")
    }
  }
}

/// A network that is in use whenever somebody looks.
private final class Street: StoreWrapper {
  static let node = "street"

  private struct State {
    var random: SeededGenerator
    var held: [AttachmentKey: IPAM.Attachment] = [:]
    var made = 0
    var harmsLeft: Int
    /// Addresses whose lease and bit somebody lost, for whoever asks next.
    var lost: [IPAddress] = []
  }

  let crowd: Crowd
  let surroundings: Surroundings
  private let state: Mutex<State>

  init(_ seed: UInt64) async throws {
    var random = SeededGenerator(seed: seed)
    crowd = try await Crowd(&random)
    let chance = Mutex(SeededGenerator(seed: random.next()))
    var surroundings = Surroundings.system
    surroundings.random = { chance.withLock { $0.next() } }
    surroundings.sleep = { _ in await Task.yield() }
    self.surroundings = surroundings
    state = Mutex(State(random: random, harmsLeft: 16))
  }

  var wrapped: any AllocationStore { crowd.store }
  var held: [AttachmentKey: IPAM.Attachment] { state.withLock { $0.held } }

  func read(
    _ keys: Set<StoreKey>, consistency: Consistency, deadline: Deadline
  ) async throws(StoreError) -> [StoreKey: StoreEntry] {
    await others()
    return try await crowd.store.read(keys, consistency: consistency, deadline: deadline)
  }

  func commit(
    _ operations: [StoreOperation], cursors: [Int: IPAddress], deadline: Deadline
  ) async -> CommitOutcome {
    await others()
    return await crowd.store.commit(operations, cursors: cursors, deadline: deadline)
  }

  func list(
    _ kind: StoreListing, deadline: Deadline,
    _ visit: (StoreKey, StoreEntry) throws(StoreError) -> Void
  ) async throws(StoreError) {
    await others()
    try await crowd.store.list(kind, deadline: deadline, visit)
  }

  private func others() async {
    for _ in 0..<state.withLock({ Int.random(in: 0...3, using: &$0.random) }) {
      do {
        try await somethingHappens()
      } catch {
        Issue.record("\(error)")
      }
    }
  }

  private func somethingHappens() async throws {
    switch state.withLock({ Int.random(in: 0..<20, using: &$0.random) }) {
    case 0..<9: try await arrive()
    case 9..<16: try await leave()
    case 16..<19:
      try state.withLock { state in
        guard state.harmsLeft > 0 else { return }
        state.harmsLeft -= 1
        try harm(&state)
      }
    default:
      _ = try await Repairer(of: crowd.store, networkName: "net", surroundings: surroundings)
        .repair(deadline: .far)
    }
  }

  private func harm(_ state: inout State) throws {
    let number = Int.random(in: 0..<20, using: &state.random)
    let somebody = AttachmentKey(
      node: Crowd.node, container: "c\(number)", interface: "eth0")
    switch Int.random(in: 0..<6, using: &state.random) {
    case 0:
      // A hardware address that an arrival may ask for.
      guard let mac = Self.mac(UInt64.random(in: 0..<6, using: &state.random)),
        crowd.store.entries[.mac(mac)] == nil
      else { return }
      crowd.store.overwrite(.mac(mac), .mac(somebody))
    case 1:
      // What an earlier attachment of that name left.
      let number = Int.random(in: 0..<1_024, using: &state.random)
      let key = StoreKey.lease(try IPAddress(parsing: "10.1.\(number / 256).\(number % 256)"))
      guard crowd.store.entries[key] == nil else { return }
      let lease = Lease(
        attachment: somebody, node: Node(name: Crowd.node), mac: nil, workload: Workload(),
        nonce: state.random.next(), createdAt: 1)
      crowd.store.overwrite(key, .lease(lease))
    case 2, 3:
      guard case .attachment(let attachment)? = crowd.store.entries[.attachment(somebody)]?.value,
        let holding = attachment.holdings.first
      else { return }
      let (node, bit) = holding.pool.node(of: holding.ordinal)
      let key = StoreKey.chunk(ChunkKey(pool: holding.pool, node: node))
      guard case .chunk(var chunk)? = crowd.store.entries[key]?.value else { return }
      chunk.bitmap.free(bit)
      crowd.store.overwrite(key, .chunk(chunk))
      crowd.store.overwrite(.lease(holding.address), nil)
      state.lost.append(holding.address)
    default: crowd.harm(&state.random)
    }
  }

  private static func mac(_ number: UInt64) -> MACAddress? {
    MACAddress(value: 0x0200_0001_0000 + number)
  }

  private var allocator: NetworkAllocator {
    NetworkAllocator(
      store: crowd.store, networkName: "net", definition: nil, node: Node(name: Self.node),
      surroundings: surroundings)
  }

  private func arrive() async throws {
    let (name, mac, wanted) = state.withLock { state in
      state.made += 1
      let name = AttachmentKey(node: Self.node, container: "s\(state.made)", interface: "eth0")
      let number = UInt64.random(in: 0..<12, using: &state.random)
      return (name, number < 6 ? Self.mac(number) : nil, state.lost.popLast())
    }
    do throws(AllocationError) {
      let acquired = try await allocator.acquire(
        AcquireRequest(attachment: name, requested: wanted.map { [$0] } ?? [], mac: mac),
        deadline: .far)
      state.withLock { $0.held[name] = acquired.attachment }
    } catch {
      // Nothing else is a reason not to get one; all that is broken lets others go on.
      switch error {
      case .macTaken, .requestedTaken: return
      default: throw error
      }
    }
  }

  private func leave() async throws {
    let name = state.withLock { state in
      state.held.keys.sorted { $0.container < $1.container }.randomElement(using: &state.random)
    }
    guard let name else { return }
    _ = try await allocator.release([name], deadline: .far)
    state.withLock { $0.held[name] = nil }
  }
}
