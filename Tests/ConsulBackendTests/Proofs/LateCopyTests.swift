// A request can outlive its sender: an agent holds it, a network delivers it late. What a runtime
// was told must stay true when it comes.

import AddressSpace
import IPAM
import IPAMTesting
import Synchronization
import TestSupport
import Testing

@testable import ConsulBackend

extension Proofs {
  @Suite(.serialized) struct LateCopyTests {
    private static let server = Task { try await ConsulServer.start() }

    /// The first copy is kept, the sender cut off; the second one is answered.
    @Test func aCopyThatComesAfterItsTwin() async throws {
      let server = try await Self.server.value
      let network = try TestNetwork()
      let proxy = try FaultyProxy(server)
      let process = try Process(proxy.address, network)
      try await process.add("c0")
      proxy.setRule { $0.makesAttachments && $0.number == 0 ? .late : .pass }
      try await process.add("c1")
      #expect(proxy.kept == 1)
      try await process.delete("c1")
      #expect(try proxy.deliverLate() == [409])
      #expect(try await network.attachments(on: server) == [process.key("c0")])
      try await network.expectSound(on: server)
    }

    /// The plugin is killed between sending and reading; then the DEL; then the late copy.
    /// Without the pending file that the plugin left it would make the attachment after the DEL.
    @Test(.enabled(if: PluginCall.isAvailable), arguments: [true, false])
    func aPluginKilledBeforeItsAnswer(_ isPending: Bool) async throws {
      let server = try await Self.server.value
      let network = try TestNetwork()
      let folder = try TemporaryFolder()
      let proxy = try FaultyProxy(server)
      let state = folder.path + "/state"
      let call = PluginCall(network: network, port: proxy.port, stateDirectory: state)
      let first = try await call.run("ADD", "c0")
      #expect(first.exitStatus == 0, "\(first)")

      proxy.setRule { $0.makesAttachments ? .lateWithoutEnd : .pass }
      let victim = try await call.start("ADD", "c1")
      try await eventually("the commit") { proxy.kept == 1 }
      victim.signal(9)
      await victim.ended()
      proxy.setRule { _ in .pass }

      if !isPending { try await ChildProcess.run(["sh", "-c", "rm -r \(state)/net-*/pending"]) }
      let deletion = try await call.run("DEL", "c1")
      #expect(deletion.exitStatus == 0, "\(deletion)")
      #expect(try proxy.deliverLate() == [isPending ? 409 : 200])
      let left = try await network.attachments(on: server).map(\.container).sorted()
      #expect(left == (isPending ? ["c0"] : ["c0", "c1"]), "the oracle can fail")
      try await network.expectSound(on: server)
    }

