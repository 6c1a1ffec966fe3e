import AddressSpace
import IPAM
import IPAMTesting
import Testing
import TestSupport

// Whole clusters in virtual time: whatever the network, the server and the nodes suffer, no address is
// held twice, exhaustion is the truth, and what the store holds is one story. A failing run is
// repeated with CNI_IPAM_SEED.

@Suite struct SimulationTests {
  struct World: CustomTestStringConvertible, Sendable {
    let name: String
    let scenario: Scenario
    let capacity: Int
    var testDescription: String { name }

    init(
      _ name: String, nodes: Int, callers: Int, subnet: String, capacity: Int, keeps: Int,
      _ set: (inout Scenario.Faults) -> Void = { _ in }
    ) {
      self.name = name
      self.capacity = capacity
      guard let sets = try? RangeSet.sets([[SubnetRange.Text(subnet: subnet)]]) else {
        preconditionFailure("\(subnet) is no subnet")
      }
      // Times of no server in particular: here they only have to differ.
      var scenario = Scenario(
        definition: NetworkDefinition(name: "net", rangeSets: sets), nodes: nodes,
        callers: callers, operations: 12, keeps: keeps,
        service: .init(
          hop: [50_000, 80_000, 400_000], round: [300_000, 900_000, 4_000_000],
          perCommit: [100_000]))
      set(&scenario.faults)
      self.scenario = scenario
    }
  }

  static let worlds = [
    World("no faults", nodes: 32, callers: 4, subnet: "10.1.0.0/20", capacity: 4_093, keeps: 6),
    World(
      "cut connections", nodes: 16, callers: 4, subnet: "10.1.0.0/22", capacity: 1_021, keeps: 6
    ) {
      $0.cutAfter = 15
      $0.cutBefore = 15
    },
    World("late copies", nodes: 16, callers: 4, subnet: "10.1.0.0/22", capacity: 1_021, keeps: 6) {
      $0.late = 25
    },
    World("too small", nodes: 16, callers: 4, subnet: "10.1.0.0/26", capacity: 61, keeps: 4) {
      $0.cutAfter = 10
    },
    World("kills and pauses", nodes: 16, callers: 4, subnet: "10.1.0.0/24", capacity: 253, keeps: 4)
    {
      $0.kills = 24
      $0.pauses = 4
      $0.skewSeconds = 3_600
    },
    World("all", nodes: 24, callers: 3, subnet: "10.1.0.0/24", capacity: 253, keeps: 4) {
      $0.cutAfter = 8
      $0.cutBefore = 8
      $0.late = 8
      $0.silent = 3
      $0.refused = 5
      $0.kills = 12
      $0.pauses = 3
      $0.skewSeconds = 86_400
    },
  ]

  @Test(arguments: worlds) func noAddressIsHeldTwice(_ world: World) async throws {
    let seed = TestSeed()
    let store = MemoryStore()
    let simulation = Simulation(
      world.scenario, capacity: world.capacity, seed: seed.value, store: store)
    let (report, history) = simulation.run()
    let context = "\(world.name): \(report.summary), \(seed)"
    #expect(HistoryChecker.findings(history) == [], "\(context)")
    #expect(report.duplicates == [], "\(context)")
    #expect(report.lies == [], "\(context)")
    #expect(report.succeeded > 0, "\(context)")
    let deadline = Surroundings.system.deadline(inMilliseconds: 600_000)
    let stored = store.entries[.definition]?.value
    guard case .definition(let definition)? = stored else {
      Issue.record("no definition was created, \(context)")
      return
    }
    let auditor = try Auditor(of: store, definition: definition)
    #expect(try await auditor.findings(deadline: deadline) == [], "\(context)")
    let attachments = Set(
      store.entries.keys.compactMap { key in
        if case .attachment(let name) = key { name } else { nil }
      })
    #expect(simulation.held.isSubset(of: attachments), "a holder lost its address, \(context)")
    // A killed process leaves no pending file here, so its late copy may outlive its DEL.
    if world.scenario.faults.kills == 0 {
      #expect(attachments == simulation.held, "somebody nobody knows holds one, \(context)")
    }
  }

  @Test(arguments: worlds) func aSeedDecidesTheWholeRun(_ world: World) {
    let seed = TestSeed()
    let runs = (0..<2).map { _ in
      Simulation(world.scenario, capacity: world.capacity, seed: seed.value).run().report
    }
    #expect(runs[0] == runs[1], "\(world.name), \(seed)")
    let other = Simulation(world.scenario, capacity: world.capacity, seed: seed.value &+ 1).run()
    #expect(other.report.trace != runs[0].trace, "\(world.name), \(seed)")
  }
}

extension SimulationReport {
  var summary: String {
    "\(succeeded) succeeded, \(exhausted) exhausted, \(failed) failed, \(commits) commits, "
      + "\(conflicts) conflicts, \(kills) kills, trace \(trace)"
  }
}
