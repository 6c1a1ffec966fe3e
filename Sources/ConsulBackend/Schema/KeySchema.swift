import AddressSpace
import BitmapAllocator
import IPAM

// Schema 1 of the keys of one network:
//
//   <prefix>/<network>/config
//   <prefix>/<network>/pools/<subnet>-<length>-<unit>-<k>/<level>/<index>
//   <prefix>/<network>/addresses/<address>
//   <prefix>/<network>/attachments/<node>/<container>/<interface>
//   <prefix>/<network>/macs/<mac>
//   <prefix>/<network>/bulk/<token>
//   <prefix>/<network>/journal/<node>/<slot>
//
// Addresses, subnets and indices are hexadecimal of fixed width: it sorts, it needs no colon, and no
// key is the beginning of another of its kind.

/// Translates between a network's store keys and the names of Consul keys.
struct KeySchema: Hashable, Sendable {
  /// `<prefix>/<network>/`.
  let base: String

  init(prefix: String, network: String) {
    let path = prefix.split(separator: "/").map { KeyName.escape(String($0)) }
    base = (path + [KeyName.escape(network)]).reduce(into: "") { $0 += $1 + "/" }
  }

  /// The name of a key; nil for a cursor, which Consul does not keep.
  func name(_ key: StoreKey) -> String? { Self.name(key, after: base) }

  /// The name below the network, which a chunk's checksum covers.
  func relativeName(_ key: StoreKey) -> String? { Self.name(key, after: "") }

  /// The name below the network of a key's name.
  func relativeName(_ name: String) -> String {
    String(Substring(name.utf8.dropFirst(base.utf8.count)))
  }

  /// The beginning of a name, with room for the rest.
  private static func bytes(_ start: String) -> [UInt8] {
    var text: [UInt8] = []
    text.reserveCapacity(160)
    text += start.utf8
    return text
  }

  private static func name(_ key: StoreKey, after base: String) -> String? {
    var text = bytes(base)
    switch key {
    case .definition: text.append("config")
    case .chunk(let chunk):
      text.append("pools/")
      text.append(chunk.pool)
      text.append("/")
      let bits = chunk.pool.ordinalBits - chunk.pool.chunkBits * (chunk.node.level + 1)
      text.append(decimal: UInt64(chunk.node.level))
      text.append("/")
      text.append(hex: chunk.node.index.offset, digits: max(1, (bits + 3) / 4))
    case .lease(let address):
      text.append("addresses/")
      text.append(hex: address)
    case .attachment(let key):
      text.append("attachments/")
      text.append(part: key.node)
      text.append("/")
      text.append(part: key.container)
      text.append("/")
      text.append(part: key.interface)
    case .mac(let mac):
      text.append("macs/")
      text.append(hex: Offset(mac.value), digits: 12)
    case .bulk(let token):
      text.append("bulk/")
      text.append(hex: Offset(token), digits: 16)
    case .journal(let key):
      text.append("journal/")
      text.append(part: key.node)
      text.append("/")
      text.append(hex: Offset(UInt64(key.slot)), digits: slotDigits)
    case .cursor: return nil
    }
    return String(decoding: text, as: UTF8.self)
  }

  /// Digits of a slot: more than the largest journal has.
  private static let slotDigits = 4

  /// The prefix of all keys of a listing.
  func prefix(of listing: StoreListing) -> String {
    switch listing {
    case .chunks: base + "pools/"
    case .leases: base + "addresses/"
    case .macs: base + "macs/"
    case .attachments(nil): base + "attachments/"
    case .journal(nil): base + "journal/"
    case .journal(let node?): folder("journal/", of: node)
    case .attachments(let node?): folder("attachments/", of: node)
    }
  }

  private func folder(_ kind: StaticString, of node: String) -> String {
    var text = Self.bytes(base)
    text.append(kind)
    text.append(part: node)
    text.append("/")
    return String(decoding: text, as: UTF8.self)
  }

  /// The key that a name stands for; nil for a name that is not of this schema.
  func key(_ name: String) -> StoreKey? {
    guard name.utf8.starts(with: base.utf8) else { return nil }
    let parts = name.utf8.dropFirst(base.utf8.count)
      .split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
      .map { Substring($0) }
    switch (parts.first, parts.count) {
    case ("config", 1): return .definition
    case ("addresses", 2): return IPAddress(fixedWidthHex: parts[1]).map(StoreKey.lease)
    case ("macs", 2):
      guard parts[1].utf8.count == 12, let value = Offset(hex: parts[1])?.low else { return nil }
      return MACAddress(value: value).map(StoreKey.mac)
    case ("bulk", 2):
      guard parts[1].utf8.count == 16, let token = Offset(hex: parts[1]) else { return nil }
      return .bulk(token: token.low)
    case ("journal", 3):
      guard let node = Self.unpart(parts[1]), parts[2].utf8.count == Self.slotDigits,
        let slot = Offset(hex: parts[2])
      else { return nil }
      return .journal(JournalEntry.Key(node: node, slot: Int(slot.low)))
    case ("attachments", 4):
      guard let node = Self.unpart(parts[1]), let container = Self.unpart(parts[2]),
        let interface = Self.unpart(parts[3])
      else { return nil }
      return .attachment(
        AttachmentKey(node: node, container: container, interface: interface))
    case ("pools", 4):
      guard let pool = Self.pool(parts[1]), let level = Int(parts[2]),
        let index = Offset(hex: parts[3])
      else { return nil }
      let node = TreeNode(level: level, index: ChunkIndex(index))
      let key = ChunkKey(pool: pool, node: node)
      guard pool.exists(node), relativeName(.chunk(key)) == parts.joined(separator: "/") else {
        return nil
      }
      return .chunk(key)
    default: return nil
    }
  }

  /// `<subnet>-<length>-<unit>-<k>`.
  static func name(of pool: PoolGeometry) -> String {
    var text: [UInt8] = []
    text.append(pool)
    return String(decoding: text, as: UTF8.self)
  }

  /// The pool of a name; nil if the name is not one.
  static func pool(_ name: some StringProtocol) -> PoolGeometry? {
    let parts = name.split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count == 4, let address = IPAddress(fixedWidthHex: parts[0]),
      let length = Int(parts[1]), let unit = Int(parts[2]), let bits = Int(parts[3]),
      let subnet = Prefix(address: address, length: length), subnet.address == address,
      let pool = PoolGeometry(subnet: subnet, unitPrefixLength: unit, chunkBits: bits),
      Self.name(of: pool) == name
    else { return nil }
    return pool
  }

  private static func unpart(_ part: Substring) -> String? {
    part == "=" ? "" : KeyName.unescape(part)
  }
}
