public import AddressSpace
public import IPAM
internal import Glibc
import Synchronization

/// The allocation of one network in a directory of host-local's format, shared with any host-local that
/// runs on the same directory.
///
/// The address files are the truth and survive any kill of processes; only with `sync` they also
/// survive a loss of power. Deadlines are on CLOCK_MONOTONIC.
public final class DiskStore: AllocationStore {
  /// Where host-local keeps its networks.
  public static let defaultDirectory = "/var/lib/cni/networks"
  /// Where this store keeps what speeds it up.
  public static let defaultStateDirectory = "/var/lib/cni/cni-ipam-consul"

  let configuration: DiskConfiguration
  private let invalid: StoreError?
  private let memory = Mutex(Access.Memory())
  @TaskLocal private static var turn: Turn?

  /// A store; nothing is touched before the first use, and nothing is created before the first commit.
  ///
  /// - Parameters:
  ///   - directory: host-local's `dataDir`.
  ///   - network: The network's name, which is the directory's in there.
  ///   - definition: What the network is; nil if that cannot be known, which is enough to release.
  ///   - stateDirectory: Where to keep the index; one that cannot be written to costs speed only.
  ///   - sync: Whether a commit waits until it is on the disk.
  public init(
    directory: String = DiskStore.defaultDirectory, network: String,
    definition: NetworkDefinition?, stateDirectory: String = DiskStore.defaultStateDirectory,
    sync: Bool = false
  ) {
    configuration = DiskConfiguration(
      path: "\(directory)/\(network)", layouts: (try? definition?.layouts()) ?? [],
      isDurable: sync,
      index: IndexFile(
        stateDirectory: stateDirectory, directory: "\(directory)/\(network)"))
    let isName = !network.isEmpty && network != "." && network != ".." && !network.contains("/")
    invalid =
      isName && !network.utf8.contains(0) && !directory.utf8.contains(0)
      ? nil : StoreError(.refused, "network \"\(network)\" cannot be the name of a directory")
  }

  /// Local, of one node, with leases only.
  public var traits: StoreTraits {
    StoreTraits(
      keepsDefinition: false, isShared: false, operationLimit: DiskConfiguration.operationLimit,
      isLocal: true, keepsOnlyLeases: true)
  }

  /// What this store has done so far, in the turns that are over.
  public var counters: DiskCounters { memory.withLock { $0.counters } }

  /// Reads under the lock. A snapshot goes over the whole directory: what cannot be proved by less.
  ///
  /// - Complexity: O(1) a key, and O(n) once if others than this store changed the directory.
  public func read(
    _ keys: Set<StoreKey>, consistency: Consistency, deadline: Deadline
  ) async throws(StoreError) -> [StoreKey: StoreEntry] {
    try await inTurn(deadline) { (access) throws(StoreError) in
      var answer: [StoreKey: StoreEntry] = [:]
      do throws(SystemError) {
        if consistency == .snapshot { try access.verify() }
        for key in keys { answer[key] = try access.read(key) }
      } catch {
        throw error.asStoreError
      }
      return answer
    }
  }

  /// Creates and removes files, all or none; never unknown.
  public func commit(
    _ operations: [StoreOperation], cursors: [Int: IPAddress], deadline: Deadline
  ) async -> CommitOutcome {
    do throws(StoreError) {
      return try await inTurn(deadline, creating: true) { access in
        let outcome = access.commit(operations, cursors: cursors)
        access.count(outcome)
        return outcome
      }
    } catch {
      return error.kind == .unavailable ? .unavailable(error.description) : .refused(error)
    }
  }

  /// Goes over the whole directory.
  public func list(
    _ kind: StoreListing, deadline: Deadline,
    _ visit: (StoreKey, StoreEntry) throws(StoreError) -> Void
  ) async throws(StoreError) {
    let entries = try await inTurn(deadline) { (access) throws(StoreError) in
      var entries: [(StoreKey, StoreEntry)] = []
      try access.list(kind) { entries.append(($0, $1)) }
      return entries
    }
    for (key, entry) in entries { try visit(key, entry) }
  }

