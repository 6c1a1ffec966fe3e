import JSON
import Synchronization
import TestSupport
import Testing

/// What other plugins handed out is taken over into a network that is in use: containers come and go on
/// three nodes and sweep all of the pool, an import is killed between two of its commits, whose copy comes
/// late, and then run again. No address is had twice; what somebody was given meanwhile is refused by his
/// name; all else keeps its address.
@Suite(.needsConsul) struct ImportUnderLoadTests {
  enum Source: String, CaseIterable, Sendable { case hostLocal, whereabouts }

  private static let numbers = 20..<80

  @Test(arguments: Source.allCases)
  func importsWhileContainersComeAndGo(_ source: Source) async throws {
    let bench = try await Bench()
    try await bench.succeeds(
      "network", "create", "net", "--subnet", "10.1.0.0/24", "--cooldown", "0")
    let words = try await records(source, bench)
    for number in [70, 71] {
      try await bench.succeeds(
        "lease", "acquire", "net", "--container", "early\(number)", "--node", "n7", "--address",
        "10.1.0.\(number)")
    }

    let traffic = Traffic()
    let refused = try await withThrowingTaskGroup(of: [String: String].self) { group in
      for worker in 1...3 {
        group.addTask {
          try await comeAndGo(bench, traffic, worker)
          return [:]
        }
      }
      group.addTask {
        defer { traffic.stop() }
        return try await importTwice(bench, words, traffic)
      }
      return try await group.reduce(into: [:]) { $0.merge($1) { $1 } }
    }

    let clashes = traffic.clashes
    #expect(clashes.isEmpty, "\(clashes)")
    let answer = try await bench.ctl("lease", "list", "net", "--output", "json")
    let holders = Dictionary(
      try (answer.json.elements ?? []).map {
        ($0["address"]?.string ?? "", $0["container"]?.string ?? "")
      }, uniquingKeysWith: { "\($0) and \($1)" })
    for (address, name) in traffic.holders { #expect(holders[address] == name) }
    for number in Self.numbers {
      let address = "10.1.0.\(number)"
      let reason = refused[address]
      #expect((reason == nil) == (holders[address] == "h\(number)"), "\(address): \(reason ?? "")")
      if let reason {
        let isTheirs = ["w", "early"].contains { reason.hasPrefix("\(address) is leased to \($0)") }
        #expect(isTheirs, "\(reason)")
      }
    }
    for number in [70, 71] { #expect(holders["10.1.0.\(number)"] == "early\(number)") }
    #expect(refused.count < Self.numbers.count - 9)
    try await bench.succeeds("check", "net")

    // Their node's runtime finds them.
    for number in Self.numbers where refused["10.1.0.\(number)"] == nil && number % 10 == 0 {
      let gone = try await bench.plugin("DEL", "net", "h\(number)", node: "n9")
      #expect(gone.exitStatus == 0, "\(gone)")
      #expect(try !bench.keys().contains("net/attachments/n9/h\(number)/eth0"))
    }
    try await bench.succeeds("check", "net")
  }

  /// What the other plugin left, and the words that take it over.
  private func records(_ source: Source, _ bench: Bench) async throws -> [String] {
    switch source {
    case .hostLocal:
      let directory = bench.folder.path + "/net"
      try await ChildProcess.run(["mkdir", directory])
      for number in Self.numbers {
        try writeFile("\(directory)/10.1.0.\(number)", "h\(number)\r\neth0")
      }
      return ["host-local", directory, "--node", "n9"]
    case .whereabouts:
      let pool = bench.folder.path + "/ippool.json"
      let allocations = Self.numbers.map { #""\#($0)": {"id": "h\#($0)", "ifname": "eth0"}"# }
      try writeFile(
        pool,
        #"{"kind": "IPPool", "spec": {"range": "10.1.0.0/24", "allocations": {"#
          + allocations.joined(separator: ", ") + "}}}")
      return ["whereabouts", pool, "--network", "net", "--node", "n9"]
    }
  }

  /// The first import is killed when some of its commits have happened, and one is on its way; what the
  /// second one refuses, and why.
  private func importTwice(
    _ bench: Bench, _ words: [String], _ traffic: Traffic
  ) async throws -> [String: String] {
    try await eventually("containers") { traffic.count > 12 }
    let proxy = try FaultyProxy(bench.consul)
    // A network so large that it takes a while to read; others write all the time.
    proxy.setRule { request in
      guard request.isTransaction else { return Self.slowly(request) }
      return isHalfDone(bench) ? .lateWithoutEnd : .pass
    }
    func command() -> [String] {
      [program("ipamctl", "CNI_IPAM_CTL"), "import"] + words + [
        "--output", "json", "--consul", proxy.address, "--consul-prefix", bench.prefix,
        "--timeout", "120", "--state-dir", bench.folder.path + "/none",
      ]
    }
    var victim = try await ChildProcess.start(command())
    for _ in 0..<10_000 where proxy.kept == 0 {
      // Out of time before half of it was done, on a slow machine: it goes on.
      if !victim.isRunning { victim = try await ChildProcess.start(command()) }
      try await Task.sleep(for: .milliseconds(20))
    }
    #expect(proxy.kept == 1, "no commit is on its way")
    victim.signal(9)
    await victim.ended()
    let half = try bench.keys().count { $0.hasPrefix("net/attachments/n9/") }
    #expect(half > 0)
    proxy.setRule(Self.slowly)
    let ended = try await Execution(command()).run()
    #expect(try proxy.deliverLate() == [409])
    var refused: [String: String] = [:]
    for record in try ended.json["refused"]?.elements ?? [] {
      refused[record["record"]?.string ?? "?"] = record["reason"]?.string
    }
    return refused
  }

  private static func slowly(_ request: FaultyProxy.Request) -> FaultyProxy.Fate {
    request.text.contains("recurse") ? .slow(milliseconds: 100) : .pass
  }

  private func isHalfDone(_ bench: Bench) -> Bool {
    let keys = (try? bench.keys()) ?? []
    return keys.count { $0.hasPrefix("net/attachments/n9/") } > 9
  }

  /// Containers of one node: a few live at a time.
  private func comeAndGo(_ bench: Bench, _ traffic: Traffic, _ worker: Int) async throws {
    var living: [(name: String, address: String)] = []
    var round = 0
    while !traffic.isOver {
      // Some of the processors is for the import, however few there are.
      try await Task.sleep(for: .milliseconds(50))
      round += 1
      let name = "w\(worker)-\(round)"
      let added = try await bench.plugin("ADD", "net", name, node: "n\(worker)")
      guard let text = try? added.json["ips"]?.elements?.first?["address"]?.string else {
        Issue.record("\(name): \(added)")
        return
      }
      let address = String(text.prefix { $0 != "/" })
      traffic.hold(address, name)
      living.append((name, address))
      guard living.count > 4 else { continue }
      let oldest = living.removeFirst()
      traffic.letGo(oldest.address)
      let gone = try await bench.plugin("DEL", "net", oldest.name, node: "n\(worker)")
      #expect(gone.exitStatus == 0, "\(gone)")
    }
  }
}

/// Who was given which address by an ADD.
private final class Traffic: Sendable {
  private struct State {
    var holders: [String: String] = [:]
    var clashes: [String] = []
    var count = 0
    var isOver = false
  }
  private let state = Mutex(State())

  var holders: [String: String] { state.withLock { $0.holders } }
  var clashes: [String] { state.withLock { $0.clashes } }
  var count: Int { state.withLock { $0.count } }
  var isOver: Bool { state.withLock { $0.isOver } }

  func stop() { state.withLock { $0.isOver = true } }

  func hold(_ address: String, _ name: String) {
    state.withLock { state in
      state.count += 1
      if let other = state.holders.updateValue(name, forKey: address) {
        state.clashes.append("\(address) of \(other) was given to \(name)")
      }
    }
  }

  func letGo(_ address: String) { state.withLock { _ = $0.holders.removeValue(forKey: address) } }
}
