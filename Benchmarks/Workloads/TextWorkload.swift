// IPv6 addresses as text: parsed and printed here, and by glibc from C strings to a C buffer, which is
// less work than a Swift caller of glibc would have.

internal import AddressSpace
internal import Glibc

/// 1,000 addresses of several shapes.
package final class TextWorkload {
  private let texts: [String]
  private let cTexts: [UnsafeMutablePointer<CChar>]
  private let addresses: [IPAddress]
  package var count: Int { texts.count }

  package init() {
    var generator = SplitMix(seed: 3)
    texts = (0..<1_000).map { index in
      let low = generator.next() >> UInt64(index % 4 * 16)
      let high = index % 3 == 0 ? 0x2001_0db8_0000_0000 : generator.next()
      return IPAddress(ipv6: Offset(high: high, low: low)).description
    }
    cTexts = texts.map { strdup($0) }
    addresses = texts.compactMap { try? IPAddress(parsing: $0) }
    require(addresses.count == texts.count, "an address does not parse")
  }

  /// All parsed.
  package func parse() -> UInt64 {
    var sum: UInt64 = 0
    for text in texts {
      if let address = try? IPAddress(parsing: text) { sum &+= address.value.low }
    }
    return sum
  }

  /// All printed.
  package func print() -> UInt64 {
    var sum: UInt64 = 0
    for address in addresses { sum &+= UInt64(address.description.utf8.count) }
    return sum
  }

  /// All parsed and printed.
  package func parseAndPrint() -> UInt64 {
    var sum: UInt64 = 0
    for text in texts {
      if let address = try? IPAddress(parsing: text) {
        sum &+= UInt64(address.description.utf8.count)
      }
    }
    return sum
  }

  /// The same by `inet_pton` and `inet_ntop`.
  package func parseAndPrintByGlibc() -> UInt64 {
    var sum: UInt64 = 0
    var address = in6_addr()
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(INET6_ADDRSTRLEN)) { buffer in
      for text in cTexts {
        guard inet_pton(AF_INET6, text, &address) == 1,
          inet_ntop(AF_INET6, &address, buffer.baseAddress, socklen_t(INET6_ADDRSTRLEN)) != nil
        else { continue }
        sum &+= UInt64(bitPattern: Int64(buffer[0]))
      }
    }
    return sum
  }
}
