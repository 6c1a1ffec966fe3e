import IPAM
import IPAMTesting
import Synchronization
import TestSupport
import Testing

@testable import ConsulBackend

// The store conformance suite on real servers: one with its data on disk, and three of them.

@Suite(.serialized) struct StoreConformanceTests {
  @Test(arguments: ConformanceCheck.all)
  func singleServer(_ check: ConformanceCheck) async throws {
    try await run(check, on: try await SharedServers.single.value)
  }

  @Test(arguments: ConformanceCheck.all)
  func threeServers(_ check: ConformanceCheck) async throws {
    let follower = try #require(try await SharedServers.cluster.value.followers().first)
    try await run(check, on: follower)
  }

  private func run(_ check: ConformanceCheck, on server: ConsulServer) async throws {
    let stores = Mutex<[ConsulStore]>([])
    let suite = StoreConformance { definition in
      let store = try ConsulStore.onServer(
        server, network: "\(definition.name)-\(UInt32.random(in: 0 ... .max))")
      stores.withLock { $0.append(store) }
      return store
    }
    let result: Result<ConformanceOutcome, any Error>
    do {
      result = .success(try await suite.run(check))
    } catch {
      result = .failure(error)
    }
    for store in stores.withLock({ $0 }) { await store.shutdown() }
    if case .skipped(let reason) = try result.get() { print("\(check): skipped, \(reason)") }
  }
}

extension ConsulStore {
  static func onServer(
    _ server: ConsulServer, network: String, stateDirectory: String? = nil
  ) throws -> ConsulStore {
    var settings = ConsulSettings()
    settings.address = server.address
    return ConsulStore(
      try ConsulConfiguration(settings, environment: [:]), network: network,
      stateDirectory: stateDirectory, surroundings: .system)
  }
}

/// Servers that are started when the first test needs them, and end with the test process.
enum SharedServers {
  static let single = Task {
    var options = ConsulServer.Options()
    options.storage = .disk
    return try await ConsulServer.start(options)
  }

  static let cluster = Task { try await ConsulCluster.start() }
}
