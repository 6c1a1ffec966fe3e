// Runs that happen twice, on a real server and in the simulation, and are compared: counts must agree
// within a factor of 1.5, rates within 2.

import AddressSpace
import ConsulBackend
import Foundation
import IPAM
import IPAMTesting
import Synchronization

/// Nodes, callers and what they do; the same in reality and in the simulation, names included, so that
/// nodes have the same home chunks.
struct Shape: Codable, Equatable {
  let name: String
  var nodes: Int
  var callers: Int
  var operations: Int
  var subnet: String
  var keeps: Int
  var releases = 0

  /// 16 and 64 writers: of one process, which share commits; of a node each, on a /16; and of a node
  /// each in a single chunk, where every commit of one makes another's a lost race.
  static let all: [Shape] = [16, 64].flatMap { writers in
    // Enough operations that chance and the first moments do not decide.
    let each = 6_400 / writers
    return [
      Shape(
        name: "\(writers) callers of one node", nodes: 1, callers: writers, operations: 2 * each,
        subnet: "10.64.0.0/16", keeps: 2 * each),
      Shape(
        name: "\(writers) nodes", nodes: writers, callers: 1, operations: each,
        subnet: "10.64.0.0/16", keeps: each),
      Shape(
        name: "\(writers) nodes in one chunk", nodes: writers, callers: 1, operations: each,
        subnet: "10.64.0.0/24", keeps: 3, releases: 30),
    ]
  }

  func scenario(_ service: Scenario.Service, chunkBits: Int? = nil) throws -> Scenario {
    var scenario = Scenario(
      definition: NetworkDefinition(
        name: "net", rangeSets: try RangeSet.sets([[SubnetRange.Text(subnet: subnet)]]),
        chunkBits: chunkBits),
      nodes: nodes, callers: callers, operations: operations, keeps: keeps, service: service)
    scenario.releases = releases
    scenario.pause = 0
    scenario.keepsHistory = false
    return scenario
  }
}

/// What a shape did on a real server.
struct Reality: Codable, Equatable {
  let shape: Shape
  let succeeded: Int
  let failed: Int
  let commits: Int
  let conflicts: Int
  /// Entries of the server's log beyond the commits that happened.
  let wasted: Int
  let perSecond: Double
  /// Of this process, while it ran.
  let bytes: Calibration.Bytes
  /// What history and audit found wrong; must be empty.
  let findings: [String]

  init(of shape: Shape, on server: ConsulServer) async throws {
    self.shape = shape
    // Times do not matter here.
    let scenario = try shape.scenario(.init(hop: [0], round: [0], perCommit: [0]))
    let run = try await RealRun(scenario: scenario, address: server.address)
    let before = try server.lastLogIndex() ?? 0
    let used = Usage.now
    let counts = try await run.run()
    let usage = Usage.now - used
    bytes = Calibration.Bytes(sent: Double(usage.bytesOut), received: Double(usage.bytesIn))
    let entries = (try server.lastLogIndex() ?? 0) - before
    (succeeded, failed) = (counts.succeeded, counts.failed)
    (commits, conflicts) = (counts.commits, counts.conflicts)
    wasted = max(0, entries - counts.commits)
    perSecond = Double(counts.succeeded) * 1e9 / Double(max(1, counts.nanoseconds))
    findings = try await run.findings()
  }
}

/// A scenario on a real server: an allocator with connections of its own for each node.
final class RealRun: Sendable {
  struct Counts: Sendable {
    var succeeded = 0
    var failed = 0
    var commits = 0
    var conflicts = 0
    var nanoseconds: UInt64 = 0
  }

  private let scenario: Scenario
  private let address: String
  private let stores: [ConsulStore]
  private let counts = Mutex(Counts())
  private let history = HistoryRecorder()
  private let surroundings = Surroundings.system

  /// The connections are open when it is made: the simulation knows no beginning of them.
  init(scenario: Scenario, address: String) async throws {
    self.scenario = scenario
    self.address = address
    stores = try (0..<scenario.nodes).map { _ in try realStore(address, "net") }
    // As many keys as a node's first read has; each is asked for by a connection of its own.
    let nobody = (1...2).map {
      StoreKey.attachment(AttachmentKey(node: "none", container: "c\($0)", interface: "eth0"))
    }
    for store in stores {
      _ = try await store.read(
        Set(nobody + [.definition]), consistency: .stored,
        deadline: surroundings.deadline(inMilliseconds: 30_000))
    }
  }

