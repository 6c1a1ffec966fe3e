// The policy that is shipped is enough under default-deny, and what a missing rule leads to is said.

import IPAM
import IPAMTesting
import TestSupport
import Testing

@testable import ConsulBackend

extension Proofs {
  @Suite(.serialized) struct PolicyTests {
    private static let servers = [
      false: Task { try await start("") },
      true: Task { try await start("acl_enable_key_list_policy = true") },
    ]

    private static func start(_ configuration: String) async throws -> ConsulServer {
      var options = ConsulServer.Options()
      options.acl = true
      options.configuration = configuration
      return try await ConsulServer.start(options)
    }

    private func server(_ listsNeedPolicy: Bool) async throws -> ConsulServer {
      try await #require(Self.servers[listsNeedPolicy]).value
    }

    /// docs/acl-policy.hcl for a test's prefix and network, without comments.
    private func rules(_ network: TestNetwork) throws -> String {
      let text = try readRepositoryFile("docs/acl-policy.hcl")
      return String(decoding: text, as: UTF8.self).split(separator: "\n")
        .filter { !$0.hasPrefix("#") }.joined(separator: "\n")
        .replacing("\"cni-ipam-consul/\"", with: "\"\(network.prefix)/\"")
        .replacing("\"NETWORK\"", with: "\"net\"")
    }

    private func deadline() -> Deadline { Surroundings.system.deadline(inMilliseconds: 30_000) }

    @Test(arguments: [false, true])
    func theShippedPolicyIsEnough(_ listsNeedPolicy: Bool) async throws {
      let server = try await server(listsNeedPolicy)
      let network = try TestNetwork(["10.1.0.0/28", "2001:db8::/64"], journal: 4)
      let token = try server.makeToken(rules: try rules(network))
      let process = try Process(server.address, network, token: token)
      for container in ["c0", "c1", "c2"] { try await process.add(container) }
      #expect(try await process.add("c0").isRepeat)
      try await process.allocator.check(
        [process.key("c0")], expected: nil, deadline: deadline())
      try await process.delete("c0")
      try await process.delete("c0")
      // Collection frees only what was made in a second before.
      try await Task.sleep(for: .seconds(1))
      let collected = try await process.allocator.collect(
        inUse: { $0 == process.key("c1") }, deadline: deadline())
      #expect(collected.released == [process.key("c2")] && collected.failures.isEmpty)
      // Exhaustion is proved by reading transactions, which leave out what is hidden.
      var failure: AllocationError?
      for index in 0..<16 where failure == nil {
        failure = await process.failureOfAdd("full\(index)")
      }
      guard case .exhausted? = failure else {
        Issue.record("\(String(describing: failure))")
        return
      }
      let findings = try await Auditor(of: process.store, definition: nil)
        .findings(deadline: deadline())
      #expect(findings == [])
      await process.client.shutdown()
    }

    @Test(.enabled(if: PluginCall.isAvailable), arguments: [false, true])
    func thePluginUnderThePolicy(_ listsNeedPolicy: Bool) async throws {
      let server = try await server(listsNeedPolicy)
      let network = try TestNetwork()
      let folder = try TemporaryFolder()
      var call = PluginCall(
        network: network, port: server.port, stateDirectory: folder.path + "/state")
      call.token = try server.makeToken(rules: try rules(network))
      for (command, container) in [
        ("ADD", "c0"), ("CHECK", "c0"), ("ADD", "c1"), ("DEL", "c0"), ("STATUS", ""),
      ] {
        let ended = try await call.run(command, container)
        #expect(ended.exitStatus == 0, "\(command): \(ended)")
      }
      call.valid = []
      try await Task.sleep(for: .seconds(1))
      let collection = try await call.run("GC", "")
      #expect(collection.exitStatus == 0, "\(collection)")
      call.valid = nil
      let check = try await call.run("CHECK", "c1")
      #expect(check.exitStatus == 1 && check.output.contains("103"), "collected: \(check)")
    }

