// Addresses, prefixes, ranges, interface and MAC addresses as values.

import AddressSpace
import TestSupport
import Testing

@Suite struct AddressTests {
  @Test func familiesDoNotMix() throws {
    let four = try IPAddress(parsing: "10.0.0.1")
    let six = try IPAddress(parsing: "::10.0.0.1")
    #expect(four.value == six.value && four != six && four < six)
    #expect(four.distance(to: six) == nil && six.distance(to: four) == nil)
    #expect(
      try !Prefix(parsing: "::/0").contains(four) && !Prefix(parsing: "0.0.0.0/0").contains(six))
    #expect(AddressRange(first: four, last: six) == nil)
    #expect(AddressFamily.ipv4.bitWidth == 32 && AddressFamily.ipv6.bitWidth == 128)
  }

  @Test func addressesEndWhereTheirFamilyEnds() throws {
    let lastFour = try IPAddress(parsing: "255.255.255.255")
    #expect(lastFour.advanced(by: .zero) == lastFour && lastFour.advanced(by: .one) == nil)
    #expect(lastFour.advanced(by: .max) == nil)
    let lastSix = IPAddress(ipv6: .max)
    #expect(lastSix.advanced(by: .one) == nil && lastSix.advanced(by: .max) == nil)
    #expect(IPAddress(ipv6: .zero).advanced(by: .max) == lastSix)
    #expect(IPAddress(family: .ipv4, value: Offset(1 << 32)) == nil)
    #expect(IPAddress(family: .ipv4, value: Offset((1 << 32) - 1)) == lastFour)
    #expect(IPAddress(family: .ipv6, value: .max) == lastSix)
  }

  @Test func distanceUndoesAdvance() {
    let seed = TestSeed()
    var generator = seed.generator
    for _ in 0..<5_000 {
      let start = IPAddress.sample(using: &generator)
      let step = Offset.sample(using: &generator)
      let sum = start.value.native.addingReportingOverflow(step.native)
      let fits = !sum.overflow && Offset(sum.partialValue) <= start.family.lastValue
      let end = start.advanced(by: step)
      #expect((end != nil) == fits, "\(start) + \(step), \(seed)")
      guard let end else { continue }
      #expect(end.value.native == sum.partialValue, "\(start) + \(step), \(seed)")
      #expect(start.distance(to: end) == step, "\(start) + \(step), \(seed)")
      #expect((end.distance(to: start) != nil) == (step == .zero), "\(start) + \(step), \(seed)")
    }
  }

  @Test func prefixesAgreeWithMaskArithmetic() throws {
    let seed = TestSeed()
    var generator = seed.generator
    for _ in 0..<5_000 {
      let address = IPAddress.sample(using: &generator)
      let width = address.family.bitWidth
      let length = Int.random(in: 0...width, using: &generator)
      let size = UInt128(1) << UInt128(width - length)  // 0 for ::/0, whose size is 2^128
      let prefix = try #require(Prefix(address: address, length: length), "\(seed)")
      let first = address.value.native & ~(size &- 1)
      #expect(prefix.first.value.native == first, "\(prefix), \(seed)")
      #expect(prefix.last.value.native == first &+ (size &- 1), "\(prefix), \(seed)")
      #expect(prefix.count == .powerOfTwo(width - length), "\(prefix), \(seed)")
      #expect(prefix.range.count == prefix.count, "\(prefix), \(seed)")
      #expect(prefix.contains(address) && prefix.contains(prefix.last), "\(prefix), \(seed)")
      if let next = prefix.last.advanced(by: .one) {
        #expect(!prefix.contains(next), "\(prefix), \(seed)")
      }
      let masked = try Prefix(parsing: "\(address)/\(length)", hostBits: .mask)
      let refused = try? Prefix(parsing: "\(address)/\(length)")
      #expect(masked == prefix && refused == (address == prefix.first ? prefix : nil), "\(seed)")
      let interface = try InterfaceAddress(parsing: "\(address)/\(length)")
      #expect(interface.address == address && interface.prefix == prefix, "\(prefix), \(seed)")
    }
  }

  @Test func lengthsOutsideTheFamilyAreRefused() throws {
    let four = try IPAddress(parsing: "10.0.0.1")
    for length in [-1, 33, 128, .max, .min] {
      #expect(Prefix(address: four, length: length) == nil)
      #expect(InterfaceAddress(address: four, prefixLength: length) == nil)
    }
    #expect(Prefix(address: IPAddress(ipv6: .one), length: 129) == nil)
    #expect(Prefix(address: four, length: 0)?.description == "0.0.0.0/0")
    #expect(Prefix(address: four, length: 32)?.description == "10.0.0.1/32")
  }

  @Test func prefixesNestOrAreApart() throws {
    let texts = ["10.0.0.0/8", "10.1.0.0/16", "10.1.0.0/24", "10.1.1.0/24", "11.0.0.0/8", "::/0"]
    let prefixes = try texts.map { try Prefix(parsing: $0) }
    #expect(prefixes.shuffled().sorted() == prefixes)
    for a in prefixes {
      for b in prefixes {
        let isInside = a.range.contains(b.range)
        #expect(
          a.contains(b) == isInside && a.overlaps(b) == a.range.overlaps(b.range), "\(a) \(b)")
      }
    }
  }

  @Test func rangesInEveryForm() throws {
    let dashed = try AddressRange(parsing: "10.0.0.0-10.0.0.255")
    #expect(try dashed == AddressRange(parsing: "10.0.0.0/24"))
    #expect(dashed.count == ExactCount(256) && dashed.description == "10.0.0.0-10.0.0.255")
    let single = try AddressRange(parsing: "2001:db8::1")
    #expect(single.first == single.last && single.count == .one)
    #expect(single.description == "2001:db8::1" && single.family == .ipv6)
    #expect(try AddressRange(parsing: "::/0").count == .powerOfTwo(128))
    let other = try AddressRange(parsing: "10.0.0.255-10.0.1.3")
    #expect(dashed.overlaps(other) && other.overlaps(dashed) && !dashed.contains(other))
    #expect(try !dashed.overlaps(AddressRange(parsing: "10.0.1.0-10.0.1.3")))
    #expect(try dashed.contains(IPAddress(parsing: "10.0.0.255")))
    #expect(try !dashed.contains(IPAddress(parsing: "10.0.1.0")))
    let longest = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff0-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
    #expect(try AddressRange(parsing: longest).description == longest)
  }

  @Test(arguments: ["0A:00:27:00:00:ff", "0a-00-27-00-00-FF", "0a00.2700.00Ff"])
  func macAddressesInEverySpelling(_ text: String) throws {
    let mac = try MACAddress(parsing: text)
    #expect(mac.value == 0x0a00_2700_00ff && mac.description == "0a:00:27:00:00:ff")
    #expect(MACAddress(value: mac.value) == mac)
    #expect(MACAddress(value: 1 << 48) == nil && MACAddress(value: (1 << 48) - 1) != nil)
  }
}
