public import AddressSpace

/// Ranges of which an attachment gets one address.
public struct RangeSet: Hashable, Sendable {
  /// The ranges, in the order in which they are searched; never empty, one family, disjoint.
  public let ranges: [SubnetRange]

  /// A set of ranges.
  ///
  /// - Throws: ``NetworkDefinitionError`` for an empty set, mixed families or an overlap.
  /// - Complexity: O(n²) in the number of ranges.
  public init(_ ranges: [SubnetRange]) throws(NetworkDefinitionError) {
    guard let first = ranges.first else { throw NetworkDefinitionError("empty range set") }
    guard ranges.allSatisfy({ $0.subnet.family == first.subnet.family }) else {
      throw NetworkDefinitionError("mixed address families")
    }
    for (index, range) in ranges.enumerated() {
      for other in ranges[(index + 1)...] where range.addresses.overlaps(other.addresses) {
        throw NetworkDefinitionError("subnets \(range) and \(other) overlap")
      }
    }
    self.ranges = ranges
  }

  /// Makes each range whole and then the set.
  public init(
    _ texts: [SubnetRange.Text], rules: SubnetRange.Rules = .init()
  ) throws(NetworkDefinitionError) {
    var ranges: [SubnetRange] = []
    for text in texts { ranges.append(try SubnetRange(text, rules: rules)) }
    try self.init(ranges)
  }

  /// The family of all its addresses.
  public var family: AddressFamily { ranges[0].subnet.family }

  /// The range that holds an address.
  ///
  /// - Complexity: O(n) in the number of ranges.
  public func range(holding address: IPAddress) -> SubnetRange? {
    ranges.first { $0.addresses.contains(address) }
  }

  /// Whether an address of one set lies in the other.
  public func overlaps(_ other: RangeSet) -> Bool {
    ranges.contains { range in other.ranges.contains { range.addresses.overlaps($0.addresses) } }
  }

  /// Makes the sets of a network, with host-local's checks between them.
  ///
  /// - Throws: ``NetworkDefinitionError`` naming the set by its index.
  public static func sets(
    _ texts: [[SubnetRange.Text]], rules: SubnetRange.Rules = .init()
  ) throws(NetworkDefinitionError) -> [RangeSet] {
    // What is no address at all is noticed before any range is looked at as a whole.
    for text in texts.joined() { try SubnetRange.checkSyntax(text) }
    guard !texts.isEmpty else { throw NetworkDefinitionError("no IP ranges specified") }
    var sets: [RangeSet] = []
    for (index, set) in texts.enumerated() {
      do {
        sets.append(try RangeSet(set, rules: rules))
      } catch {
        throw NetworkDefinitionError("invalid range set \(index): \(error)")
      }
    }
    return sets
  }

  /// Refuses sets that share addresses.
  public static func checkDisjoint(_ sets: [RangeSet]) throws(NetworkDefinitionError) {
    for index in sets.indices {
      for other in sets.indices where other > index && sets[index].overlaps(sets[other]) {
        throw NetworkDefinitionError("range set \(index) overlaps with \(other)")
      }
    }
  }
}

extension RangeSet: CustomStringConvertible {
  /// The ranges joined by commas, as host-local prints them.
  public var description: String { ranges.map(\.description).joined(separator: ",") }
}
