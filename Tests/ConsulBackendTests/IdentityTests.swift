import IPAM
import TestSupport
import Testing

@testable import ConsulBackend

// Who a node is, when several configurations share its state directory.

@Suite struct IdentityTests {
  private func identity(_ folder: TemporaryFolder, _ name: String?) throws -> NodeIdentity {
    try NodeIdentity(stateDirectory: folder.path, configuredName: name) {
      UInt64.random(in: 0 ... .max)
    }
  }

  /// Else a runtime without a name of its own would collect what another one's containers hold.
  @Test(arguments: [true, false])
  func aConfiguredNameIsNotAnothers(_ isConfiguredFirst: Bool) throws {
    let folder = try TemporaryFolder()
    let own = isConfiguredFirst ? nil : try identity(folder, nil)
    let other = try identity(folder, "other")
    let again = try identity(folder, nil)
    #expect(other.node.name == "other")
    #expect(again.node.name == NodeFile.hostName && again.node.instance == other.node.instance)
    #expect(own == nil || own?.node == again.node)
    // What was made under any of them is found.
    #expect(again.earlierNames == ["other"])
    #expect(try identity(folder, "other").earlierNames == [NodeFile.hostName])
    #expect(NodeIdentity(keptIn: folder.path)?.node.name == "other")
  }

  /// The host's name is kept, also from a file that does not tell it from the others.
  @Test func aHostThatIsRenamed() throws {
    for text in ["instance 4f\nname old\n", "instance 4f\nhost old\nname old\n"] {
      let folder = try TemporaryFolder()
      try writeFile(folder.path + "/node", text)
      #expect(try identity(folder, nil).node.name == "old")
      #expect(try identity(folder, "other").node.name == "other")
      #expect(try identity(folder, nil).node.name == "old")
    }
  }

  /// A record of another machine's, which nobody could write over yet: all see the same in it. What says
  /// less, as that of an earlier version, is one's own.
  @Test(.enabled("no mark of this machine") { MachineMarks.here != MachineMarks() })
  func aCopyOfAnothersRecord() throws {
    let folder = try TemporaryFolder()
    let here = MachineMarks.here
    let (key, own) = here.system.map { ("system", $0) } ?? ("hardware", here.hardware ?? "")
    func record(_ mark: String) throws {
      try writeFile(folder.path + "/node", "instance 4f\n\(key) \(mark)\nhost old\nname old\n")
    }
    try record("0123456789abcdef")
    let seen = try #require(NodeIdentity(keptIn: folder.path))
    let taken = try identity(folder, nil)
    #expect(seen == taken && taken.wasCopied && taken.node.instance != "4f")
    #expect(taken.node.name == NodeFile.hostName && taken.earlierNames.isEmpty)
    let again = try identity(folder, nil)
    #expect(again.node == taken.node && !again.wasCopied)
    try record("fedcba9876543210")
    #expect(try identity(folder, nil).node.instance == taken.node.instance, "this machine's")
    try record(own)
    #expect(try identity(folder, nil).node.instance == "4f")
    try writeFile(folder.path + "/node", "instance 4f\nhost old\nname old\n")
    #expect(try identity(folder, nil).node.name == "old")
    #expect(String(decoding: try readFile(folder.path + "/node"), as: UTF8.self).contains(own))
  }
}
