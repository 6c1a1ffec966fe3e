// kill -9 of processes in the middle of bulk acquisitions: at each commit, before the server has it,
// between its arrival and the answer, and with a copy that comes when another process has gone on; and at
// any moment, several at once. Whoever takes the jobs up again has each address exactly once.

import AddressSpace
import Glibc
import IPAM
import IPAMTesting
import TestSupport
import Testing

@testable import ConsulBackend

extension Proofs {
  @Suite(.serialized) struct BulkKillTests {
    private static let server = Task {
      var options = ConsulServer.Options()
      options.storage = .disk
      return try await ConsulServer.start(options)
    }
    private static var deadline: Deadline {
      Surroundings.system.deadline(inMilliseconds: 600_000)
    }

    private static func network(_ prefix: String? = nil) throws -> TestNetwork {
      var network = try TestNetwork(["2001:db8::/64"], kind: .bare)
      network.definition.chunkBits = 9
      if let prefix { network.prefix = prefix }
      return network
    }

    /// What a process does until it is killed: it says who it is, and takes job after job. When the first
    /// is done it says that, too.
    private static func work(
      _ address: String, _ prefix: String, _ node: Int, jobs first: UInt64, of count: Int,
      file: String
    ) async throws {
      try writeFile(file, "\(getpid())")
      let process = try Process(address, try network(prefix), node: "n\(node)")
      for job in first... {
        _ = try await process.bulk.acquire(count, job: job, deadline: deadline)
        if job == first { try writeFile(file + ".done", "1") }
      }
    }

    private static func kill(_ file: String) throws {
      let text = String(decoding: try readFile(file), as: UTF8.self)
      guard let pid = pid_t(text), pid > 1 else { throw TestSupportError("no process: \(text)") }
      _ = Glibc.kill(pid, SIGKILL)
    }

    /// 100,000 addresses in 196 chunks of 512: the definition's commit, and four of up to 61 chunks;
    /// for the other fates three commits.
    @Test(arguments: [FaultyProxy.Fate.cut, .dropReply, .late])
    func atEachCommit(_ fate: FaultyProxy.Fate) async throws {
      let server = try await Self.server.value
      let count = fate == .dropReply ? 100_000 : 40_000
      var done = -1
      for victim in 0..<20 where done < count {
        let network = try Self.network()
        let folder = try TemporaryFolder()
        let file = folder.path + "/pid"
        let refused = Counter()
        let proxy = try FaultyProxy(server) { request in
          // One is too large for this server: it is refused, and goes again as smaller ones.
          if request.operations > 64 { refused.add() }
          guard request.isTransaction, request.number == victim + refused.value else {
            return .pass
          }
          try? Self.kill(file)
          return fate
        }
        await #expect(processExitsWith: .signal(SIGKILL), "commit \(victim)") {
          [
            address = proxy.address as String, prefix = network.prefix as String,
            file = file as String, count = count as Int
          ] in
          try await Self.work(address, prefix, 0, jobs: 1, of: count, file: file)
        }
        try await proxy.settle()
        let heir = try Process(server.address, network, node: "n1")
        let found = try await heir.bulk.held(by: 1, deadline: Self.deadline)
        try await heir.expectExactly(found)
        let now = found.reduce(ExactCount.zero) { $0 + $1.count }
        #expect(now > ExactCount(UInt64(max(0, done))) || victim < 2, "commit \(victim)")
        done = try #require(Int("\(now)"))
        // The first commit of the next job, which nobody takes up here.
        if done == count, fate != .dropReply { break }
        let ranges = try await heir.bulk.acquire(count, job: 1, deadline: Self.deadline)
        #expect(try proxy.deliverLate() == (fate == .late ? [409] : []), "commit \(victim)")
        #expect(try await heir.bulk.held(by: 1, deadline: Self.deadline) == ranges)
        #expect(ranges.reduce(.zero) { $0 + $1.count } == ExactCount(UInt64(count)))
        try await heir.expectExactly(ranges)
        try await network.expectSound(on: server, "commit \(victim)")
        await heir.client.shutdown()
      }
      #expect(done == count, "every commit was a victim")
    }

    /// Three processes of two nodes on one network.
    @Test func atAnyMoment() async throws {
      let server = try await Self.server.value
      let seed = TestSeed()
      var random = seed.generator
      let network = try Self.network()
      let folder = try TemporaryFolder()
      let delays = (0..<3).map { _ in Int.random(in: 50...1_500, using: &random) }
      // The killers are processes too: waiting for a victim's end may take all threads of this one.
      var killers: [ChildProcess] = []
      for (worker, delay) in delays.enumerated() {
        // One of them has done something before it is killed, however slow the machine is.
        let sign = worker == 0 ? "$0.done" : "$0"
        let script = """
          while [ ! -s "\(sign)" ]; do sleep 0.02; done; sleep \(Double(delay) / 1_000)
          kill -9 $(cat "$0")
          """
        killers.append(try await .start(["sh", "-c", script, "\(folder.path)/\(worker)"]))
      }
      await withTaskGroup(of: Void.self) { group in
        for worker in delays.indices {
          let file = "\(folder.path)/\(worker)"
          group.addTask {
            await #expect(processExitsWith: .signal(SIGKILL)) {
              [
                address = server.address as String, prefix = network.prefix as String,
                file = file as String, worker = worker as Int
              ] in
              let first = UInt64(worker) << 32
              try await Self.work(
                address, prefix, worker / 2, jobs: first, of: 20_000, file: file)
            }
          }
        }
      }
      for killer in killers { await killer.ended() }
      let heir = try Process(server.address, network, node: "n9")
      var all: [AddressRange] = []
      var jobs: UInt64 = 0
      for worker in UInt64(0)..<3 {
        for job in worker << 32 ..< .max {
          if try await heir.bulk.held(by: job, deadline: Self.deadline).isEmpty { break }
          all += try await heir.bulk.acquire(20_000, job: job, deadline: Self.deadline)
          jobs += 1
        }
      }
      #expect(jobs > 0, "\(delays), \(seed)")
      #expect(all.reduce(.zero) { $0 + $1.count } == ExactCount(20_000 * jobs), "\(seed)")
      try await heir.expectExactly(all)
      try await network.expectSound(on: server, "\(seed)")
      await heir.client.shutdown()
    }
  }
}
