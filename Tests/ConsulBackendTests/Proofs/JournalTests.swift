// The journal in Consul: it rides in the commits, stays bounded, keeps the youngest, counts what was lost
// as the server's own log does, and is never a reason for anything to fail.

import AddressSpace
import IPAM
import IPAMTesting
import TestSupport
import Testing

@testable import ConsulBackend

extension Proofs {
  @Suite(.serialized) struct JournalTests {
    private static let server = Task { try await ConsulServer.start() }

    /// A network's journals as they stand, in the order of the commits.
    private func journal(_ network: TestNetwork, node: String? = nil) async throws
      -> [JournalEntry]
    {
      let process = try Process(try await Self.server.value.address, network)
      var found: [(entry: JournalEntry, revision: Revision)] = []
      try await process.store.list(
        .journal(node: node), deadline: Surroundings.system.deadline(inMilliseconds: 30_000)
      ) { key, stored in
        guard case .journal(let entry) = stored.value else {
          Issue.record("\(key): \(stored)")
          return
        }
        found.append((entry, stored.revision))
      }
      await process.client.shutdown()
      return found.sorted { $0.revision < $1.revision }.map(\.entry)
    }

    private func names(_ entries: [JournalEntry]) -> [String] {
      entries.flatMap(\.events).map { "\($0.kind.rawValue) \($0.attachment.container)" }
    }

    /// Each command a process of its own, as the plugin is.
    @Test func theYoungestOfEachNodeAreKept() async throws {
      let server = try await Self.server.value
      let network = try TestNetwork(journal: 4)
      let (first, second) = (try TemporaryFolder(), try TemporaryFolder())
      for turn in 0..<6 {
        for (node, folder) in [("n1", first), ("n2", second)] {
          func process() throws -> Process {
            try Process(server.address, network, node: node, stateDirectory: folder.path)
          }
          try await process().add("c\(turn)")
          try await process().add("c\(turn)")  // A repetition is no event,
          if turn > 3 { try await process().delete("c\(turn)") }
          try await process().delete("nobody")  // and so is a DEL of nothing.
        }
      }
      for node in ["n1", "n2"] {
        let entries = try await journal(network, node: node)
        #expect(names(entries) == ["acquire c4", "release c4", "acquire c5", "release c5"])
        #expect(entries.map(\.position) == [4, 5, 6, 7])
      }
      #expect(try await journal(network).count == 8)

      // The disk is lost: the next commit overwrites the oldest all the same.
      let fresh = try TemporaryFolder()
      for turn in 6..<8 {
        try await Process(server.address, network, node: "n1", stateDirectory: fresh.path)
          .add("c\(turn)")
      }
      let entries = try await journal(network, node: "n1")
      #expect(names(entries) == ["acquire c5", "release c5", "acquire c6", "acquire c7"])
      #expect(entries.map(\.position) == [6, 7, 8, 9])
      try await network.expectSound(on: server)
    }

    /// What an event says is what the attachment says.
    @Test func anEventIsWhole() async throws {
      let network = try TestNetwork(["10.1.0.0/24", "2001:db8::/64"], journal: 4)
      let process = try Process(try await Self.server.value.address, network)
      var request = AcquireRequest(attachment: process.key("c0"))
      request.workload = Workload(["K8S_POD_NAME": "web", "K8S_POD_NAMESPACE": "a\"b"])
      let held = try await process.allocator.acquire(
        request, deadline: Surroundings.system.deadline(inMilliseconds: 30_000)
      ).attachment
      let event = try #require(try await journal(network).first?.events.first)
      #expect(event == JournalEvent(acquired: held, by: process.key("c0")))
      #expect(event.addresses.count == 2 && event.nonce == held.nonce)
      try await process.delete("c0")
      let last = try #require(try await journal(network).last?.events.first)
      #expect(
        last == JournalEvent(released: held, of: process.key("c0"), at: last.time))
    }

