// A range is an inclusive stretch of one family. It need not be a prefix.

/// The addresses from `first` to `last`, both included, of one family.
///
/// Every operation takes constant time.
public struct AddressRange: Hashable, Sendable {
  /// The first address.
  public let first: IPAddress
  /// The last address; never before `first`.
  public let last: IPAddress

  init(unchecked first: IPAddress, _ last: IPAddress) {
    self.first = first
    self.last = last
  }

  /// The addresses from `first` to `last`, or `nil` if the families differ or `last` lies before
  /// `first`. O(1).
  public init?(first: IPAddress, last: IPAddress) {
    guard first.family == last.family, first <= last else { return nil }
    self.init(unchecked: first, last)
  }

  /// IPv4 or IPv6. O(1).
  public var family: AddressFamily { first.family }
  /// The number of addresses, exact, 1 … 2^128. O(1).
  public var count: ExactCount { ExactCount(last.value &- first.value) + .one }

  /// Whether the address lies in the range; of the other family it never does. O(1).
  public func contains(_ address: IPAddress) -> Bool {
    address.family == family && first <= address && address <= last
  }

  /// Whether every address of `other` lies in this range. O(1).
  public func contains(_ other: AddressRange) -> Bool {
    contains(other.first) && contains(other.last)
  }

  /// Whether there is an address that lies in both. O(1).
  public func overlaps(_ other: AddressRange) -> Bool {
    other.family == family && first <= other.last && other.first <= last
  }
}

extension AddressRange: CustomStringConvertible {
  /// The range that `text` names: `10.0.0.1-10.0.0.9`, a prefix without host bits, or one address.
  ///
  /// O(length); allocates nothing.
  /// - Throws: `AddressParseError` with the text, the byte where it goes wrong, and the reason.
  public init(parsing text: String) throws(AddressParseError) {
    self = try AddressScanner.run(text) { bytes, stretch throws(ParseFailure) in
      try AddressRange(bytes, stretch)
    }
  }

  private init(_ bytes: Span<UInt8>, _ stretch: Range<Int>) throws(ParseFailure) {
    if let dash = AddressScanner.firstIndex(of: "-", bytes, stretch) {
      let first = try AddressScanner.address(bytes, stretch.lowerBound..<dash)
      let last = try AddressScanner.address(bytes, dash + 1..<stretch.upperBound)
      guard first.family == last.family else { throw ParseFailure(.mixedFamilies, at: dash + 1) }
      guard first <= last else { throw ParseFailure(.reversed, at: dash + 1) }
      self.init(unchecked: first, last)
    } else if AddressScanner.firstIndex(of: "/", bytes, stretch) != nil {
      self = try Prefix(bytes, stretch, .refuse).range
    } else {
      let address = try AddressScanner.address(bytes, stretch)
      self.init(unchecked: address, address)
    }
  }

  /// `first-last`, or the address alone if there is one. O(1); allocates nothing but the string.
  public var description: String {
    var text = TextBuffer()
    text.append(first)
    if first != last {
      text.append("-")
      text.append(last)
    }
    return text.string
  }
}
