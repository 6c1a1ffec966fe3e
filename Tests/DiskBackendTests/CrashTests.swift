import AddressSpace
import DiskBackend
import Glibc
import IPAM
import IPAMTesting
import Testing
import TestSupport

// Processes killed at any moment: what they said they had done is done, what they were about to do is
// done or not, and nothing is half done.

@Suite struct CrashTests {
  private static let sets = 24
  /// How often; a nightly run asks for more.
  private static let kills = environmentVariable("CNI_IPAM_KILLS").flatMap(Int.init) ?? 15

  @Test func killedAtAnyMoment() async throws {
    let seed = TestSeed()
    var random = seed.generator
    // Many files for each commit, so that many kills fall between two of them.
    let subnets = (0..<Self.sets).map { ["10.\($0).0.0/20"] }
    let fixture = try DiskFixture(subnets)
    let helper = try helperPath()
    var settled: [String: Bool] = [:]
    for kill in 0..<Self.kills {
      // Two at once, so that one may find what the other left while it lives.
      let runs = (0..<2).map { twin in
        let events = Int.random(in: 1...600, using: &random)
        return Execution(
          [helper, fixture.dataDirectory, fixture.folder.path + "/state", "k\(kill)-\(twin)"]
            + ["\(events)"] + subnets.flatMap { $0 })
      }
      async let first = runs[0].run()
      async let second = runs[1].run()
      for ended in [try await first, try await second] {
        #expect(ended.signal == SIGKILL, "\(ended), \(seed)")
        account(ended.output, into: &settled)
      }
      try await judge(fixture, settled, "after kill \(kill), \(seed)")
    }
    #expect(settled.values.contains(true) && settled.values.contains(false), "nothing was tried")
  }

  /// Reads what a helper said: which containers hold something and which do not. The one that it was
  /// busy with when it was killed may be either.
  private func account(_ output: String, into settled: inout [String: Bool]) {
    var open: Set<String> = []
    for line in output.split(separator: "\n") {
      let words = line.split(separator: " ").map(String.init)
      guard words.count >= 2 else { continue }
      switch words[0] {
      case "acquired": (settled[words[1]], _) = (true, open.remove(words[1]))
      case "released": (settled[words[1]], _) = (false, open.remove(words[1]))
      default: open.insert(words[1])
      }
    }
    for container in open { settled[container] = nil }
  }

  private func judge(
    _ fixture: DiskFixture, _ settled: [String: Bool], _ comment: String
  ) async throws {
    let text = Comment(rawValue: comment)
    #expect(try await fixture.audit().isEmpty, text)
    guard (try? fixture.names) != nil else { return }
    // Another process must do before us what the dead one left to do.
    let store = fixture.store()
    var held: [String: Int] = [:]
    try await store.list(.attachments(node: nil), deadline: fixture.deadline) {
      (key, entry) throws(StoreError) in
      if case .attachment(let key) = key, case .attachment(let attachment)? = entry.value {
        held[key.container] = attachment.holdings.count
      }
    }
    for (container, count) in held {
      #expect(count == Self.sets, "\(container) is half there \(text)")
    }
    for (container, isHeld) in settled {
      #expect((held[container] != nil) == isHeld, "\(container) \(text)")
    }
    #expect(try fixture.content("lock") == "", text)
    #expect(try fixture.names.allSatisfy { !$0.hasPrefix(".") }, text)
  }

  /// The helper lies beside the tests.
  private func helperPath() throws -> String {
    guard let own = realpath("/proc/self/exe", nil) else { throw TestSupportError("no /proc") }
    defer { free(own) }
    let folder = String(cString: own).split(separator: "/").dropLast().joined(separator: "/")
    return "/\(folder)/disk-crash-helper"
  }
}
