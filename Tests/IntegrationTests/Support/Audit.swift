// The audit of a network from outside: who holds what, and everything that does not add up.
//
//   folder   a file for each address, "container\r\ninterface", and nothing unknown beside them
//   Consul   addresses/* and attachments/* name each other; a bit of a chunk is set exactly for an
//            address that has a lease or cools down

import AddressSpace
import BitmapAllocator
internal import FoundationEssentials
internal import TestSupport

/// Who holds the addresses of a network.
struct Holders: Equatable, Sendable {
  /// `container/interface` by address.
  var holders: [String: String] = [:]
  /// What does not add up.
  var problems: [String] = []

  var addresses: Set<String> { Set(holders.keys) }

  /// The addresses of one attachment.
  func addresses(of container: String, _ interface: String = "eth0") -> Set<String> {
    Set(holders.filter { $0.value == "\(container)/\(interface)" }.keys)
  }
}

extension TestNetwork {
  /// Reads the whole network.
  func audit() throws -> Holders {
    try kind == .disk ? auditDirectory(contents()) : auditKeys(contents())
  }

  private func auditDirectory(_ files: [String: [UInt8]]) -> Holders {
    var found = Holders()
    for (name, bytes) in files where !name.hasPrefix("last_reserved_ip.") {
      let lines = String(decoding: bytes, as: UTF8.self).components(separatedBy: "\r\n")
      guard let address = try? IPAddress(parsing: name), address.description == name else {
        found.problems.append("a file that does not belong here: \(name)")
        continue
      }
      guard lines.count == 2, lines.allSatisfy({ !$0.isEmpty }) else {
        found.problems.append("\(name) holds \(lines)")
        continue
      }
      found.holders[name] = lines.joined(separator: "/")
    }
    return found
  }

  private func auditKeys(_ keys: [String: [UInt8]]) throws -> Holders {
    var found = Holders()
    var claimed: [String: String] = [:]
    var bits: Set<String> = []
    for (key, bytes) in keys {
      let parts = key.split(separator: "/").map(String.init)
      switch parts[0] {
      case "config", "macs", "journal": continue
      case "addresses":
        let owner = try JSON(parsing: String(decoding: bytes, as: UTF8.self))["attachment"]
        let address = IPAddress(fixedWidthHex: parts[1])?.description ?? parts[1]
        found.holders[address] =
          "\(owner?["container"]?.string ?? "?")/\(owner?["interface"]?.string ?? "?")"
      case "attachments":
        let record = try JSON(parsing: String(decoding: bytes, as: UTF8.self))
        for holding in record["addresses"]?.elements ?? [] {
          let address = holding["address"]?.string ?? "?"
          let owner = "\(Self.name(parts[2]))/\(Self.name(parts[3]))"
          if let other = claimed.updateValue(owner, forKey: address) {
            found.problems.append("\(address) is held by \(other) and \(owner)")
          }
        }
      case "pools":
        guard parts[2] == "0" else { continue }
        bits.formUnion(try Self.leased(in: bytes, key: key, pool: parts[1], index: parts[3]))
      default: found.problems.append("a key that does not belong here: \(key)")
      }
    }
    for address in Set(claimed.keys).union(found.addresses).sorted()
    where claimed[address] != found.holders[address] {
      found.problems.append(
        "\(address): lease of \(found.holders[address] ?? "nobody"), "
          + "attachment of \(claimed[address] ?? "nobody")")
    }
    for address in bits.symmetricDifference(found.addresses).sorted() {
      let isSet = bits.contains(address)
      found.problems.append("\(address): \(isSet ? "a bit without lease" : "a lease without bit")")
    }
    return found
  }

  /// What a part of a key stands for: `=XX` is a byte that a key cannot have.
  private static func name(_ part: String) -> String {
    var pieces = part.split(separator: "=", omittingEmptySubsequences: false)
    var bytes = Array(pieces.removeFirst().utf8)
    for piece in pieces {
      bytes.append(UInt8(piece.prefix(2), radix: 16) ?? UInt8(ascii: "?"))
      bytes += piece.dropFirst(2).utf8
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// The addresses whose bits are set and not cooling in one level-0 chunk.
  private static func leased(
    in bytes: [UInt8], key: String, pool name: String, index: String
  ) throws -> [String] {
    let parts = name.split(separator: "-").map(String.init)
    guard parts.count == 4, let address = IPAddress(fixedWidthHex: parts[0]),
      let length = Int(parts[1]), let unit = Int(parts[2]), let chunkBits = Int(parts[3]),
      let subnet = Prefix(address: address, length: length),
      let pool = PoolGeometry(subnet: subnet, unitPrefixLength: unit, chunkBits: chunkBits),
      let position = Offset(hex: index)
    else { throw TestSupportError("not the name of a chunk: \(key)") }
    let chunk = try ChunkCodec.decode(bytes, key: key, chunkBits: chunkBits)
    let node = pool.leaf(ChunkIndex(position))
    return chunk.bitmap.allBits
      .filter { chunk.bitmap.isTaken($0) && !chunk.cooling.contains($0) }
      .map { pool.address(of: pool.ordinal(of: node, bit: $0)).description }
  }
}
