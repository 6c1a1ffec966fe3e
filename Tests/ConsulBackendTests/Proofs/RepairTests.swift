// `ipamctl check --repair` by several operators at once, and killed at each of its commits: whoever was
// given an address keeps it, and the last one leaves nothing to mend.

import AddressSpace
import IPAM
import IPAMTesting
import TestSupport
import Testing

@testable import ConsulBackend

extension Proofs {
  @Suite(.serialized, .enabled(if: ControlCall.isAvailable)) struct RepairTests {
    private static let server = Task {
      var options = ConsulServer.Options()
      options.storage = .disk
      return try await ConsulServer.start(options)
    }

    /// Beside nodes that add and delete, from the harm to the last audit.
    @Test func severalOperatorsAtOnce() async throws {
      let server = try await Self.server.value
      let damaged = try await DamagedNetwork("10.1.0.0/22", holders: 240, on: server)
      let network = damaged.network
      let ipamctl = ControlCall(network: network, folder: try TemporaryFolder())
      let load = Traffic()
      load.keep(damaged.held)
      let nodes = try ["n1", "n2"].map { try Process(server.address, network, node: $0) }
      try await load.run(nodes, workers: 2) {
        for round in 0..<3 {
          try await damaged.harm()
          let found = try await ipamctl.check(server.address, [])
          #expect(found.exitStatus == 1 && found.output.contains("bitWithoutLease"), "\(found)")
          try await withThrowingTaskGroup(of: Execution.Ended.self) { group in
            for _ in 0..<3 {
              group.addTask { try await ipamctl.check(server.address, ["--repair"]) }
            }
            for try await ended in group {
              #expect(ended.exitStatus == 0, "round \(round): \(ended)")
            }
          }
          let left = try await ipamctl.check(server.address, [])
          #expect(left.exitStatus == 0, "round \(round): \(left)")
          try await damaged.expectHeld("round \(round)")
        }
      }
      let last = try await ipamctl.check(server.address, [])
      #expect(last.exitStatus == 0, "\(last)")
      try await load.expectTruth(network, on: server)
      for node in nodes { await node.client.shutdown() }
    }

    /// All that is wrong is in one chunk, and no two looks find it at the same revision.
    @Test func aChunkThatNeverRests() async throws {
      let server = try await Self.server.value
      let damaged = try await DamagedNetwork(
        "10.1.0.0/24", chunkBits: 8, holders: 120, on: server)
      let ipamctl = ControlCall(network: damaged.network, folder: try TemporaryFolder())
      let load = Traffic()
      load.keep(damaged.held)
      let nodes = try ["n1", "n2"].map { try Process(server.address, damaged.network, node: $0) }
      try await load.run(nodes, workers: 4) {
        for round in 0..<4 {
          try await damaged.harmOneChunk()
          let found = try await ipamctl.check(server.address, [])
          #expect(found.exitStatus == 1 && found.output.contains("bitWithoutLease"), "\(found)")
          let mended = try await ipamctl.check(server.address, ["--repair"])
          #expect(mended.exitStatus == 0, "round \(round): \(mended)")
          let left = try await ipamctl.check(server.address, [])
          #expect(left.exitStatus == 0, "round \(round): \(left)")
          try await damaged.expectHeld("round \(round)")
        }
      }
      try await load.expectTruth(damaged.network, on: server)
      for node in nodes { await node.client.shutdown() }
    }

    /// Before the server has the commit, between its arrival and the answer, and with a copy that comes
    /// when another repair has gone on.
    @Test(
      arguments: zip(
        [FaultyProxy.Fate.cut, .dropReply, .dropReply, .late], [true, false, true, true]))
    func killedAtEachCommit(_ fate: FaultyProxy.Fate, isRestored: Bool) async throws {
      let server = try await Self.server.value
      let damaged = try await DamagedNetwork("10.1.0.0/24", holders: 220, on: server)
      let ipamctl = ControlCall(network: damaged.network, folder: try TemporaryFolder())
      let words = ["--repair"] + (isRestored ? ["--restored"] : [])
      var victims = 0
      for victim in 0..<20 {
        let here = "\(fate) at commit \(victim)"
        try await damaged.harm()
        let proxy = try FaultyProxy(server) { request in
          guard request.isTransaction, request.number == victim else { return .pass }
          try? ipamctl.kill()
          return fate
        }
        let ended = try await ipamctl.check(proxy.address, words)
        try await proxy.settle()
        if ended.signal != nil {
          victims += 1
          try await damaged.expectNothingHeldIsFree(here)
        } else {
          #expect(ended.exitStatus == 0, "\(here): \(ended)")
        }
        let again = try await ipamctl.check(server.address, words)
        #expect(again.exitStatus == 0, "\(here): \(again)")
        // It loses, or what it would delete is gone.
        try proxy.deliverLate()
        let left = try await ipamctl.check(server.address, [])
        #expect(left.exitStatus == 0, "\(here): \(left)")
        try await damaged.expectHeld(here)
        if ended.signal == nil { break }
      }
      #expect(victims >= (isRestored ? 3 : 2) && victims < 20, "every commit was a victim")
    }
  }
}