    /// Word of a commit that cannot be removed any more, because the disk is read-only by now: the DEL goes
    /// by it and ends.
    @Test(.enabled(if: PluginCall.isAvailable))
    func wordThatStays() async throws {
      let server = try await Self.server.value
      let network = try TestNetwork()
      let folder = try TemporaryFolder()
      let proxy = try FaultyProxy(server)
      let state = folder.path + "/state"
      let call = PluginCall(network: network, port: proxy.port, stateDirectory: state)
      _ = try await call.run("ADD", "c0")
      proxy.setRule { $0.makesAttachments ? .lateWithoutEnd : .pass }
      let victim = try await call.start("ADD", "c1")
      try await eventually("the commit") { proxy.kept == 1 }
      victim.signal(9)
      await victim.ended()
      proxy.setRule { _ in .pass }
      let mounting = "mount --bind \(state) \(state) && mount -o remount,ro,bind \(state)"
      let script = "{ \(mounting); } || exit 77; exec \(PluginCall.program ?? "false")"
      var execution = Execution(["unshare", "-m", "sh", "-c", script])
      execution.environment = call.variables("DEL", "c1")
      execution.environment["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
      execution.input = .text(call.configuration)
      let ended = try await execution.run()
      if ended.exitStatus == 77 || ended.errorOutput.contains("unshare") {
        print("skipped: no mounts here, \(ended)")
        return
      }
      #expect(ended.exitStatus == 0, "\(ended)")
      #expect(try proxy.deliverLate() == [409])
      #expect(try await network.attachments(on: server).map(\.container) == ["c0"])
    }

    /// As above, but instead of a DEL the ADD is repeated, then DEL, then the late copy.
    @Test(.enabled(if: PluginCall.isAvailable))
    func aPluginKilledAndRepeated() async throws {
      let server = try await Self.server.value
      let network = try TestNetwork()
      let folder = try TemporaryFolder()
      let proxy = try FaultyProxy(server)
      let call = PluginCall(
        network: network, port: proxy.port, stateDirectory: folder.path + "/state")
      _ = try await call.run("ADD", "c0")
      proxy.setRule { $0.makesAttachments ? .lateWithoutEnd : .pass }
      let victim = try await call.start("ADD", "c1")
      try await eventually("the commit") { proxy.kept == 1 }
      victim.signal(9)
      await victim.ended()
      proxy.setRule { _ in .pass }
      for command in ["ADD", "ADD", "DEL", "DEL"] {
        let ended = try await call.run(command, "c1")
        #expect(ended.exitStatus == 0, "\(command): \(ended)")
      }
      #expect(try proxy.deliverLate() == [409])
      #expect(try await network.attachments(on: server).map(\.container) == ["c0"])
      try await network.expectSound(on: server)
    }

    /// The plugin is killed while it sends a DEL; the ADD that comes then is told what is held, and that
    /// must stay.
    @Test(.enabled(if: PluginCall.isAvailable), arguments: [true, false])
    func aDeletionKilledBeforeItsAnswer(_ isKnown: Bool) async throws {
      let server = try await Self.server.value
      let network = try TestNetwork()
      let folder = try TemporaryFolder()
      let proxy = try FaultyProxy(server)
      let state = folder.path + "/state"
      let call = PluginCall(network: network, port: proxy.port, stateDirectory: state)
      for container in ["c0", "c1"] { _ = try await call.run("ADD", container) }
      // With and without the node's own copy of the attachment.
      if !isKnown { try await ChildProcess.run(["sh", "-c", "rm -r \(state)/net-*/attachments"]) }
      proxy.setRule { $0.makesAttachments ? .lateWithoutEnd : .pass }
      let victim = try await call.start("DEL", "c1")
      try await eventually("the commit") { proxy.kept == 1 }
      victim.signal(9)
      await victim.ended()
      proxy.setRule { _ in .pass }
      let addition = try await call.run("ADD", "c1")
      #expect(addition.exitStatus == 0, "\(addition)")
      #expect(try proxy.deliverLate() == [409])
      #expect(
        try await network.attachments(on: server).map(\.container).sorted() == ["c0", "c1"])
      try await network.expectSound(on: server)
      for container in ["c0", "c1"] { _ = try await call.run("DEL", container) }
      let left = try await ChildProcess.run(["find", state, "-path", "*/releases/*"])
      #expect(left.isEmpty)
    }

    /// The second copy is turned away, for now or for good: the first is still on its way, and the
    /// DEL of the node's next process must know.
    @Test(arguments: [
      (500, "No cluster leader"), (403, "Permission denied"),
      (429, "Too many requests"), (400, "Missing value"),
    ])
    func aCopyWhoseTwinWasTurnedAway(_ status: Int, _ text: String) async throws {
      let server = try await Self.server.value
      let network = try TestNetwork()
      let folder = try TemporaryFolder()
      let proxy = try FaultyProxy(server)
      let process = try Process(proxy.address, network, stateDirectory: folder.path)
      try await process.add("c0")
      proxy.setRule { request in
        if request.isTransaction && request.number == 0 { return .late }
        return .answer(status: status, body: text, isSentOn: false)
      }
      let error = await process.failureOfHastyAdd("c1")
      guard case .outcomeUnknown? = error else {
        Issue.record("\(String(describing: error))")
        return
      }
      try await eventually("the copy") { proxy.kept == 1 }
      let next = try Process(server.address, network, stateDirectory: folder.path)
      try await next.delete("c1")
      #expect(try proxy.deliverLate() == [409])
      #expect(try await network.attachments(on: server) == [process.key("c0")])
      try await network.expectSound(on: server)
    }

