// All six commands through a network plugin that delegates, as the specification has it: GC and STATUS
// are passed on by none of the distribution's.

import TestSupport
import Testing

@Suite(.needsConsul, .needsRoot, .needsGo)
struct DelegationTests {
  private func call(
    _ command: String, _ node: TestNode, _ more: JSON = [:], container: String = "c1"
  ) -> Call {
    let main: JSON = [
      "cniVersion": "1.1.0", "name": "net", "type": "delegating-plugin",
      "ipam": node.placed(["subnet": "10.7.0.0/30", "cooldown": 0]),
    ]
    return node.call(command, main.merging(more), node.host, container: container)
  }

  @Test(arguments: StoreKind.allCases)
  func allCommands(_ kind: StoreKind) async throws {
    let node = try await TestNode(kind)
    node.install(try await GoProgram.delegatingPlugin, as: "delegating-plugin")
    func isSilent(_ answer: Answer) -> Bool { answer.succeeded && answer.ended.output.isEmpty }

    #expect(isSilent(try await call("STATUS", node).run()))
    let added = try await call("ADD", node).succeeds()
    #expect(added.addresses == ["10.7.0.2/30"] && added.json?["cniVersion"] == "1.1.0", "\(added)")
    #expect(isSilent(try await call("CHECK", node, ["prevResult": added.json ?? nil]).run()))

    let exhausted =
      "failed to allocate for range 0: no IP addresses available in range set: 10.7.0.1-10.7.0.2"
    let status = try await call("STATUS", node).run()
    #expect(status.code == 50 && status.message == exhausted, "\(status)")
    let second = try await call("ADD", node, container: "c2").run()
    #expect(second.code == 101 && second.message == exhausted, "\(second)")

    try await Task.sleep(for: .seconds(1.1))  // what GC may free is a second old
    let valid = "cni.dev/valid-attachments"
    let c1: JSON = [["containerID": "c1", "ifname": "eth0"]]
    #expect(isSilent(try await call("GC", node, [valid: c1]).run()))
    #expect(try node.network.audit().holders == ["10.7.0.2": "c1/eth0"])
    let without = try await call("GC", node).run()
    #expect(without.code == 7, "\(without)")
    #expect(isSilent(try await call("GC", node, [valid: []]).run()))
    #expect(try node.network.audit() == Holders())

    #expect(isSilent(try await call("STATUS", node).run()))
    try await call("ADD", node, container: "c2").succeeds()
    for _ in 1...2 { #expect(isSilent(try await call("DEL", node, container: "c2").run())) }
    #expect(try node.network.audit() == Holders())
  }
}
