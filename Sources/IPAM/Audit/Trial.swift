import AddressSpace
import BitmapAllocator

// The rules of an audit, one kind of record after the other.

/// Judges the evidence of one pass.
struct Trial {
  let evidence: Evidence
  let traits: StoreTraits
  let definition: NetworkDefinition?
  let layouts: [SetLayout]
  private(set) var findings: [AuditFinding] = []

  init(
    evidence: Evidence, traits: StoreTraits, definition: NetworkDefinition?, layouts: [SetLayout]
  ) {
    self.evidence = evidence
    self.traits = traits
    self.definition = definition
    self.layouts = layouts
  }

  private mutating func report(
    _ kind: AuditFinding.Kind, _ key: StoreKey, by others: [StoreKey] = [], _ explanation: String
  ) {
    var revisions = [key: evidence[key].revision]
    for other in others { revisions[other] = evidence[other].revision }
    findings.append(
      AuditFinding(kind: kind, key: key, explanation: explanation, revisions: revisions))
  }

  // MARK: - Leases

  mutating func judgeLeases() {
    for (key, entry) in evidence.leases {
      guard case .lease(let address) = key else { continue }
      guard case .lease(let lease) = entry.value else {
        report(.damaged, key, "lease of \(address): \(reason(entry))")
        continue
      }
      judgeBit(of: address, key)
      let owner = StoreKey.attachment(lease.attachment)
      switch evidence[owner].value {
      case .attachment(let attachment):
        guard attachment.holdings.contains(where: { $0.address == address }) else {
          report(
            .leaseWithoutAttachment, key, by: [owner],
            "\(address) is leased to \(lease.attachment), whose record does not name it")
          continue
        }
        if lease.nonce != attachment.nonce || lease.mac != attachment.mac {
          report(
            .disagreement, key, by: [owner],
            "the lease of \(address) and its attachment \(lease.attachment) are of two commits")
        }
      case .damaged: break
      default:
        report(
          .leaseWithoutAttachment, key, by: [owner],
          "\(address) is leased to \(lease.attachment), which has no record")
      }
    }
  }

  private mutating func judgeBit(of address: IPAddress, _ key: StoreKey) {
    guard !layouts.isEmpty else { return }
    var isInside = false
    for geometry in Set(layouts.flatMap(\.pools).map(\.geometry)) {
      guard let ordinal = geometry.ordinal(of: address) else { continue }
      isInside = true
      let (node, bit) = geometry.node(of: ordinal)
      let chunkKey = StoreKey.chunk(ChunkKey(pool: geometry, node: node))
      let entry = evidence[chunkKey]
      if case .damaged = entry.value { continue }
      if entry.chunk?.isHeld(bit) != true {
        report(
          .leaseWithoutBit, key, by: [chunkKey],
          "\(address) is leased, and bit \(bit) of \(geometry.subnet) \(node) is clear")
      }
    }
    // A directory keeps what earlier configurations handed out.
    if !isInside, !traits.keepsOnlyLeases {
      report(.leaseOutsidePools, key, "\(address) is leased and lies in none of the pools")
    }
  }

  // MARK: - Attachments and hardware addresses

  mutating func judgeAttachments() {
    for (key, entry) in evidence.attachments {
      guard case .attachment(let name) = key else { continue }
      guard case .attachment(let attachment) = entry.value else {
        report(.damaged, key, "attachment \(name): \(reason(entry))")
        continue
      }
      for holding in attachment.holdings { judge(holding, of: name, key) }
      guard let mac = attachment.mac else { continue }
      let owner = evidence[.mac(mac)].value
      if owner?.owner != name {
        report(
          .attachmentWithoutMAC, key, by: [.mac(mac)],
          "\(name) has MAC address \(mac), which is registered for "
            + (owner?.owner.map(\.description) ?? "nobody"))
      }
    }
  }

  private mutating func judge(
    _ holding: Attachment.Holding, of name: AttachmentKey, _ key: StoreKey
  ) {
    let lease = StoreKey.lease(holding.address)
    switch evidence[lease].value {
    case .lease(let found) where found.attachment == name: break
    case .damaged: break
    case .lease(let found):
      report(
        .attachmentWithoutLease, key, by: [lease],
        "\(name) names \(holding.address), which is leased to \(found.attachment)")
    default:
      report(
        .attachmentWithoutLease, key, by: [lease],
        "\(name) names \(holding.address), which is not leased")
    }
    guard holding.ordinal <= holding.pool.lastOrdinal,
      holding.pool.address(of: holding.ordinal) == holding.address
    else {
      return report(
        .disagreement, key,
        "\(name) names \(holding.address) and ordinal \(holding.ordinal) of \(holding.pool.subnet)")
    }
  }

