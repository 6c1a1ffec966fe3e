// Every reply that Consul is known to give, through store and allocator: what was surely not done is
// done again, what may have been done is resolved first, what is refused is said at once. A real
// server stands behind the proxy, so that "sent on" means that it really happened.

import IPAM
import IPAMTesting
import Synchronization
import TestSupport
import Testing

@testable import ConsulBackend

extension Proofs {
  @Suite(.serialized) struct ReplyTests {
    private static let server = Task { try await ConsulServer.start() }

    private static let passing: [FaultyProxy.Fate] = [
      .answer(status: 429, body: "", isSentOn: false),
      .answer(status: 500, body: "No cluster leader", isSentOn: false),
      .answer(
        status: 500, body: "rpc error getting client: failed to get conn: dial tcp 127.0.0.1:1",
        isSentOn: false),
      .answer(status: 500, body: "rpc error making call: EOF", isSentOn: true),
      .answer(status: 500, body: "rpc error making call: EOF", isSentOn: false),
      .answer(status: 500, body: "leadership lost while committing log", isSentOn: true),
      .answer(status: 503, body: "", isSentOn: true),
      .answer(status: 503, body: "", isSentOn: false),
      .answer(status: 200, body: "", isSentOn: true),
      .answer(status: 200, body: "", isSentOn: false),
      .answer(status: 200, body: "null", isSentOn: true),
      .answer(status: 200, body: "{}", isSentOn: false),
      .answer(status: 200, body: #"{"Results":null,"Errors":null}"#, isSentOn: true),
      .cut, .reset, .dropReply, .slow(milliseconds: 100),
    ]

    /// The first two commits of an ADD meet with it, then those of a DEL.
    @Test(arguments: passing)
    func troubleWithCommitsPasses(_ fate: FaultyProxy.Fate) async throws {
      let server = try await Self.server.value
      let network = try TestNetwork()
      let proxy = try FaultyProxy(server)
      let process = try Process(proxy.address, network)
      try await process.add("c0")
      let trouble: @Sendable (FaultyProxy.Request) -> FaultyProxy.Fate = {
        $0.isTransaction && $0.number < 2 ? fate : .pass
      }
      proxy.setRule(trouble)
      let added = try await process.add("c1")
      #expect(!added.isRepeat)
      #expect(try await network.attachments(on: server).count == 2)
      try await network.expectSound(on: server)

      proxy.setRule(trouble)
      #expect(try await process.delete("c1") == added.attachment)
      #expect(try await network.attachments(on: server) == [process.key("c0")])
      try await network.expectSound(on: server)
    }

    /// The first ADD of a network makes its definition too.
    @Test(arguments: passing)
    func troubleWithTheFirstCommitPasses(_ fate: FaultyProxy.Fate) async throws {
      let server = try await Self.server.value
      let network = try TestNetwork()
      let proxy = try FaultyProxy(server) { $0.isTransaction && $0.number < 1 ? fate : .pass }
      let process = try Process(proxy.address, network)
      try await process.add("c0")
      #expect(try await network.attachments(on: server).count == 1)
      try await network.expectSound(on: server)
    }

    @Test(arguments: passing)
    func troubleWithReadsPasses(_ fate: FaultyProxy.Fate) async throws {
      let server = try await Self.server.value
      let network = try TestNetwork()
      let proxy = try FaultyProxy(server)
      let trouble: @Sendable (FaultyProxy.Request) -> FaultyProxy.Fate = {
        !$0.isTransaction && $0.number < 3 ? fate : .pass
      }
      for container in ["c0", "c1"] {
        proxy.setRule(trouble)
        try await Process(proxy.address, network).add(container)
      }
      proxy.setRule(trouble)
      let process = try Process(proxy.address, network)
      try await process.allocator.check(
        [process.key("c1")], expected: nil,
        deadline: Surroundings.system.deadline(inMilliseconds: 30_000))
      proxy.setRule(trouble)
      #expect(try await process.delete("c1") != nil)
      try await network.expectSound(on: server)
    }

    private static let refusing: [(fate: FaultyProxy.Fate, word: String)] = [
      (.answer(status: 301, body: "", isSentOn: false), "redirects"),
      (.answer(status: 400, body: "Bad request", isSentOn: false), "Bad request"),
      (.answer(status: 403, body: "Permission denied", isSentOn: false), "Permission denied"),
      (.answer(status: 403, body: "ACL not found", isSentOn: false), "token"),
      (.answer(status: 404, body: "", isSentOn: false), "404"),
      (
        .answer(
          status: 413, body: "Request body(9 bytes) too large, max size: 8 bytes", isSentOn: false),
        "too large"
      ),
      (.answer(status: 500, body: "No path to datacenter", isSentOn: false), "datacenter"),
      (
        .answer(
          status: 409, body: #"{"Errors":[{"OpIndex":0,"What":"Permission denied"}]}"#,
          isSentOn: false), "Permission denied"
      ),
      (
        .answer(
          status: 409, body: #"{"Errors":[{"OpIndex":0,"What":"a text of tomorrow"}]}"#,
          isSentOn: false), "a text of tomorrow"
      ),
      (.answer(status: 409, body: "", isSentOn: false), "refuses"),
    ]

    /// Said at once, after one request, and nothing is left.
    @Test(arguments: refusing)
    func refusalsAreFinal(_ fate: FaultyProxy.Fate, _ word: String) async throws {
      let server = try await Self.server.value
      let network = try TestNetwork()
      let proxy = try FaultyProxy(server)
      let process = try Process(proxy.address, network)
      try await process.add("c0")
      proxy.setRule { _ in fate }
      let before = proxy.requests.count
      let error = await process.failureOfAdd("c1")
      guard case .store(let refusal)? = error, refusal.kind == .refused else {
        Issue.record("\(String(describing: error))")
        return
      }
      #expect(refusal.description.contains(word) && refusal.description.contains(proxy.address))
      #expect(proxy.requests.count == before + 1)
      let refused = await Result.of { try await process.delete("c0") }
      #expect(throws: AllocationError.self) { try refused.get() }
      proxy.setRule { _ in .pass }
      #expect(try await network.attachments(on: server) == [process.key("c0")])
      try await network.expectSound(on: server)
    }

    /// A commit whose outcome is unknown, and then a server that says no to everything, is gone, or
    /// never answers well: the caller hears that the outcome is unknown, and the loop rests.
    @Test(
      arguments: [
        .answer(status: 403, body: "Permission denied", isSentOn: false),
        .answer(status: 301, body: "", isSentOn: false),
        .answer(
          status: 413, body: "Transaction contains too many operations (4 > 2)", isSentOn: false),
        .answer(status: 500, body: "No cluster leader", isSentOn: false),
        .cut,
      ] as [FaultyProxy.Fate])
    func refusalsAfterAnUnknownOutcome(_ fate: FaultyProxy.Fate) async throws {
      let server = try await Self.server.value
      let network = try TestNetwork()
      let proxy = try FaultyProxy(server)
      let process = try Process(proxy.address, network)
      try await process.add("c0")
      proxy.setRule { $0.isTransaction && $0.number == 0 ? .dropReply : fate }
      let before = proxy.requests.count
      let error = await process.failureOfHastyAdd("c1")
      guard case .outcomeUnknown? = error else {
        Issue.record("\(String(describing: error))")
        return
      }
      var last = -1
      try await eventually("rest") {
        defer { last = proxy.requests.count }
        return proxy.requests.count == last
      }
      #expect(proxy.requests.count - before < 200, "no storm of requests")
      proxy.setRule { _ in .pass }
      // As a runtime does after a failed ADD.
      let next = try Process(server.address, network)
      try await next.delete("c1")
      #expect(try await network.attachments(on: server) == [process.key("c0")])
      try await network.expectSound(on: server)
      try await next.add("c2")
      try await network.expectSound(on: server)
    }

    /// A key that is there and empty (`"Value": null`): nobody's data, and no crash.
    @Test(arguments: ["config", "attachments/n0/c0/eth0", "pools"])
    func nullValues(_ key: String) async throws {
      let server = try await Self.server.value
      let network = try TestNetwork()
      let process = try Process(server.address, network)
      try await process.add("c0")
      let base = "/v1/kv/\(network.prefix)/net/"
      let name =
        key == "pools" ? try #require(try await chunkNames(server, network).first) : base + key
      #expect(
        try server.request("PUT", name.hasPrefix("/") ? name : "/v1/kv/\(name)").status == 200)
      let next = try Process(server.address, network)
      let error = await next.failureOfAdd(key == "attachments/n0/c0/eth0" ? "c0" : "c1")
      let text = try #require(error).description
      #expect(text.contains("read") || text.contains("damaged") || text.contains("not"), "\(text)")
      try await next.delete("c0")
      #expect(try await network.attachments(on: server).isEmpty)
    }

    private func chunkNames(
      _ server: ConsulServer, _ network: TestNetwork
    ) async throws -> [String] {
      let client = try makeClient(server.address)
      let names = try await client.keys("\(network.prefix)/net/pools/")
      await client.shutdown()
      return names
    }
  }
}