    /// Many attachments of one commit are one note, and the commit is as large as the server takes.
    @Test func whoSharesACommitSharesItsNote() async throws {
      let server = try await Self.server.value
      let network = try TestNetwork(["10.1.0.0/16"], journal: 64)
      let proxy = try FaultyProxy(server)
      let process = try Process(proxy.address, network)
      try await process.add("first")
      let allWait = Gate()
      proxy.setRule { $0.isTransaction && $0.number == 0 ? .held(allWait) : .pass }
      try await process.addAll(200, named: "c", behind: allWait)
      #expect(process.store.traits.operationLimit == 64)
      let sizes = proxy.requests.filter { $0.hasPrefix("PUT /v1/txn") }
        .map { $0.split(separator: "\"Verb\"", omittingEmptySubsequences: false).count - 1 }
      #expect((sizes.filter { $0 <= 64 }.max() ?? 0) >= 62, "\(sizes)")
      let entries = try await journal(network)
      // The first commit of all has no events: it made the definition.
      #expect(entries.count == process.client.counters.commits - 1)
      #expect(Set(entries.flatMap(\.events).map(\.attachment.container)).count == 201)
      try await network.expectSound(on: server)
    }

    /// Processes of one node that do not take turns get places of their own.
    @Test func processesShareTheCount() async throws {
      let server = try await Self.server.value
      let network = try TestNetwork(["10.1.0.0/16"], journal: 256)
      // Who has waited for a tenth of a second goes on without the lock: on a machine that is so slow it
      // is done again.
      var folder = try TemporaryFolder()
      var taken = try await takePlaces(folder.path)
      for _ in 0..<50 where taken.slowest > 90_000_000 {
        folder = try TemporaryFolder()
        taken = try await takePlaces(folder.path)
      }
      #expect(taken.positions.sorted() == Array(250..<650), "\(taken.slowest) ns for one place")
      let process = try Process(
        server.address, network, stateDirectory: folder.path)
      try await process.add("c0")
      #expect(try await journal(network).map(\.position) == [650])
    }

    /// Eight processes that take fifty places each, from 250, and how long one took at most.
    private func takePlaces(_ folder: String) async throws -> (
      positions: [UInt64], slowest: UInt64
    ) {
      @Sendable func process() -> NodeState {
        NodeState(folder: folder + "/state", bootID: "boot", surroundings: .system)
      }
      process().beginNotes(in: "n0", at: NoteCount(position: 250, lost: 0))
      return await withTaskGroup(of: (positions: [UInt64], slowest: UInt64).self) { group in
        for _ in 0..<8 {
          group.addTask {
            let state = process()
            var taken: (positions: [UInt64], slowest: UInt64) = ([], 0)
            for _ in 0..<50 {
              let began = Surroundings.system.monotonic()
              taken.positions += [state.nextNote(in: "n0")?.position].compactMap { $0 }
              taken.slowest = max(taken.slowest, Surroundings.system.monotonic() - began)
            }
            return taken
          }
        }
        return await group.reduce(into: ([], 0)) { all, one in
          all.positions += one.positions
          all.slowest = max(all.slowest, one.slowest)
        }
      }
    }

