// Many processes at once on one network. Whatever the order, every address has one holder, and when
// all is over the store adds up.

import TestSupport
import Testing

/// Runs calls at the same time, each in a process of its own.
func atOnce(_ calls: [Call]) async throws -> [Answer] {
  try await withThrowingTaskGroup(of: (Int, Answer).self) { group in
    for (index, call) in calls.enumerated() {
      group.addTask { (index, try await call.run()) }
    }
    var answers: [Int: Answer] = [:]
    for try await (index, answer) in group { answers[index] = answer }
    return calls.indices.compactMap { answers[$0] }
  }
}

@Suite(.needsConsul, .needsHostLocal, .serialized)
struct ConcurrencyTests {
  /// Who runs the plugins.
  enum Team: CaseIterable, Sendable {
    case consul, disk
    /// Ours and the distribution's on one directory.
    case mixed

    var kind: StoreKind { self == .consul ? .consul : .disk }

    func program(_ index: Int) -> String {
      self == .mixed && index % 2 == 1 ? Program.hostLocal : Program.ours
    }
  }

  private func calls(
    _ command: String, _ count: Int, _ configuration: JSON, _ team: Team, shift: Int = 0
  ) -> [Call] {
    (0..<count).map { index in
      Call(command, configuration, container: "c\(index)").by(team.program(index + shift))
    }
  }

  /// On a Consul with the limits that it has by itself, for example on connections.
  @Test(arguments: Team.allCases)
  func sixtyFourAtOnce(_ team: Team) async throws {
    let consul = team == .consul ? try await ConsulServer.start() : nil
    let network = try await TestNetwork(team.kind, consul: consul)
    let configuration = network.configuration([
      "ranges": [[["subnet": "10.7.0.0/24"]], [["subnet": "fd00:7::/64"]]]
    ])
    let answers = try await atOnce(calls("ADD", 64, configuration, team))
    for answer in answers { #expect(answer.succeeded, "\(answer)") }
    let given = answers.flatMap(\.addresses)
    #expect(given.count == 128)
    #expect(bare(given).count == 128, "an address was given twice")

    let audit = try network.audit()
    #expect(audit.problems.isEmpty, "\(audit.problems)")
    #expect(audit.addresses == bare(given))
    for (index, answer) in answers.enumerated() {
      #expect(audit.addresses(of: "c\(index)") == bare(answer.addresses))
    }

    // Whoever deletes: on a shared directory each plugin deletes what the other added.
    for answer in try await atOnce(calls("DEL", 64, configuration, team, shift: 1)) {
      #expect(answer.succeeded && answer.ended.output.isEmpty, "\(answer)")
    }
    #expect(try network.audit() == Holders())
  }

  /// More than there is room for: as many succeed as there are addresses, and the others are told so
  /// and leave nothing.
  @Test(arguments: Team.allCases)
  func moreThanThereIsRoomFor(_ team: Team) async throws {
    let network = try await TestNetwork(team.kind)
    let configuration = network.configuration(["subnet": "10.7.0.0/28"])  // 13 to give
    let answers = try await atOnce(calls("ADD", 24, configuration, team))
    let given = answers.flatMap(\.addresses)
    #expect(Set(given).count == 13 && given.count == 13, "\(given.sorted())")
    for (index, answer) in answers.enumerated() where !answer.succeeded {
      #expect(
        answer.message == "failed to allocate for range 0: no IP addresses available in range set: "
          + "10.7.0.1-10.7.0.14", "\(answer)")
      if team.program(index) == Program.ours { #expect(answer.code == 101) }
    }
    let audit = try network.audit()
    #expect(audit.problems.isEmpty && audit.holders.count == 13, "\(audit)")
  }

  /// One attachment asked for many times at once: it gets its addresses once.
  @Test(arguments: Team.allCases)
  func oneAttachmentManyTimes(_ team: Team) async throws {
    let network = try await TestNetwork(team.kind)
    let configuration = network.configuration(["subnet": "10.7.0.0/24"])
    let answers = try await atOnce(
      (0..<16).map { Call("ADD", configuration).by(team.program($0)) })
    let audit = try network.audit()
    #expect(audit.problems.isEmpty && audit.addresses(of: "c1").count == 1, "\(audit)")
    let successes = answers.filter(\.succeeded)
    if team == .consul {
      #expect(successes.count == 16)
      #expect(Set(successes.flatMap(\.addresses)).count == 1)
    } else {
      #expect(successes.count == 1, "\(answers)")
    }
  }

  /// Adds and deletes mixed: nothing is freed that is held, nothing is held that was freed.
  @Test(arguments: Team.allCases)
  func addsAndDeletesAtOnce(_ team: Team) async throws {
    let network = try await TestNetwork(team.kind)
    let configuration = network.configuration(["subnet": "10.7.0.0/26", "cooldown": 0])
    for answer in try await atOnce(calls("ADD", 24, configuration, team)) {
      #expect(answer.succeeded, "\(answer)")
    }
    let mixed = (0..<48).map { index in
      Call(index < 24 ? "DEL" : "ADD", configuration, container: "c\(index)")
        .by(team.program(index / 2))
    }
    let answers = try await atOnce(mixed)
    for answer in answers { #expect(answer.succeeded, "\(answer)") }
    let audit = try network.audit()
    #expect(audit.problems.isEmpty, "\(audit.problems)")
    #expect(Set(audit.holders.values) == Set((24..<48).map { "c\($0)/eth0" }))
  }
}