    /// Whatever a runtime calls says what is missing, changes nothing and tells no secret.
    @Test(.enabled(if: PluginCall.isAvailable), arguments: [false, true])
    func thePluginWithoutTheRule(_ listsNeedPolicy: Bool) async throws {
      let server = try await server(listsNeedPolicy)
      let network = try TestNetwork()
      let folder = try TemporaryFolder()
      var call = PluginCall(
        network: network, port: server.port, stateDirectory: folder.path + "/state")
      let enough = try server.makeToken(rules: try rules(network))
      call.token = enough
      #expect(try await call.run("ADD", "c0").exitStatus == 0)
      let path = "/v1/kv/\(network.prefix)?recurse"
      let before = try server.request("GET", path).body
      for rules in [
        "key \"x\" { policy = \"read\" }", try rules(network).replacing("write", with: "read"),
      ] {
        call.token = try server.makeToken(rules: rules)
        let isReader = rules.contains("\(network.prefix)")
        for (command, container) in [
          ("ADD", "c1"), ("DEL", "c0"), ("CHECK", "c0"), ("STATUS", ""), ("GC", ""),
        ] {
          call.valid = command == "GC" ? [] : nil
          if command == "GC" { try await Task.sleep(for: .seconds(1)) }
          let ended = try await call.run(command, container)
          // Whoever may read can look; what the token hides of a list cannot be told from nothing.
          let mayPass =
            isReader ? ["CHECK", "STATUS"] : listsNeedPolicy ? [] : ["GC"]
          let code = command == "STATUS" ? "50" : "7"
          let text = ended.output.filter { $0 != " " }
          #expect(
            mayPass.contains(command)
              ? ended.exitStatus == 0 || text.contains("\"code\":7,")
              : text.contains("\"code\":\(code),") && ended.output.contains("Permission denied"),
            "\(rules) \(command): \(ended)")
          #expect(!ended.description.contains(call.token ?? "-"))
          #expect(try server.request("GET", path).body == before, "\(command)")
        }
      }
      (call.token, call.valid) = (enough, nil)
      #expect(try await call.run("DEL", "c0").exitStatus == 0)
    }

    /// Each command says at once what is missing, and never the token.
    @Test(arguments: [false, true])
    func aMissingRule(_ listsNeedPolicy: Bool) async throws {
      let server = try await server(listsNeedPolicy)
      let network = try TestNetwork()
      let enough = try Process(
        server.address, network, token: try server.makeToken(rules: try rules(network)))
      try await enough.add("c0")
      let reading = try rules(network).replacing("write", with: "read")
      for rules in ["", reading] {
        let token = try server.makeToken(
          rules: rules.isEmpty ? "key \"x\" { policy = \"read\" }" : rules)
        let process = try Process(server.address, network, token: token)
        let errors = [
          await process.failureOfAdd("c1"),
          await Result.of { try await process.delete("c0") }.failure as? AllocationError,
        ]
        for error in errors {
          guard case .store(let refusal)? = error else {
            Issue.record("\(String(describing: error))")
            continue
          }
          #expect(refusal.kind == .refused)
          #expect(refusal.description.contains("Permission denied"))
          #expect(
            refusal.description.contains("write") || refusal.description.contains(network.prefix))
          #expect(!refusal.description.contains(token))
        }
        #expect(process.client.counters.requests < 20, "a denial is no lost race")
        await process.client.shutdown()
      }
      // Without the second rule a new network is begun blindly, or not at all.
      let other = try TestNetwork()
      let first = try rules(other).split(separator: "key_prefix").first.map { "key_prefix\($0)" }
      let blind = try Process(
        server.address, other, token: try server.makeToken(rules: try #require(first)))
      let error = await blind.failureOfAdd("c0")
      if listsNeedPolicy {
        #expect(error?.description.contains("Permission denied") == true)
      } else {
        #expect(error == nil)
      }
      try await enough.delete("c0")
    }
  }
}

extension Result {
  fileprivate var failure: Failure? { if case .failure(let error) = self { error } else { nil } }
}
