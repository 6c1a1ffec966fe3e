// Pools of every size at every fill. A /64 and ::/0 cannot be filled one by one: in those a window of
// 2^20 ordinals is used, and the tree has all others taken, as prefixes.

internal import AddressSpace
internal import BitmapAllocator

/// The pool's size.
package enum PoolSize: String, Hashable, Sendable, CaseIterable {
  case slash24 = "/24"
  case slash16 = "/16"
  case slash8 = "/8"
  case slash64 = "/64"
  case everything = "::/0"

  var prefix: Prefix { parsed(subnet) }

  private var subnet: String {
    switch self {
    case .slash24: "10.1.2.0/24"
    case .slash16: "10.1.0.0/16"
    case .slash8: "10.0.0.0/8"
    case .slash64: "fd00:10:1::/64"
    case .everything: "::/0"
    }
  }

  /// The prefix whose addresses are handed out; all others are taken.
  var window: Prefix { parsed(windowText) }

  private var windowText: String {
    switch self {
    case .slash24, .slash16, .slash8: subnet
    case .slash64: "fd00:10:1:0:a5a5:5a5a:c330:0/108"
    case .everything: "2001:db8:5a5a:a5a5:1234:5678:9ab0:0/108"
    }
  }
}

/// A pool of one size at one fill.
package struct PoolCell: Hashable, Sendable, CustomStringConvertible {
  package let size: PoolSize
  package let fill: Fill
  /// Free ordinals come in aligned groups of 2^`groupBits`.
  package let groupBits: Int

  package init(size: PoolSize, fill: Fill, groupBits: Int = 0) {
    self.size = size
    self.fill = fill
    self.groupBits = groupBits
  }

  package var description: String { "\(size.rawValue), \(fill)" }

  package static let all = PoolSize.allCases.flatMap { size in
    Fill.all.map { PoolCell(size: size, fill: $0) }
  }

  var window: Prefix { size.window }
  var windowBits: Int { window.family.bitWidth - window.length }
  /// How many ordinals are free: at least one, or one group.
  package var free: Int { fill.free(of: 1 << (windowBits - groupBits)) << groupBits }

  /// The pool itself. O(window).
  func makePool() -> AddressPool {
    let (subnet, window) = (size.prefix, size.window)
    guard var pool = AddressPool(subnet: subnet) else { preconditionFailure("a pool of \(subnet)") }
    for length in stride(from: window.length, to: subnet.length, by: -1) {
      require(pool.acquire(window.sibling(at: length)), "taking all but the window")
    }
    if fill != .empty {
      require(pool.acquire(window), "taking the window")
      var generator = SplitMix(seed: 1)
      var left = free >> groupBits
      let groups = UInt64(1) << UInt64(windowBits - groupBits)
      let length = window.family.bitWidth - groupBits
      while left > 0 {
        let group = generator.next(upperBound: groups)
        guard let block = window.first.advanced(by: Offset(group << UInt64(groupBits))),
          let released = Prefix(address: block, length: length)
        else { continue }
        if pool.contains(block), pool.release(released) { left -= 1 }
      }
    }
    require(pool.free == ExactCount(UInt64(free)), "\(self) has \(pool.free) free")
    return pool
  }

  func address(_ index: UInt64) -> IPAddress {
    guard let address = window.first.advanced(by: Offset(index)) else {
      preconditionFailure("an index in the window")
    }
    return address
  }

  /// Up to `count` free addresses of `pool`, which is as `makePool()` made it.
  func freeAddresses(_ count: Int, of pool: AddressPool) -> [IPAddress] {
    var pool = pool
    var generator = SplitMix(seed: 2)
    var addresses = pool.acquire(count: count)
    addresses.shuffle(using: &generator)
    return addresses
  }
}

private func parsed(_ text: String) -> Prefix {
  guard let prefix = try? Prefix(parsing: text) else { preconditionFailure(text) }
  return prefix
}

extension Prefix {
  /// The prefix of `length` that differs from this one in its last bit only.
  fileprivate func sibling(at length: Int) -> Prefix {
    let bit = Offset.one << (family.bitWidth - length)
    let value = (address.value & ~bit) | (~address.value & bit)
    guard let address = IPAddress(family: family, value: value),
      let sibling = Prefix(address: address, length: length)
    else { preconditionFailure("a length of the family") }
    return sibling
  }
}
