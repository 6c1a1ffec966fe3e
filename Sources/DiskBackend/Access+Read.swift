import AddressSpace
import BitmapAllocator
import IPAM

// What stands behind each key.

extension Access {
  /// Whoever has an address is the node itself; a directory names none.
  private static let node = Node(name: "")

  mutating func read(_ key: StoreKey) throws(SystemError) -> StoreEntry {
    switch key {
    case .definition, .mac, .bulk, .journal: return .absent
    case .cursor(let set):
      guard let address = directory?.cursor(set) else { return .absent }
      return StoreEntry(.cursor(address), try revision())
    case .chunk(let key):
      guard key.pool.unitPrefixLength == key.pool.subnet.family.bitWidth else {
        return StoreEntry(
          .damaged("a directory keeps single addresses, and \(key) has prefixes"), try revision())
      }
      return try withState { (state) throws(StateUnusable) in try state.chunk(key) }
    case .lease(let address):
      switch try directory?.look(at: address) ?? .absent {
      case .absent, .empty: return .absent
      case .unknown(let text): return StoreEntry(.damaged(text), try revision())
      case .held(let holder, let since):
        return lease(holder, since, among: try files(of: holder))
      }
    case .attachment(let key):
      guard let holder = Holder(key) else { return .absent }
      return attachment(try files(of: holder))
    }
  }

  /// Of what has no revision of its own.
  private mutating func revision() throws(SystemError) -> Revision {
    try withState { (state) throws(StateUnusable) in Revision(state.version) }
  }

  /// The files of a holder, and when each was made.
  private mutating func files(
    of holder: Holder
  ) throws(SystemError) -> [(address: IPAddress, since: FileTime)] {
    guard let directory else { return [] }
    let candidates = try withState { (state) throws(StateUnusable) in
      try state.candidates(for: holder)
    }
    var found: [(address: IPAddress, since: FileTime)] = []
    for address in candidates {
      if case .held(holder, let since) = try directory.look(at: address) {
        found.append((address, since))
      }
    }
    return found
  }

  /// A lease; its revision is that of its attachment.
  private func lease(
    _ holder: Holder, _ since: FileTime, among files: [(address: IPAddress, since: FileTime)]
  ) -> StoreEntry {
    let lease = Lease(
      attachment: AttachmentKey(holder), node: Self.node, mac: nil, workload: Workload(), nonce: 0,
      createdAt: UInt64(clamping: since.seconds))
    return StoreEntry(.lease(lease), Revision(of: files.map(\.since) + [since]))
  }

  /// The attachment that has these files, its addresses in the order of the range sets.
  private func attachment(_ files: [(address: IPAddress, since: FileTime)]) -> StoreEntry {
    guard let oldest = files.map(\.since.seconds).min() else { return .absent }
    let attachment = Attachment(
      holdings: configuration.sorted(files.compactMap { configuration.holding($0.address) }),
      node: Self.node, nonce: 0, createdAt: UInt64(clamping: oldest))
    return StoreEntry(.attachment(attachment), Revision(of: files.map(\.since)))
  }

  // MARK: - Listing

  mutating func list(
    _ kind: StoreListing, _ visit: (StoreKey, StoreEntry) throws(StoreError) -> Void
  ) throws(StoreError) {
    guard let directory else { return }
    var files: [(address: IPAddress, file: AddressFile)] = []
    var holdings: [Holder: [(address: IPAddress, since: FileTime)]] = [:]
    let revision: Revision
    do throws(SystemError) {
      try directory.visitAddresses { (address, file) throws(SystemError) in
        if file != .empty { files.append((address, file)) }
        if case .held(let holder, let since) = file {
          holdings[holder, default: []].append((address, since))
        }
      }
      revision = try self.revision()
    } catch {
      throw error.asStoreError
    }
    switch kind {
    case .macs, .journal: return
    case .leases:
      for (address, file) in files {
        switch file {
        case .absent, .empty: continue
        case .unknown(let text): try visit(.lease(address), StoreEntry(.damaged(text), revision))
        case .held(let holder, let since):
          try visit(.lease(address), lease(holder, since, among: holdings[holder] ?? []))
        }
      }
    case .attachments(let node):
      guard node == nil || node == "" else { return }
      for (holder, files) in holdings {
        try visit(.attachment(AttachmentKey(holder)), attachment(files))
      }
    case .chunks:
      for key in Set(files.compactMap({ configuration.holding($0.address)?.chunk })) {
        let entry: StoreEntry
        do throws(SystemError) {
          entry = try read(.chunk(key))
        } catch {
          throw error.asStoreError
        }
        if entry != .absent { try visit(.chunk(key), entry) }
      }
    }
  }
}

extension Revision {
  /// The revision of an attachment and its leases: when the youngest of its files was made, in
  /// nanoseconds. A commit of ours gives all its files one time.
  fileprivate init(of times: [FileTime]) {
    self.init(times.map(\.nanosecondsSinceEpoch).max() ?? 0)
  }
}

extension Attachment.Holding {
  /// The chunk that has its bit.
  var chunk: ChunkKey { ChunkKey(pool: pool, node: pool.node(of: ordinal).node) }
}

extension AttachmentKey {
  init(_ holder: Holder) {
    self.init(node: "", container: holder.container, interface: holder.interface)
  }
}

extension Holder {
  /// Nil if a file cannot name it.
  init?(_ key: AttachmentKey) {
    guard key.node.isEmpty else { return nil }
    self.init(container: key.container, interface: key.interface)
  }
}
