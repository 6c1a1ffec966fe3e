// Work for the fault tests: nodes that add and delete as a runtime does, while something is broken.
// What each caller was told is kept, and compared with what the store holds in the end.

import AddressSpace
import IPAM
import IPAMTesting
import Synchronization
import TestSupport
import Testing

@testable import ConsulBackend

/// Who can add and delete: an allocator, or real processes.
protocol Runtime: Sendable {
  var node: String { get }
  /// The addresses, or nil if it failed, whatever the reason.
  func tryAdd(_ container: String, within milliseconds: UInt64) async throws -> [IPAddress]?
  /// Whether it worked.
  func tryDelete(_ container: String) async throws -> Bool
}

extension Process: Runtime {
  func tryAdd(_ container: String, within milliseconds: UInt64) async throws -> [IPAddress]? {
    do throws(AllocationError) {
      return try await add(container, within: milliseconds).attachment.holdings.map(\.address)
    } catch {
      try Self.check(error)
      return nil
    }
  }

  func tryDelete(_ container: String) async throws -> Bool {
    do throws(AllocationError) {
      try await delete(container)
      return true
    } catch {
      try Self.check(error)
      return false
    }
  }

  /// Only what another try can mend may happen.
  private static func check(_ error: AllocationError) throws {
    switch error {
    case .outcomeUnknown, .deadlineExceeded: break
    case .store(let error) where error.kind == .unavailable: break
    default: throw error
    }
  }
}

extension PluginCall: Runtime {
  func tryAdd(_ container: String, within milliseconds: UInt64) async throws -> [IPAddress]? {
    let ended = try await run("ADD", container)
    guard try Self.succeeded(ended) else { return nil }
    let words = ended.output.split(separator: "\"address\":").dropFirst()
    return try words.map { word in
      let text = word.drop { $0 == " " || $0 == "\"" }.prefix { $0 != "/" }
      return try IPAddress(parsing: String(text))
    }
  }

  func tryDelete(_ container: String) async throws -> Bool {
    try Self.succeeded(try await run("DEL", container))
  }

  private static func succeeded(_ ended: Execution.Ended) throws -> Bool {
    if ended.exitStatus == 0 { return true }
    let compact = String(ended.output.filter { !$0.isWhitespace })
    guard compact.contains("\"code\":11") else { throw TestSupportError("\(ended)") }
    return false
  }
}

/// A load, and what its callers were told.
final class Traffic: Sendable {
  private struct State {
    var isStopped = false
    var answers = 0
    var failures = 0
    var held: [AttachmentKey: [IPAddress]] = [:]
  }

  private let state = Mutex(State())
  private let history = HistoryRecorder()
  private let seed = TestSeed()
  /// One ADD in so many has hardly any time; 0 for none.
  private let impatience: Int

  init(impatience: Int = 0) { self.impatience = impatience }

  /// Operations that succeeded.
  var answers: Int { state.withLock { $0.answers } }
  /// Operations that failed and were tried again.
  var failures: Int { state.withLock { $0.failures } }

  /// Counts in what was there before and stays.
  func keep(_ held: [AttachmentKey: [IPAddress]]) {
    let now = Surroundings.system.monotonic()
    for (key, addresses) in held {
      history.record(HistoryEvent(.acquired(addresses), key, called: now, returned: now))
    }
    state.withLock { $0.held.merge(held) { $1 } }
  }

  /// Runs the load around `body`, which breaks something and mends it.
  func run(
    _ runtimes: [any Runtime], workers: Int = 3, _ body: () async throws -> Void
  ) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for (index, runtime) in runtimes.enumerated() {
        for worker in 0..<(runtime is PluginCall ? 1 : workers) {
          group.addTask { try await self.work(runtime, "\(index)-\(worker)") }
        }
      }
      let result = await Result.of {
        try await more(20, "before the fault")
        try await body()
        try await more(60, "after the fault")
      }
      state.withLock { $0.isStopped = true }
      try await group.waitForAll()
      try result.get()
    }
  }

  /// How many times as long everything goes on: 1, or what a night has time for.
  private static let scale = environmentVariable("CNI_IPAM_LOAD").flatMap { Int($0) } ?? 1

  /// Waits until so many more operations succeeded.
  func more(_ count: Int, _ moment: String) async throws {
    for _ in 0..<Self.scale {
      let goal = answers + count
      try await eventually("\(count) answers \(moment)") { answers >= goal }
    }
  }

  private func work(_ runtime: any Runtime, _ name: String) async throws {
    let number = name.utf8.reduce(UInt64(0)) { $0 &* 31 &+ UInt64($1) }
    var random = SeededGenerator(seed: seed.value &+ number)
    var held: [String] = []
    var step = 0
    while !state.withLock({ $0.isStopped }) {
      step += 1
      if held.count < 2 || (held.count < 5 && Bool.random(using: &random)) {
        let container = "c\(name)-\(step)"
        let isImpatient = impatience > 0 && Int.random(in: 0..<impatience, using: &random) == 0
        let patience = isImpatient ? UInt64.random(in: 1...60, using: &random) : 30_000
        if try await add(container, runtime, within: patience) {
          held.append(container)
        } else {
          // As a runtime does: whatever became of the ADD, DEL leaves nothing.
          try await delete(container, runtime)
        }
      } else {
        let container = held.remove(at: Int.random(in: held.indices, using: &random))
        try await delete(container, runtime)
      }
    }
  }

  private func key(_ container: String, _ runtime: any Runtime) -> AttachmentKey {
    AttachmentKey(node: runtime.node, container: container, interface: "eth0")
  }

  private func add(
    _ container: String, _ runtime: any Runtime, within milliseconds: UInt64
  ) async throws -> Bool {
    let key = key(container, runtime)
    let called = Surroundings.system.monotonic()
    guard let addresses = try await runtime.tryAdd(container, within: milliseconds) else {
      state.withLock { $0.failures += 1 }
      return false
    }
    history.record(
      HistoryEvent(
        .acquired(addresses), key, called: called, returned: Surroundings.system.monotonic()))
    state.withLock { state in
      state.held[key] = addresses
      state.answers += 1
    }
    return true
  }

  private func delete(_ container: String, _ runtime: any Runtime) async throws {
    let key = key(container, runtime)
    let called = Surroundings.system.monotonic()
    for _ in 0..<200 {
      if try await runtime.tryDelete(container) {
        history.record(
          HistoryEvent(
            .released, key, called: called, returned: Surroundings.system.monotonic()))
        state.withLock { state in
          state.held[key] = nil
          state.answers += 1
        }
        return
      }
      state.withLock { $0.failures += 1 }
      try await Task.sleep(for: .milliseconds(100))
    }
    throw TestSupportError("DEL of \(container) never worked")
  }

  /// No address was held by two, and what the store holds is what the callers were told.
  func expectTruth(_ network: TestNetwork, on server: ConsulServer) async throws {
    #expect(HistoryChecker.findings(history.events) == [], "\(seed)")
    if Self.scale > 1 { print("\(network.prefix): \(answers) answers, \(failures) failures") }
    try await network.expectSound(on: server, "\(seed)")
    let process = try Process(server.address, network)
    var stored: [AttachmentKey: [IPAddress]] = [:]
    try await process.store.list(
      .attachments(node: nil), deadline: Surroundings.system.deadline(inMilliseconds: 30_000)
    ) { key, entry in
      if case .attachment(let name) = key, case .attachment(let value)? = entry.value {
        stored[name] = value.holdings.map(\.address)
      }
    }
    #expect(stored == state.withLock { $0.held }, "every answer is true, \(seed)")
    await process.client.shutdown()
  }
}
