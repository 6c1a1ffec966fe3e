import AddressSpace
import ArgumentParser
import BitmapAllocator
import ConsulBackend
import IPAM
import JSON

struct ExportCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export",
    abstract: "Writes a network as JSON lines, for ipamctl import to restore.",
    discussion: """
      A line for the definition, each attachment with its leases and each cooling address; the \
      attachments are those of one moment, also beside live traffic. The last line counts them, so \
      that a file which was cut off is told from a whole one. With --file the file appears only \
      once it is whole.
      """)
  @Argument(help: "The network.") var network: String
  @Option(help: "Where to write; standard output without this.") var file: String?
  @OptionGroup var place: StoreOptions

  func run() async throws {
    let store = try place.store(network)
    let deadline = place.consul.deadline
    var definition: NetworkDefinition?
    if let consul = store as? ConsulStore {
      definition = try await ipamctl.definition(of: consul, network, deadline).definition
    }
    let surroundings = ConsulOptions.surroundings
    var export = Export(output: try OutputFile(file, mode: 0o600))
    let header = ExportHeader(
      network: network, id: surroundings.random(), exportedAt: surroundings.now())
    try export.write(.header(header))
    if let definition { try export.write(.definition(definition.document)) }
    try await export.writeAttachments(store, deadline)
    if let definition { try await export.writeChunks(store, definition, deadline) }
    if let consul = store as? ConsulStore {
      guard try await ipamctl.definition(of: consul, network, deadline).definition == definition
      else {
        throw Failure(
          .no, "the definition of network \(network) changed meanwhile; export it again")
      }
    }
    guard export.damaged.isEmpty else {
      for text in export.damaged.sorted() { Terminal.say(text) }
      throw Failure(
        .failed,
        "\(export.damaged.count.counted("record")) cannot be read, so the export is not whole: "
          + "ipamctl check \(network) --repair")
    }
    try export.finish()
    if let file { Terminal.say("network \(network): \(export.counts.text) in \(file)") }
  }
}

/// An export in the making.
private struct Export: ~Copyable {
  private var output: OutputFile
  private(set) var counts = ExportCounts()
  private(set) var damaged: [String] = []
  private var exported: Set<AttachmentKey> = []

  init(output: consuming OutputFile) {
    self.output = output
  }

  mutating func write(_ record: ExportRecord) throws(Failure) {
    counts.count(record)
    try output.write(record.line)
  }

  mutating func finish() throws(Failure) {
    try output.write(ExportRecord.end(counts).line)
    try output.finish()
  }

  /// All attachments of one listing, which is one moment; behind them leases of none, which a
  /// second look tells from those of attachments that were made after it.
  mutating func writeAttachments(
    _ store: any AllocationStore, _ deadline: Deadline
  ) async throws(Failure) {
    var broken: Failure?
    try await list(.attachments(node: nil), store, deadline) { key, entry in
      guard broken == nil, case .attachment(let name) = key else { return }
      guard case .attachment(let attachment) = entry.value else {
        return damaged.append("attachment \(name) cannot be read")
      }
      exported.insert(name)
      do throws(Failure) {
        try write(.attachment(AdoptedAttachment(name, attachment)))
      } catch {
        broken = error
      }
    }
    if let broken { throw broken }
    var orphans: [AttachmentKey: [(IPAddress, Lease)]] = [:]
    try await list(.leases, store, deadline) { key, entry in
      guard case .lease(let address) = key else { return }
      guard case .lease(let lease) = entry.value else {
        return damaged.append("the lease of \(address) cannot be read")
      }
      if !exported.contains(lease.attachment) {
        orphans[lease.attachment, default: []].append((address, lease))
      }
    }
    guard !orphans.isEmpty else { return }
    var latest: Set<AttachmentKey> = []
    try await list(.attachments(node: nil), store, deadline) { key, _ in
      if case .attachment(let name) = key { latest.insert(name) }
    }
    var leases: [IPAddress: Lease] = [:]
    try await list(.leases, store, deadline) { key, entry in
      if case .lease(let address) = key, case .lease(let lease) = entry.value {
        leases[address] = lease
      }
    }
    for (name, held) in orphans where !latest.contains(name) {
      let still = held.filter { leases[$0.0] == $0.1 }
      guard let lease = still.first?.1 else { continue }
      try write(.attachment(AdoptedAttachment(name, lease, still.map(\.0).sorted())))
    }
  }

  /// What chunks know beyond the leases: cooling addresses, and bits without leases.
  mutating func writeChunks(
    _ store: any AllocationStore, _ definition: NetworkDefinition, _ deadline: Deadline
  ) async throws(Failure) {
    var broken: Failure?
    try await list(.chunks, store, deadline) { key, entry in
      guard broken == nil, case .chunk(let name) = key, name.node.level == 0 else { return }
      guard case .chunk(let chunk) = entry.value else {
        // What a lost chunk of a leased network said stands in the leases.
        if definition.kind == .bare { damaged.append("\(name) cannot be read") }
        return
      }
      do throws(Failure) {
        for mark in name.marks(of: chunk, isBare: definition.kind == .bare) {
          try write(.mark(mark))
        }
      } catch {
        broken = error
      }
    }
    if let broken { throw broken }
  }
}

/// Lists a kind, with the program's error.
private func list(
  _ kind: StoreListing, _ store: any AllocationStore, _ deadline: Deadline,
  _ visit: (StoreKey, StoreEntry) -> Void
) async throws(Failure) {
  do {
    try await store.list(kind, deadline: deadline) { visit($0, $1) }
  } catch {
    throw Failure(error)
  }
}

extension ChunkKey {
  fileprivate func marks(of chunk: Chunk, isBare: Bool) -> [RestoredMark] {
    func address(_ bit: Int) -> IPAddress { pool.address(of: pool.ordinal(of: node, bit: bit)) }
    var marks: [RestoredMark] = []
    for bucket in chunk.cooling.buckets {
      for bit in bucket.bits.allBits where bucket.bits.isTaken(bit) {
        marks.append(.cooling(address(bit), since: bucket.since))
      }
    }
    guard isBare else { return marks }
    var run: Int?
    for bit in 0...pool.existingBits(in: node) {
      let isHeld = bit < pool.existingBits(in: node) && chunk.isHeld(bit)
      if isHeld, run == nil { run = bit }
      if !isHeld, let first = run {
        AddressRange(first: address(first), last: address(bit - 1)).map {
          marks.append(.taken($0))
        }
        run = nil
      }
    }
    return marks
  }
}

extension AdoptedAttachment {
  fileprivate init(_ key: AttachmentKey, _ attachment: Attachment) {
    self.init(
      key: key, addresses: attachment.holdings.map(\.address), mac: attachment.mac)
    workload = attachment.workload
    // A directory keeps no numbers of commits.
    if attachment.nonce != 0 {
      origin = Origin(
        node: attachment.node, nonce: attachment.nonce, createdAt: attachment.createdAt)
    }
  }

  fileprivate init(_ key: AttachmentKey, _ lease: Lease, _ addresses: [IPAddress]) {
    self.init(key: key, addresses: addresses, mac: lease.mac)
    workload = lease.workload
    origin = Origin(node: lease.node, nonce: lease.nonce, createdAt: lease.createdAt)
  }
}
