// What allocation on Consul promises, proved on real servers: counts, faults, access. All of these
// suites are hard on the machine, so they run one after the other.

import AddressSpace
import IPAM
import IPAMTesting
import TestSupport
import Testing

@testable import ConsulBackend

@Suite(.serialized, .needsConsul) enum Proofs {}

/// One process of a node, as the library's user or the plugin has it: a store and an allocator.
final class Process: Sendable {
  let store: ConsulStore
  let allocator: NetworkAllocator
  let node: String
  let definition: NetworkDefinition

  var client: ConsulClient { store.client }

  /// - Parameters:
  ///   - stateDirectory: What the node's processes share; nil for nothing.
  ///   - isOnLoop: The allocator runs on the thread of the connections.
  init(
    _ address: String, _ network: TestNetwork, node: String = "n0", stateDirectory: String? = nil,
    surroundings: Surroundings = .system, limits: ConsulLimits = ConsulLimits(),
    token: String? = nil, consistency: String? = nil, isOnLoop: Bool = false
  ) throws {
    var settings = ConsulSettings()
    settings.address = address
    settings.consistency = consistency
    settings.token = token.map { ConsulSecret($0) }
    let configuration = try ConsulConfiguration(settings, environment: [:])
    let local: any LocalState =
      stateDirectory.map {
        NodeState(folder: $0 + "/state", bootID: "boot", surroundings: surroundings)
      } ?? NoLocalState()
    store = ConsulStore(
      client: ConsulClient(configuration, limits: limits), prefix: network.prefix,
      network: network.definition.name, local: local, surroundings: surroundings)
    self.node = node
    definition = network.definition
    allocator = NetworkAllocator(
      store: store, networkName: network.definition.name, definition: network.definition,
      node: Node(name: node, instance: "instance-" + node), surroundings: surroundings,
      executor: isOnLoop ? store.executor : nil)
  }

  func key(_ container: String) -> AttachmentKey {
    AttachmentKey(node: node, container: container, interface: "eth0")
  }

  @discardableResult
  func add(
    _ container: String, requested: [IPAddress] = [], within milliseconds: UInt64 = 30_000
  ) async throws(AllocationError) -> Acquired {
    try await allocator.acquire(
      AcquireRequest(attachment: key(container), requested: requested),
      deadline: Surroundings.system.deadline(inMilliseconds: milliseconds))
  }

  /// The ADD of a process that ends then, as the plugin does: with its turn, and so with what the node's
  /// next one finds.
  @discardableResult
  func addAndEnd(_ container: String) async throws(AllocationError) -> Acquired {
    let acquired = try await add(container)
    await allocator.settle()
    return acquired
  }

  /// So many at once. All of them wait when the gate opens, behind which the first commit is kept.
  func addAll(_ count: Int, named name: String, behind gate: Gate = Gate()) async throws {
    let begun = Counter()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for index in 0..<count {
        group.addTask {
          if begun.add() == count { gate.open() }
          try await self.add("\(name)\(index)")
        }
      }
      try await group.waitForAll()
    }
  }

  @discardableResult
  func delete(
    _ container: String, within milliseconds: UInt64 = 30_000
  ) async throws(AllocationError) -> IPAM.Attachment? {
    try await allocator.release(
      [key(container)], deadline: Surroundings.system.deadline(inMilliseconds: milliseconds))
  }

  /// The error of an ADD that should fail; nil if it does not.
  func failureOfAdd(
    _ container: String, requested: [IPAddress] = [], within milliseconds: UInt64 = 30_000
  ) async -> AllocationError? {
    do throws(AllocationError) {
      try await add(container, requested: requested, within: milliseconds)
      return nil
    } catch {
      return error
    }
  }

  /// The error of an ADD that has little time: more of it where the machine is so slow that no commit was
  /// sent before it was over.
  func failureOfHastyAdd(
    _ container: String, requested: [IPAddress] = []
  ) async -> AllocationError? {
    var error: AllocationError?
    for patience in [500, 2_000, 8_000, 30_000] as [UInt64] {
      error = await failureOfAdd(container, requested: requested, within: patience)
      guard case .deadlineExceeded? = error else { break }
    }
    return error
  }
}

/// A network of a test's own.
struct TestNetwork: Sendable {
  var prefix: String
  var definition: NetworkDefinition

  init(
    _ subnets: [String] = ["10.1.0.0/24"], cooldown: UInt32 = 0,
    kind: NetworkDefinition.Kind = .leased, journal: Int = 0
  ) throws {
    prefix = "proof-\(UInt64.random(in: 0 ... .max))"
    definition = NetworkDefinition(
      name: "net", kind: kind,
      rangeSets: try RangeSet.sets(subnets.map { [SubnetRange.Text(subnet: $0)] }),
      cooldown: NetworkDefinition.Cooldown(seconds: cooldown), journal: journal)
  }

  /// The names of its attachments, as the server has them.
  func attachments(on server: ConsulServer) async throws -> Set<AttachmentKey> {
    let process = try Process(server.address, self)
    var found: Set<AttachmentKey> = []
    try await process.store.list(
      .attachments(node: nil), deadline: Surroundings.system.deadline(inMilliseconds: 30_000)
    ) { key, _ in
      if case .attachment(let name) = key { found.insert(name) }
    }
    await process.client.shutdown()
    return found
  }

  /// The full audit has nothing to say.
  func expectSound(
    on server: ConsulServer, _ moment: String = "",
    sourceLocation: SourceLocation = #_sourceLocation
  ) async throws {
    let process = try Process(server.address, self)
    let deadline = Surroundings.system.deadline(inMilliseconds: 60_000)
    let entries = try await process.store.read(
      [.definition], consistency: .consistent, deadline: deadline)
    guard case .definition(let ruling)? = entries[.definition]?.value else {
      throw TestSupportError("no definition")
    }
    let findings = try await Auditor(of: process.store, definition: ruling)
      .findings(deadline: deadline)
    #expect(findings == [], "\(moment)", sourceLocation: sourceLocation)
    await process.client.shutdown()
  }
}

extension Surroundings {
  /// The system's, with every sleep counted.
  static func counting(_ sleeps: Counter) -> Surroundings {
    var surroundings = Surroundings.system
    let sleep = surroundings.sleep
    surroundings.sleep = { nanoseconds in
      sleeps.add()
      await sleep(nanoseconds)
    }
    return surroundings
  }
}