  private func watched(_ store: ConsulStore) -> WatchedStore {
    WatchedStore(store) { outcome in
      self.counts.withLock {
        switch outcome {
        case .committed: $0.commits += 1
        case .conflict: $0.conflicts += 1
        default: break
        }
      }
    }
  }

  func run() async throws -> Counts {
    let start = surroundings.monotonic()
    await withTaskGroup(of: Void.self) { group in
      for (node, store) in stores.enumerated() {
        let allocator = NetworkAllocator(
          store: watched(store), networkName: "net", definition: scenario.definition,
          node: Node(name: "n\(node)"), surroundings: surroundings)
        for caller in 0..<scenario.callers {
          group.addTask { await self.call(allocator, node, node * self.scenario.callers + caller) }
        }
      }
      await group.waitForAll()
    }
    let end = surroundings.monotonic()
    for store in stores { await store.shutdown() }
    return counts.withLock {
      $0.nanoseconds = end - start
      return $0
    }
  }

  /// One caller, as the simulation's.
  private func call(_ allocator: NetworkAllocator, _ node: Int, _ index: Int) async {
    var chance = SystemRandomNumberGenerator()
    var held: [AttachmentKey] = []
    var suspect: AttachmentKey?
    var left = scenario.operations
    while left > 0 || suspect != nil {
      let called = surroundings.monotonic()
      let deadline = Deadline(nanoseconds: called + scenario.patience)
      if suspect != nil || scenario.releasesNext(having: held.count, using: &chance) {
        let key = suspect ?? held.remove(at: .random(in: held.indices, using: &chance))
        if suspect == nil { left -= 1 }
        do {
          _ = try await allocator.release([key], deadline: deadline)
          suspect = nil
        } catch {
          suspect = key
        }
        note(.released, key, called, suspect == nil)
      } else {
        let key = AttachmentKey(
          node: "n\(node)", container: "c\(index)-\(left)", interface: "eth0")
        left -= 1
        let acquired = try? await allocator.acquire(
          AcquireRequest(attachment: key), deadline: deadline)
        if acquired == nil { suspect = key } else { held.append(key) }
        note(
          acquired.map { .acquired($0.attachment.holdings.map(\.address)) }, key, called,
          acquired != nil)
      }
    }
  }

  private func note(
    _ kind: HistoryEvent.Kind?, _ key: AttachmentKey, _ called: UInt64, _ isDone: Bool
  ) {
    counts.withLock { if isDone { $0.succeeded += 1 } else { $0.failed += 1 } }
    guard let kind else { return }
    history.record(
      HistoryEvent(kind, key, called: called, returned: surroundings.monotonic()))
  }

  func findings() async throws -> [String] {
    let store = try realStore(address, "net")
    let deadline = surroundings.deadline(inMilliseconds: 60_000)
    let entries = try await store.read(
      [.definition], consistency: .consistent, deadline: deadline)
    guard case .definition(let ruling)? = entries[.definition]?.value else {
      return ["no definition"]
    }
    let audited = try await Auditor(of: store, definition: ruling).findings(deadline: deadline)
    await store.shutdown()
    return audited.map { "\($0)" } + HistoryChecker.findings(history.events).map(\.description)
  }
}

/// A store that tells how its commits end.
struct WatchedStore: StoreWrapper {
  let base: ConsulStore
  private let ended: @Sendable (CommitOutcome) -> Void

  init(_ base: ConsulStore, _ ended: @escaping @Sendable (CommitOutcome) -> Void) {
    self.base = base
    self.ended = ended
  }

  var wrapped: any AllocationStore { base }

  func commit(
    _ operations: [StoreOperation], cursors: [Int: IPAddress], deadline: Deadline
  ) async -> CommitOutcome {
    let outcome = await base.commit(operations, cursors: cursors, deadline: deadline)
    ended(outcome)
    return outcome
  }
}
