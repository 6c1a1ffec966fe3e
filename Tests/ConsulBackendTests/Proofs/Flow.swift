// A load that outlives its network: the nodes know none but the one that is defined in Consul at the time.

import AddressSpace
import IPAM
import IPAMTesting
import Synchronization
import TestSupport
import Testing

@testable import ConsulBackend

/// Containers that come and go on three nodes, each call a process of its own, without a definition in
/// its configuration.
final class Flow: Sendable {
  private struct State {
    var isStopped = false
    var answers = 0
    /// Of the network that rules, or will in a moment.
    var incarnation: UInt64 = 0
    /// Since when nobody may go by an earlier one.
    var replacedAt = UInt64.max
    var history: [HistoryEvent] = []
    var held: Set<AttachmentKey> = []
    var findings: [String] = []
  }

  private let state = Mutex(State())
  private let address: String
  private let network: TestNetwork
  private let folder: String

  init(_ address: String, _ network: TestNetwork, _ folder: String) {
    (self.address, self.network, self.folder) = (address, network, folder)
  }

  /// What was held in the network that rules.
  var held: Set<AttachmentKey> { state.withLock { $0.held } }

  /// Wrong answers, and addresses that two had at once.
  var findings: [String] {
    state.withLock { state in
      state.findings + HistoryChecker.findings(state.history).map { "\($0)" }
    }
  }

  /// Whatever was held before is not any more.
  func replacing(_ body: (UInt64) async throws -> TestNetwork) async throws -> TestNetwork {
    let incarnation = UInt64.random(in: 1...(.max))
    state.withLock { state in
      state.findings += HistoryChecker.findings(state.history).map { "\($0)" }
      (state.history, state.held) = ([], [])
      (state.incarnation, state.replacedAt) = (incarnation, .max)
    }
    let network = try await body(incarnation)
    state.withLock { $0.replacedAt = Surroundings.system.monotonic() }
    return network
  }

  func more(_ count: Int) async throws {
    let goal = state.withLock { $0.answers } + count
    try await eventually("\(count) answers") { self.state.withLock { $0.answers } >= goal }
  }

  func run(_ body: () async throws -> Void) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for node in 0..<3 { group.addTask { try await self.work("n\(node)") } }
      let result = await Result.of(body)
      state.withLock { $0.isStopped = true }
      try await group.waitForAll()
      try result.get()
    }
  }

  private func work(_ node: String) async throws {
    var containers: [String] = []
    var step = 0
    while !state.withLock({ $0.isStopped }) {
      step += 1
      let process = try Process(
        address, network, node: node, stateDirectory: "\(folder)/\(node)")
      let allocator = NetworkAllocator(
        store: process.store, networkName: "net", definition: nil, node: Node(name: node),
        surroundings: .system)
      if containers.count < 3 || Bool.random() {
        containers.append("c\(step)")
        try await add(process.key("c\(step)"), allocator)
      } else {
        let name = containers.remove(at: Int.random(in: containers.indices))
        try await delete(process.key(name), allocator)
      }
      await process.client.shutdown()
    }
  }

  private func add(_ key: AttachmentKey, _ allocator: NetworkAllocator) async throws {
    let called = Surroundings.system.monotonic()
    do throws(AllocationError) {
      let acquired = try await allocator.acquire(
        AcquireRequest(attachment: key),
        deadline: Surroundings.system.deadline(inMilliseconds: 30_000))
      let addresses = acquired.attachment.holdings.map(\.address)
      state.withLock { state in
        state.answers += 1
        guard acquired.definition.incarnation == state.incarnation else {
          if called > state.replacedAt { state.findings.append("\(key) by another definition") }
          return
        }
        state.held.insert(key)
        state.history.append(
          HistoryEvent(
            .acquired(addresses), key, called: called,
            returned: Surroundings.system.monotonic()))
      }
    } catch {
      switch error {
      case .undefinedNetwork, .invalidDefinition: state.withLock { $0.answers += 1 }
      default: throw error
      }
    }
  }

  private func delete(_ key: AttachmentKey, _ allocator: NetworkAllocator) async throws {
    let called = Surroundings.system.monotonic()
    _ = try await allocator.release(
      [key], deadline: Surroundings.system.deadline(inMilliseconds: 30_000))
    state.withLock { state in
      state.answers += 1
      state.held.remove(key)
      state.history.append(
        HistoryEvent(.released, key, called: called, returned: Surroundings.system.monotonic()))
    }
  }
}
