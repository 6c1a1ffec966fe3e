// A pool for several threads: the ordinals are dealt out in stripes to up to 64 parts, each a PoolCore
// of its own under a lock of its own.
//
//   Stripes      which part, and where in it
//   open  …1 0 1 one word; bit clear => that part has nothing free
//
// A thread begins in the part of its number, and takes another number when it finds somebody there, so
// that threads meet only where parts run out. `open` is the tree's rule once more, but exact: a bit is
// changed only under the part's lock, so that one load that shows zero proves that nothing was free at
// that moment.

internal import AddressSpace
internal import Synchronization

// Sendable by proof: a part's core is touched only under the part's lock, and in init and deinit,
// when nobody else has the pool. The rest never changes or is atomic.

/// A pool of addresses or delegated prefixes that any number of threads may use at once.
///
/// The same operations as `AddressPool`, but a reference: nothing is `mutating`. An operation on
/// one unit takes one lock for a few nanoseconds; those on the whole pool take all locks, in order,
/// and so see one moment.
public final class ConcurrentAddressPool: @unchecked Sendable {
  /// What may be handed out.
  public let space: PoolSpace
  let stripes: Stripes
  let parts: UnsafeMutablePointer<Part>
  let locks: UnsafeMutablePointer<PartLock>
  /// A bit for each part that may have something free.
  private let open: Atomic<UInt64>

  struct Part: ~Copyable {
    var core: PoolCore
    /// Whether the part's bit in `open` is clear.
    var isClosed = false
    /// Two threads' parts share no pair of cache lines.
    let padding: (UInt128, UInt128, UInt128, UInt128, UInt128, UInt128, UInt128, UInt128) =
      (0, 0, 0, 0, 0, 0, 0, 0)

    init(core: consuming PoolCore) { self.core = core }
  }

  /// A pool of what `space` allows; the parameters are those of `AddressPool`.
  /// O(intervals × log intervals).
  public init(
    space: PoolSpace, cooldown: UInt64 = 0, cooling: TreeSearch.CoolingRule = .borrow
  ) {
    let stripes = Stripes(space.geometry)
    self.space = space
    self.stripes = stripes
    parts = .allocate(capacity: stripes.partCount)
    locks = .allocate(capacity: stripes.partCount)
    open = Atomic(~0 >> UInt64(64 - stripes.partCount))
    for (index, share) in stripes.spaces(allowed: space.allowed).enumerated() {
      let core = PoolCore(space: share, cooldown: cooldown, rule: cooling)
      (parts + index).initialize(to: Part(core: core))
      (locks + index).initialize(to: PartLock())
    }
  }

  deinit {
    parts.deinitialize(count: partCount)
    parts.deallocate()
    locks.deinitialize(count: partCount)
    locks.deallocate()
  }

  var partCount: Int { stripes.partCount }
}

// MARK: - Locks

extension ConcurrentAddressPool {
  /// Runs `body` on a part's core under its lock.
  func locked<Result: Sendable>(_ index: Int, _ body: (inout PoolCore) -> Result) -> Result {
    let part = parts + index
    return locks[index].withLock { body(&part.pointee.core) }
  }

  /// Runs `body`, which gives something back, and reopens the part if it did.
  func releasing(_ index: Int, _ body: (inout PoolCore) -> Bool) -> Bool {
    let part = parts + index
    return locks[index].withLock {
      guard body(&part.pointee.core) else { return false }
      reopen(index)
      return true
    }
  }

  /// Under the part's lock.
  func reopen(_ index: Int) {
    guard parts[index].isClosed else { return }
    parts[index].isClosed = false
    open.bitwiseOr(1 << UInt64(index), ordering: .sequentiallyConsistent)
  }

  /// Runs `body` under all locks.
  func allLocked<Result: Sendable>(_ body: () -> Result) -> Result {
    func lock(from index: Int) -> Result {
      if index == partCount { return body() }
      return locks[index].withLock { lock(from: index + 1) }
    }
    return lock(from: 0)
  }

  enum Attempt<Result: Sendable>: Sendable {
    case got(Result)
    /// Nothing is free; what cools there may be free later without a release.
    case nothing(butCooling: Bool)
  }

  /// Under the part's lock: what `body` takes, or the part closed if nothing was left to take.
  @inline(__always)
  private func attempt<Result: Sendable>(
    _ index: Int, _ body: (inout PoolCore) -> Result?
  ) -> Attempt<Result> {
    let part = parts + index
    if let result = body(&part.pointee.core) { return .got(result) }
    guard part.pointee.core.coolingCount == 0 else { return .nothing(butCooling: true) }
    part.pointee.isClosed = true
    open.bitwiseAnd(~(1 << UInt64(index)), ordering: .sequentiallyConsistent)
    return .nothing(butCooling: false)
  }

  /// The part where the calling thread begins.
  var home: Int { ThreadNumber.current & (partCount &- 1) }

  /// What `body` takes, and the part that it is from: the calling thread's own if it has something
  /// and is idle, else the next that has.
  @inline(__always)
  func take<Result: Sendable>(
    _ body: (inout PoolCore) -> Result?
  ) -> (result: Result, part: Int)? {
    let home = home
    if open.load(ordering: .sequentiallyConsistent) >> UInt64(home) & 1 == 1 {
      switch locks[home].withLockIfAvailable({ attempt(home, body) }) {
      case .got(let result): return (result, home)
      case .nothing: break
      case nil: ThreadNumber.moveOn()
      }
    }
    return takeElsewhere(home, body)
  }

  @inline(never)
  private func takeElsewhere<Result: Sendable>(
    _ home: Int, _ body: (inout PoolCore) -> Result?
  ) -> (result: Result, part: Int)? {
    var asked: UInt64 = 0
    while true {
      let left = open.load(ordering: .sequentiallyConsistent) & ~asked
      if left == 0 { return nil }
      // The next after home, around the end; home itself, which was empty or busy, last.
      let beyond = left & (~1 << UInt64(home))
      let index = (beyond != 0 ? beyond : left).trailingZeroBitCount
      switch locks[index].withLock({ attempt(index, body) }) {
      case .got(let result): return (result, index)
      case .nothing(let butCooling): if butCooling { asked |= 1 << UInt64(index) }
      }
    }
  }
}