    /// The second copy loses only because a key stands in the way that then goes again: that alone
    /// does not make the first copy harmless.
    @Test func aCopyWhoseObstacleGoesAway() async throws {
      let server = try await Self.server.value
      let network = try TestNetwork()
      let proxy = try FaultyProxy(server)
      let process = try Process(proxy.address, network)
      try await process.add("c0")
      let mac = "/v1/kv/\(network.prefix)/net/macs/020000000001"
      proxy.setRule { $0.makesAttachments && $0.number == 0 ? .late : .pass }
      // Somebody else's, as far as the commit can see; gone before the late copy comes.
      let record = #"{"version":1,"node":"n9","container":"c9","interface":"eth0"}"#
      #expect(try server.request("PUT", mac, body: record).status == 200)
      let request = AcquireRequest(
        attachment: process.key("c1"), mac: .init(value: 0x0200_0000_0001))
      let result = await Result.of {
        try await process.allocator.acquire(
          request, deadline: Surroundings.system.deadline(inMilliseconds: 30_000))
      }
      #expect(throws: AllocationError.self) { try result.get() }
      #expect(try server.request("DELETE", mac).status == 200)
      #expect(try proxy.deliverLate() == [409])
      #expect(try await network.attachments(on: server) == [process.key("c0")])
      try await network.expectSound(on: server)
    }

    /// The same process asks again, for what lies in another chunk: that commit depends on nothing that
    /// the first one does.
    @Test func aCopyThatItsOwnProcessForgot() async throws {
      let server = try await Self.server.value
      let network = try TestNetwork(["10.1.0.0/16"])
      let folder = try TemporaryFolder()
      let proxy = try FaultyProxy(server)
      let process = try Process(proxy.address, network, stateDirectory: folder.path)
      try await process.add("c0")
      proxy.setRule { request in
        guard request.isTransaction else { return .pass }
        if request.number == 0 { return .late }
        return .answer(status: 500, body: "No cluster leader", isSentOn: false)
      }
      let wanted = try ["10.1.0.77", "10.1.200.77"].map { try IPAddress(parsing: $0) }
      #expect(await process.failureOfHastyAdd("c1", requested: [wanted[0]]) != nil)
      try await eventually("the copy") { proxy.kept == 1 }
      // Until the process has given up to fence it, and looks whether there is something to release.
      try await eventually("a look") { proxy.requests.last?.hasPrefix("GET") ?? false }
      proxy.setRule { _ in .pass }
      try await process.add("c1", requested: [wanted[1]])
      try await process.delete("c1")
      #expect(try proxy.deliverLate() == [409])
      #expect(try await network.attachments(on: server) == [process.key("c0")])
      try await network.expectSound(on: server)
    }

    /// The network was removed before the DEL, and with it all that a copy depends on.
    @Test func aCopyForANetworkThatIsGone() async throws {
      let server = try await Self.server.value
      let network = try TestNetwork()
      let folder = try TemporaryFolder()
      let proxy = try FaultyProxy(server)
      let process = try Process(proxy.address, network, stateDirectory: folder.path)
      proxy.setRule { request in
        guard request.isTransaction, request.number > 0 else { return .pass }
        if request.number == 1 { return .late }
        return .answer(status: 500, body: "No cluster leader", isSentOn: false)
      }
      guard case .outcomeUnknown? = await process.failureOfHastyAdd("c1") else {
        Issue.record("something is known")
        return
      }
      try await eventually("the copy") { proxy.kept == 1 }
      await process.client.shutdown()
      let removed = try await Process(server.address, network).store.removeNetwork(
        force: false, dryRun: false,
        deadline: Surroundings.system.deadline(inMilliseconds: 30_000))
      #expect(removed == .removed(keys: 1))
      let next = try Process(server.address, network, stateDirectory: folder.path)
      #expect(try await next.delete("c1") == nil)
      #expect(try proxy.deliverLate() == [409])
      #expect(try await network.attachments(on: server).isEmpty)
    }
  }
}
