import AddressSpace
import IPAM
import IPAMTesting
import Synchronization
import TestSupport
import Testing

// Clocks that are set, between nodes and on one: what is held stays so, and nothing waits for years.

@Suite struct ClockTests {
  /// Nodes of one network, each with a clock that the test sets.
  private struct World {
    let store = MemoryStore()
    let definition: NetworkDefinition

    init(_ policy: NetworkDefinition.Cooldown.Policy, subnet: String = "10.1.0.0/29") throws {
      definition = NetworkDefinition(
        name: "net", rangeSets: try RangeSet.sets([[SubnetRange.Text(subnet: subnet)]]),
        cooldown: NetworkDefinition.Cooldown(seconds: 60, policy: policy))
    }

    func node(_ name: String, boot: String = "boot") -> Clocked { Clocked(self, name, boot) }
  }

  private final class Clocked: Sendable {
    private let clock = Atomic<UInt64>(0)
    private let name: String
    private let makeAllocator: @Sendable (@escaping @Sendable () -> UInt64) -> NetworkAllocator

    init(_ world: World, _ name: String, _ boot: String) {
      self.name = name
      makeAllocator = { now in
        var surroundings = Surroundings.system
        surroundings.now = now
        return NetworkAllocator(
          store: world.store, networkName: "net", definition: world.definition,
          node: Node(name: name, instance: "instance", bootID: boot), surroundings: surroundings)
      }
    }

    private var allocator: NetworkAllocator {
      let now = clock.load(ordering: .relaxed)
      return makeAllocator { now }
    }

    func set(_ seconds: UInt64) { clock.store(seconds, ordering: .relaxed) }

    func key(_ container: String) -> AttachmentKey {
      AttachmentKey(node: name, container: container, interface: "eth0")
    }

    /// The address; nil if there was none to be had until then.
    func add(
      _ container: String, within milliseconds: UInt64 = 20_000
    ) async throws -> IPAddress? {
      do {
        return try await allocator.acquire(
          AcquireRequest(attachment: key(container)),
          deadline: Surroundings.system.deadline(inMilliseconds: milliseconds)
        ).attachment.holdings[0].address
      } catch AllocationError.exhausted {
        return nil
      } catch AllocationError.deadlineExceeded {
        return nil
      } catch AllocationError.outcomeUnknown {
        // On a machine so slow that the time was over while it was committed.
        try await delete(container)
        return nil
      }
    }

    func delete(_ container: String) async throws {
      _ = try await allocator.release([key(container)], deadline: .far)
    }

    func collect() async throws -> [AttachmentKey] {
      try await allocator.collect(inUse: { _ in false }, deadline: .far).released
    }
  }

  private static let today: UInt64 = 1_800_000_000
  private static let year: UInt64 = 31_536_000

  /// All that a pool has was released by a clock that was ahead, and nobody has anything to release in it
  /// that would bring the times down: an hour is waited for, a year is not.
  @Test(arguments: [NetworkDefinition.Cooldown.Policy.strict, .borrow])
  func aClockThatWasAhead(_ policy: NetworkDefinition.Cooldown.Policy) async throws {
    for (ahead, isWaitedFor) in [(Self.year, false), (3_600, true), (.max - Self.today, false)] {
      let world = try World(policy)
      let node = world.node("n1")
      node.set(Self.today + ahead)
      for index in 0..<5 { #expect(try await node.add("c\(index)") != nil) }
      for index in 0..<5 { try await node.delete("c\(index)") }
      node.set(Self.today)
      let isRefused = isWaitedFor && policy == .strict
      let early = try await node.add("early", within: isRefused ? 100 : 20_000)
      #expect((early == nil) == isRefused, "\(ahead)")
      node.set(Self.today + 3_600 + 60)
      #expect(try await node.add("later") != nil)
    }
  }

  /// Two nodes, whose clocks are an hour apart, take and give back; one of them is set right at times. An
  /// address that is held is never had by another, and in the end all can be had.
  @Test(arguments: [NetworkDefinition.Cooldown.Policy.strict, .borrow])
  func clocksAnHourApart(_ policy: NetworkDefinition.Cooldown.Policy) async throws {
    let world = try World(policy, subnet: "10.1.0.0/27")
    let nodes = [world.node("n1"), world.node("n2")]
    var held: [IPAddress: (node: Int, container: String)] = [:]
    let seed = TestSeed()
    var random = seed.generator
    for step in 0..<300 {
      let time = Self.today + UInt64(step) * 7
      let offsets: [UInt64] = step % 50 < 25 ? [0, 7_200] : [3_600, 3_600]
      for (node, offset) in zip(nodes, offsets) { node.set(time + offset) }
      let who = Int.random(in: 0...1, using: &random)
      if held.count < 20, Bool.random(using: &random) {
        guard let address = try await nodes[who].add("c\(step)", within: 200) else { continue }
        #expect(held[address] == nil, "\(address) is held, \(seed)")
        held[address] = (who, "c\(step)")
      } else if let address = held.keys.sorted().randomElement(using: &random),
        let holder = held[address]
      {
        try await nodes[holder.node].delete(holder.container)
        held[address] = nil
      }
    }
    for holder in held.values { try await nodes[holder.node].delete(holder.container) }
    for node in nodes { node.set(Self.today + 300 * 7 + 7_200 + 60) }
    for index in 0..<29 {
      #expect(try await nodes[0].add("all\(index)") != nil, "\(index), \(seed)")
    }
    let findings = try await Auditor(of: world.store, definition: nil).findings(deadline: .far)
    #expect(findings.isEmpty)
  }

  /// What the machine made before it was started is older than the collection, whatever its clock said.
  @Test func aCollectionAfterAClockThatWasAhead() async throws {
    let world = try World(.borrow)
    let before = world.node("n1", boot: "first")
    before.set(Self.today + Self.year)
    _ = try await before.add("old")
    let after = world.node("n1", boot: "second")
    after.set(Self.today + Self.year)
    _ = try await after.add("ahead")
    after.set(Self.today)
    _ = try await after.add("now")
    #expect(try await after.collect() == [after.key("old")])
    after.set(Self.today + Self.year + 1)
    #expect(try await after.collect().count == 2)
  }
}
