// An older snapshot is restored while the nodes of a cluster add and delete. Each node that has seen more
// refuses to add, and says what to do; every DEL works; after the repair all goes on.

import JSON
import TestSupport
import Testing

@Suite(.needsConsul) struct RestoreTests {
  /// One node: real plugin processes, one after the other.
  private struct Worker: Sendable {
    let bench: Bench
    let name: String
    let count = Counter()

    func plugin(_ command: String, _ container: String) async throws -> Execution.Ended {
      try await bench.plugin(
        command, "net", container, #""subnet": "10.1.0.0/24", "cooldown": 0"#, node: name)
    }

    /// Adds and deletes until an ADD is refused; all containers that were ever tried.
    func workUntilRefused() async throws -> (tried: [String], last: Execution.Ended) {
      var tried: [String] = []
      for turn in 0..<2_000 {
        let container = "\(name)-\(turn)"
        tried.append(container)
        let added = try await plugin("ADD", container)
        guard added.exitStatus == 0 else { return (tried, added) }
        count.add()
        if turn > 2 {
          let deleted = try await plugin("DEL", "\(name)-\(turn - 2)")
          guard deleted.exitStatus == 0 else { throw TestSupportError("\(deleted)") }
        }
      }
      throw TestSupportError("\(name) was never refused")
    }
  }

  @Test func aSnapshotRestoredUnderLoad() async throws {
    let consul = try await ConsulServer.start()
    let bench = try await Bench(consul)
    let workers = ["n1", "n2", "n3"].map { Worker(bench: bench, name: $0) }
    /// Every node has so many more: those that come after the snapshot are what it goes by.
    func more(_ number: Int, _ moment: String) async throws {
      let goals = workers.map { $0.count.value + number }
      try await eventually("work \(moment)") {
        zip(workers, goals).allSatisfy { $0.count.value >= $1 }
      }
    }
    let refused = try await withThrowingTaskGroup(
      of: (tried: [String], last: Execution.Ended).self
    ) { group in
      for worker in workers { group.addTask { try await worker.workUntilRefused() } }
      try await more(4, "before the snapshot")
      let snapshot = bench.folder.path + "/snapshot"
      let binary = try await ConsulBinary.path()
      try await ChildProcess.run(
        [binary, "snapshot", "save", "-http-addr=\(consul.address)", snapshot])
      try await more(4, "after it")
      try await ChildProcess.run(
        [binary, "snapshot", "restore", "-http-addr=\(consul.address)", snapshot])
      return try await group.reduce(into: []) { $0.append($1) }
    }
    for (_, last) in refused {
      #expect(try last.json["code"]?.integer == 11, "\(last)")
      #expect(last.output.contains("older state") && last.output.contains("--repair"), "\(last)")
    }
    for worker in workers {
      #expect(try await worker.plugin("ADD", "\(worker.name)-more").exitStatus == 1)
      let tried = refused.flatMap(\.tried).filter { $0.hasPrefix(worker.name) }
      for container in tried.suffix(8) {
        let deleted = try await worker.plugin("DEL", container)
        #expect(deleted.exitStatus == 0, "\(container): \(deleted)")
      }
    }
    let repaired = try await bench.ctl(
      "check", "net", "--repair", "--state-dir", bench.stateDirectory())
    #expect(repaired.exitStatus == 0 && repaired.output.contains("incarnation"), "\(repaired)")
    let answers = try await withThrowingTaskGroup(of: Execution.Ended.self) { group in
      for worker in workers {
        for turn in 0..<4 {
          group.addTask { try await worker.plugin("ADD", "\(worker.name)-after\(turn)") }
        }
      }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    for added in answers { #expect(added.exitStatus == 0, "\(added)") }
    let addresses = try answers.compactMap {
      try $0.json["ips"]?.elements?.first?["address"]?.string
    }
    #expect(Set(addresses).count == 12, "\(addresses)")
    try await bench.succeeds("check", "net")
  }
}
