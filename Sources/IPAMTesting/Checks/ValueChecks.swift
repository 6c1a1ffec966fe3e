import AddressSpace
import BitmapAllocator
import IPAM

// Single keys: what a read brings, what a write leaves.

let valueChecks: [ConformanceCheck] = [
  ConformanceCheck("absent keys read as absent") { bench in
    var keys: Set<StoreKey> = [
      .lease(try bench.address(2)), .attachment(bench.key("c1")), .cursor(set: 0),
      .chunk(try bench.chunkKey(bench.address(2)).key),
      .chunk(ChunkKey(pool: try bench.pool(), node: try bench.pool().root)),
      .mac(MACAddress.sample), .bulk(token: 7),
    ]
    if bench.store.traits.keepsDefinition { keys.insert(.definition) }
    for consistency in [Consistency.cached, .stored, .consistent, .snapshot] {
      let answer = try await bench.read(keys, consistency)
      for key in keys { try bench.expect("\(key)", of: answer[key], is: .absent) }
    }
  },

  ConformanceCheck("what was written reads back") { bench in
    let (v4, v6) = (try bench.address(2), try bench.address(2, set: 1))
    let key = bench.key("c1")
    let mac = bench.store.traits.keepsOnlyLeases ? nil : MACAddress.sample
    try await bench.mustCommit(try await bench.granting([v4, v6], to: key, mac: mac))

    let expected = try bench.attachment(key, [v4, v6], mac: mac)
    let found = try await bench.read(.attachment(key)).value?.asAttachment
    let lease = try await bench.read(.lease(v6)).value?.asLease
    if bench.store.traits.keepsOnlyLeases {
      let holdings = Set(found?.holdings ?? [])
      try bench.expect("the holdings", of: holdings, is: Set(expected.holdings))
      try bench.expect("the lease's holder", of: lease?.attachment, is: key)
    } else {
      try bench.expect("the attachment", of: found, is: expected)
      try bench.expect("the lease", of: lease, is: Lease(key, expected))
      let owner = try await bench.read(.mac(MACAddress.sample)).value
      try bench.expect("the MAC address's owner", of: owner, is: .mac(key))
    }
    for address in [v4, v6] {
      let (chunk, bit) = try bench.chunkKey(address)
      let bitmap = try await bench.read(.chunk(chunk)).value?.asChunk?.bitmap
      try bench.expect("taken bits of \(chunk)", of: bitmap?.takenCount, is: 1)
      try bench.expect("bit \(bit) of \(chunk)", of: bitmap?.isTaken(bit), is: true)
    }
  },

  ConformanceCheck("a chunk reads back whole", skips: ConformanceCheck.needsRecords) { bench in
    var chunk = Chunk(
      chunkBits: try bench.pool().chunkBits, incarnation: bench.definition.incarnation)
    let all = [0...chunk.bitmap.capacity - 1]
    for _ in 0..<100 { _ = chunk.acquire(in: all, now: 1_000, cooldown: 60) }
    for bit in stride(from: 0, to: 60, by: 7) { chunk.release(bit, now: 1_000, cooldown: 60) }
    chunk.isMarked = true
    for writer in 1...6 { chunk.stamp(writer: .max - UInt64(writer)) }
    let key = StoreKey.chunk(try bench.chunkKey(bench.address(0)).key)
    let revision = try await bench.mustCommit([.put(key, .chunk(chunk), expected: .absent)])
    try bench.expect(
      "the chunk", of: try await bench.read(key), is: StoreEntry(.chunk(chunk), revision))
  },

  ConformanceCheck(
    "the definition is created once",
    skips: { $0.keepsDefinition ? nil : "the store keeps no definition" }
  ) { bench in
    let put = StoreOperation.put(.definition, .definition(bench.definition), expected: .absent)
    let revision = try await bench.mustCommit([put])
    var rival = bench.definition
    rival.incarnation = 0xBAD
    let other = StoreOperation.put(.definition, .definition(rival), expected: .absent)
    try await bench.mustConflict([other], at: [0])
    let entry = try await bench.read(.definition)
    try bench.expect(
      "the definition", of: entry, is: StoreEntry(.definition(bench.definition), revision))
  },

  ConformanceCheck("kinds are listed apart") { bench in
    let first = [try bench.address(2), try bench.address(2, set: 1)]
    let second = [try bench.address(40_000)]
    let (one, two) = (bench.key("c1"), bench.key("c2", node: "node-b"))
    let mac = bench.store.traits.keepsOnlyLeases ? nil : MACAddress.sample
    try await bench.mustCommit(try await bench.granting(first, to: one, mac: mac))
    try await bench.mustCommit(try await bench.granting(second, to: two))

    let leases = try await bench.list(.leases)
    try bench.expect(
      "leases", of: Set(leases.keys), is: Set((first + second).map(StoreKey.lease)))
    let attachments = try await bench.list(.attachments(node: nil))
    try bench.expect(
      "attachments", of: Set(attachments.keys), is: [.attachment(one), .attachment(two)])
    let chunks = try await bench.list(.chunks)
    let taken = chunks.values.reduce(0) { $0 + ($1.value?.asChunk?.bitmap.takenCount ?? 0) }
    try bench.expect("bits of all chunks", of: taken, is: 3)
    let macs = try await bench.list(.macs)
    try bench.expect(
      "MAC addresses", of: Set(macs.keys), is: mac == nil ? [] : [.mac(MACAddress.sample)])
    if bench.store.traits.isShared {
      let ofOne = try await bench.list(.attachments(node: "node-a"))
      try bench.expect("node-a's attachments", of: Set(ofOne.keys), is: [.attachment(one)])
    }
    for (key, entry) in leases.merging(attachments, uniquingKeysWith: { $1 }) {
      let value = try await bench.read(key).value
      try bench.expect("\(key) as listed", of: entry.value, is: value)
    }
  },

  ConformanceCheck("cursors are kept beside a commit") { bench in
    let key = bench.key("c1")
    let addresses = [try bench.address(2), try bench.address(2, set: 1)]
    try await bench.mustCommit(
      try await bench.granting(addresses, to: key), cursors: [0: addresses[0], 1: addresses[1]])
    for (set, address) in addresses.enumerated() {
      let value = try await bench.read(.cursor(set: set)).value
      try bench.expect("cursor \(set)", of: value, is: .cursor(address))
    }
    // Shorter than the one before, and another family: nothing of the old text stays.
    let shorter = try IPAddress(parsing: "10.1.0.3")
    for address in [try bench.address(65_000), shorter] {
      let operations = try await bench.granting([address], to: bench.key("for-\(address)"))
      try await bench.mustCommit(operations, cursors: [0: address])
      let value = try await bench.read(.cursor(set: 0)).value
      try bench.expect("cursor 0", of: value, is: .cursor(address))
    }
  },
]

extension MACAddress {
  /// A locally administered address.
  static let sample: MACAddress = {
    guard let mac = MACAddress(value: 0x0200_5E10_0001) else {
      preconditionFailure("the number has 48 bits")
    }
    return mac
  }()
}
