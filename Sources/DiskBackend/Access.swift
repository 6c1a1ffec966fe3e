import AddressSpace
import BitmapAllocator
import IPAM

// One turn at the directory: while it lasts nobody else who keeps to the lock changes anything, so that
// what was read stays true until the commit. Between turns only the directory's time tells whether it
// is as we left it: each turn that changes it gives it a random time of the past, which any later
// change by anybody replaces by the present.

/// The open, locked directory and what is known of it.
struct Access: Sendable {
  /// What one turn leaves to the next.
  struct Memory: Sendable {
    var state: (any DirectoryState)?
    /// The directory, and its time, for which the state is true.
    var directory: FileIdentity?
    var modified: FileTime?
    /// Versions never go back, whatever becomes of a state.
    var lastVersion: UInt64 = 0
    var counters = DiskCounters()
  }

  let configuration: DiskConfiguration
  /// Nil if there is no such directory.
  let directory: NetworkDirectory?
  private var memory: Memory
  private var state: (any DirectoryState)?
  /// Whether a pass over the directory was made in this turn.
  private var isListed = false

  init(_ configuration: DiskConfiguration, _ directory: NetworkDirectory?, _ memory: Memory) {
    self.configuration = configuration
    self.directory = directory
    self.memory = memory
  }

  /// What the next turn may start from.
  consuming func end() -> Memory {
    memory.state = memory.modified == nil ? nil : state ?? memory.state
    return memory
  }

  /// Uses the state: what an earlier turn knew, if the directory is as that left it, else what a pass
  /// over the directory brings.
  mutating func withState<Result>(
    _ body: (inout any DirectoryState) throws(StateUnusable) -> Result
  ) throws(SystemError) -> Result {
    while true {
      try load()
      guard var current = state.take() else { preconditionFailure("a state was just loaded") }
      do throws(StateUnusable) {
        let result = try body(&current)
        state = current
        return result
      } catch {
        // Only an index can be of no use, and what takes its place is none.
        try relist(indexed: false)
      }
    }
  }

  private mutating func load() throws(SystemError) {
    guard state == nil else { return }
    guard let directory else {
      state = ListedState()
      memory.modified = nil
      return
    }
    let known = memory.state.take()
    if let known, memory.directory == directory.identity,
      try memory.modified == directory.modified
    {
      state = known
      return
    }
    let modified = try directory.modified
    if let index = configuration.index?.open(of: directory.identity, at: modified) {
      state = index
      memory.lastVersion = max(memory.lastVersion, index.version)
      (memory.directory, memory.modified) = (directory.identity, modified)
      return
    }
    try relist()
  }

  /// Goes over the whole directory.
  private mutating func relist(indexed: Bool = true) throws(SystemError) {
    guard let directory else { return }
    memory.lastVersion = nextVersion
    memory.counters.listings += 1
    let listed = try ListedState(of: directory, version: memory.lastVersion)
    state = listed
    isListed = true
    seal()
    guard indexed, let modified = memory.modified, listed.population >= IndexState.smallest,
      var index = configuration.index?.create(from: listed, of: directory.identity),
      (try? index.seal(directory.identity, modified)) != nil
    else { return }
    state = index
  }

  /// Makes sure, by the names in the directory, that the state is true and not only believed.
  mutating func verify() throws(SystemError) {
    guard !isListed, let directory else { return }
    memory.counters.listings += 1
    var names: [CellKey: Cell] = [:]
    var count: UInt64 = 0
    try directory.descriptor.visitNames { name, _ in
      guard let address = IPAddress(fileName: name) else { return }
      names[CellKey(address), default: Cell()].set(
        CellKey.bit(of: address), taken: true, version: 0)
      count += 1
    }
    let isTrue = try withState { (state) throws(StateUnusable) in
      guard state.population == count else { return false }
      for (key, cell) in names where try state.cell(key)?.words != cell.words { return false }
      return true
    }
    if isTrue { isListed = true } else { try relist() }
  }

  /// Counts what a commit came to.
  mutating func count(_ outcome: CommitOutcome) {
    switch outcome {
    case .committed: memory.counters.commits += 1
    case .conflict: memory.counters.conflicts += 1
    default: break
    }
  }

  /// The version of the next commit: nanoseconds since 1970, or more where the clock went back.
  var nextVersion: UInt64 { max(memory.lastVersion + 1, Clock.wall) }

  /// Takes in what a commit changed.
  mutating func apply(_ changes: [DirectoryChange], version: UInt64) throws(SystemError) {
    memory.lastVersion = version
    try load()
    do throws(StateUnusable) {
      try state?.apply(changes, version: version)
      seal()
    } catch {
      // A pass over the directory finds the changes there already.
      try relist()
    }
  }

  /// Forgets the state: the directory is not as it should be.
  mutating func distrust() {
    state = nil
    isListed = false
    memory.modified = nil
  }

  /// Gives the directory a time by which the state is known to be true later.
  private mutating func seal() {
    memory.modified = nil
    guard let directory else { return }
    let time = FileTime.randomPast()
    do throws(SystemError) {
      try directory.descriptor.setModified(time)
      // A file system may keep coarser times, which prove less.
      guard try directory.modified == time else { return }
      try? state?.seal(directory.identity, time)
      memory.directory = directory.identity
      memory.modified = time
    } catch {
      // Somebody else's directory, or a read-only one: each turn lists it anew.
    }
  }
}

/// What a store has done so far: what the log tells, and the tests count instead of measuring time.
public struct DiskCounters: Hashable, Sendable {
  /// Commits that succeeded.
  public var commits = 0
  /// Commits that met something else than they depended on.
  public var conflicts = 0
  /// Passes over the whole directory: O(n) each, all else is O(1).
  public var listings = 0
}
