// Which addresses a network has, as the configuration writes it. Addresses stay text: what a range
// means, what its defaults are and which error wins is decided where networks are made, in IPAM.

public import AddressSpace
internal import JSON

/// One range of a range set, as given. Empty texts count as not given, except in `subnet`.
public struct RangeText: Hashable, Sendable {
  /// `subnet`: nil if not given.
  public let subnet: String?
  /// `rangeStart` or `range-start`.
  public let rangeStart: String?
  /// `rangeEnd` or `range-end`.
  public let rangeEnd: String?
  /// `gateway`.
  public let gateway: String?

  /// A range of the given texts.
  public init(
    subnet: String?, rangeStart: String? = nil, rangeEnd: String? = nil, gateway: String? = nil
  ) {
    self.subnet = subnet
    self.rangeStart = rangeStart
    self.rangeEnd = rangeEnd
    self.gateway = gateway
  }
}

/// What becomes of a pool that has only cooling addresses left.
public enum CooldownPolicy: String, Hashable, Sendable, CaseIterable {
  /// The one that has cooled longest is taken.
  case borrow
  /// It is waited for.
  case strict
}

/// Where the search for a free address begins.
public enum SearchOrder: String, Hashable, Sendable, CaseIterable {
  /// In the part of the pool that this node looks into first.
  case homeChunk
  /// Behind the address given last.
  case sequential
}

/// The addresses of a network and what goes along with them, from `ipam` and `runtimeConfig`. Nil
/// means that the configuration does not say.
public struct PoolSettings: Hashable, Sendable {
  /// `runtimeConfig.ipRanges`: what the runtime adds for this attachment.
  public let runtimeRangeSets: [[RangeText]]
  /// The legacy range at the top of `ipam`, if it has a `subnet`, and then those of `ranges`.
  public let rangeSets: [[RangeText]]
  /// `exclude`: addresses, ranges and prefixes that are never given.
  public let exclusions: [AddressRange]
  /// `routes`.
  public let routes: [Route]
  /// `resolvConf`: the path of a file.
  public let resolvConf: String?
  /// `allowSmallSubnets`: whether /31, /32, /127 and /128 may be used whole.
  public let allowSmallSubnets: Bool
  /// `cooldown`: how long a released address rests; not negative.
  public let cooldown: Duration?
  /// `cooldownPolicy`.
  public let cooldownPolicy: CooldownPolicy?
  /// `searchOrder`.
  public let searchOrder: SearchOrder?
  /// `chunkBits`: from 6 to 14.
  public let chunkBits: Int?
  /// `unitPrefixLength`: what a pool hands out are prefixes of this length.
  public let unitPrefixLength: Int?
  /// `journal`: from 0 to 4096; how many commits of each node Consul keeps.
  public let journal: Int?

  /// All range sets in the reference's order: the runtime's, the legacy one, the others.
  public var allRangeSets: [[RangeText]] { runtimeRangeSets + rangeSets }
}

extension NetworkConfiguration {
  /// The addresses' settings. Throws code 6 for a value of the wrong type, 7 for an impossible one
  /// or if there is no `ipam`. O(size).
  public func poolSettings() throws(CNIError) -> PoolSettings {
    let ipam = try ipam()
    let legacy = try RangeText(ipam)
    let sets = try ipam.rangeSets("ranges")
    // Not used, as with the reference, but decoded like all the others.
    if legacy.subnet == nil, legacy != RangeText(subnet: nil) { try checkSyntax() }
    return PoolSettings(
      runtimeRangeSets: try root.section("runtimeConfig")?.rangeSets("ipRanges") ?? [],
      rangeSets: legacy.subnet == nil ? sets : [[legacy]] + sets,
      exclusions: try ipam.exclusions("exclude"),
      routes: try ipam.routes("routes"),
      resolvConf: try ipam.filePath("resolvConf"),
      allowSmallSubnets: try ipam.bool("allowSmallSubnets") ?? false,
      cooldown: try ipam.duration("cooldown"),
      cooldownPolicy: try ipam.choice("cooldownPolicy"),
      searchOrder: try ipam.choice("searchOrder"),
      chunkBits: try ipam.integer("chunkBits", in: 6...14),
      unitPrefixLength: try ipam.integer("unitPrefixLength", in: 1...128),
      journal: try ipam.integer("journal", in: 0...4096))
  }

  /// Throws code 7 if an attachment would get more addresses of one family than the results of the
  /// declared version can hold (one of each before 0.3.0); `families` has that of every range set.
  public func requireRoom(for families: [AddressFamily]) throws(CNIError) {
    let declared = try declaredVersion()
    let isCrowded = families.count > Set(families).count
    let version = CNISpecVersion(rawValue: declared.isEmpty ? "0.1.0" : declared)
    guard isCrowded, let version, version < .v030 else { return }
    throw CNIError(
      .configuration,
      "CNI version \(declared) does not support more than 1 address per family",
      details: "declare cniVersion 0.3.0 or newer")
  }
}

extension RangeText {
  init(_ section: ConfigurationSection) throws(CNIError) {
    let subnet = section.value("subnet")
    self.init(
      subnet: subnet == "" ? "" : try section.string("subnet"),
      rangeStart: try section.bound("rangeStart", or: "range-start"),
      rangeEnd: try section.bound("rangeEnd", or: "range-end"),
      gateway: try section.string("gateway"))
  }
}

extension ConfigurationSection {
  /// A text that may have either of two keys.
  fileprivate func bound(_ key: String, or other: String) throws(CNIError) -> String? {
    let (first, second) = (try string(key), try string(other))
    if let first, let second, first != second {
      throw CNIError(
        .configuration,
        "\(pathTo(key)) is \(goQuoted(first)), but \(other) is \(goQuoted(second))",
        details: "give one of the two")
    }
    return first ?? second
  }

  /// A list of lists of ranges; a `null` in either counts as an empty one.
  fileprivate func rangeSets(_ key: String) throws(CNIError) -> [[RangeText]] {
    var sets: [[RangeText]] = []
    for set in try list(key) ?? [] {
      var ranges: [RangeText] = []
      for range in set.json == .null ? [] : try set.list() {
        ranges.append(
          range.json == .null ? RangeText(subnet: nil) : try RangeText(range.section()))
      }
      sets.append(ranges)
    }
    return sets
  }

  fileprivate func exclusions(_ key: String) throws(CNIError) -> [AddressRange] {
    try (list(key) ?? []).map { element throws(CNIError) in
      let text = try element.string()
      do {
        return try AddressRange(parsing: text)
      } catch {
        throw CNIError(.configuration, "\(element.path): \(error)")
      }
    }
  }

  fileprivate func routes(_ key: String) throws(CNIError) -> [Route] {
    try (list(key) ?? []).map { element throws(CNIError) in try Route(element.section()) }
  }
}
