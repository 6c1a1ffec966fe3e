// Bulk acquisition on a real server: how many commits, and what a lost reply or a second process do.

import AddressSpace
import BitmapAllocator
import IPAM
import IPAMTesting
import TestSupport
import Testing

@testable import ConsulBackend

extension Proofs {
  @Suite(.serialized) struct BulkTests {
    private static let server = Task { try await ConsulServer.start() }
    private var deadline: Deadline { Surroundings.system.deadline(inMilliseconds: 600_000) }

    private func network(_ subnet: String) throws -> TestNetwork {
      try TestNetwork([subnet], kind: .bare)
    }

    @Test func aHundredThousandInFewCommits() async throws {
      let server = try await Self.server.value
      let network = try network("2001:db8::/64")
      let process = try Process(server.address, network)
      let bulk = process.bulk
      let before = process.client.counters
      let ranges = try await bulk.acquire(100_000, job: 7, deadline: deadline)
      let commits = process.client.counters.commits - before.commits
      #expect(commits <= 3, "the definition and two; the bound is 30")
      #expect(ranges.reduce(.zero) { $0 + $1.count } == 100_000)
      try await process.expectExactly(ranges)
      try await network.expectSound(on: server)
      try await bulk.acknowledge(7, deadline: deadline)
      try await bulk.release(ranges, deadline: deadline)
      try await process.expectExactly([])
    }

    /// The reply to the commit is lost and the process gives up; another goes on with the job.
    @Test(arguments: [FaultyProxy.Fate.dropReply, .late])
    func aJobIsTakenUpAgain(_ fate: FaultyProxy.Fate) async throws {
      let server = try await Self.server.value
      let network = try network("10.8.0.0/14")
      let first = try Process(server.address, network)
      _ = try await first.bulk.acquire(1, job: 1, deadline: deadline)
      let proxy = try FaultyProxy(server)
      let broken = try Process(proxy.address, network)
      proxy.setRule { $0.isTransaction ? fate : .pass }
      await #expect(throws: AllocationError.self) {
        try await broken.bulk.acquire(
          20_000, job: 2, deadline: Surroundings.system.deadline(inMilliseconds: 1_000))
      }
      let ranges = try await first.bulk.acquire(20_000, job: 2, deadline: deadline)
      try proxy.deliverLate()
      let one = try await first.bulk.held(by: 1, deadline: deadline)
      #expect(try await first.bulk.held(by: 2, deadline: deadline) == ranges)
      #expect(ranges.reduce(.zero) { $0 + $1.count } == 20_000)
      try await first.expectExactly(ranges + one)
    }

    @Test func twoProcessesAtOnce() async throws {
      let server = try await Self.server.value
      let network = try network("10.16.0.0/12")
      let processes = try ["n0", "n0", "n1"].map {
        try Process(server.address, network, node: $0)
      }
      let all = try await withThrowingTaskGroup(of: [AddressRange].self) { group in
        for (number, process) in processes.enumerated() {
          let bulk = process.bulk
          let deadline = deadline
          group.addTask {
            try await bulk.acquire(200_000, job: UInt64(number), deadline: deadline)
          }
        }
        return try await group.reduce(into: []) { $0 += $1 }
      }
      try await processes[0].expectExactly(all)
      #expect(all.reduce(.zero) { $0 + $1.count } == 600_000)
    }
  }
}

extension Process {
  /// Bulk acquisition by this process.
  var bulk: BulkAllocator {
    BulkAllocator(
      store: store, networkName: allocator.networkName, definition: definition, node: node,
      surroundings: .system)
  }

  /// Every bit on the server is one of `ranges`, each once.
  func expectExactly(
    _ ranges: [AddressRange], sourceLocation: SourceLocation = #_sourceLocation
  ) async throws {
    var taken = 0
    try await store.list(
      .chunks, deadline: Surroundings.system.deadline(inMilliseconds: 600_000)
    ) { key, entry in
      if case .chunk(let key) = key, key.node.level == 0, case .chunk(let chunk) = entry.value {
        taken += chunk.bitmap.takenCount
      }
    }
    let offsets = ranges.compactMap { OffsetRange(first: $0.first.value, last: $0.last.value) }
    let sum = offsets.reduce(ExactCount.zero) { $0 + $1.count }
    #expect(IntervalSet(offsets).count == sum, sourceLocation: sourceLocation)
    #expect(ExactCount(UInt64(taken)) == sum, sourceLocation: sourceLocation)
  }
}
