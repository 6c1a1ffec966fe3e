// Threads on one pool. Who holds an address writes into its cell without any lock of his own: the
// pool's must be enough, and ThreadSanitizer sees whether they are.

import AddressSpace
import Testing
import TestSupport

@testable import BitmapAllocator

/// A cell for each ordinal, plain memory.
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
}
