// kill -9 of the plugin, at one point in time after the other from its start until it ends before the
// signal comes. Whatever was cut off, the next command of that attachment finds out and puts right;
// nothing is lost, nothing is held twice, and nobody else notices.

import TestSupport
import Testing

/// Delays that grow, the longer the faster, until a program has ended before its signal a few times
/// in a row.
struct KillPoints {
  private(set) var delay: UInt32 = 0
  private var survivors = 0
  private var count = 0
  private var random: SeededGenerator

  init(_ seed: TestSeed) { random = seed.generator }

  /// Moves on; whether there is another point.
  mutating func next(wasKilled: Bool) -> Bool {
    survivors = wasKilled ? 0 : survivors + 1
    delay += UInt32.random(in: 50...250, using: &random) + delay / 16
    count += 1
    return survivors < 4 && count <= 64
  }
}

@Suite(.needsConsul, .serialized)
struct KillTests {
  /// Several addresses for each attachment, so that many signals fall between two of them.
  private static let count = 8
  private static let ipam: JSON = [
    "ranges": .array(
      (0..<count / 2).flatMap { index -> [JSON] in
        [[["subnet": "10.\(index).0.0/24"]], [["subnet": "fd00:\(index)::/64"]]]
      }), "cooldown": 0,
  ]

  private func killed(_ call: Call, after delay: UInt32) -> Call {
    var call = call
    call.killedAfter = delay
    return call
  }

  /// A repeated ADD: it succeeds, or on disk says that the first one had done it already.
  private func expectHeld(
    _ network: TestNetwork, _ call: Call, _ container: String, _ here: Comment
  ) async throws {
    let again = try await call.run()
    let isDone = again.message?.contains("duplicate allocation is not allowed") == true
    #expect(again.succeeded || (network.kind == .disk && isDone), "\(here): \(again)")
    let audit = try network.audit()
    #expect(audit.problems.isEmpty, "\(here): \(audit.problems)")
    let held = audit.addresses(of: container)
    #expect(held.count == Self.count, "\(here): \(held)")
    #expect(held.filter { $0.contains(":") }.count == Self.count / 2, "\(here): \(held)")
    if again.succeeded { #expect(bare(again.addresses) == held, here) }
  }

  @Test(arguments: StoreKind.allCases)
  func addAndDeleteAtEveryPoint(_ kind: StoreKind) async throws {
    let seed = TestSeed()
    let network = try await TestNetwork(kind)
    let configuration = network.configuration(Self.ipam)
    try await Call("ADD", configuration, container: "neighbour").succeeds()
    let neighbour = try network.audit().addresses(of: "neighbour")
    var points = KillPoints(seed)
    var wasKilled = true
    while points.next(wasKilled: wasKilled) {
      let here: Comment = "\(seed), killed after \(points.delay) µs"
      let add = Call("ADD", configuration, container: "c\(points.delay)")
      wasKilled = try await killed(add, after: points.delay).run().ended.signal != nil
      try await expectHeld(network, add, "c\(points.delay)", here)

      let delete = Call("DEL", configuration, container: "c\(points.delay)")
      let half = try await killed(delete, after: points.delay).run()
      wasKilled = wasKilled || half.ended.signal != nil
      try await delete.succeeds()
      let audit = try network.audit()
      #expect(audit.problems.isEmpty, "\(here): \(audit.problems)")
      #expect(audit.addresses == neighbour, here)
    }
  }

  /// The first ADD of a network, which also makes what all others stand on; and a DEL that follows
  /// it at once, as a runtime does after a failed ADD.
  @Test(arguments: StoreKind.allCases)
  func firstAddOfANetwork(_ kind: StoreKind) async throws {
    let seed = TestSeed()
    var points = KillPoints(seed)
    var wasKilled = true
    while points.next(wasKilled: wasKilled) {
      let here: Comment = "\(seed), killed after \(points.delay) µs"
      let network = try await TestNetwork(kind)
      let configuration = network.configuration(Self.ipam)
      let add = Call("ADD", configuration)
      wasKilled = try await killed(add, after: points.delay).run().ended.signal != nil
      try await Call("DEL", configuration).succeeds()
      #expect(try network.audit() == Holders(), here)
      try await expectHeld(network, add, "c1", here)
    }
  }

  /// Many at once, all killed at some point, adds and deletes mixed.
  @Test(arguments: StoreKind.allCases)
  func manyAtOnce(_ kind: StoreKind) async throws {
    let seed = TestSeed()
    var random = seed.generator
    let network = try await TestNetwork(kind)
    let configuration = network.configuration(Self.ipam)
    let names = (0..<24).map { "c\($0)" }
    for answer in try await atOnce(
      names.prefix(12).map { Call("ADD", configuration, container: $0) })
    {
      #expect(answer.succeeded, "\(answer)")
    }
    for _ in 1...3 {
      _ = try await atOnce(
        names.map { name in
          let command = Bool.random(using: &random) ? "ADD" : "DEL"
          return killed(
            Call(command, configuration, container: name),
            after: UInt32.random(in: 0...60_000, using: &random))
        })
    }
    for name in names {
      try await expectHeld(
        network, Call("ADD", configuration, container: name), name, "\(seed)")
    }
    let audit = try network.audit()
    #expect(Set(audit.holders.values) == Set(names.map { "\($0)/eth0" }), "\(seed)")
    for answer in try await atOnce(
      names.map { Call("DEL", configuration, container: $0) })
    {
      #expect(answer.succeeded, "\(answer)")
    }
    #expect(try network.audit() == Holders(), "\(seed)")
  }
}
