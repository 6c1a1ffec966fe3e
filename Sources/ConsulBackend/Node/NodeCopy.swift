import AddressSpace
import BitmapAllocator
import IPAM

// The file in which a node keeps copies of what it saw of one network. What is in it is a guess that a
// commit checks; still it carries a checksum, because a definition is only checked by its revision.
//
//   "CIPNODE1"  checksum  boot id  entries: name, revision, seen at, bytes   cursors: set, address

/// Copies of entries as bytes, each with the moment at which it was seen.
struct NodeCopy: Hashable {
  struct Entry: Hashable {
    var revision: UInt64
    /// On the boot clock, in nanoseconds.
    var seenAt: UInt64
    var bytes: [UInt8]
  }

  /// More entries than this are dropped, those seen longest ago first: a node works in a handful of
  /// chunks, and a chunk is half a kilobyte.
  static let entryLimit = 64
  private static let magic = Array("CIPNODE1".utf8)

  var bootID: String
  /// By the key's name below the network.
  var entries: [String: Entry] = [:]
  var cursors: [Int: IPAddress] = [:]

  init(bootID: String) {
    self.bootID = bootID
  }

  /// Takes over an entry. A revision below the one seen before means that the store went back in time,
  /// and so does a chunk's generation, where others wrote the chunk since; that is remembered until
  /// another incarnation of the network is seen, which a repair makes.
  mutating func note(_ name: String, _ revision: UInt64, bytes: [UInt8]?, at moment: UInt64) {
    if name == Self.definitionName, let bytes, let before = entries[name]?.bytes,
      Self.incarnation(bytes) != Self.incarnation(before)
    {
      self = NodeCopy(bootID: bootID)
    }
    if let before = entries[name], let bytes {
      // An answer that was asked for before something newer was seen is late, not a sign.
      guard revision >= before.revision else { return }
      if Self.goesBack(name, from: before.bytes, to: bytes) { return noteOlderState(name) }
    }
    if let bytes {
      entries[name] = Entry(revision: revision, seenAt: moment, bytes: bytes)
    } else {
      // What moved is of no use for a commit any more; what was seen still counts.
      entries[name]?.seenAt = 0
    }
  }

  /// A consistent read that began after an entry was seen brought an older one.
  mutating func noteOlderState(_ name: String) {
    let seen = entries[name]?.revision ?? 0
    entries[Self.goneBackName] = Entry(revision: seen, seenAt: .max, bytes: [])
  }

  /// Whether an older state was seen than before.
  var hasGoneBack: Bool { entries[Self.goneBackName] != nil }

  private static let definitionName = "config"
  private static let goneBackName = "!gone-back"

  private static func incarnation(_ bytes: [UInt8]) -> UInt64? {
    guard case .definition(let definition) = RecordCodec.decode(bytes, for: .definition) else {
      return nil
    }
    return definition.incarnation
  }

  /// Whether a chunk is an earlier one than before, of the same network.
  private static func goesBack(_ name: String, from before: [UInt8], to now: [UInt8]) -> Bool {
    guard let before = chunk(name, before), let now = chunk(name, now) else { return false }
    return now.incarnation == before.incarnation && now.generation < before.generation
  }

  private static func chunk(_ name: String, _ bytes: [UInt8]) -> Chunk? {
    let parts = name.split(separator: "/")
    guard parts.count == 4, parts[0] == "pools", let pool = KeySchema.pool(parts[1]) else {
      return nil
    }
    return try? ChunkCodec.decode(bytes, key: name, chunkBits: pool.chunkBits)
  }

  /// Reads a file's bytes; nil if they are not a copy, or one of another boot.
  init?(_ bytes: [UInt8], bootID: String) {
    var reader = Reader(bytes[...])
    guard bytes.starts(with: Self.magic) else { return nil }
    reader.rest = bytes[Self.magic.count...]
    guard let checksum = reader.number(), checksum == Self.checksum(reader.rest),
      reader.text() == bootID, let count = reader.number(), count <= Self.entryLimit
    else { return nil }
    self.bootID = bootID
    for _ in 0..<count {
      guard let name = reader.text(), let revision = reader.number(),
        let seenAt = reader.number(), let value = reader.bytes()
      else { return nil }
      entries[name] = Entry(revision: revision, seenAt: seenAt, bytes: Array(value))
    }
    guard let sets = reader.number(), sets <= 1_024 else { return nil }
    for _ in 0..<sets {
      guard let set = reader.number(), set < 1_024,
        let address = reader.text().flatMap({ try? IPAddress(parsing: $0) })
      else { return nil }
      cursors[Int(set)] = address
    }
  }

  /// The file's bytes.
  var bytes: [UInt8] {
    var body: [UInt8] = []
    Self.append(Array(bootID.utf8), to: &body)
    // The definition stays: only beside it another incarnation is known for another.
    func rank(_ entry: (key: String, value: Entry)) -> UInt64 {
      entry.key == Self.definitionName ? .max : entry.value.seenAt
    }
    let kept = entries.sorted { rank($0) > rank($1) }.prefix(Self.entryLimit)
    Self.append(UInt64(kept.count), to: &body)
    for (name, entry) in kept {
      Self.append(Array(name.utf8), to: &body)
      Self.append(entry.revision, to: &body)
      Self.append(entry.seenAt, to: &body)
      Self.append(entry.bytes, to: &body)
    }
    Self.append(UInt64(cursors.count), to: &body)
    for (set, address) in cursors {
      Self.append(UInt64(set), to: &body)
      Self.append(Array(address.description.utf8), to: &body)
    }
    var bytes = Self.magic
    Self.append(Self.checksum(body[...]), to: &bytes)
    return bytes + body
  }

  private static func append(_ number: UInt64, to bytes: inout [UInt8]) {
    withUnsafeBytes(of: number.littleEndian) { bytes.append(contentsOf: $0) }
  }

  private static func append(_ value: [UInt8], to bytes: inout [UInt8]) {
    append(UInt64(value.count), to: &bytes)
    bytes += value
  }

  /// Over the rest of the file: against torn and foreign files, not against malice.
  private static func checksum(_ bytes: ArraySlice<UInt8>) -> UInt64 { StableHash.of(bytes) }

  private struct Reader {
    var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) {
      rest = bytes
    }

    mutating func number() -> UInt64? {
      guard rest.count >= 8 else { return nil }
      defer { rest = rest.dropFirst(8) }
      return rest.prefix(8).reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    mutating func bytes() -> ArraySlice<UInt8>? {
      guard let count = number(), count <= UInt64(rest.count) else { return nil }
      defer { rest = rest.dropFirst(Int(count)) }
      return rest.prefix(Int(count))
    }

    mutating func text() -> String? {
      bytes().map { String(decoding: $0, as: UTF8.self) }
    }
  }
}
