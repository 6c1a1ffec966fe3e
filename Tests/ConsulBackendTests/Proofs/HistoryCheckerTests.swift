// The checker of histories has to find what is forged and to believe what can have happened.

import AddressSpace
import IPAM
import IPAMTesting
import TestSupport
import Testing

@Suite struct HistoryCheckerTests {
  private let address = IPAddress(ipv4: 0x0a01_0002)
  private let other = IPAddress(ipv4: 0x0a01_0003)

  private func key(_ name: String) -> AttachmentKey {
    AttachmentKey(node: "n", container: name, interface: "eth0")
  }

  private func acquired(
    _ name: String, _ addresses: [IPAddress], _ called: UInt64, _ returned: UInt64
  ) -> HistoryEvent {
    HistoryEvent(.acquired(addresses), key(name), called: called, returned: returned)
  }

  private func released(_ name: String, _ called: UInt64, _ returned: UInt64) -> HistoryEvent {
    HistoryEvent(.released, key(name), called: called, returned: returned)
  }

  @Test func soundHistories() {
    let one = [acquired("a", [address], 0, 10), released("a", 20, 30)]
    let histories: [[HistoryEvent]] = [
      [],
      one,
      // Handed on, with every overlap that is explained: the release happened early in its call.
      one + [acquired("b", [address], 5, 21)],
      one + [
        acquired("b", [address], 22, 40), released("b", 50, 60), acquired("c", [address], 50, 51),
      ],
      // Two addresses, and the same attachment told twice.
      one + [acquired("a", [address], 12, 15), acquired("b", [other], 0, 10)],
      // Acquired and released at once by the same attachment: nothing is certain.
      [acquired("a", [address], 0, 100), released("a", 50, 60), acquired("b", [address], 0, 10)],
    ]
    for history in histories { #expect(HistoryChecker.findings(history).isEmpty, "\(history)") }
  }

  @Test func forgedHistories() throws {
    let one = [acquired("a", [address, other], 0, 10), released("a", 20, 30)]
    let early = acquired("b", [address], 5, 19)
    let finding = try #require(HistoryChecker.findings(one + [early]).first)
    #expect(finding.address == address && finding.moment == 19)
    #expect(finding.holders == [key("a"), key("b")])
    // Never released, released by another, released before, and hidden behind a repetition.
    let never = [acquired("a", [address], 0, 10), released("c", 11, 12), released("a", 0, 0)]
    #expect(HistoryChecker.findings(never + [acquired("b", [address], 90, 99)]).count == 1)
    let repeated = [
      acquired("a", [address], 0, 1), acquired("a", [address], 2, 3),
      acquired("b", [address], 4, 5),
    ]
    #expect(HistoryChecker.findings(repeated).count == 2)
  }

  /// A history made by one honest allocator is sound; with one acquisition's address exchanged for
  /// one that is held, it is not.
  @Test func randomHistories() throws {
    let seed = TestSeed()
    var random = seed.generator
    for _ in 0..<200 {
      var events: [HistoryEvent] = []
      var held: [(name: String, address: IPAddress)] = []
      var time: UInt64 = 0
      for step in 0..<50 {
        time += 10
        if held.count < 8, Bool.random(using: &random) {
          let free = (0..<16).map { IPAddress(ipv4: 0x0a01_0000 + $0) }
            .filter { address in !held.contains { $0.address == address } }
          let address = try #require(free.randomElement(using: &random))
          let early = UInt64.random(in: 0...30, using: &random)
          events.append(acquired("c\(step)", [address], time - min(time, early), time))
          held.append(("c\(step)", address))
        } else if !held.isEmpty {
          let gone = held.remove(at: Int.random(in: held.indices, using: &random))
          let late = UInt64.random(in: 0...30, using: &random)
          events.append(released(gone.name, time, time + late))
        }
      }
      #expect(HistoryChecker.findings(events).isEmpty, "\(seed)")
      guard let victim = held.randomElement(using: &random) else { continue }
      events.append(acquired("forged", [victim.address], time, time + 1))
      #expect(HistoryChecker.findings(events).count == 1, "\(seed)")
    }
  }
}
