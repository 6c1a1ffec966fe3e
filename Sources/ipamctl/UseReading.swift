import AddressSpace
import IPAM
import JSON

// What was in use at one time, kept until the next: two of them are a rate.

/// How many addresses of each pool were not free at one time.
struct UseReading {
  /// By the pool's name.
  private let unavailable: [String: ExactCount]
  /// Seconds since 1970.
  private let time: UInt64

  init(_ pools: [PoolReport], at time: UInt64) {
    self.time = time
    unavailable = Dictionary(
      pools.map { ($0.name, $0.capacity - $0.free) }, uniquingKeysWith: { first, _ in first })
  }

  /// The reading that a file keeps; nil if there is no such file or it is of another network.
  init?(file: String, network: String) throws(Failure) {
    guard Terminal.exists(file) else { return nil }
    let bytes = try Terminal.read(file)
    guard let document = try? JSONValue(parsing: bytes), let time = document["time"]?.integer,
      time >= 0, let name = document["network"]?.string,
      case .object(let pools)? = document["pools"]
    else { throw Failure(.failed, "\(file) keeps no reading of mine: remove it") }
    guard name == network else {
      throw Failure(.usage, "\(file) keeps a reading of network \(name), not of \(network)")
    }
    self.time = UInt64(time)
    unavailable = Dictionary(
      pools.compactMap { member in
        member.value.string.flatMap { ExactCount(decimal: $0) }.map { (member.key, $0) }
      }, uniquingKeysWith: { first, _ in first })
  }

  /// Keeps it, whole or not at all.
  func write(_ file: String, _ network: String) throws(Failure) {
    let pools = unavailable.sorted { $0.key < $1.key }.map { name, count in
      JSONValue.Member(name, .string(count.description))
    }
    let document: JSONValue = [
      "network": .string(network), "time": .number(Int(time)), "pools": .object(pools),
    ]
    try Terminal.replace(file, with: (document.indented + "\n").utf8)
  }

  /// How each pool grew; nothing for those that one of them does not know.
  func growth(to later: UseReading) -> [String: Growth] {
    guard later.time > time else { return [:] }
    let seconds = later.time - time
    return later.unavailable.reduce(into: [:]) { growth, pool in
      guard let before = unavailable[pool.key] else { return }
      growth[pool.key] =
        pool.value >= before
        ? Growth(more: pool.value - before, less: .zero, seconds: seconds)
        : Growth(more: .zero, less: before - pool.value, seconds: seconds)
    }
  }
}

/// What came and what went in a time.
struct Growth {
  let more: ExactCount
  let less: ExactCount
  let seconds: UInt64

  /// In an hour, to a tenth.
  var perHour: Double {
    let change = more.fraction(of: 1) - less.fraction(of: 1)
    return (change * 36_000 / Double(seconds)).rounded() / 10
  }

  /// Seconds until so many more are in use, at most 2^63; nil if there is no growth.
  func exhausted(_ free: ExactCount) -> UInt64? {
    guard more > .zero else { return nil }
    let seconds = (free * ExactCount(self.seconds)).fraction(of: more)
    return seconds < 0x1p63 ? UInt64(seconds) : 1 << 63
  }
}
