// The rows of host-local's behaviour on Consul: the same addresses and the same words, but for what
// Consul does otherwise on purpose.

import TestSupport
import Testing

@Suite(.needsConsul)
struct ConsulRowTests {
  /// But for what a directory alone has: files that stand there, and the choice of it.
  private static let rows = (RangeRows.all + AllocationRows.all)
    .filter { $0.files.isEmpty && $0.ipam["backend"] == nil }

  /// What the last step of a row comes to instead.
  private static let differences: [String: Expected] = [
    // Masked, as the ancestor did.
    "host bits": .addresses(["10.0.0.2/24"]), "host bits in IPv6": .addresses(["fd00::2/64"]),
    // The definition in Consul may say them, and nobody else.
    "no ranges": .error("network net is not defined"),
    "ranges null": .error("network net is not defined"),
    "the order of sets": .error(
      "network net is in Consul and hands out no other ranges than its own"),
    // Nomad repeats an ADD without a DEL: the same addresses, whatever is requested.
    "again": .addresses(["10.0.0.2/29"]),
    "again with its own address": .addresses(["10.0.0.2/29"]),
    "again with another address": .addresses(["10.0.0.2/29"]),
    "again with a request for one of two sets": .addresses(["10.0.0.2/29", "fd00::2/64"]),
    "dataDir that is a file": .addresses(["10.0.0.2/24"]),
  ]

  /// Only host-local speaks in its name.
  private static func words(_ message: String) -> String {
    message.hasPrefix("host-local: ") ? String(message.dropFirst(12)) : message
  }

  @Test func everyDifferenceIsOfARow() {
    let names = Set(Self.rows.map(\.testDescription))
    #expect(names.isSuperset(of: Self.differences.keys))
  }

  @Test(arguments: rows)
  func row(_ row: DropInRow) async throws {
    let network = try await TestNetwork(.consul)
    for (number, step) in row.steps.enumerated() {
      var others = row.others.merging(step.others)
      var ipam = row.ipam
      if let replacement = others["ipam"] {
        ipam = replacement
        others["ipam"] = nil
      }
      let settings: JSON = ["searchOrder": "sequential", "cooldown": 0, "type": "consul"]
      let configuration = network.configuration(
        ipam.merging(settings), version: row.version, others)
      let answer = try await Call(
        step.command, configuration, container: step.container, interface: step.interface,
        arguments: step.arguments
      ).run()
      let here: Comment = "step \(number + 1), \(step.command): \(answer)"
      let isLast = number == row.steps.count - 1
      let difference = isLast ? Self.differences[row.testDescription] : nil
      switch difference ?? step.expected {
      case .done: #expect(answer.succeeded && answer.ended.output.isEmpty, here)
      case .addresses(let addresses): #expect(answer.addresses == addresses, here)
      case .error(let message):
        #expect(answer.isError && answer.message == Self.words(message), here)
        #expect(answer.code == expectedCode(message), here)
      }
      let problems = try network.audit().problems
      #expect(problems.isEmpty, "\(here.rawValue): \(problems)")
    }
  }
}
