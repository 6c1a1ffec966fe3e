import AddressSpace
import BitmapAllocator
import IPAM
internal import Synchronization

// Writers that race for the same keys.

private let writers = 16
private let rounds = 4

private final class Reader: Sendable {
  let isDone = Mutex(false)
}

let contentionChecks: [ConformanceCheck] = [
  ConformanceCheck("no update of a chunk is lost", skips: ConformanceCheck.needsRecords) { bench in
    let chunkKey = try bench.chunkKey(bench.address(2)).key
    let key = StoreKey.chunk(chunkKey)
    try await bench.concurrently { writer in
      for _ in 0..<rounds {
        while true {
          let entry = try await bench.read(key)
          var chunk =
            entry.value?.asChunk
            ?? Chunk(
              chunkBits: chunkKey.pool.chunkBits, incarnation: bench.definition.incarnation)
          let all = 0...chunk.bitmap.capacity - 1
          guard let bit = chunk.bitmap.firstFree(in: all) else { return }
          chunk.bitmap.take(bit)
          chunk.stamp(writer: UInt64(writer) + 1)
          await Task.yield()
          if try await bench.wins([.put(key, .chunk(chunk), expected: entry.revision)]) { break }
        }
      }
    }
    let chunk = try await bench.read(key).value?.asChunk
    try bench.expect("bits taken", of: chunk?.bitmap.takenCount, is: writers * rounds)
    try bench.expect("generation", of: chunk?.generation, is: UInt64(writers * rounds))
  },

  ConformanceCheck("no two writers get one address") { bench in
    try await bench.concurrently { writer in
      for round in 0..<rounds {
        let key = bench.key("c\(writer)-\(round)")
        while true {
          // All go for the same chunk's lowest free bit.
          let (chunkKey, _) = try bench.chunkKey(bench.address(2))
          let entries = try await bench.read([.chunk(chunkKey)])
          let bitmap = entries[.chunk(chunkKey)]?.value?.asChunk?.bitmap
          let all = 2...(1 << chunkKey.pool.chunkBits) - 1
          guard let bit = bitmap.map({ $0.firstFree(in: all) }) ?? all.lowerBound else { return }
          let address = try bench.address(UInt64(bit))
          await Task.yield()
          if try await bench.wins(bench.granting([address], to: key, chunks: entries)) { break }
        }
      }
    }
    let leases = try await bench.list(.leases)
    try bench.expect("leases", of: leases.count, is: writers * rounds)
    let holders = Set(leases.values.compactMap { $0.value?.asLease?.attachment })
    try bench.expect("holders", of: holders.count, is: writers * rounds)
    try await bench.audit()
  },

  ConformanceCheck("a snapshot shows whole commits") { bench in
    let addresses = [try bench.address(2), try bench.address(2, set: 1)]
    let keys = Set(addresses.map(StoreKey.lease))
    let reader = Reader()
    try await withThrowingTaskGroup { group in
      group.addTask {
        var round = 0
        // As long as somebody reads: else all may be written before the first look.
        while !reader.isDone.withLock({ $0 }) {
          round += 1
          let key = bench.key("c\(round)")
          // A reader may move the revisions of a store that keeps only leases.
          while try await !bench.wins(bench.granting(addresses, to: key)) {}
          await Task.yield()
          while try await !bench.wins(bench.releasing(key)) {}
          await Task.yield()
        }
      }
      group.addTask {
        defer { reader.isDone.withLock { $0 = true } }
        for _ in 0..<200 {
          await Task.yield()
          let found = try await bench.read(keys, .snapshot)
          let states = addresses.map { found[.lease($0)] }
          let holders = Set(states.map { $0?.value?.asLease?.attachment })
          try bench.expect("holders of a pair", of: holders.count, is: 1)
          try bench.expect("revisions of a pair", of: Set(states.map(\.?.revision)).count, is: 1)
        }
      }
      try await group.waitForAll()
    }
  },

  ConformanceCheck(
    "turns exclude each other",
    skips: { $0.isLocal ? nil : "turns are a matter of speed on a shared store" }
  ) { bench in
    let address = try bench.address(2)
    try await bench.concurrently { writer in
      for round in 0..<rounds {
        let key = bench.key("c\(writer)-\(round)")
        let failure = try await bench.store.withTurn(deadline: bench.deadline) {
          () async throws(AllocationError) in
          // Whoever has the turn finds the address free, whatever the others do between.
          do {
            try await bench.mustCommit(try await bench.granting([address], to: key))
            await Task.yield()
            try await bench.mustCommit(try await bench.releasing(key))
            return ConformanceFailure?.none
          } catch let failure as ConformanceFailure {
            return failure
          } catch {
            return bench.failure("no error in a turn", "\(error)")
          }
        }
        if let failure { throw failure }
      }
    }
  },

  ConformanceCheck("a turn passes results and errors on") { bench in
    let deadline = bench.deadline
    let result = try await bench.store.withTurn(deadline: deadline) {
      () async throws(AllocationError) in 42
    }
    try bench.expect("the result", of: result, is: 42)
    let error = AllocationError.undefinedNetwork("nowhere")
    do throws(AllocationError) {
      try await bench.store.withTurn(deadline: deadline) { () async throws(AllocationError) in
        throw error
      }
      throw AllocationError.deadlineExceeded("no error")
    } catch let found {
      try bench.expect("the error", of: found, is: error)
    }
  },
]

extension Workbench {
  /// Runs all writers at once.
  func concurrently(_ body: @escaping @Sendable (Int) async throws -> Void) async throws {
    try await withThrowingTaskGroup { group in
      for writer in 0..<writers { group.addTask { try await body(writer) } }
      try await group.waitForAll()
    }
  }

  /// Commits; whether the race was won. Anything else than winning or losing is a failure.
  func wins(_ operations: [StoreOperation]) async throws -> Bool {
    switch await commit(operations) {
    case .committed: return true
    case .conflict: return false
    case .unavailable:
      await surroundings.sleep(1_000_000)
      return false
    case let outcome: throw failure("a commit or a conflict", "\(outcome)")
    }
  }
}
