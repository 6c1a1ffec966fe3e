import AddressSpace
import BitmapAllocator
import IPAM

// Acquiring and releasing through the allocator; each check ends with an audit.

let allocationChecks: [ConformanceCheck] = [
  ConformanceCheck("acquired, released, free again", on: Networks.small) { bench in
    let allocator = bench.allocator()
    let acquired = try await bench.acquire("c1", allocator)
    try bench.expect("addresses", of: acquired.attachment.holdings.count, is: 1)
    try bench.expect("a repeat", of: acquired.isRepeat, is: false)
    let released = try await bench.release("c1", allocator)
    try bench.expect(
      "released", of: released?.holdings.map(\.address),
      is: acquired.attachment.holdings.map(\.address))
    for kind in [StoreListing.leases, .attachments(node: nil)] {
      try bench.expect("\(kind) left", of: try await bench.list(kind).count, is: 0)
    }
    try bench.expect("a second release", of: try await bench.release("c1", allocator), is: nil)
    try await bench.audit()
  },

  ConformanceCheck("exhausted only when it is", on: Networks.small) { bench in
    // Of 16 addresses network, gateway and broadcast are never handed out.
    let allocator = bench.allocator()
    for round in 0..<2 {
      var seen: Set<IPAddress> = []
      for index in 0..<13 {
        let name = "c\(round)-\(index)"
        let address = try await bench.acquire(name, allocator).attachment.holdings[0].address
        try bench.expect(seen.insert(address).inserted, "a new address", "\(address) again")
      }
      try await bench.expectExhausted(set: 0, "full-\(round)", allocator)
      try await bench.audit()
      for index in 0..<13 {
        let released = try await bench.release("c\(round)-\(index)", allocator)
        try bench.expect(released != nil, "c\(round)-\(index) to hold something", "nothing")
      }
    }
    try bench.expect("leases left", of: try await bench.list(.leases).count, is: 0)
  },

  ConformanceCheck("a released address comes back, to any allocator", on: Networks.small) { bench in
    let (one, two) = (bench.allocator(), bench.allocator("node-b"))
    for index in 0..<13 { _ = try await bench.acquire("c\(index)", one) }
    try await bench.expectExhausted(set: 0, "x", two)
    let released = try await bench.release("c5", one)?.holdings[0].address
    let found = try await bench.acquire("d1", two).attachment.holdings[0].address
    try bench.expect("the address", of: found, is: released)
    try await bench.expectExhausted(set: 0, "x", one)
    // By names of which only the second exists, as a renamed node has them.
    let names = [bench.key("d1", node: "never"), bench.key("d1", node: "node-b")]
    let gone = try await one.allocator.release(names, deadline: bench.deadline)
    try bench.expect("released", of: gone?.holdings[0].address, is: released)
    try await bench.audit()
  },

  ConformanceCheck("all range sets or none", on: Networks.lopsided) { bench in
    // The second set has two addresses to give: of four, the first is the anycast address and the
    // next the gateway.
    let allocator = bench.allocator()
    for index in 0..<2 {
      let acquired = try await bench.acquire("c\(index)", allocator)
      try bench.expect("addresses", of: acquired.attachment.holdings.count, is: 2)
    }
    try await bench.expectExhausted(set: 1, "c3", allocator)
    try bench.expect("leases", of: try await bench.list(.leases).count, is: 4)
    try await bench.audit()
  },

  ConformanceCheck("a repeated wish gets the same again") { bench in
    let allocator = bench.allocator()
    let first = try await bench.acquire("c1", allocator)
    for again in [allocator, bench.allocator()] {
      let second = try await bench.acquire("c1", again)
      try bench.expect("a repeat", of: second.isRepeat, is: true)
      try bench.expect(
        "addresses", of: Set(second.attachment.holdings), is: Set(first.attachment.holdings))
    }
    try bench.expect("leases", of: try await bench.list(.leases).count, is: 2)
    try await bench.audit()
  },

  ConformanceCheck("a repeated wish is refused where the policy says so") { bench in
    let allocator = bench.allocator(policy: .refuse)
    let first = try await bench.acquire("c1", allocator).attachment.holdings[0].address
    let error = try await bench.error { try await bench.acquire("c1", allocator) }
    try bench.expect("the error", of: error, is: .alreadyHeld(set: 0, first, bench.key("c1")))
    try bench.expect("leases", of: try await bench.list(.leases).count, is: 2)
    // Another interface of the container is another attachment.
    let other = AttachmentKey(
      node: bench.key("c1").node, container: "c1", interface: "eth1")
    _ = try await allocator.allocator.acquire(
      AcquireRequest(attachment: other), deadline: bench.deadline)
    try await bench.audit()
  },

  ConformanceCheck("requested addresses", on: Networks.lopsided) { bench in
    let allocator = bench.allocator()
    let (wanted, free) = (try bench.address(200), try bench.address(3, set: 1))
    let got = try await bench.acquire("c1", allocator, requested: [free, wanted])
    try bench.expect("addresses", of: got.attachment.holdings.map(\.address), is: [wanted, free])

    let taken = try await bench.error {
      try await bench.acquire("c2", allocator, requested: [wanted])
    }
    let sets = bench.definition.rangeSets
    try bench.expect(
      "the error", of: taken,
      is: .requestedTaken(set: 0, wanted, sets[0], holder: bench.key("c1")))
    let gateway = try bench.address(1)
    let refused = try await bench.error {
      try await bench.acquire("c2", allocator, requested: [gateway])
    }
    try bench.expect("the error", of: refused, is: .requestedGateway(set: 0, gateway))
    let far = try IPAddress(parsing: "192.0.2.1")
    let elsewhere = try await bench.error {
      try await bench.acquire("c2", allocator, requested: [far])
    }
    try bench.expect("the error", of: elsewhere, is: .requestedElsewhere([far]))
    try bench.expect("leases", of: try await bench.list(.leases).count, is: 2)

    _ = try await bench.release("c1", allocator)
    let again = try await bench.acquire("c2", allocator, requested: [wanted])
    try bench.expect("address", of: again.attachment.holdings[0].address, is: wanted)
    try await bench.audit()
  },

  ConformanceCheck(
    "a MAC address belongs to one attachment", skips: ConformanceCheck.needsRecords
  ) { bench in
    let allocator = bench.allocator()
    let mac = MACAddress.sample
    _ = try await bench.acquire("c1", allocator, mac: mac)
    let error = try await bench.error { try await bench.acquire("c2", allocator, mac: mac) }
    try bench.expect("the error", of: error, is: .macTaken(mac, holder: bench.key("c1")))
    _ = try await bench.release("c1", allocator)
    _ = try await bench.acquire("c2", allocator, mac: mac)
    try bench.expect("owner", of: try await bench.read(.mac(mac)).value, is: .mac(bench.key("c2")))
    try await bench.audit()
  },
]

