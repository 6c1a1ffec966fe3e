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

  /// The reference finds reservations in subdirectories too. Nobody makes any, and to look there would
  /// cost ours what makes it fast: the directory's own time tells nothing of them.
  @Test func subdirectoriesAreNobodys() async throws {
    let row = DropInRow(
      "", ["subnet": "10.0.0.0/29"], files: ["below/10.0.0.3": "c1\r\neth0"],
      .fails(of: "CHECK", "host-local: Failed to find address added by container c1")
        .but(.flatDirectory, .done), .del("c1"), .add("c1", "10.0.0.2/29"))
    let (ours, reference) = try await (Side(Program.ours, row), Side(Program.hostLocal, row))
    for step in row.steps {
      let here = Comment(rawValue: step.command)
      expect(try await ours.run(step), step.expected, here, ours: true)
      expect(try await reference.run(step), step.reference ?? step.expected, here, ours: false)
    }
    let last = ["10.0.0.2": "c1\r\neth0", "last_reserved_ip.0": "10.0.0.2"]
    #expect(try reference.files() == last)
    #expect(try ours.files() == last.merging(row.files) { $1 })
  }

  /// Of several texts that are no addresses the first one is said, wherever it stands.
  @Test(arguments: [
    (#""subnet": "yy", "routes": [{"dst": "rr"}]"#, "invalid CIDR address: yy"),
    (#""routes": [{"gw": "gg", "dst": "dd"}], "subnet": "10.0.0.0/24""#, "invalid IP address: gg"),
    (
      #""Ranges": [[{"subnet": "10.0.0.0/24", "gateway": "hh"}]], "rangeStart": "ss""#,
      "invalid IP address: hh"
    ),
    (#""rangeStart": "ss", "ranges": [[{"subnet": "10.0.0.0/24"}]]"#, "invalid IP address: ss"),
  ])
  func theFirstInTheTextIsSaid(ipam: String, message: String) async throws {
    let runtimes = [
      (#""ips": ["ww"], "ipRanges": [[{"subnet": "vv"}]]"#, "invalid IP address ww"),
      (#""ipRanges": [[{"subnet": "vv"}]], "ips": ["ww"]"#, "invalid CIDR address: vv"),
    ]
    for (runtime, itsMessage) in runtimes {
      let bad = [
        (#""ipam": {"type": "host-local", \#(ipam)}"#, message),
        (#""args": {"cni": {"ips": ["zz"]}}"#, "invalid IP address zz"),
        (#""RuntimeConfig": {\#(runtime)}"#, itsMessage),
      ]
      for first in bad.indices {
        let text = (bad[first...] + bad[..<first]).map(\.0).joined(separator: ", ")
        let call = Call("ADD", #"{"cniVersion": "1.0.0", "name": "net", \#(text)}"#)
        for program in [Program.ours, Program.hostLocal] {
          let answer = try await call.by(program).run()
          let here = Comment(rawValue: "\(program), \(text): \(answer)")
          #expect(answer.isError && answer.message == bad[first].1, here)
        }
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
    for (name, content) in row.files {
      let path = "\(network.directory)/\(name)"
      try FileManager.default.createDirectory(
        atPath: String(path[..<(path.lastIndex(of: "/") ?? path.endIndex)]),
        withIntermediateDirectories: true)
      try writeFile(path, content)
    }
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
