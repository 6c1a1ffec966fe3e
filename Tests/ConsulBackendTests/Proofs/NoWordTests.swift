// A node whose disk takes nothing any more, and a commit whose outcome nobody learns: every copy of it and
// every fence stays without an answer, and no word of it can be left. The caller is told so, and what
// the runtime does next puts it right: the ADD again, a DEL, or at last a collection.

import AddressSpace
import IPAM
import TestSupport
import Testing

@testable import ConsulBackend

extension Proofs {
  @Suite(.serialized, .enabled(if: PluginCall.isAvailable)) struct NoWordTests {
    private static let server = Task { try await ConsulServer.start() }

    /// A node with `c0` on it, before a proxy, and then with a state directory that is read-only.
    private struct Scene {
      let server: ConsulServer
      let network: TestNetwork
      let folder: TemporaryFolder
      let proxy: FaultyProxy
      var call: PluginCall

      /// Where no state directory can be.
      static let nowhere = "/proc/none"

      init(holding containers: [String]) async throws {
        server = try await NoWordTests.server.value
        network = try TestNetwork()
        folder = try TemporaryFolder()
        proxy = try FaultyProxy(server)
        let state = folder.path + "/state"
        call = PluginCall(network: network, port: proxy.port, stateDirectory: state)
        for container in containers {
          let ended = try await call.run("ADD", container)
          guard ended.exitStatus == 0 else { throw TestSupportError("ADD \(container): \(ended)") }
        }
      }

      /// Nil where nothing can be mounted.
      func run(_ command: String, _ container: String) async throws -> Execution.Ended? {
        let state = call.stateDirectory
        if state == Self.nowhere { return try await call.run(command, container) }
        let mounting =
          "/usr/bin/mount --bind \(state) \(state) && /usr/bin/mount -o remount,ro,bind \(state)"
        let script = "{ \(mounting); } || exit 77; exec \"$0\""
        let ended = try await call.run(
          command, container, by: ["unshare", "-m", "sh", "-c", script])
        guard ended.exitStatus != 77, !ended.errorOutput.contains("unshare") else {
          print("skipped: no mounts here, \(ended)")
          return nil
        }
        return ended
      }

      /// Runs a command whose first copy is kept somewhere on the way; all others and all fences are lost.
      /// It has little time: more, where the machine is so slow that nothing was sent in it.
      func runAndLoseAll(_ command: String, _ container: String) async throws -> Execution.Ended? {
        var hasty = self
        var ended: Execution.Ended?
        for timeout in ["2s", "8s", "30s"] where proxy.kept == 0 {
          hasty.call.timeout = timeout
          proxy.setRule { request in
            guard request.isTransaction else { return .pass }
            return request.number == 0 ? .late : .cut
          }
          ended = try await hasty.run(command, container)
          try await proxy.settle()
          proxy.setRule { _ in .pass }
          if ended == nil { break }
        }
        return ended
      }

      func held() async throws -> [String] {
        try await network.attachments(on: server).map(\.container).sorted()
      }
    }

    @Test(arguments: ["ADD", "DEL"], [true, false])
    func anAdditionInDoubt(_ next: String, isEarly: Bool) async throws {
      var scene = try await Scene(holding: ["c0"])
      guard let first = try await scene.runAndLoseAll("ADD", "c1") else { return }
      #expect(first.exitStatus == 1 && first.output.contains("\"code\": 11"), "\(first)")
      for words in ["outcome is not known", "Read-only file system", "ipamctl reclaim"] {
        #expect(first.output.contains(words), "\(first)")
      }
      if isEarly { #expect(try scene.proxy.deliverLate() == [200]) }
      let second = try #require(try await scene.run(next, "c1"))
      #expect(second.exitStatus == 0, "\(second)")
      #expect(try await scene.held() == (next == "ADD" ? ["c0", "c1"] : ["c0"]))
      if !isEarly {
        // What the first answer warned of: nothing tells the DEL what to fence.
        #expect(try scene.proxy.deliverLate() == [next == "DEL" ? 200 : 409])
      }
      try await scene.network.expectSound(on: scene.server)

      // Collection takes what was made in a second before.
      try await Task.sleep(for: .seconds(1.1))
      scene.call.valid = ["c0"]
      let collection = try #require(try await scene.run("GC", ""))
      #expect(collection.exitStatus == 0, "\(collection)")
      #expect(try await scene.held() == ["c0"])
      try await scene.network.expectSound(on: scene.server)
    }

    /// Who asks for it again is told what it holds, and that must stay.
    @Test(arguments: ["ADD", "DEL"], [true, false])
    func aDeletionInDoubt(_ next: String, isEarly: Bool) async throws {
      let scene = try await Scene(holding: ["c0", "c1"])
      guard let first = try await scene.runAndLoseAll("DEL", "c1") else { return }
      #expect(first.exitStatus == 1 && first.output.contains("\"code\": 11"), "\(first)")
      #expect(first.output.contains("outcome is not known"), "\(first)")
      if isEarly { #expect(try scene.proxy.deliverLate() == [200]) }
      let second = try #require(try await scene.run(next, "c1"))
      #expect(second.exitStatus == 0, "\(second)")
      if !isEarly { #expect(try scene.proxy.deliverLate() == [409]) }
      #expect(try await scene.held() == (next == "ADD" ? ["c0", "c1"] : ["c0"]))
      try await scene.network.expectSound(on: scene.server)
    }

    /// No state directory at all: nothing is begun, and a DEL is told and repeated as ever.
    @Test(arguments: [true, false])
    func noPlace(isEarly: Bool) async throws {
      var scene = try await Scene(holding: ["c0", "c1"])
      scene.call.stateDirectory = Scene.nowhere
      let first = try #require(try await scene.runAndLoseAll("DEL", "c1"))
      #expect(first.exitStatus == 1 && first.output.contains("\"code\": 11"), "\(first)")
      #expect(first.output.contains("outcome is not known"), "\(first)")
      if isEarly { #expect(try scene.proxy.deliverLate() == [200]) }
      let begun = try #require(try await scene.run("ADD", "c2"))
      #expect(begun.exitStatus == 1 && begun.output.contains("\"code\": 5"), "\(begun)")
      let second = try #require(try await scene.run("DEL", "c1"))
      #expect(second.exitStatus == 0, "\(second)")
      if !isEarly { #expect(try scene.proxy.deliverLate() == [409]) }
      #expect(try await scene.held() == ["c0"])
      try await scene.network.expectSound(on: scene.server)
    }
  }
}
