import AddressSpace

// Which addresses somebody holds for certain: from the return of an acquisition to the call of what may
// release it. Events come in the order of time, so an address that is handed out while its bit is set is
// what HistoryChecker finds in a history, without the history: one bit for each address, in words that
// are made when first used.

/// Addresses that are held, as bits.
struct Holders {
  /// The address without its last six bits, and which of those 64 are held.
  private var words: [IPAddress: UInt64] = [:]

  /// Adds what an acquisition returned.
  ///
  /// - Returns: The addresses among them that were held already.
  mutating func insert(_ addresses: [IPAddress]) -> [IPAddress] {
    addresses.filter { address in
      let (base, bit) = Self.place(of: address)
      let word = words[base, default: 0]
      words[base] = word | bit
      return word & bit != 0
    }
  }

  /// Takes out what may be free from now on.
  mutating func remove(_ addresses: [IPAddress]) {
    for address in addresses {
      let (base, bit) = Self.place(of: address)
      words[base]? &= ~bit
    }
  }

  private static func place(of address: IPAddress) -> (base: IPAddress, bit: UInt64) {
    let (value, mask) = (address.value, UInt64(63))
    let base = IPAddress(
      family: address.family, value: Offset(high: value.high, low: value.low & ~mask))
    guard let base else { preconditionFailure("an address stays one without its last bits") }
    return (base, 1 << (value.low & mask))
  }
}
