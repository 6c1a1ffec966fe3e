import AddressSpace
import BitmapAllocator

// Taking ordinals from chunks as the draft will leave them.

/// What is known of a chunk.
enum Look {
  case unknown
  /// There, but nothing is allocated from it.
  case damaged(String)
  /// What the draft makes of it; an empty one if the store has none.
  case chunk(Chunk)
}

/// Which of a chunk's ordinals to take.
enum Choice {
  /// The lowest that is free.
  case lowest
  /// The next that is free.
  case next
  /// The one that has cooled longest.
  case cooling
}

/// What came of trying one chunk.
enum Taken {
  case bit(Int)
  case needs(Set<StoreKey>)
  case nothing
}

extension Planner {
  func look(at key: ChunkKey, _ definition: NetworkDefinition, _ draft: Draft) -> Look {
    if let drafted = draft.chunk(key) { return .chunk(drafted) }
    guard let entry = view[.chunk(key)] else { return .unknown }
    switch entry.value {
    case nil:
      return .chunk(
        Chunk(chunkBits: key.pool.chunkBits, incarnation: definition.incarnation))
    case .chunk(let chunk)
    where !traits.keepsDefinition || chunk.incarnation == definition.incarnation:
      return .chunk(chunk)
    case .chunk: return .damaged("\(key) belongs to another definition of the network")
    case .damaged(let text): return .damaged("\(key) is damaged: \(text)")
    default: return .damaged("\(key) is not a chunk")
    }
  }

  /// Takes an ordinal of the usable bits.
  ///
  /// An address that turned out to be leased under a clear bit gets its bit in the same commit,
  /// conditional on that lease, and the search goes on.
  func take(
    _ choice: Choice, from chunk: inout Chunk, _ key: ChunkKey, _ usable: [ClosedRange<Int>],
    _ definition: NetworkDefinition, _ touched: inout [ChunkKey], _ draft: inout Draft
  ) -> Taken {
    let now = configuration.surroundings.now()
    let cooldown = UInt64(definition.cooldown.seconds)
    // Leased under a clear bit, which the commit has no room to mend: a later one does.
    var passed: [Int] = []
    func give(_ bit: Int) -> Taken {
      for bit in passed { chunk.bitmap.free(bit) }
      put(chunk, key, &touched, &draft)
      return .bit(bit)
    }
    while true {
      let before = chunk
      let found =
        switch choice {
        case .lowest: takeLowest(of: &chunk, usable, now: now, cooldown: cooldown)
        case .next: chunk.acquire(in: usable, now: now, cooldown: cooldown)
        case .cooling: chunk.borrowOldest(in: usable)
        }
      guard let bit = found else { return .nothing }
      let address = key.pool.address(of: key.pool.ordinal(of: key.node, bit: bit))
      guard strays.contains(address) else {
        return give(bit)
      }
      let lease = StoreKey.lease(address)
      guard view.isConfirmed(lease), view.isConfirmed(.chunk(key)), let entry = view[lease] else {
        chunk = before
        return .needs([lease, .chunk(key)])
      }
      guard entry != .absent else {
        return give(bit)
      }
      guard hasRoom(for: 1, in: draft) else {
        passed.append(bit)
        continue
      }
      // Leased under a clear bit: the bit stays set, as long as the lease is there.
      if !draft.touches(lease) { draft.add(.check(lease, entry.revision)) }
      draft.remark(
        "\(address) of network \(configuration.networkName) is leased, though its bit was clear")
      put(chunk, key, &touched, &draft)
    }
  }

  private func takeLowest(
    of chunk: inout Chunk, _ usable: [ClosedRange<Int>], now: UInt64, cooldown: UInt64
  ) -> Int? {
    chunk.expire(now: now, cooldown: cooldown)
    for range in usable {
      if let bit = chunk.bitmap.firstFree(in: range) {
        chunk.bitmap.take(bit)
        return bit
      }
    }
    return nil
  }

