import AddressSpace
import IPAM

// Short words for allocating on the store under a check.

/// An allocator and the node that it works for.
struct Client: Sendable {
  let allocator: NetworkAllocator
  let node: String
}

extension Workbench {
  /// A new allocator on the store, as another process would have it.
  func allocator(
    _ node: String = "node-a", policy: RepeatPolicy = .sameAgain
  ) -> Client {
    let name = store.traits.isShared ? node : ""
    let allocator = NetworkAllocator(
      store: store, networkName: definition.name, definition: definition, node: Node(name: name),
      repeatPolicy: policy, surroundings: surroundings)
    return Client(allocator: allocator, node: name)
  }

  func acquire(
    _ container: String, _ client: Client, requested: [IPAddress] = [],
    mac: MACAddress? = nil
  ) async throws(AllocationError) -> Acquired {
    try await client.allocator.acquire(
      AcquireRequest(
        attachment: key(container, node: client.node), requested: requested, mac: mac),
      deadline: deadline)
  }

  func release(
    _ container: String, _ client: Client
  ) async throws(AllocationError) -> Attachment? {
    try await client.allocator.release(
      [key(container, node: client.node)], deadline: deadline)
  }

  /// Acquires for many containers at once; all addresses that they got.
  func acquireAll(
    _ names: [String], _ client: @escaping @Sendable (Int) -> Client
  ) async throws -> [IPAddress] {
    try await withThrowingTaskGroup(of: [IPAddress].self) { group in
      for (index, name) in names.enumerated() {
        group.addTask {
          try await acquire(name, client(index)).attachment.holdings.map(\.address)
        }
      }
      return try await group.reduce(into: []) { $0 += $1 }
    }
  }

  func acquireAll(
    _ count: Int, _ client: @escaping @Sendable (Int) -> Client
  ) async throws -> [IPAddress] {
    try await acquireAll((0..<count).map { "c\($0)" }, client)
  }

  /// The error of a call that should fail; nil if it does not.
  func error(of body: () async throws -> Acquired) async throws -> AllocationError? {
    do {
      _ = try await body()
      return nil
    } catch let error as AllocationError {
      return error
    }
  }

  func expectExhausted(
    set: Int, _ container: String, _ client: Client
  ) async throws {
    let error = try await error { try await acquire(container, client) }
    guard case .exhausted(let exhaustion)? = error else {
      throw failure("exhausted", error.map { "\($0)" } ?? "an address")
    }
    try expect("the exhausted set", of: exhaustion.set, is: set)
    let left = try await read(.attachment(key(container, node: client.node))).value
    try expect("attachment of a failed wish", of: left, is: nil)
  }

  /// The store's records agree.
  func audit() async throws {
    let auditor = try Auditor(of: store, definition: nil)
    let findings = try await auditor.findings(deadline: deadline)
    try expect("audit findings", of: findings.map(\.description), is: [])
  }
}
