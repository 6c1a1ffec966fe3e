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
public final class FaultyStore: StoreWrapper {
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
    var chance: Chance
    var faults: Faults
    var held: [(operations: [StoreOperation], cursors: [Int: IPAddress])] = []
  }

  private let base: any AllocationStore
  private let state: Mutex<State>

  /// Faults over a store, drawn from a seed.
  public init(_ base: any AllocationStore, faults: Faults, seed: UInt64) {
    self.base = base
    state = Mutex(State(chance: Chance(seed: seed | 1), faults: faults))
  }

  /// The store behind it.
  public var wrapped: any AllocationStore { base }

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

  private enum Fault { case none, lostAnswer, lostCommit, lateCommit, refusal }

  private func draw(
    _ operations: [StoreOperation], _ cursors: [Int: IPAddress]
  ) -> (Fault, [(operations: [StoreOperation], cursors: [Int: IPAddress])]) {
    state.withLock { state in
      var late: [(operations: [StoreOperation], cursors: [Int: IPAddress])] = []
      if !state.held.isEmpty, state.chance.next() % 3 == 0 {
        late.append(state.held.remove(at: Int(state.chance.next() % UInt64(state.held.count))))
      }
      var roll = Int(state.chance.next() % 100)
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
}
