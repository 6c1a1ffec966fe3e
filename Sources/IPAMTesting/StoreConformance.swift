public import IPAM

// What every store has to do, as checks that run under any test runner: nothing here knows one.
//
//   for check in ConformanceCheck.all {
//     let outcome = try await StoreConformance { definition in MyStore(definition) }.run(check)
//   }
//
// Each check gets a new, empty store of a network of its own, and knows it only by the seam.

/// The conformance suite of ``AllocationStore``.
public struct StoreConformance: Sendable {
  /// Makes a new, empty store for the network of a definition.
  public typealias Factory = @Sendable (NetworkDefinition) async throws -> any AllocationStore

  let surroundings: Surroundings
  let makeStore: Factory

  /// A suite for the stores that a factory makes.
  public init(surroundings: Surroundings = .system, makeStore: @escaping Factory) {
    self.surroundings = surroundings
    self.makeStore = makeStore
  }

  /// Runs one check.
  ///
  /// - Returns: Whether it passed or does not apply to a store of such traits.
  /// - Throws: ``ConformanceFailure``, or what the factory throws.
  @discardableResult
  public func run(_ check: ConformanceCheck) async throws -> ConformanceOutcome {
    var definition = try check.network()
    var store = try await makeStore(definition)
    if store.traits.isLocal {
      // What allocates on a directory does so in the order of addresses, and cuts its pools for that.
      definition.searchOrder = .sequential
      store = try await makeStore(definition)
    }
    if let reason = check.skips(store.traits) { return .skipped(reason) }
    let bench = Workbench(
      check: check.name, store: store, definition: definition, surroundings: surroundings)
    try await check.body(bench)
    return .passed
  }
}

/// What became of a check that did not fail.
public enum ConformanceOutcome: Hashable, Sendable {
  /// The store does as it should.
  case passed
  /// Stores of such traits need not; the text says why.
  case skipped(String)
}

/// A store does not do as it should.
public struct ConformanceFailure: Error, Hashable, Sendable, CustomStringConvertible {
  /// The check.
  public let check: String
  /// What was expected.
  public let expected: String
  /// What happened.
  public let found: String

  /// All three.
  public var description: String { "\(check): expected \(expected), found \(found)" }
}

/// One thing that a store has to do.
public struct ConformanceCheck: Sendable, CustomStringConvertible {
  /// Its name; unique.
  public let name: String
  let network: @Sendable () throws -> NetworkDefinition
  let skips: @Sendable (StoreTraits) -> String?
  let body: @Sendable (Workbench) async throws -> Void

  init(
    _ name: String, on network: @escaping @Sendable () throws -> NetworkDefinition = Networks.plain,
    skips: @escaping @Sendable (StoreTraits) -> String? = { _ in nil },
    _ body: @escaping @Sendable (Workbench) async throws -> Void
  ) {
    self.name = name
    self.network = network
    self.skips = skips
    self.body = body
  }

  /// Its name.
  public var description: String { name }

  /// All of them.
  public static let all: [ConformanceCheck] =
    valueChecks + commitChecks + journalChecks + contentionChecks + allocationChecks
    + sharingChecks

  /// For checks of what a store of leases alone does not keep.
  static let needsRecords: @Sendable (StoreTraits) -> String? = {
    $0.keepsOnlyLeases ? "the store keeps only leases" : nil
  }
}