  /// Runs the body while no other process or task changes the directory.
  ///
  /// - Throws: ``AllocationError/store(_:)`` if the lock is not to be had by the deadline.
  public func withTurn<Result: Sendable>(
    deadline: Deadline, _ body: () async throws(AllocationError) -> Result
  ) async throws(AllocationError) -> Result {
    let turn: Turn
    do throws(StoreError) {
      turn = try await begin(deadline, creating: false)
    } catch {
      throw .store(error)
    }
    defer { end(turn) }
    let outcome: Swift.Result<Result, AllocationError> = await Self.$turn.withValue(turn) {
      do throws(AllocationError) {
        return .success(try await body())
      } catch {
        return .failure(error)
      }
    }
    return try outcome.get()
  }
}

// MARK: - Turns

extension DiskStore {
  /// One holding of the lock. Nil inside once it is over: tasks may outlive the turn they began in.
  private final class Turn: Sendable {
    let store: ObjectIdentifier
    let access: Mutex<Access?>

    init(_ store: DiskStore, _ access: Access) {
      self.store = ObjectIdentifier(store)
      self.access = Mutex(access)
    }
  }

  /// Does something in the task's turn, or in one of its own.
  private func inTurn<Result: Sendable>(
    _ deadline: Deadline, creating: Bool = false,
    _ body: (inout Access) throws(StoreError) -> Result
  ) async throws(StoreError) -> Result {
    if let turn = Self.turn, turn.store == ObjectIdentifier(self) {
      if creating { try await enter(turn, deadline) }
      if let result = try use(turn, body) { return result }
    }
    let turn = try await begin(deadline, creating: creating)
    defer { end(turn) }
    guard let result = try use(turn, body) else {
      preconditionFailure("a turn lasts until it is ended")
    }
    return result
  }

  private func use<Result: Sendable>(
    _ turn: Turn, _ body: (inout Access) throws(StoreError) -> Result
  ) throws(StoreError) -> Result? {
    try turn.access.withLock { access throws(StoreError) in
      guard var current = access.take() else { return nil }
      defer { access = current }
      return try body(&current)
    }
  }

  /// Makes the directory of a turn that began without one.
  private func enter(_ turn: Turn, _ deadline: Deadline) async throws(StoreError) {
    guard turn.access.withLock({ $0 != nil && $0?.directory == nil }) else { return }
    let directory = try await open(deadline, creating: true)
    turn.access.withLock { access in
      guard let before = access.take() else { return }
      access = Access(configuration, directory, before.end())
    }
  }

  private func begin(_ deadline: Deadline, creating: Bool) async throws(StoreError) -> Turn {
    let directory = try await open(deadline, creating: creating)
    let known = memory.withLock { memory in
      defer { memory.state = nil }
      return memory
    }
    return Turn(self, Access(configuration, directory, known))
  }

  private func end(_ turn: Turn) {
    turn.access.withLock { access in
      guard let last = access.take() else { return }
      // The memory is handed on before the lock is let go with the last reference to the directory.
      var known = last.end()
      memory.withLock { memory in
        known.lastVersion = max(known.lastVersion, memory.lastVersion)
        memory = known
      }
    }
  }

  /// Opens and locks the directory; nil if there is none and none is to be made.
  func open(
    _ deadline: Deadline, creating: Bool, recovering: Bool = true
  ) async throws(StoreError) -> NetworkDirectory? {
    if let invalid { throw invalid }
    do throws(SystemError) {
      while true {
        let descriptor: Descriptor
        do throws(SystemError) {
          descriptor = try Descriptor(directory: configuration.path)
        } catch  where error.code == ENOENT {
          guard creating else { return nil }
          try makeDirectories(configuration.path, mode: NetworkDirectory.directoryMode)
          continue
        }
        let lockFile = try NetworkDirectory.openLock(in: descriptor)
        guard let held = try await lock(lockFile, deadline: deadline) else { break }
        let directory = try NetworkDirectory(descriptor, lock: held)
        if try directory.isCurrent {
          if recovering { try directory.recover() }
          return directory
        }
      }
    } catch {
      throw error.asStoreError
    }
    throw StoreError(
      .unavailable,
      "the lock \(configuration.path)/\(NetworkDirectory.lockName) was held by others until the "
        + "deadline; see who holds it with lslocks")
  }
}
