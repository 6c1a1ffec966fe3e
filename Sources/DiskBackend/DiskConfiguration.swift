import AddressSpace
import BitmapAllocator
import IPAM

/// Where a network's directory is and what its addresses mean.
struct DiskConfiguration: Sendable {
  /// Operations of one commit: the intent stays below a quarter of a mebibyte.
  static let operationLimit = 1_024

  /// `<dataDir>/<network>`.
  let path: String
  let layouts: [SetLayout]
  /// Whether a commit waits for the disk.
  let isDurable: Bool
  /// Where the index is kept; nil for none.
  let index: IndexFile?

  /// What a reservation of an address means by the configured ranges. An address outside all of them
  /// (a range was changed, the configuration is broken) is a pool of its own, so that it can be
  /// released all the same.
  func holding(_ address: IPAddress) -> Attachment.Holding? {
    let width = address.family.bitWidth
    for layout in layouts {
      if let (segment, ordinal) = layout.segment(allowing: address),
        segment.space.geometry.unitPrefixLength == width
      {
        return Attachment.Holding(
          address: address, prefixLength: segment.range.subnet.length,
          pool: segment.space.geometry, ordinal: ordinal, gateway: segment.range.gateway)
      }
    }
    for segment in layouts.lazy.flatMap(\.segments)
    where segment.space.geometry.unitPrefixLength == width {
      if let ordinal = segment.space.geometry.ordinal(of: address) {
        return Attachment.Holding(
          address: address, prefixLength: segment.range.subnet.length,
          pool: segment.space.geometry, ordinal: ordinal, gateway: segment.range.gateway)
      }
    }
    guard let single = Prefix(address: address, length: width),
      let pool = PoolGeometry(subnet: single)
    else { return nil }
    return Attachment.Holding(
      address: address, prefixLength: width, pool: pool, ordinal: Ordinal(.zero), gateway: nil)
  }

  /// Holdings in the order of the range sets that hand them out, those of none behind, and by address.
  func sorted(_ holdings: [Attachment.Holding]) -> [Attachment.Holding] {
    func rank(_ holding: Attachment.Holding) -> Int {
      layouts.firstIndex { $0.segment(allowing: holding.address) != nil } ?? layouts.count
    }
    let ranked = holdings.map { (rank: rank($0), holding: $0) }
    return ranked.sorted { ($0.rank, $0.holding.address) < ($1.rank, $1.holding.address) }
      .map(\.holding)
  }
}