  /// Takes an address that was asked for by name.
  func take(
    _ address: IPAddress, set: Int, _ layout: SetLayout, _ definition: NetworkDefinition,
    _ touched: inout [ChunkKey], _ draft: inout Draft
  ) -> Found {
    guard let place = layout.segment(allowing: address) else {
      return .verdict(.resolved(.failure(.requestedElsewhere([address]))))
    }
    let pool = place.segment.space.geometry
    let (node, bit) = pool.node(of: place.ordinal)
    let key = ChunkKey(pool: pool, node: node)
    let lease = StoreKey.lease(address)
    if busy.contains(.chunk(key)) { return .verdict(.deferred) }
    var chunk: Chunk
    switch look(at: key, definition, draft) {
    case .unknown: return .verdict(.needs([.chunk(key)], .cached))
    case .damaged(let text):
      guard view.isConfirmed(.chunk(key)) else {
        return .verdict(.needs([.chunk(key)], .consistent))
      }
      return .verdict(.resolved(.failure(.damaged(text))))
    case .chunk(let known): chunk = known
    }
    let isFree = chunk.acquire(
      bit: bit, borrowing: definition.cooldown.policy == .borrow,
      now: configuration.surroundings.now(), cooldown: UInt64(definition.cooldown.seconds))
    if isFree, !strays.contains(address) {
      put(chunk, key, &touched, &draft)
      return .taken(pool, place.ordinal)
    }
    if isInOthersWork(.chunk(key), draft) { return .verdict(.deferred) }
    guard view.isConfirmed(.chunk(key)), view.isConfirmed(lease) else {
      return .verdict(.needs([.chunk(key), lease], .consistent))
    }
    if isFree, view[lease] == .absent {
      put(chunk, key, &touched, &draft)
      return .taken(pool, place.ordinal)
    }
    return .verdict(
      .resolved(
        .failure(
          .requestedTaken(
            set: set, address, definition.rangeSets[set], holder: view[lease]?.value?.owner))))
  }

  func put(_ chunk: Chunk, _ key: ChunkKey, _ touched: inout [ChunkKey], _ draft: inout Draft) {
    draft.put(chunk, at: key, seen: view[.chunk(key)]?.revision ?? .absent)
    if !touched.contains(key) { touched.append(key) }
  }

  /// Whether a commit has room for operations beside what the wish at hand may need yet: a lease and a chunk
  /// for each set, and three keys more.
  private func hasRoom(for operations: Int, in draft: Draft) -> Bool {
    let reserve = 2 * (terms?.rangeSets ?? 0) + 3 + notesPerCommit
    return draft.count + operations + reserve <= traits.operationLimit
  }

  /// How many full children one wish may report to their parents: each is two operations more.
  static let marksPerWish = 2

  /// Sets the parents' bits of full chunks that the search met, with the commit at hand, unless the
  /// parent is contended or the commit would become too large: marks can wait.
  func apply(
    _ marks: [TreeMark], in pool: PoolGeometry, _ wish: Wish, _ touched: inout [ChunkKey],
    _ draft: inout Draft
  ) {
    guard !traits.isLocal else { return }
    for mark in marks.prefix(Self.marksPerWish) where hasRoom(for: 2, in: draft) {
      let childKey = ChunkKey(pool: pool, node: mark.child)
      let parentKey = ChunkKey(pool: pool, node: mark.parent)
      guard wish.avoided[parentKey] == nil, !busy.contains(.chunk(parentKey)),
        !busy.contains(.chunk(childKey)),
        var child = draft.chunk(childKey) ?? view[.chunk(childKey)]?.chunk,
        // Of a tree node only if the marks below it were all set: one may have been left out here.
        child.isFull(existingBits: pool.existingBits(in: mark.child)),
        let entry = view[.chunk(parentKey)]
      else { continue }
      var parent =
        draft.chunk(parentKey) ?? entry.chunk
        ?? Chunk(chunkBits: pool.chunkBits, incarnation: child.incarnation)
      mark.set(child: &child, parent: &parent)
      put(child, childKey, &touched, &draft)
      put(parent, parentKey, &touched, &draft)
    }
  }

  /// Whether every range set has something free; changes nothing.
  mutating func planProbe(_ wish: inout Wish, _ draft: Draft) -> Verdict {
    switch ground() {
    case .verdict(let verdict): return verdict
    case .ready(let definition, let layouts):
      for index in layouts.indices {
        var trial = draft
        var touched: [ChunkKey] = []
        switch search(Hunt(set: index, layouts[index], definition), &wish, &touched, &trial) {
        case .verdict(let verdict): return verdict
        case .taken:
          var keys = Set(touched.map(StoreKey.chunk))
          if traits.keepsDefinition { keys.insert(.definition) }
          guard keys.allSatisfy(view.isConfirmed) else { return .needs(keys, .consistent) }
        }
      }
      return .resolved(.success(.available))
    }
  }
}
