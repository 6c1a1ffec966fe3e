import AddressSpace
import BitmapAllocator

// Which definition rules. In a store that keeps one, the one stored there; the first writer creates it
// from its own file, and the loser of that race adopts the winner's.

/// What every decision asks of a definition, without a copy of the rest of it.
struct Terms: Sendable {
  let rangeSets: Int
  let searchOrder: NetworkDefinition.SearchOrder
  let cooldown: NetworkDefinition.Cooldown
  let journal: Int

  init(_ definition: NetworkDefinition) {
    rangeSets = definition.rangeSets.count
    searchOrder = definition.searchOrder
    cooldown = definition.cooldown
    journal = definition.journal
  }
}

extension Planner {
  /// The definition that allocations go by, as far as it is known.
  var knownDefinition: NetworkDefinition? {
    guard traits.keepsDefinition else { return configuration.definition }
    guard case .definition(let definition) = view[.definition]?.value else { return nil }
    return definition
  }

  /// What is asked of it all the time.
  var terms: Terms? { traits.keepsDefinition ? view.terms : configuration.terms }

  /// Whether a wish in hand waits for the network to be created, and the commit that does it.
  mutating func creationOfDefinition() -> Commit? {
    guard traits.keepsDefinition, let entry = view[.definition], entry.value == nil,
      var definition = configuration.definition,
      batch.contains(where: { !$0.isRelease })
    else { return nil }
    do {
      try definition.checkPoolsDisjoint()
      try definition.checkOneCommit(limit: traits.operationLimit)
    } catch {
      failAcquisitions(.invalidDefinition(error))
      return nil
    }
    definition.incarnation = configuration.surroundings.random()
    return Commit(
      operations: [.put(.definition, .definition(definition), expected: .absent)], cursors: [:],
      token: 0)
  }

  /// Definition and layouts, or what stands in the way.
  enum Ground {
    case ready(NetworkDefinition, [SetLayout])
    case verdict(Verdict)
  }

  mutating func ground() -> Ground {
    if traits.keepsDefinition {
      switch view[.definition]?.value {
      case .definition: break
      case .damaged(let text):
        guard view.isConfirmed(.definition) else {
          return .verdict(.needs([.definition], .consistent))
        }
        return .verdict(.resolved(.failure(.store(StoreError(.damaged, text)))))
      default:
        guard view[.definition] != nil else { return .verdict(.needs([.definition], .cached)) }
        guard view.isConfirmed(.definition) else {
          return .verdict(.needs([.definition], .consistent))
        }
        return .verdict(.resolved(.failure(.undefinedNetwork(configuration.networkName))))
      }
    }
    guard let definition = knownDefinition else {
      return .verdict(.resolved(.failure(.undefinedNetwork(configuration.networkName))))
    }
    do {
      return .ready(definition, try layouts(of: definition))
    } catch {
      guard !traits.keepsDefinition || view.isConfirmed(.definition) else {
        return .verdict(.needs([.definition], .consistent))
      }
      return .verdict(.resolved(.failure(.invalidDefinition(error))))
    }
  }

  mutating func layouts(
    of definition: NetworkDefinition
  ) throws(NetworkDefinitionError) -> [SetLayout] {
    if let cached = layoutCache, cached.definition == definition { return cached.layouts }
    let layouts = try definition.layouts()
    layoutCache = (definition, layouts)
    return layouts
  }

  private mutating func failAcquisitions(_ error: AllocationError) {
    for wish in batch where !wish.isRelease {
      fail(wish, error)
    }
    batch.removeAll { !$0.isRelease }
  }
}