  mutating func judgeMACs() {
    for (key, entry) in evidence.macs {
      guard case .mac(let mac) = key else { continue }
      guard case .mac(let name) = entry.value else {
        report(.damaged, key, "MAC address \(mac): \(reason(entry))")
        continue
      }
      let owner = StoreKey.attachment(name)
      switch evidence[owner].value {
      case .attachment(let attachment) where attachment.mac == mac: break
      case .damaged: break
      default:
        report(
          .macWithoutAttachment, key, by: [owner],
          "MAC address \(mac) is registered for \(name), which does not have it")
      }
    }
  }

  // MARK: - Chunks

  mutating func judgeChunks() {
    let pools = Set(layouts.flatMap(\.pools).map(\.geometry))
    for (key, entry) in evidence.chunks {
      guard case .chunk(let name) = key else { continue }
      guard case .chunk(let chunk) = entry.value else {
        report(.damaged, key, "\(name): \(reason(entry))")
        continue
      }
      if traits.keepsDefinition, let definition {
        guard pools.contains(name.pool), chunk.incarnation == definition.incarnation else {
          report(.foreignChunk, key, "\(name) belongs to another definition of the network")
          continue
        }
      }
      guard name.pool.exists(name.node), chunk.chunkBits == name.pool.chunkBits else {
        report(.foreignChunk, key, "\(name) is no chunk of its pool")
        continue
      }
      if chunk.isMarked { judgeParent(of: name, key) }
      let existing = name.pool.existingBits(in: name.node)
      for bit in chunk.bitmap.takenBits {
        if bit >= existing {
          report(.bitOutsidePool, key, "\(name): bit \(bit) is set, of \(existing.counted("bit"))")
        } else if name.node.level > 0 {
          judgeMark(bit, of: name, key)
        } else if definition?.kind != .bare, !chunk.cooling.contains(bit) {
          let address = name.pool.address(of: name.pool.ordinal(of: name.node, bit: bit))
          if evidence[.lease(address)] == .absent {
            report(
              .bitWithoutLease, key, by: [.lease(address)],
              "\(address) is marked as taken in \(name) and not leased")
          }
        }
      }
    }
  }

  private mutating func judgeMark(_ bit: Int, of parent: ChunkKey, _ key: StoreKey) {
    let child = ChunkKey(
      pool: parent.pool, node: parent.pool.child(of: parent.node, bit: bit))
    let entry = evidence[.chunk(child)]
    if case .damaged = entry.value { return }
    let isFull =
      entry.chunk?.isFull(existingBits: parent.pool.existingBits(in: child.node)) ?? false
    guard !isFull || (entry.chunk?.isMarked == false && !traits.keepsOnlyLeases) else { return }
    report(
      .falseMark, key, by: [.chunk(child)],
      isFull
        ? "\(child) is full and does not know that \(parent) says so"
        : "\(parent) says that \(child) is full, and it is not")
  }

  private mutating func judgeParent(of child: ChunkKey, _ key: StoreKey) {
    guard let (node, bit) = child.pool.parent(of: child.node) else { return }
    let parent = ChunkKey(pool: child.pool, node: node)
    let entry = evidence[.chunk(parent)]
    if case .damaged = entry.value { return }
    guard entry.chunk?.bitmap.isTaken(bit) != true else { return }
    report(
      .markWithoutParent, key, by: [.chunk(parent)],
      "\(child) is marked as full in \(parent), which does not say so")
  }

  private func reason(_ entry: StoreEntry) -> String {
    if case .damaged(let text) = entry.value { return text }
    return "a value of another kind"
  }
}

extension ChunkBitmap {
  /// The set bits, ascending. O(words + set bits).
  var takenBits: [Int] {
    (0..<wordCount).flatMap { index in
      var word = word(index)
      var bits: [Int] = []
      while word != 0 {
        bits.append(index * 64 + word.trailingZeroBitCount)
        word &= word - 1
      }
      return bits
    }
  }
}
