// Addresses as text, against glibc: the same texts are addresses, with the same numbers, and they
// are printed alike but for one case that glibc keeps from before RFC 5952.

import AddressSpace
import Glibc
import TestSupport
import Testing

/// What glibc's inet_pton reads, or `nil`. The text must hold no NUL, where C would end it.
private func glibcParse(_ text: String) -> IPAddress? {
  var four = in_addr()
  if inet_pton(AF_INET, text, &four) == 1 {
    return IPAddress(ipv4: UInt32(bigEndian: four.s_addr))
  }
  var six = in6_addr()
  guard inet_pton(AF_INET6, text, &six) == 1 else { return nil }
  let value = withUnsafeBytes(of: &six) { $0.reduce(0 as UInt128) { $0 << 8 | UInt128($1) } }
  return IPAddress(ipv6: Offset(value))
}

/// What glibc's inet_ntop prints.
private func glibcPrint(_ address: IPAddress) -> String {
  let width = address.family.bitWidth / 8
  let bytes = (0..<width).map {
    UInt8(truncatingIfNeeded: address.value.native >> (8 * (width - 1 - $0)))
  }
  var text = [CChar](repeating: 0, count: 64)
  let family = address.family == .ipv4 ? AF_INET : AF_INET6
  guard let start = inet_ntop(family, bytes, &text, 64) else { return "" }
  return String(cString: start)
}

@Suite struct AddressTextTests {
  /// `::a.b.c.d`, the IPv4-compatible form, which RFC 4291 section 2.5.5.1 deprecates. glibc prints
  /// its last 32 bits as a dotted quad once the upper 16 of them are set; RFC 5952 section 5 wants
  /// that only of prefixes known to hold IPv4 addresses, so we print groups.
  private static func isIPv4Compatible(_ address: IPAddress) -> Bool {
    address.family == .ipv6 && address.value.high == 0
      && (0x1_0000...0xffff_ffff).contains(address.value.low)
  }

  private static func check(_ address: IPAddress, _ note: Comment) {
    let text = address.description
    #expect((try? IPAddress(parsing: text)) == address, "\(text), \(note)")
    #expect(glibcParse(text) == address, "\(text), \(note)")
    if isIPv4Compatible(address) {
      let groups = [address.value.low >> 16, address.value.low & 0xffff]
      let expected = "::" + groups.map { String($0, radix: 16) }.joined(separator: ":")
      #expect(text == expected, "\(note)")
    } else {
      #expect(text == glibcPrint(address), "\(note)")
    }
    let hex = address.fixedWidthHex
    #expect(hex.utf8.count == address.family.bitWidth / 4, "\(hex), \(note)")
    #expect(IPAddress(fixedWidthHex: hex) == address, "\(hex), \(note)")
  }

  @Test func edgesPrintAndParseAsGlibcDoes() {
    for edge in Offset.edges {
      Self.check(IPAddress(ipv6: edge), "edge")
      Self.check(IPAddress(ipv4: UInt32(truncatingIfNeeded: edge.low)), "edge")
    }
  }

  /// Each of the 256 patterns of zero groups: every place and length of `::`, and every tie.
  @Test func everyPatternOfZeroGroupsPrintsAsGlibcDoes() {
    for pattern in 0..<256 {
      var value: UInt128 = 0
      for group in 0..<8 { value = value << 16 | (pattern >> group & 1 == 1 ? 0xa0b : 0) }
      Self.check(IPAddress(ipv6: Offset(value)), "pattern \(pattern)")
    }
  }

  @Test func randomAddressesPrintAndParseAsGlibcDoes() {
    let seed = TestSeed()
    var generator = seed.generator
    for _ in 0..<10_000 { Self.check(IPAddress.sample(using: &generator), "\(seed)") }
  }

  /// Texts a few slips away from an address are accepted exactly when glibc accepts them.
  @Test func brokenTextsAreAcceptedAsGlibcDoes() {
    let seed = TestSeed()
    var generator = seed.generator
    let alphabet = Array("0019afAFg.:.:%/- x".unicodeScalars)
    var accepted = 0
    for _ in 0..<40_000 {
      var text = Array(IPAddress.sample(using: &generator).description.unicodeScalars)
      for _ in 0..<Int.random(in: 1...3, using: &generator) {
        let place = Int.random(in: 0...text.count, using: &generator)
        let character = alphabet.randomElement(using: &generator) ?? "0"
        switch Int.random(in: 0..<3, using: &generator) {
        case 0 where place < text.count: text.remove(at: place)
        case 1 where place < text.count: text[place] = character
        default: text.insert(character, at: place)
        }
      }
      let string = String(String.UnicodeScalarView(text))
      let ours = try? IPAddress(parsing: string)
      #expect(ours == glibcParse(string), "\(string), \(seed)")
      if ours != nil { accepted += 1 }
    }
    #expect(accepted > 1_000, "too few of the texts were addresses to prove anything, \(seed)")
  }

  /// RFC 5952 section 4 and RFC 4291 section 2.2, by their own examples and the like.
  @Test(arguments: [
    ("2001:0db8::0001", "2001:db8::1"), ("2001:db8:0:0:0:0:2:1", "2001:db8::2:1"),
    ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"), ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
    ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"), ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
    ("2001:DB8::AAAA", "2001:db8::aaaa"), ("0:0:0:0:0:0:0:0", "::"), ("::1", "::1"),
    ("0:0:0:0:0:ffff:10.0.0.1", "::ffff:10.0.0.1"), ("::FFFF:a00:1", "::ffff:10.0.0.1"),
    ("::10.0.0.1", "::a00:1"), ("64:ff9b::192.0.2.33", "64:ff9b::c000:221"),
    ("1:2:3:4:5:6:7.8.9.10", "1:2:3:4:5:6:708:90a"), ("0.0.0.0", "0.0.0.0"),
    ("255.255.255.255", "255.255.255.255"),
  ])
  func canonicalForms(_ text: String, _ canonical: String) throws {
    #expect(try IPAddress(parsing: text).description == canonical)
  }

  @Test func mappedAddressesStayIPv6() throws {
    let mapped = try IPAddress(parsing: "::ffff:10.0.0.1")
    #expect(mapped.family == .ipv6 && mapped.isIPv4Mapped)
    #expect(try mapped.ipv4Mapped == IPAddress(parsing: "10.0.0.1"))
    for text in ["::fffe:10.0.0.1", "1::ffff:10.0.0.1", "::1:ffff:10.0.0.1", "10.0.0.1"] {
      #expect(try IPAddress(parsing: text).ipv4Mapped == nil)
    }
  }

  @Test(arguments: ["", "0a00000", "0a0000001", "0A000001", "0a00000g", "+a000001"])
  func otherWidthsAndDigitsAreNoKeys(_ text: String) {
    #expect(IPAddress(fixedWidthHex: text) == nil)
  }
}
