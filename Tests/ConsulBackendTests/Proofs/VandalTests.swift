// The files that a node keeps are destroyed under load, again and again: by garbage, by nothing, by half,
// and by what another cluster's node keeps. It costs time, and every answer stays true.

import IPAM
import TestSupport
import Testing

@testable import ConsulBackend

extension Proofs {
  @Suite(.serialized) struct VandalTests {
    private static let server = Task {
      var options = ConsulServer.Options()
      options.storage = .disk
      return try await ConsulServer.start(options)
    }

    enum Harm: CaseIterable, Sendable { case garbage, anotherCluster, gone }

    private func files(_ folder: String) async throws -> [String] {
      try await ChildProcess.run(["find", folder, "-ignore_readdir_race", "-type", "f"]).split(
        separator: "\n"
      )
      .map { String($0) }
    }

    /// The copy of a node for which the same network went on elsewhere.
    private func foreignCopy(_ network: TestNetwork, _ count: Int) async throws -> [UInt8] {
      let elsewhere = try await ConsulServer.start()
      let folder = try TemporaryFolder()
      let process = try Process(elsewhere.address, network, stateDirectory: folder.path)
      for index in 0..<count { try await process.add("e\(index)") }
      var bytes: [UInt8] = []
      try await eventually("the copy, which is written once the caller has its answer") {
        bytes = (try? readFile(folder.path + "/state/copy")) ?? []
        return NodeCopy(bytes, bootID: "boot") != nil
      }
      await process.client.shutdown()
      return bytes
    }

    @Test(arguments: Harm.allCases)
    func filesAreDestroyedUnderLoad(_ harm: Harm) async throws {
      let server = try await Self.server.value
      let network = try TestNetwork(["10.1.0.0/24", "2001:db8::/64"])
      let state = try TemporaryFolder()
      // Two processes of one node share their files, as plugins do.
      let processes = try ["n0", "n0", "n1"].map { node in
        let folder = state.path + "/" + node
        return try Process(server.address, network, node: node, stateDirectory: folder)
      }
      for folder in ["n0", "n1"] {
        try await ChildProcess.run(["mkdir", "\(state.path)/\(folder)"])
      }
      var runtimes: [any Runtime] = processes
      if PluginCall.isAvailable {
        runtimes.append(
          PluginCall(
            network: network, port: server.port, stateDirectory: state.path + "/plugin"))
      }
      let foreign = harm == .anotherCluster ? try await foreignCopy(network, 12) : []
      let seed = TestSeed()
      var random = seed.generator
      let load = Traffic()
      var harmed = 0
      try await load.run(runtimes) {
        for _ in 0..<12 {
          try await load.more(2, "between two blows, \(seed)")
          // The file by which the plugin knows itself makes it another node: that is not this test's.
          for path in try await files(state.path) where !path.hasSuffix("/node") {
            guard Bool.random(using: &random) else { continue }
            harmed += 1
            switch harm {
            case .garbage:
              let length = Int.random(in: 0...300, using: &random)
              let bytes = (0..<length).map { _ in UInt8.random(in: 0...255, using: &random) }
              try writeFile(path, bytes: bytes)
            case .anotherCluster where path.hasSuffix("/copy"):
              try writeFile(path, bytes: foreign)
            case .anotherCluster: break
            case .gone: try await ChildProcess.run(["rm", "-f", path])
            }
          }
        }
      }
      #expect(harmed > 10)
      try await load.expectTruth(network, on: server)
      for process in processes { await process.client.shutdown() }
    }
  }
}
