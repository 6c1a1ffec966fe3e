// A process that goes on leaves out to ask for the definition, where the chunk that it wrote last stands
// for it. A change of the definition is in force for all when whoever made it is told so.

import AddressSpace
import IPAM
import IPAMTesting
import Synchronization
import TestSupport
import Testing

@testable import ConsulBackend

extension Proofs {
  @Suite(.serialized) struct DefinitionChangeTests {
    private static let server = Task { try await ConsulServer.start() }
    private static var deadline: Deadline { Surroundings.system.deadline(inMilliseconds: 60_000) }

    /// The halves of 10.1.0.0/24.
    private enum Half: String, CaseIterable {
      case lower = "10.1.0.0/25"
      case upper = "10.1.0.128/25"

      var other: Half { self == .lower ? .upper : .lower }
      var range: AddressRange { get throws { try AddressRange(parsing: rawValue) } }
    }

    /// A node behind a proxy that has added some containers, and who changes the definition.
    private struct Scene {
      let server: ConsulServer
      let network: TestNetwork
      let proxy: FaultyProxy
      let node: Process
      let changer: Process

      init() async throws {
        server = try await DefinitionChangeTests.server.value
        network = try TestNetwork()
        proxy = try FaultyProxy(server)
        node = try Process(proxy.address, network)
        changer = try Process(server.address, network, node: "changer")
        for index in 0..<3 { try await node.add("c\(index)") }
      }
    }

    /// Excludes a half, as `ipamctl network update` does; the revision of the change.
    @discardableResult
    private static func exclude(_ half: Half, by process: Process) async throws -> Revision {
      while true {
        let entry = try await process.store.storedDefinition(deadline: deadline)
        guard case .definition(var definition)? = entry.value else {
          throw TestSupportError("no definition")
        }
        definition.exclusions = [try half.range]
        let put = StoreOperation.put(
          .definition, .definition(definition), expected: entry.revision)
        switch await process.store.commit([put], cursors: [:], deadline: deadline) {
        case .committed(let revision): return revision
        case .conflict: continue
        case let outcome: throw TestSupportError("\(outcome)")
        }
      }
    }

    private static func flags(
      of network: TestNetwork, _ process: Process
    ) async throws -> UInt64? {
      try await process.client.get(
        network.prefix + "/net/config", consistency: .consistent, deadline: .now + .seconds(30))?
        .flags
    }

    /// Leases of a half that were made after a revision.
    private static func leases(
      in half: Half, after revision: Revision, by process: Process
    ) async throws -> [IPAddress] {
      var found: [IPAddress] = []
      let range = try half.range
      try await process.store.list(.leases, deadline: deadline) { key, entry in
        if case .lease(let address) = key, range.contains(address), entry.revision > revision {
          found.append(address)
        }
      }
      return found
    }

    @Test func aProcessAsksOnceASecond() async throws {
      let server = try await Self.server.value
      let network = try TestNetwork(cooldown: 60)
      let proxy = try FaultyProxy(server)
      let time = Mutex(Surroundings.system.monotonic())
      var surroundings = Surroundings.system
      surroundings.monotonic = { time.withLock { $0 } }
      let process = try Process(proxy.address, network, surroundings: surroundings)
      let deadline = surroundings.deadline(inMilliseconds: 600_000)
      func asks(_ body: () async throws -> Void) async throws -> [Bool] {
        let before = proxy.requests.count
        try await body()
        return proxy.requests[before...].filter { $0.hasPrefix("PUT /v1/txn") }
          .map { $0.contains("check-index") }
      }
      func add(_ container: String) async throws {
        _ = try await process.allocator.acquire(
          AcquireRequest(attachment: process.key(container)), deadline: deadline)
      }
      try await add("c0")
      #expect(try await asks { try await add("c1") } == [false])
      #expect(try await asks { try await add("c2") } == [false])
      _ = try await process.allocator.release([process.key("c1")], deadline: deadline)
      #expect(try await asks { try await add("c3") } == [false], "releases change nothing")
      time.withLock { $0 += 1_000_000_000 }
      #expect(try await asks { try await add("c4") } == [true])
      #expect(try await asks { try await add("c5") } == [false])

      // Somebody else has the chunk between; then the definition is written by foreign means.
      let other = try Process(server.address, network)
      try await other.add("x0")
      let asked = try await asks { try await add("c6") }
      #expect(asked.last == true, "\(asked)")
      let name = network.prefix + "/net/config"
      let entry = try #require(
        try await other.client.get(name, consistency: .consistent, deadline: .now + .seconds(30)))
      _ = await other.client.transaction(
        [.set(key: name, value: entry.value + Array(" ".utf8))], deadline: .now + .seconds(30))
      #expect(try await asks { try await add("c7") } == [false])
      time.withLock { $0 += 1_000_000_000 }
      #expect(try await asks { try await add("c8") } == [true, true], "it was noticed")
      try await network.expectSound(on: server)
    }

