// Callers of one process share commits, and nobody waits for a clock to do so. A caller that goes
// away, or whose time is up, leaves nothing behind.

import Glibc
import IPAM
import IPAMTesting
import Synchronization
import TestSupport
import Testing

@testable import ConsulBackend

extension Proofs {
  @Suite(.serialized) struct GroupCommitTests {
    private static let server = Task {
      var options = ConsulServer.Options()
      options.storage = .disk
      return try await ConsulServer.start(options)
    }

    @Test(arguments: [["10.1.0.0/16"], ["10.1.0.0/16", "2001:db8::/64"]])
    func sixtyFourCallersShareCommits(_ subnets: [String]) async throws {
      let server = try await Self.server.value
      let network = try TestNetwork(subnets)
      let process = try Process(server.address, network)
      try await process.add("first")
      let before = process.client.counters.commits
      try await withThrowingTaskGroup(of: Void.self) { group in
        for caller in 0..<64 {
          group.addTask {
            for turn in 0..<5 { try await process.add("c\(caller)-\(turn)") }
          }
        }
        try await group.waitForAll()
      }
      let commits = process.client.counters.commits - before
      #expect(commits * 15 <= 320, "\(commits) commits for 320 leases")
      #expect(try await network.attachments(on: server).count == 321)
      try await network.expectSound(on: server)
    }

    /// Callers and allocator on the thread of the connections: no other thread has to be woken.
    @Test func callersOnTheThreadOfTheConnections() async throws {
      let server = try await Self.server.value
      let network = try TestNetwork()
      let process = try Process(server.address, network, isOnLoop: true)
      let executor = try #require(process.store.executor)
      let threads = try await withThrowingTaskGroup(of: pthread_t.self) { group in
        for caller in 0..<64 {
          group.addTask(executorPreference: executor) {
            for turn in 0..<3 { try await process.add("c\(caller)-\(turn)") }
            return pthread_self()
          }
        }
        return try await group.reduce(into: Set<pthread_t>()) { $0.insert($1) }
      }
      #expect(threads.count == 1)
      #expect(process.client.counters.commits * 10 <= 192, "\(process.client.counters)")
      try await network.expectSound(on: server)
    }

    @Test func aConfigurationThatCannotBeUsedHasNoThread() throws {
      var settings = ConsulSettings()
      settings.tokenFile = "/nonexistent/token"
      let store = ConsulStore(
        try ConsulConfiguration(settings, environment: [:]), network: "net", surroundings: .system)
      #expect(store.executor == nil)
    }

    /// Nothing sleeps: not with one caller, not with many. They have one deadline, because whoever has an
    /// earlier one than the others gets an alarm of his own.
    @Test func commitsLeaveWithoutATimer() async throws {
      let sleeps = Counter()
      let server = try await Self.server.value
      let network = try TestNetwork(["10.1.0.0/16"])
      let process = try Process(server.address, network, surroundings: .counting(sleeps))
      for turn in 0..<10 { try await process.add("alone\(turn)") }
      #expect(process.client.counters.commits == 11, "one each, and the definition")
      let deadline = Surroundings.system.deadline(inMilliseconds: 30_000)
      try await withThrowingTaskGroup(of: Void.self) { group in
        for caller in 0..<64 {
          group.addTask {
            let request = AcquireRequest(attachment: process.key("c\(caller)"))
            _ = try await process.allocator.acquire(request, deadline: deadline)
          }
        }
        try await group.waitForAll()
      }
      #expect(sleeps.value == 0)
    }

    /// The commit is under way when its caller is cancelled, or runs out of time.
    @Test(arguments: [true, false], [false, true])
    func whoGoesAwayKeepsNothing(_ isCancelled: Bool, _ isOnLoop: Bool) async throws {
      let server = try await Self.server.value
      let network = try TestNetwork()
      let proxy = try FaultyProxy(server)
      let process = try Process(proxy.address, network, isOnLoop: isOnLoop)
      try await process.add("stays")
      let (seen, isTold) = (Counter(), Gate())
      defer { isTold.open() }
      proxy.setRule { request in
        guard request.makesAttachments, request.number == 0 else { return .pass }
        seen.add()
        return .held(isTold)
      }
      let caller = Task(executorPreference: isOnLoop ? process.store.executor : nil) {
        isCancelled
          ? await process.failureOfAdd("goes") : await process.failureOfHastyAdd("goes")
      }
      try await eventually("the commit") { seen.value == 1 }
      if isCancelled { caller.cancel() }
      let error = try #require(await caller.value)
      isTold.open()
      guard case .outcomeUnknown = error else {
        Issue.record("\(error)")
        return
      }
      try await eventually("the release") {
        let made = try await network.attachments(on: server)
        return made == [process.key("stays")]
          && process.client.counters.commits >= (isCancelled ? 4 : 2)
      }
      try await process.add("goes")
      try await process.delete("goes")
      try await network.expectSound(on: server)
    }

    /// A single caller's commit is not answered. Those who come meanwhile, enough for a commit of their own,
    /// do not wait until it is sent again.
    @Test func aSilentAnswerDoesNotKeepAll() async throws {
      let server = try await Self.server.value
      let network = try TestNetwork(["10.1.0.0/16"])
      let proxy = try FaultyProxy(server)
      let process = try Process(proxy.address, network)
      try await process.add("first")
      let gate = Gate()
      defer { gate.open() }
      proxy.setRule { $0.makesAttachments && $0.number == 0 ? .held(gate) : .pass }
      func timesSent() -> Int { proxy.requests.count { $0.contains("attachments/n0/slow") } }
      let slow = Task { _ = try await process.add("slow") }
      try await eventually("the commit") { timesSent() == 1 }
      let others = Task { try await process.addAll(32, named: "c") }
      try await eventually("others") { try await network.attachments(on: server).count > 2 }
      #expect(timesSent() == 1)
      gate.open()
      try await others.value
      try await slow.value
      try await network.expectSound(on: server)
    }

    /// One impatient caller among patient ones: only it fails.
    @Test func theImpatientDoNotTakeOthersWithThem() async throws {
      let server = try await Self.server.value
      let network = try TestNetwork()
      let proxy = try FaultyProxy(server)
      let process = try Process(proxy.address, network)
      try await process.add("first")
      let (seen, isTold) = (Counter(), Gate())
      defer { isTold.open() }
      proxy.setRule { request in
        guard request.isTransaction else { return .held(isTold) }
        seen.add()
        return request.number == 0 ? .slow(milliseconds: 200) : .pass
      }
      // While a commit is under way both queue, and share the read that their DELs begin with.
      async let busy = Result.of { try await process.add("busy") }
      try await eventually("the commit") { seen.value == 1 }
      async let impatient = Result.of {
        try await process.allocator.release(
          [process.key("nobody")], deadline: Surroundings.system.deadline(inMilliseconds: 600))
      }
      async let patient = Result.of { try await process.delete("first") }
      _ = try await busy.get()
      let first = await impatient
      #expect(throws: AllocationError.self) { try first.get() }
      isTold.open()
      let second = await patient
      #expect(throws: Never.self) { try second.get() }
      try await network.expectSound(on: server)
    }
  }
}

extension Result where Failure == any Error {
  static func of(_ body: () async throws -> Success) async -> Self {
    do { return .success(try await body()) } catch { return .failure(error) }
  }
}
