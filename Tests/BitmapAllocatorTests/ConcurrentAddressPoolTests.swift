// Threads on one pool. Who holds an address writes into its cell without any lock of his own: the
// pool's must be enough, and ThreadSanitizer sees whether they are.

import AddressSpace
import Dispatch
import Testing
import TestSupport

@testable import BitmapAllocator

/// A cell for each ordinal, plain memory.
// Unchecked on purpose: that nobody but a holder touches a cell is what the tests are about.
private struct Cells: @unchecked Sendable {
  let cells: UnsafeMutablePointer<Int>
  let first: IPAddress

  init(_ subnet: Prefix, count: Int) {
    first = subnet.first
    cells = .allocate(capacity: count)
    cells.initialize(repeating: 0, count: count)
  }

  func cell(_ address: IPAddress) -> UnsafeMutablePointer<Int> {
    cells + Int(address.value.low - first.value.low)
  }
}

@Suite struct ConcurrentAddressPoolTests {
  @Test(arguments: ["10.0.0.0/30", "10.0.0.0/24", "10.0.0.0/18", "10.0.0.0/12"])
  func addressHasOneHolder(subnet text: String) async throws {
    let seed = runSeed
    let subnet = try Prefix(parsing: text)
    let geometry = try #require(PoolGeometry(subnet: subnet))
    let pool = ConcurrentAddressPool(space: PoolSpace(geometry: geometry))
    let cells = Cells(subnet, count: 1 << geometry.ordinalBits)
    defer { cells.cells.deallocate() }
    await withTaskGroup(of: Void.self) { group in
      for task in 1...6 {
        group.addTask {
          var random = SeededGenerator(seed: seed.value &+ UInt64(task))
          churn(pool, cells, task, &random, seed)
        }
      }
    }
    #expect(pool.used == .zero, "\(seed)")
    pool._checkInvariants()
  }

  private func churn(
    _ pool: ConcurrentAddressPool, _ cells: Cells, _ task: Int, _ random: inout SeededGenerator,
    _ seed: TestSeed
  ) {
    var held: [IPAddress] = []
    func take(_ address: IPAddress) {
      let owner = cells.cell(address)
      if owner.pointee != 0 { Issue.record("\(address) has two holders, \(seed)") }
      owner.pointee = task
      held.append(address)
    }
    func give(_ address: IPAddress) {
      cells.cell(address).pointee = 0
      if !pool.release(address) { Issue.record("\(address) was not held, \(seed)") }
    }
    for _ in 0..<2000 {
      switch Int.random(in: 0..<8, using: &random) {
      case 0...2: if let address = pool.acquire() { take(address) }
      case 3: for address in pool.acquire(count: 5) { take(address) }
      case 4:
        let any = pool.space.geometry.address(
          of: Ordinal(random.next() & pool.space.geometry.lastOrdinal.offset.low))
        if pool.acquire(any) { take(any) }
      default:
        guard let index = held.indices.randomElement(using: &random) else { break }
        held.swapAt(index, held.count - 1)
        give(held.removeLast())
      }
    }
    for address in held { give(address) }
  }

  /// Six tasks hold at most one address each of eight: something is free at every moment, so that
  /// `nil` would be a wrong answer.
  @Test func exhaustedOnlyIfSo() async throws {
    let subnet = try Prefix(parsing: "10.0.0.0/16")
    let geometry = try #require(PoolGeometry(subnet: subnet))
    let spread = IntervalSet((0..<8).map { OffsetRange(Offset(UInt64($0) * 8000)) })
    let pool = ConcurrentAddressPool(space: PoolSpace(geometry: geometry, allowed: spread))
    await withTaskGroup(of: Int.self) { group in
      for _ in 0..<6 {
        group.addTask {
          (0..<3000).count { _ in
            guard let address = pool.acquire() else { return true }
            pool.release(address)
            return false
          }
        }
      }
      for await refusals in group { #expect(refusals == 0) }
    }
    let all = pool.acquire(count: 100)
    #expect(all.count == 8)
    #expect(pool.acquire() == nil)
  }

  /// Who finds somebody in its part goes elsewhere and stays there.
  @Test func threadsThatMeetPart() throws {
    let subnet = try Prefix(parsing: "10.0.0.0/16")
    let geometry = try #require(PoolGeometry(subnet: subnet))
    let pool = ConcurrentAddressPool(space: PoolSpace(geometry: geometry))
    func part(of address: IPAddress?) throws -> Int {
      let address = try #require(address)
      return pool.stripes.part(of: try #require(pool.stripes.ordinal(of: address)))
    }
    let home = try part(of: pool.acquire())
    #expect(try part(of: pool.acquire()) == home)
    let (taken, release) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
    let other = Thread {
      pool.locked(home) { _ in
        taken.signal()
        release.wait()
      }
    }
    taken.wait()
    let elsewhere = try part(of: pool.acquire())
    #expect(elsewhere != home)
    release.signal()
    other.join()
    #expect(try part(of: pool.acquire()) == elsewhere)
  }

  /// A window of 2^20 in a pool of 2^64, all else taken: its chunks are in all parts.
  @Test func aSmallWindowIsSpreadOverAllParts() throws {
    let everything = try Prefix(parsing: "2001:db8::/64")
    let window = try Prefix(parsing: "2001:db8::5a:a5a0:0/108")
    var owned = try #require(AddressPool(subnet: everything))
    let isTaken = owned.acquire(everything)
    let isReleased = owned.release(window)
    #expect(isTaken && isReleased)
    let pool = ConcurrentAddressPool(owned)
    #expect(pool.free == .powerOfTwo(20))
    #expect(pool.copy() == owned)
    for part in 0..<pool.partCount {
      let free = pool.parts[part].core.free
      #expect(free == .powerOfTwo(20 - pool.stripes.partBits))
    }
    #expect(pool.acquirePrefix(length: 107) == nil)
    #expect(pool.acquirePrefix(length: 108) == window)
    #expect(pool.acquire() == nil)
    #expect(pool.release(everything))
    #expect(pool.used == .zero)
    pool._checkInvariants()
  }

  /// Every interval of a small pool: what the parts have of it is what it is made of.
  @Test func sharesAddUp() throws {
    let subnet = try Prefix(parsing: "10.0.0.0/22")
    let geometry = try #require(PoolGeometry(subnet: subnet, chunkBits: 6))
    let stripes = Stripes(geometry)
    #expect((stripes.bits, stripes.partBits) == (6, 4))
    for first in stride(from: UInt64(0), to: 1024, by: 31) {
      for last in stride(from: first, to: 1024, by: 23) {
        let range = OffsetRange(Offset(first)).union(with: Offset(last))
        let set = IntervalSet(range)
        let shares = stripes.shares(of: set)
        #expect(shares.reduce(.zero) { $0 + $1.count } == set.count)
        #expect(stripes.global(shares) == set)
      }
    }
  }
}

extension OffsetRange {
  fileprivate func union(with last: Offset) -> OffsetRange {
    OffsetRange(first: first, last: last) ?? self
  }
}

/// A thread that can be waited for.
private final class Thread {
  private let end = DispatchSemaphore(value: 0)

  init(_ body: @escaping @Sendable () -> Void) {
    let end = end
    DispatchQueue(label: "thread").async {
      body()
      end.signal()
    }
  }

  func join() { end.wait() }
}
