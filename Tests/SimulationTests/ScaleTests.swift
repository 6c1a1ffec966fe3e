import AddressSpace
import IPAM
import IPAMTesting
import Testing
import TestSupport

// Simulations of many nodes: the store that makes them small means the same as the reference, a store
// that breaks its promise is noticed without a history, and cost and memory go with what is under way.

@Suite struct ScaleTests {
  static func scenario(
    nodes: Int, callers: Int = 1, operations: Int, subnet: String, keeps: Int, releases: Int
  ) throws -> (scenario: Scenario, capacity: Int) {
    let sets = try RangeSet.sets([[SubnetRange.Text(subnet: subnet)]])
    let definition = NetworkDefinition(name: "net", rangeSets: sets)
    var scenario = Scenario(
      definition: definition, nodes: nodes, callers: callers, operations: operations, keeps: keeps,
      service: .init(
        hop: [50_000, 80_000, 400_000], round: [300_000, 900_000], perCommit: [80_000, 120_000],
        perOperation: 2_000, perRead: 20_000, client: [30_000, 60_000]))
    scenario.releases = releases
    scenario.pause = 0
    scenario.keepsHistory = false
    let capacity = try definition.layouts()[0].capacity.uint64.flatMap { Int(exactly: $0) }
    return (scenario, try #require(capacity))
  }

  @Test func theCompactStoreMeansWhatTheReferenceMeans() async throws {
    let seed = TestSeed()
    var (scenario, capacity) = try Self.scenario(
      nodes: 16, callers: 3, operations: 30, subnet: "10.1.0.0/24", keeps: 4, releases: 30)
    (scenario.faults.cutAfter, scenario.faults.cutBefore, scenario.faults.late) = (5, 5, 5)
    let (reference, compact) = (MemoryStore(), CompactStore())
    let reports = [reference as any SimulatedStore, compact].map {
      Simulation(scenario, capacity: capacity, seed: seed.value, store: $0).run().report
    }
    #expect(reports[0] == reports[1], "\(seed)")
    #expect(reports[0].conflicts > 0 && reports[0].failed + reports[0].succeeded > 0, "\(seed)")
    let leases = reference.entries.keys.compactMap { key in
      if case .lease(let address) = key { address } else { nil }
    }
    #expect(leases.count == compact.leaseCount, "\(seed)")
    #expect(leases.allSatisfy(compact.isLeased), "\(seed)")
    #expect(compact.findings() == [], "\(seed)")
    let keys = Set(reference.entries.keys)
    #expect(compact.found(keys) == reference.found(keys), "\(seed)")
  }

  @Test func allAddressesOfATightPoolAreHandedOutOnce() throws {
    let seed = TestSeed()
    let (scenario, capacity) = try Self.scenario(
      nodes: 11, operations: 24, subnet: "10.1.0.0/24", keeps: 24, releases: 0)
    let store = CompactStore()
    let simulation = Simulation(scenario, capacity: capacity, seed: seed.value, store: store)
    let report = simulation.run().report
    #expect((report.succeeded, report.exhausted) == (253, 11), "\(seed)")
    #expect(report.duplicates + report.lies == [], "\(seed)")
    #expect(simulation.findings(in: store) + store.findings() == [], "\(seed)")
  }

  @Test func nodesGoOnUntilThePoolIsFull() throws {
    let seed = TestSeed()
    var (scenario, capacity) = try Self.scenario(
      nodes: 16, operations: 1_000, subnet: "10.1.0.0/23", keeps: 1_000, releases: 0)
    scenario.endsWhenFull = true
    let store = CompactStore()
    let simulation = Simulation(scenario, capacity: capacity, seed: seed.value, store: store)
    let report = simulation.run().report
    #expect((report.succeeded, report.exhausted, report.failed) == (509, 16, 0), "\(seed)")
    #expect(report.fairness > 0.5 && report.fairness < 1, "\(seed)")
    #expect(report.duplicates + report.lies == [], "\(seed)")
    #expect(simulation.findings(in: store) + store.findings() == [], "\(seed)")
  }

  /// More nodes than a /18 would have chunks by the size of its subnet alone: by default a node finds
  /// one nearly to itself.
  @Test func manyNodesWasteLittleByDefault() throws {
    let seed = TestSeed()
    func wasted(chunkBits: Int?) throws -> Double {
      var (scenario, capacity) = try Self.scenario(
        nodes: 160, operations: 10, subnet: "10.0.0.0/18", keeps: 10, releases: 0)
      scenario.definition.chunkBits = chunkBits
      let simulation = Simulation(
        scenario, capacity: capacity, seed: seed.value, store: CompactStore())
      let report = simulation.run().report
      return Double(report.conflicts) / Double(report.succeeded)
    }
    let (few, many) = (try wasted(chunkBits: 8), try wasted(chunkBits: nil))
    #expect(many < 0.5 && many < few / 2, "\(many) and \(few), \(seed)")
  }

  /// A store that breaks a promise of its kind.
  final class BrokenStore: SimulatedStore {
    enum Promise: CaseIterable {
      /// A commit happens though a key has moved.
      case condition
      /// The lease of every 16th commit is lost.
      case wholeness
    }
    let base = CompactStore()
    let broken: Promise
    var commits = 0
    init(_ broken: Promise) { self.broken = broken }
    var traits: StoreTraits { base.traits }
    func found(_ keys: Set<StoreKey>) -> [StoreKey: StoreEntry] { base.found(keys) }

    func outcome(of operations: [StoreOperation]) -> CommitOutcome {
      commits += 1
      switch broken {
      case .condition:
        return base.outcome(of: operations.map(forced))
      case .wholeness:
        guard commits % 16 == 0 else { return base.outcome(of: operations) }
        return base.outcome(
          of: operations.filter { if case .lease = $0.key { false } else { true } })
      }
    }

    private func forced(_ operation: StoreOperation) -> StoreOperation {
      let revision = base.found([operation.key])[operation.key]?.revision ?? .absent
      return switch operation {
      case .check(let key, _): .check(key, revision)
      case .put(let key, let value, _): .put(key, value, expected: revision)
      case .delete(let key, _): .delete(key, expected: revision)
      case .note: operation
      }
    }
  }

  @Test(arguments: BrokenStore.Promise.allCases)
  func aStoreThatBreaksAPromiseIsNoticed(_ promise: BrokenStore.Promise) throws {
    let seed = TestSeed()
    let (scenario, capacity) = try Self.scenario(
      nodes: 16, operations: 12, subnet: "10.1.0.0/24", keeps: 12, releases: 0)
    let store = BrokenStore(promise)
    let simulation = Simulation(scenario, capacity: capacity, seed: seed.value, store: store)
    let report = simulation.run().report
    let findings = simulation.findings(in: store.base) + store.base.findings()
    #expect(!(report.duplicates + findings).isEmpty, "\(promise), \(seed)")
    if promise == .condition { #expect(!report.duplicates.isEmpty, "\(seed)") }
  }

  /// 120 nodes wait at once. What is under way is bounded by the nodes: a timeout for each, not for
  /// each request, so that the agenda stays small however long callers are ready to wait.
  @Test func manyNodesFillTheirNetwork() throws {
    let seed = TestSeed()
    let (scenario, capacity) = try Self.scenario(
      nodes: 120, operations: 4, subnet: "10.0.0.0/22", keeps: 4, releases: 0)
    let store = CompactStore()
    let simulation = Simulation(scenario, capacity: capacity, seed: seed.value, store: store)
    let report = simulation.run().report
    #expect(report.succeeded + report.failed == 480, "\(seed)")
    #expect(report.failed == 0 && report.duplicates == [], "\(seed)")
    #expect(simulation.mostEvents <= 4 * 120, "\(seed)")
    #expect(simulation.findings(in: store) + store.findings() == [], "\(seed)")
    #expect(report.fairness > 0 && report.fairness <= 1, "\(seed)")
    #expect(report.busy <= report.elapsed + 1_000_000_000, "\(seed)")
  }
}
