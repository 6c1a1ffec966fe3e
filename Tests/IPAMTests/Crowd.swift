import AddressSpace
import BitmapAllocator
import IPAM
import IPAMTesting
import TestSupport

/// A network of 16 chunks of 64 under a root, with some hundred attachments.
struct Crowd: Sendable {
  static let node = "node-a"

  let store = MemoryStore()
  let definition: NetworkDefinition

  init(_ random: inout SeededGenerator) async throws {
    let sets = try RangeSet.sets([[SubnetRange.Text(subnet: "10.1.0.0/22")]])
    definition = NetworkDefinition(
      name: "net", incarnation: random.next(), rangeSets: sets, chunkBits: 6)
    store.overwrite(.definition, .definition(definition))
    let count = Int.random(in: 20...400, using: &random)
    let allocator = allocator(Self.node)
    for index in 0..<count {
      let key = AttachmentKey(node: Self.node, container: "c\(index)", interface: "eth0")
      let mac = index % 3 == 0 ? MACAddress(value: UInt64(0x0200_0000_0000 + index)) : nil
      _ = try await allocator.acquire(
        AcquireRequest(attachment: key, mac: mac), deadline: .far)
    }
  }

  var repairer: Repairer {
    Repairer(of: store, networkName: "net", surroundings: .system)
  }

  func allocator(_ node: String) -> NetworkAllocator {
    NetworkAllocator(
      store: store, networkName: "net", definition: nil, node: Node(name: node),
      surroundings: .system)
  }

  /// Adds and removes, and says what is held in the end.
  func live(_ worker: Int) async throws -> [AttachmentKey: IPAddress] {
    let node = "worker-\(worker)"
    var held: [AttachmentKey: IPAddress] = [:]
    for index in 0..<60 {
      let key = AttachmentKey(node: node, container: "w\(index)", interface: "eth0")
      // A process for each, as a runtime has it.
      let allocator = allocator(node)
      guard
        let acquired = try? await allocator.acquire(
          AcquireRequest(attachment: key), deadline: .far)
      else { continue }
      held[key] = acquired.attachment.holdings[0].address
      if index % 3 != 0 {
        _ = try await allocator.release([key], deadline: .far)
        held[key] = nil
      }
    }
    return held
  }

  /// Destroys, damages or alters one thing, of what the attachments of the beginning have.
  func harm(_ random: inout SeededGenerator) {
    let things = store.entries.filter { key, entry in
      switch (key, entry.value) {
      case (.chunk, _): true
      case (.attachment(let name), _), (.mac, .mac(let name)): name.node == Self.node
      case (.lease, .lease(let lease)): lease.attachment.node == Self.node
      default: false
      }
    }
    guard
      let (key, entry) = things.sorted(by: { "\($0.key)" < "\($1.key)" })
        .randomElement(using: &random)
    else { return }
    if case .chunk = key { return harmChunk(&random) }
    switch (Int.random(in: 0..<3, using: &random), entry.value) {
    case (0, _): store.overwrite(key, nil)
    case (1, _): store.overwrite(key, .damaged("by the test"))
    case (_, .lease(var lease)):
      lease.nonce = random.next()
      store.overwrite(key, .lease(lease))
    case (_, .attachment(var attachment)):
      attachment.holdings = []
      store.overwrite(key, .attachment(attachment))
    default: store.overwrite(key, nil)
    }
  }

  /// Damages or alters a chunk of either level.
  func harmChunk(_ random: inout SeededGenerator) {
    let chunks = store.entries.filter { if case .chunk = $0.key { true } else { false } }
      .sorted(by: { "\($0.key)" < "\($1.key)" })
    guard let (key, entry) = chunks.randomElement(using: &random),
      case .chunk(var chunk) = entry.value
    else { return }
    let bit = Int.random(in: 0..<16, using: &random)
    switch Int.random(in: 0..<6, using: &random) {
    case 0: return store.overwrite(key, .damaged("by the test"))
    case 1: return store.overwrite(key, nil)
    case 2: chunk.bitmap.take(bit)
    case 3: chunk.bitmap.free(bit)
    case 4: chunk.isMarked.toggle()
    default: chunk.incarnation = random.next()
    }
    store.overwrite(key, .chunk(chunk))
  }
}
