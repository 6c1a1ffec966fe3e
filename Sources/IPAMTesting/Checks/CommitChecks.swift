import AddressSpace
import BitmapAllocator
import IPAM

// Commits: conditional on revisions, all or nothing.

let commitChecks: [ConformanceCheck] = [
  ConformanceCheck("a key is created once") { bench in
    let (first, second) = (try bench.address(2), try bench.address(3))
    try await bench.mustCommit(try await bench.granting([first], to: bench.key("c1")))
    // The address is leased, by whatever chunk revision.
    let again = try await bench.granting([first], to: bench.key("c2"))
    try await bench.mustConflict(again, at: [0])
    // The attachment is there.
    let same = try await bench.granting([second], to: bench.key("c1"))
    try await bench.mustConflict(same, at: [1])
    let keys: Set<StoreKey> = [.lease(second), .attachment(bench.key("c2"))]
    let answer = try await bench.read(keys)
    for key in keys { try bench.expect("\(key)", of: answer[key], is: .absent) }
    let holder = try await bench.read(.lease(first)).value?.asLease?.attachment
    try bench.expect("the holder", of: holder, is: bench.key("c1"))
  },

  ConformanceCheck("a chunk is written at its revision only") { bench in
    let addresses = try (2...4).map { try bench.address($0) }
    let key = StoreKey.chunk(try bench.chunkKey(addresses[0]).key)
    let stale = try await bench.read([key])
    let first = try await bench.mustCommit(
      try await bench.granting([addresses[0]], to: bench.key("c1"), chunks: stale))
    let between = try await bench.read([key])
    try bench.expect("the chunk's revision", of: between[key]?.revision, is: first)
    let second = try await bench.mustCommit(
      try await bench.granting([addresses[1]], to: bench.key("c2"), chunks: between))
    try bench.expect(second > first, "a revision above \(first.number)", "\(second.number)")
    for (index, old) in [stale, between].enumerated() {
      let late = try await bench.granting([addresses[2]], to: bench.key("c3"), chunks: old)
      try await bench.mustConflict(late, at: [late.count - 1])
      let found = try await bench.read([key, .lease(addresses[2]), .attachment(bench.key("c3"))])
      try bench.expect(
        "bits after \(index) lost races", of: found[key], is: try await bench.read(key))
      let taken = found[key]?.value?.asChunk?.bitmap.takenCount
      try bench.expect("taken bits", of: taken, is: 2)
      try bench.expect("lease of a lost race", of: found[.lease(addresses[2])], is: .absent)
    }
  },

  ConformanceCheck("a check holds a commit to a revision") { bench in
    let (first, second, third) = (try bench.address(2), try bench.address(3), try bench.address(4))
    try await bench.mustCommit(try await bench.granting([first], to: bench.key("c1")))
    let lease = StoreKey.lease(first)
    let seen = try await bench.read(lease).revision
    let fits = try await bench.granting([second], to: bench.key("c2"))
    try await bench.mustCommit(fits + [.check(lease, seen)])
    let after = try await bench.read(lease).revision
    let wrong = try await bench.granting([third], to: bench.key("c3"))
    try await bench.mustConflict(wrong + [.check(lease, .absent)], at: [wrong.count])
    let gone = StoreOperation.check(.attachment(bench.key("nobody")), after)
    try await bench.mustConflict(wrong + [gone], at: [wrong.count])
    try await bench.mustCommit(wrong)
  },

  ConformanceCheck("a key is deleted at its revision only") { bench in
    let key = bench.key("c1")
    let addresses = [try bench.address(2), try bench.address(2, set: 1)]
    try await bench.mustCommit(try await bench.granting(addresses, to: key))
    let right = try await bench.releasing(key)
    let wrong = right.map { operation in
      guard case .delete(let key, let revision) = operation else { return operation }
      return .delete(key, expected: Revision(revision.number + 1_000_000_007))
    }
    try await bench.mustConflict(wrong, at: [0, 1, 2])
    try bench.expect("leases", of: try await bench.list(.leases).count, is: 2)
    try await bench.mustCommit(right)
    let keys = Set(addresses.map(StoreKey.lease) + [.attachment(key)])
    for (key, entry) in try await bench.read(keys) where keys.contains(key) {
      try bench.expect("\(key)", of: entry, is: .absent)
    }
    try bench.expect("leases", of: try await bench.list(.leases).count, is: 0)
    for address in addresses {
      let (chunk, bit) = try bench.chunkKey(address)
      let bitmap = try await bench.read(.chunk(chunk)).value?.asChunk?.bitmap
      try bench.expect("bit of \(address)", of: bitmap?.isTaken(bit) ?? false, is: false)
    }
  },

  ConformanceCheck("keys of one commit share their revision") { bench in
    let key = bench.key("c1")
    let addresses = [try bench.address(2), try bench.address(2, set: 1)]
    let mac = bench.store.traits.keepsOnlyLeases ? nil : MACAddress.sample
    let operations = try await bench.granting(addresses, to: key, mac: mac)
    let revision = try await bench.mustCommit(operations)
    let keys = Set(operations.map(\.key))
    for (key, entry) in try await bench.read(keys) where keys.contains(key) {
      try bench.expect("revision of \(key)", of: entry.revision, is: revision)
    }
  },

  ConformanceCheck("revisions only grow") { bench in
    let address = try bench.address(2)
    let chunk = StoreKey.chunk(try bench.chunkKey(address).key)
    var last = Revision.absent
    for round in 0..<5 {
      let key = bench.key("c\(round)")
      let made = try await bench.mustCommit(try await bench.granting([address], to: key))
      try bench.expect(made > last, "a revision above \(last.number)", "\(made.number)")
      for key in [chunk, .lease(address)] {
        let revision = try await bench.read(key).revision
        try bench.expect(revision > last, "\(key) above \(last.number)", "\(revision.number)")
      }
      last = try await bench.mustCommit(try await bench.releasing(key))
      try bench.expect(last > made, "a revision above \(made.number)", "\(last.number)")
    }
  },

  ConformanceCheck("all of a large commit or nothing") { bench in
    let count = min(bench.store.traits.operationLimit, 64) - 2
    let addresses = try (2..<UInt64(count) + 2).map { try bench.address($0) }
    let blocked = addresses[addresses.count / 2]
    let blocker = bench.key("blocker")
    try await bench.mustCommit(try await bench.granting([blocked], to: blocker))
    let all = try await bench.granting(addresses, to: bench.key("c1"))
    try await bench.mustConflict(all, at: [addresses.count / 2])
    try bench.expect(
      "leases", of: Set(try await bench.list(.leases).keys), is: [.lease(blocked)])
    let (chunk, _) = try bench.chunkKey(blocked)
    let bits = try await bench.read(.chunk(chunk)).value?.asChunk?.bitmap.takenCount
    try bench.expect("taken bits", of: bits, is: 1)

    try await bench.mustCommit(try await bench.releasing(blocker))
    try await bench.mustCommit(try await bench.granting(addresses, to: bench.key("c1")))
    try bench.expect("leases", of: try await bench.list(.leases).count, is: addresses.count)
  },

  ConformanceCheck("a commit above the limit does not happen") { bench in
    let limit = bench.store.traits.operationLimit
    // Attachment and chunk are two operations more.
    let addresses = try (2..<UInt64(limit) + 1).map { try bench.address($0) }
    let operations = try await bench.granting(addresses, to: bench.key("c1"))
    try bench.expect("operations", of: operations.count > limit, is: true)
    switch await bench.commit(operations) {
    case .refused, .tooLarge: break
    case let outcome: throw bench.failure("\(operations.count) operations refused", "\(outcome)")
    }
    try bench.expect("leases", of: try await bench.list(.leases).count, is: 0)
  },
]