    /// Whoever holds the count's lock and was stopped delays nobody for long.
    @Test func aHeldLock() async throws {
      let server = try await Self.server.value
      let network = try TestNetwork(journal: 4)
      let folder = try TemporaryFolder()
      try await Process(server.address, network, stateDirectory: folder.path).add("c0")
      let path = try #require(
        try await ChildProcess.run(["find", folder.path + "/state/journal", "-type", "f"])
          .split(separator: "\n").first)
      let lock = try #require(NodeFile.openLock(String(path)))
      #expect(NodeFile.tryLock(lock))
      try await Process(server.address, network, stateDirectory: folder.path).add("c1")
      NodeFile.closeLock(lock)
      #expect(names(try await journal(network)) == ["acquire c0", "acquire c1"])
    }

    /// Eight nodes on one chunk: what their journals say was lost is what the server logged in vain.
    @Test func lostRacesAreCounted() async throws {
      let server = try await Self.server.value
      let network = try TestNetwork(journal: 16)
      let processes = try (0..<8).map {
        try Process(server.address, network, node: "n\($0)")
      }
      for process in processes { try await process.add("first") }
      let before = try server.writes()
      let lostBefore = try await lost(network)
      try await withThrowingTaskGroup(of: Void.self) { group in
        for process in processes {
          group.addTask { for turn in 0..<12 { try await process.add("c\(turn)") } }
        }
        try await group.waitForAll()
      }
      let grown = try server.writes() - before
      let lost = try await lost(network) - lostBefore
      #expect(lost > 0, "nobody met")
      #expect(grown == 96 + lost, "\(grown) entries of the log, 96 commits, \(lost) lost")
      for process in processes { await process.client.shutdown() }
    }

    private func lost(_ network: TestNetwork) async throws -> Int {
      var newest: [String: UInt64] = [:]
      for entry in try await journal(network) { newest[entry.node] = entry.lost }
      return Int(newest.values.reduce(0, +))
    }

    /// A reply that is lost, a copy that comes late: the event is there, and once.
    @Test(arguments: [FaultyProxy.Fate.dropReply, .late, .cut])
    func anEventOfACommitInDoubt(_ fate: FaultyProxy.Fate) async throws {
      let server = try await Self.server.value
      let network = try TestNetwork(journal: 8)
      let proxy = try FaultyProxy(server)
      let process = try Process(proxy.address, network)
      try await process.add("c0")
      proxy.setRule { $0.makesAttachments && $0.number == 0 ? fate : .pass }
      try await process.add("c1")
      proxy.setRule { $0.isTransaction && $0.number == 0 ? fate : .pass }
      try await process.delete("c0")
      try await process.add("c2")
      if proxy.kept > 0 { #expect(try proxy.deliverLate().allSatisfy { $0 == 409 }) }
      #expect(
        names(try await journal(network))
          == ["acquire c0", "acquire c1", "release c0", "acquire c2"])
      try await network.expectSound(on: server)
    }

    /// What is in the way of the next note is overwritten, and where a journal ends need not be known.
    @Test func garbageInTheJournal() async throws {
      let server = try await Self.server.value
      let network = try TestNetwork(journal: 2)
      let base = "/v1/kv/\(network.prefix)/net/journal/n0/"
      try await Process(server.address, network).add("c0")
      for (number, value) in ["", "{}", #"{"position":9223372036854775807,"lost":0,"events":[]}"#]
        .enumerated()
      {
        for name in ["0000", "0001", "x"] {
          _ = try server.request("PUT", base + name, body: value)
        }
        try await Process(server.address, network).add("c\(number + 1)")
      }
      try await network.expectSound(on: server)
      #expect(try await network.attachments(on: server).count == 4)
    }

    @Test func aNoteIsNoLargerThanItMayBe() throws {
      func entry(_ count: Int, _ label: Int) throws -> JournalEntry {
        let event = JournalEvent(
          time: 1, kind: .acquire, addresses: [try IPAddress(parsing: "10.1.0.2")],
          attachment: AttachmentKey(
            node: "n1", container: String(repeating: "c", count: 64), interface: "eth0"),
          workload: Workload(["LABEL": String(repeating: "x", count: label)]), nonce: 7)
        return JournalEntry(node: "n1", events: Array(repeating: event, count: count))
      }
      for (count, label, kept, hasLabels) in [
        (60, 100, 60, true), (60, 10_000, 60, false), (1, 100_000, 1, false),
      ] {
        let bytes = try entry(count, label).fittingBytes
        #expect(bytes.count <= JournalEntry.sizeLimit)
        let key = StoreKey.journal(JournalEntry.Key(node: "n1", slot: 0))
        guard case .journal(let read) = RecordCodec.decode(bytes, for: key) else {
          Issue.record("\(String(decoding: bytes.prefix(200), as: UTF8.self))")
          continue
        }
        #expect(read.events.count == kept && read.leftOut == 0)
        #expect(read.events[0].workload.labels.isEmpty != hasLabels)
      }
      var long = try entry(1, 0)
      long.events[0].attachment = AttachmentKey(
        node: "n1", container: String(repeating: "c", count: 100_000), interface: "eth0")
      #expect(String(decoding: long.fittingBytes, as: UTF8.self).contains("\"leftOut\":1"))
      let many = try entry(1_000, 0)
      #expect(many.fittingBytes.count <= JournalEntry.sizeLimit)
      #expect(many.fittingBytes.count > JournalEntry.sizeLimit / 2)
    }
  }
}
