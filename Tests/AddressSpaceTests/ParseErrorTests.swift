// Every way in which a text can be wrong: the reason, and the byte where it is seen.

import AddressSpace
import TestSupport
import Testing

private typealias Reason = AddressParseError.Reason

/// The error of a parser, or `nil` if it accepted the text.
private func failure<Value>(
  _ text: String, _ parse: (String) throws(AddressParseError) -> Value
) -> AddressParseError? {
  do throws(AddressParseError) {
    _ = try parse(text)
    return nil
  } catch {
    return error
  }
}

@Suite struct ParseErrorTests {
  @Test(arguments: [
    ("", Reason.empty, 0), ("10", .tooFewParts, 2), ("10.0.0", .tooFewParts, 6),
    ("10.0.0.", .unexpectedEnd, 7), ("10.0.0.1.2", .tooManyParts, 8),
    ("10.0.0.1 ", .unexpectedCharacter, 8), (" 10.0.0.1", .unexpectedCharacter, 0),
    ("10.0.0.256", .octetTooLarge, 7), ("10.0.0.99999999999999999999", .octetTooLarge, 7),
    ("10.00.0.1", .leadingZero, 3), ("010.0.0.1", .leadingZero, 0),
    ("10..0.1", .unexpectedCharacter, 3), ("10,0.0.1", .unexpectedCharacter, 2),
    ("0x7f.1", .unexpectedCharacter, 1), ("-1.0.0.1", .unexpectedCharacter, 0),
    ("10.0.0.1/24", .unexpectedCharacter, 8), ("10.0.0.1:80", .unexpectedCharacter, 8),
    ("1\u{0}.0.0.1", .unexpectedCharacter, 1), ("１.0.0.1", .unexpectedCharacter, 0),
    (":", .unexpectedEnd, 1), (":::", .unexpectedCharacter, 2), ("::1::", .secondCompression, 3),
    (":1:2:3:4:5:6:7:8", .unexpectedCharacter, 0), ("1:2:3:4:5:6:7", .tooFewParts, 13),
    ("1:2:3:4:5:6:7:", .unexpectedEnd, 14), ("1:2:3:4:5:6:7:8:9", .tooManyParts, 16),
    ("::1:2:3:4:5:6:7:8", .tooManyParts, 17), ("1:2:3:4:5:6:7:8::", .tooManyParts, 17),
    ("12345::", .groupTooLong, 0), ("::00001", .groupTooLong, 2), ("::g", .unexpectedCharacter, 2),
    ("fe80::1%eth0", .zone, 7), ("fe80::%eth0", .zone, 6), ("::1.2.3", .tooFewParts, 7),
    ("1:2:3:4:5:6:7:1.2.3.4", .tooManyParts, 14), ("::1.2.3.4:5", .unexpectedCharacter, 9),
    ("::fe.1.1.1", .unexpectedCharacter, 2), ("::ffff:10.0.0.01", .leadingZero, 14),
  ])
  private func addresses(_ text: String, _ reason: Reason, _ position: Int) {
    let expected = AddressParseError(text: text, position: position, reason: reason)
    #expect(failure(text, IPAddress.init(parsing:)) == expected)
  }

