// Several threads, on one pool or on one each: what sharing costs. The threads wait for each other
// before they begin, so that they run at the same time if the machine has the cores; each takes its
// own time, and the longest counts.

internal import AddressSpace
internal import BitmapAllocator
internal import Dispatch
internal import Glibc
internal import Synchronization

/// Pools for a number of threads, each of which takes and gives back on its own account.
package final class ThreadWorkload: Sendable {
  private let pools: [ConcurrentAddressPool]
  private let threads: Int
  private let arrived = Atomic<Int>(0)

  /// With fewer pools than threads, threads share them.
  package init(_ cell: PoolCell, pools: Int, threads: Int) {
    let pool = cell.makePool()
    self.pools = (0..<pools).map { _ in ConcurrentAddressPool(pool) }
    self.threads = threads
  }

  /// `count` addresses taken and given back by each thread; the nanoseconds of a pair.
  package func acquireAndRelease(_ count: Int) -> Double {
    arrived.store(0, ordering: .releasing)
    let times = Mutex([Double]())
    let group = DispatchGroup()
    let work = { @Sendable [self] (thread: Int) in
      let time = run(count, on: pools[thread % pools.count])
      times.withLock { $0.append(time) }
    }
    for thread in 1..<threads {
      DispatchQueue.global().async(group: group) { work(thread) }
    }
    work(0)
    group.wait()
    return times.withLock { $0.max() ?? 0 } / Double(count)
  }

  private func run(_ count: Int, on pool: ConcurrentAddressPool) -> Double {
    arrived.add(1, ordering: .acquiringAndReleasing)
    while arrived.load(ordering: .acquiring) < threads { sched_yield() }
    return nanoseconds {
      var sum: UInt64 = 0
      for _ in 0..<count {
        guard let address = pool.acquire() else {
          require(false, "nothing was free")
          break
        }
        sum &+= address.value.low
        pool.release(address)
      }
      return sum
    }
  }
}
