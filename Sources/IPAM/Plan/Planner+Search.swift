import AddressSpace
import BitmapAllocator

// The search for a free ordinal of one range set. The fan-out tree decides which chunk is worth a look
// (`TreeSearch`); here it is told what the view and the draft know, and what it does not know yet is
// asked for.
//
//   home order         pools of the set, the one of the home chunk first; in each from the home chunk
//                      (or where the node went last) and then the r-th not-full chunk
//   sequential order   behind the cursor to the end of its range, the ranges after it, the ranges
//                      before it, and the rest up to the cursor: host-local's round robin

/// One range set of which an ordinal is wanted.
struct Hunt {
  let set: Int
  let layout: SetLayout
  let definition: NetworkDefinition

  init(set: Int, _ layout: SetLayout, _ definition: NetworkDefinition) {
    self.set = set
    self.layout = layout
    self.definition = definition
  }
}

/// What came of looking for an ordinal.
enum Found {
  case taken(PoolGeometry, Ordinal)
  case verdict(Verdict)
}

extension Planner {
  /// A stretch of one pool, searched as a whole.
  private struct Piece {
    let space: PoolSpace
    let start: ChunkIndex
    let order: TreeSearch.Order
    let isSequential: Bool
  }

  /// What a search of all pieces came across.
  private struct Sightings {
    var proof: Set<StoreKey> = []
    var damaged: [ChunkKey: String] = [:]
    var hasAvoided = false
    /// A chunk was left alone because a commit in flight writes it.
    var hasBusy = false
    var coolsUntil: UInt64?
  }

  mutating func search(
    _ hunt: Hunt, _ wish: inout Wish, _ touched: inout [ChunkKey], _ draft: inout Draft
  ) -> Found {
    if let found = searchOn(hunt, wish, &touched, &draft) { return found }
    guard let entry = view[.cursor(set: hunt.set)] else {
      return .verdict(.needs([.cursor(set: hunt.set)], .cached))
    }
    var cursor: IPAddress?
    if case .cursor(let address) = entry.value { cursor = address }
    if let drafted = draft.cursors[hunt.set] { cursor = drafted }
    let pieces = pieces(hunt, cursor: cursor, attempt: wish.conflicts)

    var sightings = Sightings()
    for piece in pieces {
      if let found = search(piece, hunt, wish, avoiding: true, &sightings, &touched, &draft) {
        remark(on: sightings, found, &draft)
        return found
      }
    }
    if sightings.hasBusy { return .verdict(.deferred) }
    if sightings.hasAvoided {
      // Only chunks are left on which races were lost: wait as owed, then try them again.
      if wish.owedWait > 0 {
        defer { wish.owedWait = 0 }
        return .verdict(
          .notBefore(configuration.surroundings.monotonic() &+ wish.owedWait))
      }
      for piece in pieces {
        if let found = search(piece, hunt, wish, avoiding: false, &sightings, &touched, &draft) {
          remark(on: sightings, found, &draft)
          return found
        }
      }
    }
    return .verdict(nothingFound(hunt, sightings, draft))
  }

  /// Damaged chunks are passed by as if they were full, which an operator should know.
  private func remark(on sightings: Sightings, _ found: Found, _ draft: inout Draft) {
    guard case .taken = found else { return }
    for damaged in sightings.damaged.values.sorted() {
      draft.remark(
        "nothing is allocated from a part of network \(configuration.networkName): \(damaged)")
    }
  }

  /// Where the wish before found something there mostly is more, and it is where the search would
  /// begin anyway: only the tree need not be asked again. `nil` to ask it.
  private func searchOn(
    _ hunt: Hunt, _ wish: Wish, _ touched: inout [ChunkKey], _ draft: inout Draft
  ) -> Found? {
    guard let place = draft.lastPlace(of: hunt.set), wish.avoided.isEmpty, strays.isEmpty,
      var chunk = draft.chunk(place.key),
      case .bit(let bit) = take(
        .next, from: &chunk, place.key, place.usable, hunt.definition, &touched, &draft)
    else { return nil }
    let pool = place.key.pool
    return .taken(pool, pool.ordinal(of: place.key.node, bit: bit))
  }

