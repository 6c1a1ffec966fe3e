// A pool as bytes: the chunks that a store would keep, under the names that it would give them.
//
//   "CIPS" version 1 | family | subnet length | unit length | k | subnet 16 | number of chunks varint
//   per chunk, in order: level 1 | index 16 | length varint | the chunk (see ChunkCodec.swift)
//   CRC-32C

internal import AddressSpace

/// The chunks of a pool at one moment, encoded.
public struct PoolSnapshot: Hashable, Sendable {
  /// How the subnet is cut.
  public let geometry: PoolGeometry
  /// The encoded chunks; one that is missing is empty, or taken as a whole if its parent's bit is
  /// set.
  public let chunks: [TreeNode: [UInt8]]

  /// The snapshot with these chunks. O(1).
  public init(geometry: PoolGeometry, chunks: [TreeNode: [UInt8]]) {
    self.geometry = geometry
    self.chunks = chunks
  }

  private static let magic = Array("CIPS".utf8)

  /// The snapshot for a file or a socket. O(bytes + chunks × log chunks).
  public var bytes: [UInt8] {
    let subnet = geometry.subnet
    var bytes = Self.magic + [1, subnet.family.rawValue, UInt8(subnet.length)]
    bytes += [UInt8(geometry.unitPrefixLength), UInt8(geometry.chunkBits)]
    bytes.append(offset: subnet.address.value)
    bytes.append(varint: chunks.count)
    for (node, chunk) in chunks.sorted(by: { $0.key < $1.key }) {
      bytes.append(UInt8(node.level))
      bytes.append(offset: node.index.offset)
      bytes.append(varint: chunk.count)
      bytes.append(contentsOf: chunk)
    }
    bytes.append(fixed: ChunkCodec.checksum(bytes, key: ""))
    return bytes
  }

  /// The snapshot that untrusted `bytes` are. The chunks are decoded when a pool is restored.
  /// O(bytes).
  ///
  /// - Throws: `ChunkCodecError`, naming the first thing that does not add up.
  public init(bytes: [UInt8]) throws(ChunkCodecError) {
    let end = bytes.count - 4
    guard end > 0 else { throw ChunkCodecError(reason: .truncated, position: bytes.count) }
    var reader = ByteReader(bytes, from: 0, to: end)
    for expected in Self.magic where try reader.byte() != expected {
      throw reader.failure(.magic)
    }
    let version = try reader.byte()
    guard version == 1 else { throw reader.failure(.version(version)) }
    let stored = bytes[end...].reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    guard stored == ChunkCodec.checksum(bytes[..<end], key: "") else {
      throw reader.failure(.checksum)
    }
    geometry = try reader.geometry()
    var chunks: [TreeNode: [UInt8]] = [:]
    let limit = ChunkCodec.sizeLimit(chunkBits: geometry.chunkBits)
    for _ in 0..<(try reader.varint()) {
      let level = Int(try reader.byte())
      let node = TreeNode(level: level, index: ChunkIndex(try reader.offset()))
      let length = try reader.varint(upTo: limit, or: .tooLong)
      guard geometry.exists(node), chunks[node] == nil else { throw reader.failure(.node) }
      chunks[node] = try reader.bytes(length)
    }
    guard reader.isAtEnd else { throw reader.failure(.trailingBytes) }
    self.chunks = chunks
  }
}

extension [UInt8] {
  fileprivate mutating func append(offset: Offset) {
    append(fixed: offset.low)
    append(fixed: offset.high)
  }
}

extension ByteReader {
  fileprivate mutating func offset() throws(ChunkCodecError) -> Offset {
    let low = try fixed64()
    return Offset(high: try fixed64(), low: low)
  }

  fileprivate mutating func geometry() throws(ChunkCodecError) -> PoolGeometry {
    let family = AddressFamily(rawValue: try byte())
    let length = Int(try byte())
    let unit = Int(try byte())
    let k = Int(try byte())
    let value = try offset()
    guard let family, let address = IPAddress(family: family, value: value),
      let subnet = Prefix(address: address, length: length), subnet.address == address,
      let geometry = PoolGeometry(subnet: subnet, unitPrefixLength: unit, chunkBits: k)
    else { throw failure(.geometry) }
    return geometry
  }
}

// MARK: - Pools

extension AddressPool {
  /// The pool as the encoded chunks that a store would keep. O(chunks × words).
  ///
  /// - Parameter incarnation: written into each chunk; random for a pool that a store adopts.
  public func snapshot(incarnation: UInt64 = 0) -> PoolSnapshot {
    let chunks = core.pointee.chunks(incarnation: incarnation)
    let geometry = geometry
    return PoolSnapshot(
      geometry: geometry,
      chunks: Dictionary(
        uniqueKeysWithValues: chunks.map { node, chunk in
          (node, ChunkCodec.encode(chunk, key: geometry.name(of: node)))
        }))
  }

  /// The pool that `snapshot` describes, of the same geometry as `space`. O(chunks × words).
  ///
  /// - Throws: `ChunkCodecError`: reason `.geometry` if the geometries differ, `.node` if the
  ///   snapshot contradicts itself or holds what `space` does not allow, or why a chunk cannot be
  ///   decoded.
  public init(
    restoring snapshot: PoolSnapshot, space: PoolSpace, cooldown: UInt64 = 0,
    cooling: TreeSearch.CoolingRule = .borrow
  ) throws(ChunkCodecError) {
    let geometry = space.geometry
    guard snapshot.geometry == geometry else {
      throw ChunkCodecError(reason: .geometry, position: 0)
    }
    var chunks: [TreeNode: Chunk] = [:]
    for (node, bytes) in snapshot.chunks {
      chunks[node] = try ChunkCodec.decode(
        bytes, key: geometry.name(of: node), chunkBits: geometry.chunkBits)
    }
    self.init(
      try PoolCore(space: space, cooldown: cooldown, rule: cooling, chunks: chunks))
  }
}