    @Test func aChangeIsInForceAtOnce() async throws {
      let server = try await Self.server.value
      let network = try TestNetwork()
      let node = try Process(server.address, network)
      let changer = try Process(server.address, network, node: "changer")
      for index in 0..<3 { try await node.add("c\(index)") }
      for (index, half) in [Half.lower, .upper, .lower].enumerated() {
        try await Self.exclude(half, by: changer)
        for round in 0..<3 {
          let address = try await node.add("d\(index)-\(round)").attachment.holdings[0].address
          #expect(try half.other.range.contains(address), "\(address) while \(half) is excluded")
        }
        #expect(try await Self.flags(of: network, changer) == 0)
      }
      try await network.expectSound(on: server)
    }

    /// What left a node before the change, and arrives after it.
    @Test func aCommitThatComesAfterTheChange() async throws {
      let scene = try await Scene()
      let (proxy, node) = (scene.proxy, scene.node)
      proxy.setRule { $0.makesAttachments && $0.number == 0 ? .lateWithoutEnd : .pass }
      let add = Task { try await node.add("late").attachment.holdings[0].address }
      try await eventually("the commit") { proxy.kept == 1 }
      #expect(proxy.requests.last?.contains("check-index") == false)
      let change = try await Self.exclude(.lower, by: scene.changer)
      #expect(try proxy.deliverLate() == [409])
      add.cancel()
      _ = await add.result
      #expect(try await Self.leases(in: .lower, after: change, by: scene.changer) == [])
    }

    /// Nodes add and delete all the time, on one chunk, while the definition changes again and again.
    @Test func changesUnderLoad() async throws {
      let server = try await Self.server.value
      let network = try TestNetwork(cooldown: 0)
      let nodes = try (0..<3).map { try Process(server.address, network, node: "n\($0)") }
      let changer = try Process(server.address, network, node: "changer")
      try await nodes[0].add("first")
      try await Self.exclude(.upper, by: changer)
      try await Traffic().run(nodes) {
        for round in 0..<12 {
          let half = Half.allCases[round % 2]
          let change = try await Self.exclude(half, by: changer)
          try await Task.sleep(for: .milliseconds(60))
          let stranded = try await Self.leases(in: half, after: change, by: changer)
          #expect(stranded == [], "round \(round)")
        }
      }
      try await network.expectSound(on: server)
    }

    /// Whoever announced a change died before making it.
    @Test func announcedAndNotMade() async throws {
      let scene = try await Scene()
      let (proxy, node, changer) = (scene.proxy, scene.node, scene.changer)
      let entry = try await changer.store.storedDefinition(deadline: Self.deadline)
      let announced = try await changer.store.announceChange(of: entry.revision, Self.deadline)
      #expect(announced != nil)
      for index in 0..<3 { try await node.add("d\(index)") }
      #expect(proxy.requests.last?.contains("check-index") == true, "nobody trusts a chunk now")

      let change = try await Self.exclude(.lower, by: changer)
      for index in 0..<3 { try await node.add("e\(index)") }
      #expect(proxy.requests.last?.contains("check-index") == false)
      #expect(try await Self.leases(in: .lower, after: change, by: changer) == [])
      try await scene.network.expectSound(on: scene.server)
    }

    /// A definition that the server refuses leaves the old one as it was, and no announcement.
    @Test func aChangeThatIsRefused() async throws {
      let server = try await Self.server.value
      let network = try TestNetwork()
      let changer = try Process(server.address, network, node: "changer")
      try await changer.add("c0")
      let entry = try await changer.store.storedDefinition(deadline: Self.deadline)
      guard case .definition(var definition)? = entry.value else {
        throw TestSupportError("no definition")
      }
      definition.rangeSets = try RangeSet.sets(
        (0..<40).map { [SubnetRange.Text(subnet: "10.2.\($0).0/24")] })
      let outcome = await changer.store.commit(
        [.put(.definition, .definition(definition), expected: entry.revision)], cursors: [:],
        deadline: Self.deadline)
      #expect(outcome == .tooLarge)
      #expect(try await Self.flags(of: network, changer) == 0)
      #expect(
        try await changer.store.storedDefinition(deadline: Self.deadline).value == entry.value)
    }

    /// A node adds between the end of its network's definition and that of its keys: what it is told is
    /// so when the removal is over.
    @Test func anAddWithinARemoval() async throws {
      let server = try await Self.server.value
      let network = try TestNetwork()
      let node = try Process(server.address, network)
      for index in 0..<3 { try await node.add("c\(index)") }
      let gate = Gate()
      let isDeleted = Atomic(false)
      let isHeld = Atomic(false)
      let proxy = try FaultyProxy(server) { request in
        if request.text.contains("delete-cas"), request.text.contains("/config") {
          isDeleted.store(true, ordering: .relaxed)
        } else if isDeleted.load(ordering: .relaxed), request.text.contains("recurse"),
          !isHeld.exchange(true, ordering: .relaxed)
        {
          return .held(gate)
        }
        return .pass
      }
      let remover = try Process(proxy.address, network, node: "changer")
      let removal = Task {
        try await remover.store.removeNetwork(force: true, dryRun: false, deadline: Self.deadline)
      }
      try await eventually("the listing") { isHeld.load(ordering: .relaxed) }
      // It defines the network anew, or finds chunks of the old one.
      let isAdded = await node.failureOfAdd("between") == nil
      gate.open()
      let outcome = try await removal.value
      let held = try await network.attachments(on: server)
      #expect(held.contains(node.key("between")) == isAdded, "\(outcome)")
    }
  }
}
