import AddressSpace
import BitmapAllocator
import TestSupport
import Testing

@testable import IPAM
@testable import IPAMTesting

// Whatever order things happen in: every answer is true and in time, and what the store holds in the
// end is one story. A failing run is repeated with CNI_IPAM_SEED.

@Suite struct PlannerModelTests {
  struct World: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let setting: PlannerModel.Setting

    init(_ name: String, _ change: (inout PlannerModel.Setting) -> Void) {
      var setting = PlannerModel.Setting()
      change(&setting)
      testDescription = name
      self.setting = setting
    }
  }

  static let worlds = [
    World("no faults") { $0.faults = 0 },
    World("faults") { _ in },
    World("deletes of what is gone") { $0.deletesWhatIsGone = true },
    World("too small") {
      $0.subnets = [SubnetRange.Text(subnet: "10.1.0.0/28")]
      $0.faults = 10
    },
    World("two sets of one chunk") {
      $0.subnets = [
        SubnetRange.Text(subnet: "10.1.0.0/24", rangeStart: "10.1.0.10", rangeEnd: "10.1.0.40"),
        SubnetRange.Text(subnet: "10.1.0.0/24", rangeStart: "10.1.0.50", rangeEnd: "10.1.0.61"),
      ]
      $0.cooldown = 1
    },
    World("small commits") { $0.operationLimit = 9 },
    World("definitions that change") { $0.edits = 10 },
    World("crowded") { $0.names = 3 },
    World("many at once") {
      $0.names = 60
      $0.operationLimit = 9
      $0.faults = 40
      $0.pause = 500_000
    },
  ]

  @Test(arguments: worlds) func everyAnswerIsTrueAndInTime(_ world: World) async throws {
    let seed = TestSeed()
    var mostInFlight = 0
    for round in 0..<8 as Range<UInt64> {
      var model = try PlannerModel(world.setting, seed: seed.value &+ round)
      model.run(calls: 200)
      let context = "\(world.testDescription), round \(round), \(seed)"
      #expect(model.failures == [], "\(context)")
      #expect(model.answered > 100, "\(context)")
      mostInFlight = max(mostInFlight, model.mostInFlight)
      guard case .definition(let definition)? = model.store.entries[.definition]?.value else {
        Issue.record("no definition was created, \(context)")
        return
      }
      let auditor = try Auditor(of: model.store, definition: definition)
      let findings = try await auditor.findings(
        deadline: Surroundings.system.deadline(inMilliseconds: 600_000))
      #expect(findings == [], "\(context)")
      if !model.failures.isEmpty { return }
    }
    if world.setting.names > 30 { #expect(mostInFlight > 1, "nothing overlapped, \(seed)") }
  }
}

extension Planner {
  /// Fences have failed so often that the outcome is about to stay open.
  var isAboutToGiveUp: Bool {
    guard let doubt else { return false }
    return doubt.flight.grants.isEmpty && doubt.attempts >= Self.fenceAttempts - 1
  }

  /// The keys of the commit in doubt.
  var doubtful: [StoreKey] { doubt?.flight.commit.operations.map(\.key) ?? [] }
}