let sharingChecks: [ConformanceCheck] = [
  ConformanceCheck("64 at once are all distinct") { bench in
    let allocator = bench.allocator()
    let addresses = try await bench.acquireAll(64) { _ in allocator }
    try bench.expect("distinct addresses", of: Set(addresses).count, is: 128)
    try await bench.audit()
  },

  ConformanceCheck("64 at once from eight allocators are all distinct") { bench in
    let allocators = (0..<8).map { bench.allocator("node-\($0)") }
    let addresses = try await bench.acquireAll(64) { allocators[$0 % 8] }
    try bench.expect("distinct addresses", of: Set(addresses).count, is: 128)
    try await bench.audit()
    try await withThrowingTaskGroup { group in
      for index in 0..<64 {
        group.addTask {
          let key = bench.key("c\(index)", node: "node-\(index % 8)")
          _ = try await allocators[(index + 1) % 8].allocator.release(
            [key], deadline: bench.deadline)
        }
      }
      try await group.waitForAll()
    }
    try bench.expect("leases left", of: try await bench.list(.leases).count, is: 0)
    try await bench.audit()
  },

  ConformanceCheck("a race for the last addresses has as many winners", on: Networks.small) {
    bench in
    let allocators = (0..<4).map { bench.allocator("node-\($0)") }
    let won = try await withThrowingTaskGroup(of: Bool.self) { group in
      for index in 0..<20 {
        group.addTask {
          let error = try await bench.error {
            try await bench.acquire("c\(index)", allocators[index % 4])
          }
          if case .exhausted = error { return false }
          if let error { throw bench.failure("an address or exhausted", "\(error)") }
          return true
        }
      }
      return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
    }
    try bench.expect("winners", of: won, is: 13)
    try await bench.audit()
  },

  ConformanceCheck("a tree is filled, emptied and filled again", on: Networks.tree) { bench in
    // All of a /22 but network, broadcast and gateway.
    let allocator = bench.allocator()
    for round in 0..<2 {
      var seen: Set<IPAddress> = []
      for batch in 0..<16 {
        let names = (batch * 64..<min(batch * 64 + 64, 1_021)).map { "c\(round)-\($0)" }
        seen.formUnion(try await bench.acquireAll(names) { _ in allocator })
      }
      try bench.expect("addresses", of: seen.count, is: 1_021)
      try await bench.expectExhausted(set: 0, "full", allocator)
      try await bench.audit()
      try await withThrowingTaskGroup { group in
        for index in 0..<1_021 {
          group.addTask { _ = try await bench.release("c\(round)-\(index)", allocator) }
        }
        try await group.waitForAll()
      }
      try bench.expect("leases left", of: try await bench.list(.leases).count, is: 0)
      try await bench.audit()
    }
  },
]
