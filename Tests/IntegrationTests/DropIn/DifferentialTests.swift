// Random sequences of calls, given to ours and to the distribution's host-local, each in a directory
// of its own. After every call both must have said the same and left the same; where ours differs on
// purpose (Difference in DropInRow.swift), the reference's directory is made equal again, and the
// sequence goes on. Which plugin works in which directory changes from call to call: each has to
// live with what the other wrote.
//
// CNI_IPAM_SEQUENCES says how many sequences there are, CNI_IPAM_SEED where they come from.

internal import FoundationEssentials
internal import Glibc
import TestSupport
import Testing

@Suite(.needsHostLocal)
struct DifferentialTests {
  private static let count = environmentVariable("CNI_IPAM_SEQUENCES").flatMap { Int($0) } ?? 50

  @Test func randomSequences() async throws {
    let seed = TestSeed()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for worker in 0..<4 {
        group.addTask {
          for number in stride(from: worker, to: Self.count, by: 4) {
            var sequence = try await Sequence(seed, number)
            try await sequence.run()
          }
        }
      }
      try await group.waitForAll()
    }
  }
}

/// One sequence, with everything that happened in it.
private struct Sequence {
  private var scenario: RandomScenario
  private var random: SeededGenerator
  private let networks: [TestNetwork]
  private var trace: [String]

  init(_ seed: TestSeed, _ number: Int) async throws {
    let own = seed.value &+ UInt64(number) &* 0x9e37_79b9_7f4a_7c15
    scenario = RandomScenario(seed: own)
    random = SeededGenerator(seed: ~own)
    networks = [try await TestNetwork(.disk), try await TestNetwork(.disk)]
    trace = ["\(seed), sequence \(number), cniVersion \(scenario.version ?? "none")"]
    trace.append("files \(scenario.files)")
    for network in networks { try Self.write(scenario.files, to: network) }
  }

  private static func write(_ files: [String: String], to network: TestNetwork) throws {
    try? FileManager.default.createDirectory(
      atPath: network.directory, withIntermediateDirectories: true)
    for name in try network.contents().keys where files[name] == nil {
      unlink("\(network.directory)/\(name)")
    }
    let old = try Self.files(of: network)
    for (name, content) in files where old[name] != content {
      try writeFile("\(network.directory)/\(name)", content)
    }
  }

  private static func files(of network: TestNetwork) throws -> [String: String] {
    try network.contents().mapValues { String(decoding: $0, as: UTF8.self) }
  }

  mutating func run() async throws {
    for _ in 0..<Int.random(in: 4...14, using: &random) {
      guard try await step() else { return }
    }
  }

  /// One call of each plugin; whether the sequence can go on.
  private mutating func step() async throws -> Bool {
    let call = scenario.call()
    let ours = networks[Int.random(in: 0...1, using: &random)]
    let theirs = ours.folder === networks[0].folder ? networks[1] : networks[0]
    func ask(_ network: TestNetwork, _ program: String) async throws -> Answer {
      let configuration = network.configuration(
        call.ipam, version: scenario.version, call.others)
      return try await Call(
        call.command, configuration, container: call.container, interface: call.interface,
        arguments: call.arguments
      ).by(program).run()
    }
    let before = try Self.files(of: ours)
    let answer = try await ask(ours, Program.ours)
    let reference = try await ask(theirs, Program.hostLocal)
    trace.append(
      "\(call.command) \(call.container) \(call.interface) \(call.arguments ?? "") "
        + "\(call.ipam) \(call.others)\n    -> \(answer.summary)")
    let outcome = Outcome(
      command: call.command, ours: answer, reference: reference, before: before,
      after: try Self.files(of: ours), referenceAfter: try Self.files(of: theirs),
      attachment: [call.container, "\(call.container)\r\n\(call.interface)"],
      hasRequest: !call.others.text.filter { $0 != "{" && $0 != "}" }.isEmpty
        || call.arguments?.contains("IP=") == true)
    if let problem = outcome.problem {
      Issue.record(
        "\(problem)\n  reference: \(reference.summary)\n  \(trace.joined(separator: "\n  "))")
      return false
    }
    if outcome.isDifferent { try Self.write(outcome.after, to: theirs) }
    return true
  }
}

extension Answer {
  /// In one line.
  fileprivate var summary: String {
    succeeded ? "\(addresses)" : "\(code ?? -1) \(message ?? description)"
  }
}

/// What one call came to on both sides, and whether that is as it must be.
private struct Outcome {
  let command: String
  let ours: Answer
  let reference: Answer
  let before: [String: String]
  let after: [String: String]
  let referenceAfter: [String: String]
  /// What files of the attachment contain.
  let attachment: [String]
  let hasRequest: Bool

  /// Whether the reference's directory has to be made equal.
  var isDifferent: Bool { after != referenceAfter }

  /// What is not as it must be.
  var problem: String? {
    if !ours.succeeded && !ours.isError { return "not the way to fail" }
    if !ours.succeeded && after != before { return "a failed call left something" }
    switch (ours.succeeded, reference.succeeded) {
    case (true, true):
      if ours.json != reference.json { return "other results" }
      return isDifferent ? "other files: \(after) and \(referenceAfter)" : nil
    case (true, false):
      return command == "DEL" ? nil : "the reference fails"  // Difference.deleteAlwaysWorks
    case (false, true):
      return isRepeatWithRequest ? nil : "only ours fails"
    case (false, false):
      if isRepeatWithRequest { return nil }
      if !saysTheSame { return "other words" }
      if ours.code != expectedCode(ours.message ?? "") { return "the wrong code" }
      // Difference.cleanFailure; and a repeat frees what the attachment had (Difference.repeatedAdd).
      let isSame = leases(after) == leases(referenceAfter)
      return isSame || isRepeat ? nil : "other files: \(after) and \(referenceAfter)"
    }
  }

  private var isRepeat: Bool {
    command == "ADD" && before.values.contains { attachment.contains($0) }
  }

  /// Difference.repeatedAdd: ours fails and changes nothing.
  private var isRepeatWithRequest: Bool { isRepeat && hasRequest }

  /// But for Difference.requestFirst and Difference.orderedList.
  private var saysTheSame: Bool {
    let (one, other) = (ours.message ?? "", reference.message ?? "")
    if one == other { return true }
    let list = "failed to allocate all requested IPs: "
    let isRequest = one.hasPrefix(list) || one.contains("is subnet's gateway")
    if isRequest && other.contains("no IP addresses available") { return true }
    return one.hasPrefix(list) && other.hasPrefix(list)
      && Set(one.split(separator: " ")) == Set(other.split(separator: " "))
  }

  private func leases(_ files: [String: String]) -> [String: String] {
    files.filter { !$0.key.hasPrefix("last_reserved_ip.") }
  }
}
