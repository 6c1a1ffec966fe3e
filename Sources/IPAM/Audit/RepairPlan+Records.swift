import AddressSpace
import BitmapAllocator

// Leases, attachments and hardware addresses. Of two records of one commit the one that can be read
// tells what the other said.

extension RepairPlan {
  func leaseStep(_ address: IPAddress) -> RepairStep? {
    let key = StoreKey.lease(address)
    let entry = evidence[key]
    guard entry != .absent else { return nil }
    let claimants = (naming[address] ?? []).filter { name in
      attachment(name)?.holdings.contains { $0.address == address } == true
    }
    if case .lease(let lease) = entry.value {
      guard let attachment = attachment(lease.attachment),
        claimants.contains(lease.attachment),
        lease.nonce != attachment.nonce || lease.mac != attachment.mac
      else {
        return places(of: address).isEmpty
          ? .nothing("its holder's DEL releases it; or widen the network's definition") : nil
      }
      var draft = RepairDraft(self)
      draft.put(key, .lease(Lease(lease.attachment, attachment)))
      draft.check(.attachment(lease.attachment))
      return draft.step("write the lease anew from the record of \(lease.attachment)")
    }
    guard let name = claimants.first, claimants.count == 1, let attachment = attachment(name) else {
      return .nothing(
        claimants.isEmpty
          ? "no record says who holds it, so it counts as in use; if you know that nobody does, "
            + "delete the key and repair again"
          : "\(claimants.count) attachments name it: release all but one")
    }
    var draft = RepairDraft(self)
    draft.put(key, .lease(Lease(name, attachment)))
    draft.check(.attachment(name))
    return draft.step("write the lease anew from the record of \(name)")
  }

  func attachmentStep(_ name: AttachmentKey) -> RepairStep? {
    let leases = (leasedTo[name] ?? []).sorted().compactMap { address -> (IPAddress, Lease)? in
      guard case .lease(let lease) = evidence[.lease(address)].value, lease.attachment == name
      else { return nil }
      return (address, lease)
    }
    guard let attachment = attachment(name) else { return newRecord(name, leases) }
    return mendedRecord(name, attachment, leases)
  }

  /// The record is missing or cannot be read: its leases say what it held.
  private func newRecord(
    _ name: AttachmentKey, _ leases: [(IPAddress, Lease)]
  ) -> RepairStep? {
    let key = StoreKey.attachment(name)
    var draft = RepairDraft(self)
    guard let newest = leases.max(by: { $0.1.createdAt < $1.1.createdAt })?.1 else {
      guard evidence[key] != .absent else { return nil }
      draft.delete(key)
      return draft.step("delete the record: no lease names it")
    }
    let own = leases.filter { $0.1.nonce == newest.nonce }.map(\.0)
    draft.put(
      key,
      .attachment(
        Attachment(
          holdings: sorted(own.compactMap(holding)), node: newest.node, mac: newest.mac,
          workload: newest.workload, nonce: newest.nonce, createdAt: newest.createdAt)))
    for address in own { draft.check(.lease(address)) }
    return draft.step("make the record of \(name) anew from \(own.count.counted("lease"))")
  }

  /// The record is there: what it names gets its lease back, unless somebody else has one; what it
  /// does not name is added if it is of the same commit, and is a leftover otherwise, because a
  /// record is made once and goes only with all that its commit made.
  private func mendedRecord(
    _ name: AttachmentKey, _ attachment: Attachment, _ leases: [(IPAddress, Lease)]
  ) -> RepairStep? {
    let key = StoreKey.attachment(name)
    var draft = RepairDraft(self)
    var actions: [String] = []
    var mended = attachment
    mended.holdings = []
    for var holding in attachment.holdings {
      if holding.ordinal > holding.pool.lastOrdinal
        || holding.pool.address(of: holding.ordinal) != holding.address,
        let right = self.holding(holding.address)
      {
        holding = right
        actions.append("correct the ordinal of \(holding.address)")
      }
      let lease = StoreKey.lease(holding.address)
      switch evidence[lease].value {
      case .lease(let found) where found.attachment != name:
        draft.check(lease)
        actions.append("take \(holding.address) out of the record: \(found.attachment) has it")
        continue
      case nil:
        draft.put(lease, .lease(Lease(name, attachment)))
        draft.take(holding.address)
        actions.append("lease \(holding.address) to \(name) again")
      default: break
      }
      mended.holdings.append(holding)
    }
    for (address, lease) in leases
    where !attachment.holdings.contains(where: { $0.address == address }) {
      if lease.nonce == attachment.nonce, let holding = holding(address) {
        draft.check(.lease(address))
        mended.holdings = sorted(mended.holdings + [holding])
        actions.append("add \(address) to the record again")
      } else {
        draft.delete(.lease(address))
        draft.release(address)
        actions.append("release \(address), left over from an earlier attachment of that name")
      }
    }
    guard !actions.isEmpty else { return nil }
    if mended.holdings.isEmpty {
      draft.delete(key)
      actions.append("delete the record, which names nothing then")
    } else if mended != attachment {
      draft.put(key, .attachment(mended))
    } else {
      draft.check(key)
    }
    return draft.step(actions.joined(separator: "; "))
  }

  func macStep(_ mac: MACAddress) -> RepairStep? {
    let key = StoreKey.mac(mac)
    let owners = (having[mac] ?? []).filter { attachment($0)?.mac == mac }
    let registered = evidence[key].value?.owner
    guard owners.count < 2 else {
      return .nothing("\(owners.count) attachments have it: release all but one")
    }
    var draft = RepairDraft(self)
    if let owner = owners.first {
      guard registered != owner else { return nil }
      draft.put(key, .mac(owner))
      draft.check(.attachment(owner))
      return draft.step("register it for \(owner)")
    }
    guard evidence[key] != .absent else { return nil }
    draft.delete(key)
    if let registered { draft.check(.attachment(registered)) }
    return draft.step("delete it: no attachment has this address")
  }

  private func attachment(_ name: AttachmentKey) -> Attachment? {
    guard case .attachment(let attachment) = evidence[.attachment(name)].value else { return nil }
    return attachment
  }
}
