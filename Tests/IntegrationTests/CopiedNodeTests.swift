// Machines that were made from one disk with a node's state directory on it: its name and instance, its
// cache, word of a commit without an outcome. They are other nodes: no address is anybody's twice, and
// no collection takes what another one's containers hold.

internal import FoundationEssentials
import TestSupport
import Testing

@Suite(.needsConsul, .needsRoot)
struct CopiedNodeTests {
  /// A machine with a disk of its own: a state directory, a host name and a machine-id(5).
  private struct Machine: Sendable {
    let network: TestNetwork
    let number: Int
    var hostName: String
    /// What the configuration calls the node.
    var node: String?
    var port: Int?

    var state: String { "\(network.folder.path)/state-\(number)" }

    func call(_ command: String, _ container: String = "", valid: [String]? = nil) throws -> Call {
      let marker = "\(state)-id"
      try writeFile(marker, "3d1219c7c4c5404aaa1f6d2a48adfd0\(number)\n")
      var ipam: JSON = ["subnet": "10.7.0.0/24", "stateDir": .string(state), "timeout": "10s"]
      if let node { ipam["node"] = .string(node) }
      if let port { ipam["consul_port"] = .number(port) }
      let list = valid.map { names -> JSON in
        let names = names.map { name -> JSON in ["containerID": .string(name), "ifname": "eth0"] }
        return ["cni.dev/valid-attachments": .array(names)]
      }
      let whole = network.configuration(ipam, version: "1.1.0", list ?? [:])
      var call = Call(command, whole, container: container)
      let script =
        "mount --bind \(marker) /etc/machine-id && hostname \(hostName) && exec \"$0\""
      call.entering = ["unshare", "-m", "-u", "sh", "-c", script]
      call.variables["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
      return call
    }

    func copied(as number: Int, hostName: String, node: String?) throws -> Machine {
      let copy = Machine(network: network, number: number, hostName: hostName, node: node)
      try FileManager.default.copyItem(atPath: state, toPath: copy.state)
      return copy
    }
  }

  /// The disk of a node that holds addresses, has just seen the whole network and was switched off in
  /// the middle of an ADD.
  private func original(_ network: TestNetwork, node: String?) async throws -> Machine {
    let consul = try #require(network.consul)
    var machine = Machine(network: network, number: 0, hostName: "image", node: node)
    for name in ["i1", "i2"] { try await machine.call("ADD", name).succeeds() }
    let proxy = try FaultyProxy(consul) { $0.makesAttachments ? .lateWithoutEnd : .pass }
    machine.port = proxy.port
    var cut = try machine.call("ADD", "i3")
    // Later, where it had not come so far by then.
    for delay in [1, 4, 16] as [UInt32] where proxy.kept == 0 {
      cut.killedAfter = delay * 1_000_000
      _ = try await cut.run()
    }
    #expect(proxy.kept == 1)
    machine.port = nil
    let files = try FileManager.default.subpathsOfDirectory(atPath: machine.state)
    #expect(files.contains { ($0 as String).contains("/pending/") }, "\(files)")
    return machine
  }

  @Test(
    arguments: [
      (hosts: ["a", "b"], node: nil), (["same", "same"], nil), (["a", "b"], "worker"),
    ] as [(hosts: [String], node: String?)])
  func copiesOfOneDisk(_ hosts: [String], _ node: String?) async throws {
    let network = try await TestNetwork(.consul)
    let image = try await original(network, node: node)
    let copies = try hosts.enumerated().map {
      try image.copied(as: $0.offset + 1, hostName: $0.element, node: node)
    }
    func own(_ copy: Machine) -> [String] { (1...4).map { "c\(copy.number)-\($0)" } }

    // All at once, on a cache that is the same.
    let answers = try await atOnce(
      try copies.flatMap { copy in try own(copy).map { try copy.call("ADD", $0) } })
    for answer in answers { #expect(answer.succeeded, "\(answer)") }
    #expect(Set(answers.flatMap(\.addresses)).count == 8)
    let told = answers.filter { $0.ended.errorOutput.contains("copy of another machine") }
    #expect(!told.isEmpty)
    let full = try network.audit()
    #expect(full.problems.isEmpty && full.addresses.count == 10, "\(full)")

    try await Task.sleep(for: .seconds(1.1))
    for machine in copies + [image] {
      let mine = machine.number == 0 ? ["i1", "i2"] : own(machine)
      let answer = try await machine.call("GC", valid: mine).succeeds()
      #expect(answer.ended.errorOutput.isEmpty, "told once: \(answer)")
      #expect(try network.audit() == full, "\(machine.number) took what is not its own")
    }
    // What each still collects is its own.
    try await copies[0].call("GC", valid: []).succeeds()
    let left = try network.audit()
    #expect(left.problems.isEmpty)
    let expected = (["i1", "i2"] + own(copies[1])).map { "\($0)/eth0" }
    #expect(Set(left.holders.values) == Set(expected))
    // A runtime whose own records were on the disk, too, clears away what it thinks it has. (Under a
    // configured name it means the very same attachments.)
    for name in ["i1", "i2", "i3"] where node == nil {
      try await copies[1].call("DEL", name).succeeds()
    }
    #expect(try network.audit() == left)
    for name in ["i1", "i2", "i3"] { try await image.call("DEL", name).succeeds() }
    for name in own(copies[1]) { try await copies[1].call("DEL", name).succeeds() }
    #expect(try network.audit() == Holders())
  }
}
