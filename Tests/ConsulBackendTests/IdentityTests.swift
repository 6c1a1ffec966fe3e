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
}
