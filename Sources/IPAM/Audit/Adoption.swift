public import AddressSpace
import BitmapAllocator

// Addresses that somebody handed out before us. Each becomes what an ADD would have made of it, in
// one commit: lease, attachment, bit and hardware address; several attachments share a commit. What
// is there already is left as it is, so that an import can be repeated.

/// An attachment that another plugin made.
public struct AdoptedAttachment: Hashable, Sendable {
  /// Its name here.
  public var key: AttachmentKey
  /// The addresses that it holds.
  public var addresses: [IPAddress]
  /// Its hardware address, if one is known.
  public var mac: MACAddress?
  /// Who asked for it, as far as that is known.
  public var workload = Workload()
  /// The commit that made it, where it is one of ours that comes back; else it is made now.
  public var origin: Origin?

  /// What tells the commit that made an attachment.
  public struct Origin: Hashable, Sendable {
    /// The node that made it.
    public var node: Node
    /// The number of that commit.
    public var nonce: UInt64
    /// Seconds since 1970 by the node's clock.
    public var createdAt: UInt64

    /// An origin.
    public init(node: Node, nonce: UInt64, createdAt: UInt64) {
      self.node = node
      self.nonce = nonce
      self.createdAt = createdAt
    }
  }

  /// An attachment with its addresses.
  public init(key: AttachmentKey, addresses: [IPAddress], mac: MACAddress? = nil) {
    self.key = key
    self.addresses = addresses
    self.mac = mac
  }
}

/// Takes over the addresses of another plugin into a network that is defined.
public struct Adoption: Sendable {
  /// What became of an attachment.
  public enum Outcome: Hashable, Sendable {
    /// It is here now.
    case adopted
    /// It was here already, with these addresses.
    case present
    /// It cannot be taken over; the text says why. Nothing was changed for it.
    case refused(String)
  }

  let repairer: Repairer
  let node: Node

  /// An adoption into a network.
  ///
  /// - Parameters:
  ///   - store: The network's store.
  ///   - networkName: The network.
  ///   - node: Who is said to have made the attachments.
  ///   - surroundings: Clock, randomness and sleep.
  public init(
    into store: any AllocationStore, networkName: String, node: Node, surroundings: Surroundings
  ) {
    repairer = Repairer(of: store, networkName: networkName, surroundings: surroundings)
    self.node = node
  }

  /// Takes attachments over.
  ///
  /// - Parameters:
  ///   - attachments: Each name once.
  ///   - dryRun: Only say what would happen.
  ///   - deadline: When to stop; what was taken over stays so.
  ///   - progress: Called with what each commit made, for a journal.
  /// - Returns: An outcome for each, in order.
  /// - Throws: ``AllocationError`` if the network is not defined or the store fails.
  /// - Complexity: O(n) in the network's records and in the attachments.
  public func adopt(
    _ attachments: [AdoptedAttachment], dryRun: Bool, deadline: Deadline,
    progress: ([JournalEvent]) -> Void = { _ in }
  ) async throws(AllocationError) -> [(AdoptedAttachment, Outcome)] {
    var outcomes: [AttachmentKey: Outcome] = [:]
    var left: [AdoptedAttachment] = []
    var claimed: Set<IPAddress> = []
    // What commits would have made that lost a race, or whose reply was lost.
    var sent: [AttachmentKey: JournalEvent] = [:]
    for attachment in attachments {
      let isNew = attachment.addresses.allSatisfy { claimed.insert($0).inserted }
      if isNew, outcomes.updateValue(.present, forKey: attachment.key) == nil {
        left.append(attachment)
      } else {
        outcomes[attachment.key] = .refused("the name or one of its addresses is there twice")
      }
    }
    for attempt in 0..<Repairer.passes where !left.isEmpty {
      var plan = try await repairer.plan(deadline)
      var lost: [AdoptedAttachment] = []
      var queue = left[...]
      var races = 0
      while !queue.isEmpty {
        plan.limit = repairer.limit(plan.definition)
        var draft = RepairDraft(plan)
        var batch: [AdoptedAttachment] = []
        // After a lost race each goes alone, as it is now: one that others work on does not hold up the
        // rest, and they may work faster than all of a network is read.
        while let next = queue.first, batch.isEmpty || attempt == 0 {
          if attempt > 0 { try await look(again: next, &plan, deadline) }
          if let verdict = judge(next, plan) {
            let event = verdict == .present ? Self.event(of: next.key, plan, in: sent) : nil
            if let event { progress([event]) }
            outcomes[next.key] = event == nil ? verdict : .adopted
          } else {
            var trial = batch.isEmpty ? RepairDraft(plan) : draft
            add(next, plan, &trial)
            guard batch.isEmpty || trial.count <= plan.limit else { break }
            draft = trial
            batch.append(next)
            // A MAC address or name occurs once in what the plan knows, not in what is drafted.
            plan.reserve(next)
          }
          queue.removeFirst()
        }
        guard !batch.isEmpty else { continue }
        if dryRun {
          for attachment in batch { outcomes[attachment.key] = .adopted }
          continue
        }
        let operations = draft.step("adopt").operations
        let events = Self.events(of: operations, batch)
        if let revision = try await repairer.commit(operations, noting: events, plan, deadline) {
          plan.apply(operations, revision)
          progress(events)
          for attachment in batch { outcomes[attachment.key] = .adopted }
          races = 0
          continue
        }
        // The server's limit has just been found out: the same in smaller commits.
        let wasTooLarge = repairer.limit(plan.definition) < plan.limit
        if !wasTooLarge {
          for event in events { sent[event.attachment] = event }
          races += 1
        }
        if wasTooLarge || attempt > 0 && races < Repairer.racesInARow {
          for attachment in batch { plan.unreserve(attachment) }
          queue = (batch + queue)[...]
        } else {
          lost += batch
          races = 0
        }
      }
      left = lost
    }
    for attachment in left {
      outcomes[attachment.key] = .refused("other writers kept winning; repeat the import")
    }
    return attachments.map { ($0, outcomes[$0.key] ?? .refused("it was not looked at")) }
  }