  @Test(arguments: [
    ("10.0.0.0", Reason.missingPrefixLength, 8), ("10.0.0.0/", .unexpectedEnd, 9),
    ("10.0.0.0/33", .prefixLengthTooLarge, 9), ("10.0.0.0/08", .leadingZero, 9),
    ("10.0.0.0/00", .leadingZero, 9), ("10.0.0.0/+8", .unexpectedCharacter, 9),
    ("10.0.0.0/8/8", .unexpectedCharacter, 10), ("10.0.0.0/24 ", .unexpectedCharacter, 11),
    ("::/129", .prefixLengthTooLarge, 3), ("::/99999999999999999999", .prefixLengthTooLarge, 3),
    ("/8", .unexpectedEnd, 0), ("10.0.0/8", .tooFewParts, 6), ("", .empty, 0),
    ("10.0.0.0/255.0.0.0", .prefixLengthTooLarge, 9),
  ])
  private func prefixesAndInterfaceAddresses(_ text: String, _ reason: Reason, _ position: Int) {
    let expected = AddressParseError(text: text, position: position, reason: reason)
    #expect(
      failure(text) { text throws(AddressParseError) in try Prefix(parsing: text) } == expected)
    #expect(failure(text, InterfaceAddress.init(parsing:)) == expected)
  }

  @Test(arguments: [
    ("10.0.0.9-10.0.0.1", Reason.reversed, 9), ("10.0.0.1-::1", .mixedFamilies, 9),
    ("10.0.0.1-", .unexpectedEnd, 9), ("-10.0.0.1", .unexpectedEnd, 0),
    ("10.0.0.1-10.0.0.2-10.0.0.3", .unexpectedCharacter, 17), ("10.0.0.1/24", .hostBits, 0),
    ("10.0.0.1 - 10.0.0.2", .unexpectedCharacter, 8),
    ("10.0.0.0/24-10.0.1.0", .unexpectedCharacter, 8),
    ("", .empty, 0), ("10.0.0.0/", .unexpectedEnd, 9), ("10.0.0", .tooFewParts, 6),
  ])
  private func ranges(_ text: String, _ reason: Reason, _ position: Int) {
    let expected = AddressParseError(text: text, position: position, reason: reason)
    #expect(failure(text, AddressRange.init(parsing:)) == expected)
  }

  @Test(arguments: [
    ("", Reason.empty, 0), ("aa", .unexpectedEnd, 2), ("aa:bb:cc:dd:ee", .unexpectedEnd, 14),
    ("aa:bb:cc:dd:ee:", .unexpectedEnd, 15), ("aa:bb:cc:dd:ee:f", .unexpectedEnd, 16),
    ("aa:bb:cc:dd:ee:ff:00", .tooManyParts, 17), ("aa:bb-cc:dd:ee:ff", .unexpectedCharacter, 5),
    ("aabbccddeeff", .unexpectedCharacter, 4), ("aabb.ccdd:eeff", .unexpectedCharacter, 9),
    ("a:b:c:d:e:f", .unexpectedCharacter, 1), ("gg:bb:cc:dd:ee:ff", .unexpectedCharacter, 0),
    ("aabb.ccdd.eeff.0011", .tooManyParts, 14),
  ])
  private func macAddresses(_ text: String, _ reason: Reason, _ position: Int) {
    let expected = AddressParseError(text: text, position: position, reason: reason)
    #expect(failure(text, MACAddress.init(parsing:)) == expected)
  }

  @Test func theMessageNamesTextAndPositionAndNothingUnprintable() {
    let plain = AddressParseError(text: "10.0.0.256", position: 7, reason: .octetTooLarge)
    #expect(plain.description == #""10.0.0.256": octet above 255 at position 7"#)
    let nasty = AddressParseError(
      text: "a\u{1b}[2J\n\"ü", position: 0, reason: .unexpectedCharacter)
    #expect(nasty.description == #""a\u{1B}[2J\n\"\u{00FC}": unexpected character at position 0"#)
    let long = String(repeating: "x", count: 1_000_000)
    let error = AddressParseError(text: long, position: 0, reason: .unexpectedCharacter)
    #expect(error.description.utf8.count < 120)
  }

  /// Random bytes as UTF-8, up to a length no address has, never stop a parser, and what one
  /// accepts it also prints in a form that it reads as the same value.
  @Test func hostileTextsNeverStopAParser() {
    let seed = TestSeed()
    var generator = seed.generator
    let alphabet = Array("0123456789abcdefABCDEF.:/-%\u{0}\u{7f}é ".utf8) + [0xff, 0xc3, 0xed]
    for _ in 0..<20_000 {
      let length = Int.random(in: 0...40, using: &generator)
      let bytes = (0..<length).map { _ in alphabet.randomElement(using: &generator) ?? 0 }
      let text = String(decoding: bytes, as: UTF8.self)
      Self.roundTrips(text, "\(text.debugDescription), \(seed)")
    }
    for text in ["1", ":", ".", "/", "-", "0.", "f:", "::", "\u{0}"] {
      Self.roundTrips(String(repeating: text, count: 100_000), "\(text) repeated")
    }
  }

  private static func roundTrips(_ text: String, _ note: Comment) {
    if let value = try? IPAddress(parsing: text) {
      #expect((try? IPAddress(parsing: value.description)) == value, note)
    }
    if let value = try? Prefix(parsing: text, hostBits: .mask) {
      #expect((try? Prefix(parsing: value.description)) == value, note)
    }
    if let value = try? AddressRange(parsing: text) {
      #expect((try? AddressRange(parsing: value.description)) == value, note)
    }
    if let value = try? InterfaceAddress(parsing: text) {
      #expect((try? InterfaceAddress(parsing: value.description)) == value, note)
    }
    if let value = try? MACAddress(parsing: text) {
      #expect((try? MACAddress(parsing: value.description)) == value, note)
    }
    if let value = ExactCount(decimal: text) { #expect(value.description == text, note) }
  }
}