  private func search(
    _ piece: Piece, _ hunt: Hunt, _ wish: Wish, avoiding: Bool, _ sightings: inout Sightings,
    _ touched: inout [ChunkKey], _ draft: inout Draft
  ) -> Found? {
    let pool = piece.space.geometry
    let rule: TreeSearch.CoolingRule =
      hunt.definition.cooldown.policy == .strict ? .strict : .borrow
    var search = TreeSearch(
      space: piece.space, start: piece.start, order: piece.order, cooling: rule)
    while true {
      switch search.step() {
      case .read(let node):
        switch look(at: ChunkKey(pool: pool, node: node), hunt.definition, draft) {
        case .unknown: return .verdict(.needs(path(from: node, in: pool), .cached))
        case .damaged(let text):
          sightings.damaged[ChunkKey(pool: pool, node: node)] = text
          search.reject(node, nil)
        case .chunk(let chunk): search.supply(node, chunk)
        }
      case .candidate(let node):
        let key = ChunkKey(pool: pool, node: node)
        if isBusy(key, &sightings) {
          search.reject(node, nil)
          continue
        }
        if avoiding, wish.avoided[key, default: 0] >= 2 {
          sightings.hasAvoided = true
          search.reject(node, nil)
          continue
        }
        switch look(at: key, hunt.definition, draft) {
        case .unknown: return .verdict(.needs([.chunk(key)], .cached))
        case .damaged(let text):
          sightings.damaged[key] = text
          search.reject(node, nil)
        case .chunk(var chunk):
          let usable = piece.space.usableBits(in: node)
          switch take(
            piece.isSequential ? .lowest : .next, from: &chunk, key, usable, hunt.definition,
            &touched, &draft)
          {
          case .bit(let bit):
            apply(search.marks, in: pool, wish, &touched, &draft)
            if !piece.isSequential {
              draft.setLastPlace(Draft.Place(set: hunt.set, key: key, usable: usable))
            }
            return .taken(pool, pool.ordinal(of: node, bit: bit))
          case .needs(let keys): return .verdict(.needs(keys, .consistent))
          case .nothing: search.reject(node, chunk)
          }
        }
      case .cooling(let node):
        let key = ChunkKey(pool: pool, node: node)
        guard !isBusy(key, &sightings),
          case .chunk(var chunk) = look(at: key, hunt.definition, draft)
        else {
          search.reject(node, nil)
          continue
        }
        let usable = piece.space.usableBits(in: node)
        if rule == .strict {
          let until = chunk.cooling.oldest(in: usable).map {
            $0.since + UInt64(hunt.definition.cooldown.seconds)
          }
          sightings.coolsUntil = min(sightings.coolsUntil ?? .max, until ?? .max)
          return nil
        }
        switch take(.cooling, from: &chunk, key, usable, hunt.definition, &touched, &draft) {
        case .bit(let bit): return .taken(pool, pool.ordinal(of: node, bit: bit))
        case .needs(let keys): return .verdict(.needs(keys, .consistent))
        case .nothing: search.reject(node, chunk)
        }
      case .exhausted(let nodes):
        sightings.proof.formUnion(nodes.map { .chunk(ChunkKey(pool: pool, node: $0)) })
        return nil
      }
    }
  }

  private func isBusy(_ key: ChunkKey, _ sightings: inout Sightings) -> Bool {
    guard isBusy(.chunk(key)) else { return false }
    sightings.hasBusy = true
    return true
  }

  /// The chunks from a node up to the root: asked for together, to spare round trips.
  private func path(from node: TreeNode, in pool: PoolGeometry) -> Set<StoreKey> {
    var keys: Set<StoreKey> = [.chunk(ChunkKey(pool: pool, node: node))]
    var node = node
    while let up = pool.parent(of: node) {
      node = up.node
      let key = StoreKey.chunk(ChunkKey(pool: pool, node: node))
      if view[key] == nil { keys.insert(key) }
    }
    return keys
  }

  // MARK: - Where to look

  private func pieces(_ hunt: Hunt, cursor: IPAddress?, attempt: Int) -> [Piece] {
    hunt.definition.searchOrder == .sequential
      ? sequentialPieces(hunt.layout, cursor)
      : homePieces(hunt.layout, cursor, attempt)
  }

  private func homePieces(
    _ layout: SetLayout, _ cursor: IPAddress?, _ attempt: Int
  ) -> [Piece] {
    var seed = StableHash()
    seed.combine(configuration.node.name)
    seed.combine(UInt64(attempt))
    let start = startChunk(of: layout, cursor)
    let spaces = layout.pools.filter { !$0.allowed.isEmpty }
    let first = spaces.firstIndex { $0.geometry == start?.pool } ?? 0
    return spaces.indices.map { offset in
      let space = spaces[(first + offset) % spaces.count]
      let known = space.geometry == start?.pool ? start?.node.index : nil
      let home = known ?? space.homeChunk(hash: nodeHash(space.geometry))
      return Piece(
        space: space, start: home ?? ChunkIndex(0), order: .random(seed: seed.value),
        isSequential: false)
    }
  }

