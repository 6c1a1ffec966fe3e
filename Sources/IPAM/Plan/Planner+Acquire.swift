import AddressSpace
import BitmapAllocator

// An acquisition: from each range set one ordinal, and with the bits the leases, the attachment and
// the hardware address, all created in one commit or none.

extension Planner {
  mutating func planAcquire(
    _ request: AcquireRequest, wish: inout Wish, _ draft: inout Draft
  ) -> Verdict {
    if traits.hasGoneBack {
      // A repair ends this by another incarnation of the definition, which only who looks can see.
      guard view.isConfirmed(.definition) else {
        view = View()
        return .needs([.definition], .consistent)
      }
      return .resolved(.failure(.storeWentBack(network: configuration.networkName)))
    }
    let own = StoreKey.attachment(request.attachment)
    // What is being released is not to be promised to anybody.
    if unwanted.contains(request.attachment) || isInWork(own, draft) { return .deferred }
    let mustKnow = traits.isLocal || wish.needsAttachments
    let mustAsk = traits.keepsDefinition && view[.definition] == nil
    if mustAsk && !wish.hasTriedCopies {
      wish.hasTriedCopies = true
      return .needs(firstReads(request), .copies)
    }
    if mustAsk || (mustKnow && !view.isConfirmed(own)) {
      // What the first commit will need is read along, so that a cold wish takes two round trips.
      return .needs(firstReads(request).union([own]), mustKnow ? .consistent : .cached)
    }
    let definition: NetworkDefinition
    let layouts: [SetLayout]
    switch ground() {
    case .verdict(let verdict): return verdict
    case .ready(let known, let laidOut): (definition, layouts) = (known, laidOut)
    }
    if let entry = view[own], entry != .absent,
      let verdict = planRepeat(request, entry, definition)
    {
      return verdict
    }
    let verdict = planAnew(request, definition, layouts, &wish, &draft)
    guard case .resolved(.failure) = verdict, case let unconfirmed = unconfirmed(own),
      !unconfirmed.isEmpty
    else { return verdict }
    wish.needsAttachments = true
    return .needs(unconfirmed, .consistent)
  }

  /// For an attachment that holds nothing yet.
  private mutating func planAnew(
    _ request: AcquireRequest, _ definition: NetworkDefinition, _ layouts: [SetLayout],
    _ wish: inout Wish, _ draft: inout Draft
  ) -> Verdict {
    func refused(_ reason: String) -> Verdict {
      let text = "network \(definition.name) \(reason)"
      return .resolved(.failure(.invalidDefinition(NetworkDefinitionError(text))))
    }
    guard definition.kind == .leased else { return refused("keeps no leases (kind bare)") }
    if request.needsAddresses, layouts.contains(where: \.delegatesPrefixes) {
      return refused("delegates prefixes (unitPrefixLength), not addresses")
    }
    if let mac = request.mac, let verdict = checkMAC(mac, request, wish, draft) { return verdict }

    let assigned: [Int: IPAddress]
    do {
      assigned = try assign(request.requested, to: definition.rangeSets, layouts)
    } catch {
      return .resolved(.failure(error))
    }
    var touched: [ChunkKey] = []
    var holdings: [Attachment.Holding] = []
    for index in layouts.indices {
      let found =
        assigned[index].map { take($0, set: index, layouts[index], definition, &touched, &draft) }
        ?? search(Hunt(set: index, layouts[index], definition), &wish, &touched, &draft)
      switch found {
      case .verdict(let verdict): return verdict
      case .taken(let pool, let ordinal):
        holdings.append(holding(pool, ordinal, layouts[index], draft: &draft, set: index))
      }
    }
    return commitHoldings(holdings, request, definition, wish, touched, &draft)
  }

  /// What a refusal depends on and was not confirmed: what is not to be had may be what the attachment
  /// holds already, or what the definition allows by now.
  private func unconfirmed(_ own: StoreKey) -> Set<StoreKey> {
    let keys: Set<StoreKey> = traits.keepsDefinition ? [own, .definition] : [own]
    return keys.filter { !view.isConfirmed($0) }
  }

  /// What a first attempt will need, as far as it can be known before the definition is.
  private mutating func firstReads(_ request: AcquireRequest) -> Set<StoreKey> {
    var keys = homeReads(withChunks: request.requested.isEmpty)
    let definition = knownDefinition ?? configuration.definition
    for index in definition?.rangeSets.indices ?? 0..<0 where view[.cursor(set: index)] == nil {
      keys.insert(.cursor(set: index))
    }
    return keys
  }

  /// The definition and the chunks where this node looks first, as far as they are not known yet.
  mutating func homeReads(withChunks: Bool = true) -> Set<StoreKey> {
    var keys: Set<StoreKey> = traits.keepsDefinition ? [.definition] : []
    guard withChunks, let definition = knownDefinition ?? configuration.definition,
      let layouts = try? layouts(of: definition)
    else { return keys.filter { view[$0] == nil } }
    keys.formUnion(layouts.compactMap { homeChunk(of: $0).map(StoreKey.chunk) })
    return keys.filter { view[$0] == nil }
  }

