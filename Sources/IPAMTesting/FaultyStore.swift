public import AddressSpace
public import IPAM
import Synchronization

// A store that loses replies. Whatever a real server, an agent or the network between can do to a
// commit is drawn from a seed for each one:
//
//   happens, is answered                      the usual case
//   happens, the answer is lost               unknown
//   is lost                                   unknown
//   is held back, and delivered later         unknown, and a late copy comes when nobody expects it
//   is turned away                            unavailable

/// A store over another one, with faults.
public final class FaultyStore: AllocationStore {
  /// How often each fault happens, in percent of the commits.
  public struct Faults: Hashable, Sendable {
    /// The commit happens and the answer is lost.
    public var lostAnswers = 0
    /// The commit is lost on its way.
    public var lostCommits = 0
    /// The commit is held back and delivered after some others.
    public var lateCommits = 0
    /// The commit is turned away.
    public var refusals = 0

    /// No faults; set what is wanted.
    public init() {}
  }

  private struct State {
    var random: UInt64
    var faults: Faults
    var held: [(operations: [StoreOperation], cursors: [Int: IPAddress])] = []
  }

  private let base: any AllocationStore
  private let state: Mutex<State>

  /// Faults over a store, drawn from a seed.
  public init(_ base: any AllocationStore, faults: Faults, seed: UInt64) {
    self.base = base
    state = Mutex(State(random: seed | 1, faults: faults))
  }

  /// The base's traits.
  public var traits: StoreTraits { base.traits }

  /// No more faults; what is held back is delivered now.
  public func heal(deadline: Deadline) async {
    let held = state.withLock { state in
      state.faults = Faults()
      defer { state.held.removeAll() }
      return state.held
    }
    for late in held {
      _ = await base.commit(late.operations, cursors: late.cursors, deadline: deadline)
    }
  }

  /// Reads from the base.
  public func read(
    _ keys: Set<StoreKey>, consistency: Consistency, deadline: Deadline
  ) async throws(StoreError) -> [StoreKey: StoreEntry] {
    try await base.read(keys, consistency: consistency, deadline: deadline)
  }

  /// Commits to the base, unless a fault is drawn.
  public func commit(
    _ operations: [StoreOperation], cursors: [Int: IPAddress], deadline: Deadline
  ) async -> CommitOutcome {
    let (fault, late) = draw(operations, cursors)
    for held in late {
      _ = await base.commit(held.operations, cursors: held.cursors, deadline: deadline)
    }
    switch fault {
    case .none: return await base.commit(operations, cursors: cursors, deadline: deadline)
    case .lostAnswer:
      _ = await base.commit(operations, cursors: cursors, deadline: deadline)
      return .unknown("the answer was lost")
    case .lostCommit: return .unknown("the commit was lost")
    case .lateCommit: return .unknown("the commit is late")
    case .refusal: return .unavailable("turned away")
    }
  }

  /// Lists the base.
  public func list(
    _ kind: StoreListing, deadline: Deadline,
    _ visit: (StoreKey, StoreEntry) throws(StoreError) -> Void
  ) async throws(StoreError) {
    try await base.list(kind, deadline: deadline, visit)
  }

  /// Takes the base's turn.
  public func withTurn<Result: Sendable>(
    deadline: Deadline, _ body: () async throws(AllocationError) -> Result
  ) async throws(AllocationError) -> Result {
    try await base.withTurn(deadline: deadline, body)
  }

  private enum Fault { case none, lostAnswer, lostCommit, lateCommit, refusal }

  private func draw(
    _ operations: [StoreOperation], _ cursors: [Int: IPAddress]
  ) -> (Fault, [(operations: [StoreOperation], cursors: [Int: IPAddress])]) {
    state.withLock { state in
      var late: [(operations: [StoreOperation], cursors: [Int: IPAddress])] = []
      if !state.held.isEmpty, Self.next(&state.random) % 3 == 0 {
        late.append(state.held.remove(at: Int(Self.next(&state.random) % UInt64(state.held.count))))
      }
      var roll = Int(Self.next(&state.random) % 100)
      let faults = state.faults
      for (share, fault) in [
        (faults.lostAnswers, Fault.lostAnswer), (faults.lostCommits, .lostCommit),
        (faults.lateCommits, .lateCommit), (faults.refusals, .refusal),
      ] {
        if roll < share {
          if fault == .lateCommit { state.held.append((operations, cursors)) }
          return (fault, late)
        }
        roll -= share
      }
      return (.none, late)
    }
  }

  /// SplitMix64 (Steele, Lea, Flood 2014).
  private static func next(_ state: inout UInt64) -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}
