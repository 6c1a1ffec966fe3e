// The examples of AddressSpace.docc/AddressSpace.md, so that what it promises stays true.

import AddressSpace
import Testing

@Test func theArticleIsRight() throws {
  let network = try Prefix(parsing: "2001:db8::/64")
  let range = try AddressRange(parsing: "2001:db8::100-2001:db8::1ff")
  let gateway = try IPAddress(parsing: "2001:db8::180")

  #expect(network.contains(range.last))
  #expect(network.first.distance(to: gateway) == 384)
  let next = network.first.advanced(by: Offset(high: 1, low: 0))
  #expect(next?.description == "2001:db8:0:1::")
  #expect(network.count.description == "18446744073709551616")

  let first = try #require(network.first.distance(to: range.first))
  let last = try #require(network.first.distance(to: range.last))
  let reserved = try #require(network.first.distance(to: gateway))
  var usable = IntervalSet(try #require(OffsetRange(first: first, last: last)))
  usable.remove(OffsetRange(reserved))
  #expect(usable.count == 255)
  #expect(usable.element(at: 128) == 385)
  #expect(usable.rank(of: 385) == 128)
}