  /// The attachment exists: the same answer again, or host-local's error, which it has only where
  /// the attachment holds an address of a set; nil to go on.
  private func planRepeat(
    _ request: AcquireRequest, _ entry: StoreEntry, _ definition: NetworkDefinition
  ) -> Verdict? {
    let key = StoreKey.attachment(request.attachment)
    guard view.isConfirmed(key) else { return .needs([key], .consistent) }
    guard case .attachment(let attachment) = entry.value else {
      return .resolved(
        .failure(.damaged("the record of attachment \(request.attachment) cannot be read")))
    }
    if configuration.repeatPolicy == .refuse {
      for (index, set) in definition.rangeSets.enumerated() {
        if let held = attachment.holdings.first(where: { set.range(holding: $0.address) != nil }) {
          let error: AllocationError =
            request.requested.contains(held.address)
            ? .requestedTaken(set: index, held.address, set, holder: request.attachment)
            : .alreadyHeld(set: index, held.address, request.attachment)
          return .resolved(.failure(error))
        }
      }
      return nil
    }
    return .resolved(
      .success(
        .acquired(Acquired(attachment: attachment, definition: definition, isRepeat: true))))
  }

  private func checkMAC(
    _ mac: MACAddress, _ request: AcquireRequest, _ wish: Wish, _ draft: Draft
  ) -> Verdict? {
    let key = StoreKey.mac(mac)
    if isInWork(key, draft) { return .deferred }
    guard let entry = view[key], view.isConfirmed(key) else {
      return wish.needsAttachments ? .needs([key], .consistent) : nil
    }
    guard let value = entry.value else { return nil }
    return .resolved(.failure(.macTaken(mac, holder: value.owner)))
  }

  /// Gives each requested address the set that hands it out.
  private func assign(
    _ requested: [IPAddress], to sets: [RangeSet], _ layouts: [SetLayout]
  ) throws(AllocationError) -> [Int: IPAddress] {
    var left = requested
    var assigned: [Int: IPAddress] = [:]
    for (index, set) in sets.enumerated() {
      guard let position = left.firstIndex(where: { set.range(holding: $0) != nil }) else {
        continue
      }
      let address = left[position]
      if set.ranges.contains(where: { $0.gateway == address }) {
        throw .requestedGateway(set: index, address)
      }
      guard layouts[index].segment(allowing: address) != nil else { continue }
      assigned[index] = address
      left.remove(at: position)
    }
    guard left.isEmpty else { throw .requestedElsewhere(left) }
    return assigned
  }

  private func holding(
    _ pool: PoolGeometry, _ ordinal: Ordinal, _ layout: SetLayout, draft: inout Draft, set: Int
  ) -> Attachment.Holding {
    let address = pool.address(of: ordinal)
    let segment = layout.segment(allowing: address)?.segment
    draft.setCursor(set, address)
    let delegates = pool.unitPrefixLength < pool.subnet.family.bitWidth
    return Attachment.Holding(
      address: address,
      prefixLength: delegates ? pool.unitPrefixLength : pool.subnet.length,
      pool: pool, ordinal: ordinal, gateway: segment?.range.gateway)
  }

  private mutating func commitHoldings(
    _ holdings: [Attachment.Holding], _ request: AcquireRequest, _ definition: NetworkDefinition,
    _ wish: Wish, _ touched: [ChunkKey], _ draft: inout Draft
  ) -> Verdict {
    let attachment = Attachment(
      holdings: holdings, node: configuration.node, mac: request.mac, workload: request.workload,
      nonce: configuration.surroundings.random(), createdAt: configuration.surroundings.now())
    if traits.keepsDefinition, !draft.touches(.definition), let entry = view[.definition] {
      draft.add(.check(.definition, entry.revision))
    }
    var grant = Draft.Grant(
      wish: wish,
      fulfilment: .acquired(
        Acquired(attachment: attachment, definition: definition, isRepeat: false)))
    grant.chunks = touched
    var isFree = true
    func create(_ key: StoreKey, _ value: StoreValue, insteadOf revision: Revision = .absent) {
      isFree = isFree && !isBusy(key) && draft.addIfNew(.put(key, value, expected: revision))
      grant.holdings.append(key)
    }
    // Only where repeats are refused can an attachment be there already, with other addresses. What
    // else is there, as far as it was seen, is somebody else's.
    let own = StoreKey.attachment(request.attachment)
    create(own, .attachment(attachment), insteadOf: view[own]?.revision ?? .absent)
    let lease = Lease(request.attachment, attachment)
    for holding in holdings { create(.lease(holding.address), .lease(lease)) }
    if let mac = request.mac { create(.mac(mac), .mac(request.attachment)) }
    guard isFree else { return .deferred }
    draft.grants.append(grant)
    return .drafted
  }
}
