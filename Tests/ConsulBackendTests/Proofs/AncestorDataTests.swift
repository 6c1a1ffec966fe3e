// The earlier plugin's data where a network would begin: two plugins would hand out the same addresses.

import IPAM
import TestSupport
import Testing

@testable import ConsulBackend

extension Proofs {
  @Suite(.serialized) struct AncestorDataTests {
    private static let server = Task { try await ConsulServer.start() }

    private func network() throws -> TestNetwork {
      var network = try TestNetwork()
      network.definition.name = "old-\(UInt64.random(in: 0 ... .max))"
      return network
    }

    /// Its settings, or only one of its addresses.
    @Test(arguments: ["", "/10.1.0.5"])
    func nothingIsBegunBesideIt(_ rest: String) async throws {
      let server = try await Self.server.value
      let network = try network()
      let name = network.definition.name
      #expect(try server.request("PUT", "/v1/kv/\(name)\(rest)", body: "{}").status == 200)
      let process = try Process(server.address, network)
      guard case .store(let error)? = await process.failureOfAdd("c0") else {
        Issue.record("the network was begun")
        return
      }
      #expect(error.kind == .refused)
      #expect(error.description.contains("ipamctl import cni-ipam-consul \(name)"), "\(error)")
      #expect(try server.request("GET", "/v1/kv/\(network.prefix)/?keys").status == 404)
      await process.client.shutdown()
    }

    /// A DEL of what the ancestor does not know works, as after an ADD that was refused; one of a
    /// container that holds something there would lose it.
    @Test func whatTheAncestorHoldsIsNotDeleted() async throws {
      let server = try await Self.server.value
      let network = try network()
      let record = "/v1/kv/\(network.definition.name)/10.1.0.5"
      let body = #"{"ip":"10.1.0.5","mac":"00:00:00:00:00:00","id":"old"}"#
      #expect(try server.request("PUT", record, body: body).status == 200)
      let process = try Process(server.address, network)
      #expect(try await process.delete("new") == nil)
      let result = await Result.of { try await process.delete("old") }
      #expect(throws: AllocationError.self) { try result.get() }
      await process.client.shutdown()
    }

    @Test func aLongerNameIsAnothers() async throws {
      let server = try await Self.server.value
      let network = try network()
      let name = network.definition.name
      for other in ["\(name)-2", "\(name)2/10.1.0.5"] {
        #expect(try server.request("PUT", "/v1/kv/\(other)", body: "{}").status == 200)
      }
      let process = try Process(server.address, network)
      try await process.add("c0")
      await process.client.shutdown()
    }

    /// A folder of that name is nothing of the ancestor's: an application's, or the prefix itself.
    @Test func aFolderOfThatNameIsAnothers() async throws {
      let server = try await Self.server.value
      var network = try network()
      network.prefix = network.definition.name
      let other = "/v1/kv/\(network.prefix)/somebody/config"
      #expect(try server.request("PUT", other, body: "{}").status == 200)
      let process = try Process(server.address, network)
      try await process.add("c0")
      await process.client.shutdown()
    }
  }
}