  /// Brings a plan up to date for one attachment: one round trip.
  private func look(
    again attachment: AdoptedAttachment, _ plan: inout RepairPlan, _ deadline: Deadline
  ) async throws(AllocationError) {
    var keys: Set<StoreKey> = [.attachment(attachment.key)]
    if let mac = attachment.mac { keys.insert(.mac(mac)) }
    for address in attachment.addresses {
      keys.insert(.lease(address))
      for place in plan.places(of: address) { keys.insert(.chunk(place.key)) }
    }
    try await repairer.look(again: keys, &plan, deadline)
  }

  /// Why nothing is to be done; nil to go on.
  private func judge(_ attachment: AdoptedAttachment, _ plan: RepairPlan) -> Outcome? {
    guard !attachment.addresses.isEmpty else { return .refused("it holds no address") }
    var present = 0
    for address in attachment.addresses {
      guard let place = plan.places(of: address).first else {
        return .refused("\(address) lies in none of the network's pools")
      }
      switch plan.evidence[.lease(address)].value {
      case nil: break
      case .lease(let lease) where lease.attachment == attachment.key: present += 1
      case .lease(let lease): return .refused("\(address) is leased to \(lease.attachment)")
      default: return .refused("the lease of \(address) cannot be read: repair the network first")
      }
      let stored = plan.evidence[.chunk(place.key)]
      if stored != .absent, stored.chunk?.incarnation != plan.definition.incarnation {
        return .refused("\(place.key) cannot be read: repair the network first")
      }
    }
    if present == attachment.addresses.count { return .present }
    guard plan.evidence[.attachment(attachment.key)] == .absent, present == 0 else {
      return .refused("\(attachment.key) is here with other addresses")
    }
    return nil
  }

  /// What one of our own commits tells of an attachment that is there.
  private static func event(
    of key: AttachmentKey, _ plan: RepairPlan, in sent: [AttachmentKey: JournalEvent]
  ) -> JournalEvent? {
    guard case .attachment(let attachment) = plan.evidence[.attachment(key)].value else {
      return nil
    }
    let event = JournalEvent(acquired: attachment, by: key)
    return sent[key] == event ? event : nil
  }

  /// What a commit tells a journal, in the order of the batch.
  private static func events(
    of operations: [StoreOperation], _ batch: [AdoptedAttachment]
  ) -> [JournalEvent] {
    var made: [AttachmentKey: JournalEvent] = [:]
    for case .put(.attachment(let key), .attachment(let attachment), _) in operations {
      made[key] = JournalEvent(acquired: attachment, by: key)
    }
    return batch.compactMap { made[$0.key] }
  }

  private func add(
    _ adopted: AdoptedAttachment, _ plan: RepairPlan, _ draft: inout RepairDraft
  ) {
    let isFree = adopted.mac.map { plan.evidence[.mac($0)] == .absent && !plan.isReserved($0) }
    let attachment = Attachment(
      holdings: plan.sorted(adopted.addresses.compactMap(plan.holding)),
      node: adopted.origin?.node ?? node, mac: isFree == true ? adopted.mac : nil,
      workload: adopted.workload, nonce: adopted.origin?.nonce ?? plan.random(),
      createdAt: adopted.origin?.createdAt ?? plan.now)
    draft.put(.attachment(adopted.key), .attachment(attachment))
    for address in adopted.addresses {
      draft.put(.lease(address), .lease(Lease(adopted.key, attachment)))
      draft.take(address)
    }
    if let mac = attachment.mac { draft.put(.mac(mac), .mac(adopted.key)) }
  }
}