  /// Where the node went last, as long as the ranges touch that chunk; else its home chunk.
  private func startChunk(of layout: SetLayout, _ cursor: IPAddress?) -> ChunkKey? {
    if let cursor {
      for space in layout.pools {
        guard let ordinal = space.geometry.ordinal(of: cursor) else { continue }
        let node = space.geometry.node(of: ordinal).node
        if space.coverage(of: node) != .none {
          return ChunkKey(pool: space.geometry, node: node)
        }
      }
    }
    return homeChunk(of: layout)
  }

  /// The chunk where this node looks first: a pool by its share of the set's chunks is not needed,
  /// the hash of the node picks the pool and then the chunk in it.
  func homeChunk(of layout: SetLayout) -> ChunkKey? {
    let spaces = layout.pools.filter { !$0.allowed.isEmpty }
    guard !spaces.isEmpty else { return nil }
    var hash = StableHash()
    hash.combine(configuration.node.name)
    hash.combine(configuration.networkName)
    let pick = Int(hash.value.multipliedFullWidth(by: UInt64(spaces.count)).high)
    let space = spaces[pick]
    return space.homeChunk(hash: nodeHash(space.geometry)).map {
      ChunkKey(pool: space.geometry, node: TreeNode(level: 0, index: $0))
    }
  }

  private func nodeHash(_ pool: PoolGeometry) -> UInt64 {
    var hash = StableHash()
    hash.combine(configuration.node.name)
    hash.combine(pool.subnet.description)
    return hash.value
  }

  private func sequentialPieces(_ layout: SetLayout, _ cursor: IPAddress?) -> [Piece] {
    let segments = layout.segments
    let at = cursor.flatMap { cursor in
      segments.firstIndex { $0.range.addresses.contains(cursor) }
    }
    guard let at, let cursor, let ordinal = segments[at].space.geometry.ordinal(of: cursor)
    else { return segments.compactMap { piece($0.space) } }
    let geometry = segments[at].space.geometry
    let allowed = segments[at].space.allowed
    let below = OffsetRange(first: .zero, last: ordinal.offset).map { IntervalSet($0) }
    let upTo = allowed.intersection(below ?? IntervalSet())
    let behind = allowed.subtracting(upTo)
    let others = segments[(at + 1)...] + segments[..<at]
    return [piece(PoolSpace(geometry: geometry, allowed: behind))].compactMap { $0 }
      + others.compactMap { piece($0.space) }
      + [piece(PoolSpace(geometry: geometry, allowed: upTo))].compactMap { $0 }
  }

  private func piece(_ space: PoolSpace) -> Piece? {
    guard let first = space.touchedChunks.intervals.first?.first else { return nil }
    return Piece(space: space, start: ChunkIndex(first), order: .next, isSequential: true)
  }

  // MARK: - Nothing

  /// No piece has anything: exhausted, if one snapshot proves it.
  private func nothingFound(
    _ hunt: Hunt, _ sightings: Sightings, _ draft: Draft
  ) -> Verdict {
    if let until = sightings.coolsUntil {
      let now = configuration.surroundings.now()
      let seconds = until > now ? until - now : 1
      return .notBefore(configuration.surroundings.monotonic() &+ seconds * 1_000_000_000)
    }
    var keys = sightings.proof
    for space in hunt.layout.pools {
      keys.formUnion(
        space.proofNodes.map { .chunk(ChunkKey(pool: space.geometry, node: $0)) })
    }
    if keys.contains(where: { isInOthersWork($0, draft) }) { return .deferred }
    if traits.keepsDefinition { keys.insert(.definition) }
    guard view.isSnapshot(of: keys) else { return .needs(keys, .snapshot) }
    let isProved = hunt.layout.pools.allSatisfy { space in
      var snapshot: [TreeNode: Chunk] = [:]
      for case .chunk(let key) in keys where key.pool == space.geometry {
        snapshot[key.node] = view[.chunk(key)]?.chunk
      }
      return ExhaustionProof(of: space).check(snapshot) == .proved
    }
    if isProved {
      return .resolved(
        .failure(
          .exhausted(Exhaustion(hunt.definition, set: hunt.set, hunt.layout))))
    }
    let suspected = Set(sightings.damaged.keys.map(StoreKey.chunk))
    guard suspected.allSatisfy(view.isConfirmed) else { return .needs(suspected, .consistent) }
    if let damaged = sightings.damaged.values.min() {
      return .resolved(
        .failure(.damaged("\(damaged); nothing else is left to allocate from")))
    }
    // Bits that no commit sets, as nobody gets an address by it: without this they were looked at again
    // and again until the deadline.
    let strays = strays.filter { view.isConfirmed(.lease($0)) && view[.lease($0)] != .absent }
    if let stray = strays.min() {
      return .resolved(
        .failure(
          .damaged(
            "\(stray) is leased, though its bit is clear; nothing else is left to allocate from")))
    }
    return .notBefore(configuration.surroundings.monotonic() &+ Backoff.floor)
  }
}
