import JSON
import Synchronization
import TestSupport
import Testing

/// Containers come and go on a node, some vanish without a DEL, a second node vanishes whole, and the
/// reclaimer is killed again and again. Nobody who lives loses an address, no address is had twice,
/// and in the end nothing is left of those who are gone.
@Suite(.needsConsul) struct ReclaimUnderLoadTests {
  @Test func ownersThatVanishUnderLoad() async throws {
    let bench = try await Bench()
    try await bench.succeeds(
      "network", "create", "net", "--subnet", "10.1.0.0/25", "--cooldown", "0")
    let world = World()
    for number in 0..<6 {
      let added = try await bench.plugin("ADD", "net", "lost\(number)", node: "n2")
      #expect(added.exitStatus == 0, "\(added)")
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for worker in 0..<3 {
        group.addTask {
          for round in 0..<24 {
            // Runtimes list shortened IDs too, so that none may be the beginning of another.
            try await live(bench, world, "w\(worker)-\(round)-", round)
          }
        }
      }
      group.addTask {
        for round in 0..<10 {
          try await reclaim(
            bench, world,
            killedAfter: round % 2 == 0 ? UInt32.random(in: 5_000...120_000) : nil)
          try await Task.sleep(for: .milliseconds(400))
        }
      }
      try await group.waitForAll()
    }
    for _ in 0..<2 {
      try await reclaim(bench, world)
      try await Task.sleep(for: .seconds(2.2))
    }
    try await reclaim(bench, world)
    let clashes = world.clashes
    #expect(clashes.isEmpty, "\(clashes)")
    let prefix = "net/attachments/n1/"
    let attachments = try bench.keys().filter { $0.hasPrefix("net/attachments/") }
    #expect(
      Set(attachments) == Set(world.living.map { "\(prefix)\($0)/eth0" }), "\(attachments)")
    #expect(world.vanished >= 12 && world.living.count >= 12)
    for name in world.living {
      let checked = try await bench.plugin("CHECK", "net", name)
      #expect(checked.exitStatus == 0, "\(name): \(checked)")
    }
    try await bench.succeeds("check", "net")
  }

  /// One container: it is made, and then stays, is deleted, vanishes, or is made anew by its name.
  private func live(_ bench: Bench, _ world: World, _ name: String, _ round: Int) async throws {
    world.begin(name)
    let added = try await bench.plugin("ADD", "net", name)
    guard let address = try? added.json["ips"]?.elements?.first?["address"]?.string else {
      Issue.record("\(name): \(added)")
      return
    }
    world.hold(address, name)
    switch round % 4 {
    case 0: world.vanish(address, name)
    case 1: return
    default:
      world.letGo(address)
      let gone = try await bench.plugin("DEL", "net", name)
      #expect(gone.exitStatus == 0, "\(gone)")
      world.end(name)
      if round % 4 == 3 { try await live(bench, world, name, 1) }
    }
  }

  /// A look at both nodes by what lives at its beginning.
  private func reclaim(
    _ bench: Bench, _ world: World, killedAfter: UInt32? = nil
  ) async throws {
    for words in [["--node", "n1", "--live", "-"], ["--node", "n2"]] {
      var execution = Execution(
        [program("ipamctl", "CNI_IPAM_CTL"), "reclaim", "net"] + words + [
          "--consul", bench.consul.address, "--consul-prefix", bench.prefix, "--timeout", "60",
          "--grace", "1", "--state", "\(bench.folder.path)/seen-\(words[1])",
          "--state-dir", bench.stateDirectory(),
        ])
      execution.input = .text("# what lives\n" + world.living.map { $0 + "\n" }.joined())
      execution.killedAfter = killedAfter
      let ended = try await execution.run()
      #expect(ended.signal != nil || ended.exitStatus == 0, "\(ended)")
    }
  }
}

/// What the runtime knows: which containers live, and who was given which address.
private final class World: Sendable {
  private struct State {
    var living: Set<String> = []
    var holders: [String: String] = [:]
    var clashes: [String] = []
    var vanished = 0
  }
  private let state = Mutex(State())

  var living: [String] { state.withLock { $0.living.sorted() } }
  var clashes: [String] { state.withLock { $0.clashes } }
  var vanished: Int { state.withLock { $0.vanished } }

  /// Listed as living from before its ADD until after its DEL.
  func begin(_ name: String) { state.withLock { _ = $0.living.insert(name) } }
  func end(_ name: String) { state.withLock { _ = $0.living.remove(name) } }

  /// An ADD returned; whoever was given the address before must have let it go.
  func hold(_ address: String, _ name: String) {
    state.withLock { state in
      if let other = state.holders.updateValue(name, forKey: address) {
        state.clashes.append("\(address) of \(other) was given to \(name)")
      }
    }
  }

  /// Its DEL is about to be called.
  func letGo(_ address: String) { state.withLock { _ = $0.holders.removeValue(forKey: address) } }

  func vanish(_ address: String, _ name: String) {
    state.withLock { state in
      state.holders[address] = nil
      state.living.remove(name)
      state.vanished += 1
    }
  }
}
