// Every row of host-local's behaviour, put to ours and to the distribution's plugin, which is the
// oracle: the same words and the same directory afterwards, but for the differences of
// DropInRow.swift.

internal import FoundationEssentials
import TestSupport
import Testing

@Suite(.needsHostLocal)
struct DropInTests {
  @Test(arguments: RangeRows.all + AllocationRows.all)
  func row(_ row: DropInRow) async throws {
    let ours = try await Side(Program.ours, row)
    let reference = try await Side(Program.hostLocal, row)
    var areEqual = true
    for (number, step) in row.steps.enumerated() {
      let here = Comment(rawValue: "step \(number + 1), \(step.command)")
      let answer = try await ours.run(step)
      expect(answer, step.expected, here, ours: true)
      let other = try await reference.run(step)
      expect(other, step.because == nil ? step.expected : step.reference, here, ours: false)
      if step.because == nil {
        #expect(answer.addresses == other.addresses, here)
        if answer.succeeded { #expect(answer.json == other.json, here) }
      } else {
        areEqual = false
      }
      if areEqual {
        #expect(try ours.files() == reference.files(), here)
      } else if case .error = step.expected {
        #expect(answer.isError, here)
      }
    }
  }

  private func expect(_ answer: Answer, _ expected: Expected?, _ here: Comment, ours: Bool) {
    let who: Comment = "\(here.rawValue) of \(ours ? "ours" : "the reference"): \(answer)"
    switch expected {
    case nil: break
    case .done: #expect(answer.succeeded && answer.ended.output.isEmpty, who)
    case .addresses(let addresses): #expect(answer.addresses == addresses, who)
    case .error(let message):
      #expect(answer.isError, who)
      if message.hasSuffix("*") {
        #expect(answer.message?.hasPrefix(message.dropLast()) == true, who)
      } else {
        #expect(answer.message == message, who)
        if ours { #expect(answer.code == expectedCode(message), who) }
      }
    }
  }
}

/// One of the two plugins with a directory of its own.
struct Side {
  private let program: String
  private let network: TestNetwork
  private let row: DropInRow

  init(_ program: String, _ row: DropInRow) async throws {
    (self.program, self.row) = (program, row)
    network = try await TestNetwork(.disk)
    guard !row.files.isEmpty else { return }
    try FileManager.default.createDirectory(
      atPath: network.directory, withIntermediateDirectories: true)
    for (name, content) in row.files { try writeFile("\(network.directory)/\(name)", content) }
  }

  func run(_ step: Step) async throws -> Answer {
    var others = row.others.merging(step.others)
    var ipam = row.ipam
    if let replacement = others["ipam"] {
      ipam = replacement
      others["ipam"] = nil
    }
    let configuration = network.configuration(ipam, version: row.version, others)
    return try await Call(
      step.command, configuration, container: step.container, interface: step.interface,
      arguments: step.arguments
    ).by(program).run()
  }

  /// Names and contents, the lock left out.
  func files() throws -> [String: String] {
    try network.contents().mapValues { String(decoding: $0, as: UTF8.self) }
  }
}
