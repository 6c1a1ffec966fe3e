// A result that reaches nobody: whoever called gets no address, so none is held, and the exit status
// says so. What was there before stays.

import TestSupport
import Testing

@Suite(.needsConsul)
struct UnwrittenReplyTests {
  /// Ways in which standard output can be of no use, as a shell makes them.
  private static let outputs = [
    #"exec "$0" >/dev/full"#,
    #"exec "$0" >&-"#,
    // Whoever reads is gone before anything is written.
    #"exec 3> >(:); wait $!; exec "$0" >&3 3>&-"#,
  ]

  private func call(_ output: String, _ command: String, _ configuration: JSON) -> Call {
    var call = Call(command, configuration)
    call.entering = ["/bin/bash", "-c", output]
    return call
  }

  @Test(arguments: StoreKind.allCases, outputs)
  func nothingIsHeld(_ kind: StoreKind, _ output: String) async throws {
    let network = try await TestNetwork(kind)
    let configuration = network.configuration(["subnet": "10.7.0.0/29", "cooldown": 0])
    let added = try await call(output, "ADD", configuration).run()
    #expect(added.ended.exitStatus == 1, "\(added)")
    #expect(added.ended.errorOutput.contains("error writing to stdout: write: "), "\(added)")
    #expect(try await Call("CHECK", configuration).run().code == 103)
    let held = try network.contents().keys.filter {
      $0.hasPrefix("10.") || $0.hasPrefix("addresses/")
    }
    #expect(held.isEmpty)
    try await Call("ADD", configuration).succeeds()
  }

  /// Of a repeated ADD the first one's address is not its to give back.
  @Test(arguments: outputs)
  func whatWasHeldBeforeStays(_ output: String) async throws {
    let network = try await TestNetwork(.consul)
    let configuration = network.configuration(["subnet": "10.7.0.0/29"])
    let first = try await Call("ADD", configuration).succeeds()
    #expect(try await call(output, "ADD", configuration).run().ended.exitStatus == 1)
    try await Call("CHECK", configuration).succeeds()
    #expect(try await Call("ADD", configuration).succeeds().addresses == first.addresses)
  }

  /// A file that is opened must not take the place of a closed stream, and get what is written there.
  @Test(arguments: StoreKind.allCases)
  func noFileGetsTheReply(_ kind: StoreKind) async throws {
    let network = try await TestNetwork(kind)
    let log = network.folder.path + "/log"
    let configuration = network.configuration([
      "subnet": "10.7.0.0/29", "logFile": .string(log), "logLevel": "debug",
    ])
    let output = #"exec "$0" >&- 2>&-"#
    #expect(try await call(output, "ADD", configuration).run().ended.exitStatus == 1)
    #expect(try await call(output, "DEL", configuration).run().ended.exitStatus == 0)
    let lines = String(decoding: try readFile(log), as: UTF8.self).split(separator: "\n")
    #expect(!lines.isEmpty && lines.allSatisfy { $0.hasPrefix("time=") }, "\(lines)")
    for (name, content) in try network.contents() {
      #expect(!String(decoding: content, as: UTF8.self).contains("cniVersion"), "\(name)")
    }
  }

  /// What holds nothing fails as well: VERSION, and an error.
  @Test func replies() async throws {
    let version = try await call(Self.outputs[0], "VERSION", [:]).run()
    #expect(version.ended.exitStatus == 1)
    let refused = try await call(Self.outputs[0], "ADD", ["cniVersion": "1.0.0"]).run()
    #expect(refused.ended.exitStatus == 1)
    #expect(refused.ended.errorOutput.contains("no space left on device"))
  }
}
