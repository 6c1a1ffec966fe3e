import ArgumentParser
import ConsulBackend
import DiskBackend
import IPAM
import JSON

struct CheckCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check",
    abstract: "Compares bits, leases, attachments and MAC addresses of a network.",
    discussion: """
      Safe beside live traffic, with --repair too: every repair is a conditional transaction, and \
      no address is freed that a lease says is held. Interrupted, it can be run again.

      In a directory (--data-dir) every file is looked at under the lock that host-local takes \
      too, and the index and the journal in --state-dir. Only what no living container can depend \
      on is mended: what a process left that died, and what speeds things up. Files that nobody \
      understands are never touched. Say the ranges (--subnet, --file) to have addresses outside \
      them found, and attachments with two of one set.

      After a Consul snapshot was restored, nodes that notice refuse every ADD until a repair has \
      given the network a new incarnation. This happens by itself where the copies in --state-dir \
      show it, else say --restored. Addresses handed out after the snapshot was taken stand \
      nowhere any more: no repair can know them, and they may be handed out again. Restart the \
      containers that were started since.
      """)
  @Argument(help: "The network.") var name: String
  @Flag(help: "Mend what can be mended.") var repair = false
  @Flag(help: "Change nothing, even with --repair; REPAIR says what that would do.")
  var dryRun = false
  @Flag(help: "The store was restored to an older state: draw a new incarnation too.")
  var restored = false
  @OptionGroup var journal: JournalOptions
  @OptionGroup var place: StoreOptions
  @OptionGroup var source: DefinitionOptions
  @OptionGroup var format: OutputOptions

  private var mends: Bool { repair && !dryRun }

  func validate() throws {
    guard !restored || repair else { throw ValidationError("--restored needs --repair") }
    guard place.dataDir == nil || !restored else {
      throw ValidationError("--restored is for Consul: a directory keeps no incarnation")
    }
  }

  func run() async throws {
    let consul = place.consul
    let deadline = consul.deadline
    if let dataDir = place.dataDir { return try await check(directory: dataDir, deadline) }
    try source.mustBeEmpty()
    guard !name.isEmpty else { throw Failure(.usage, "the network's name is empty") }
    let store = ConsulStore(
      try consul.configuration(), prefix: consul.prefix, network: name,
      stateDirectory: journal.stateDir, makesCopies: false,
      surroundings: ConsulOptions.surroundings)
    try await check(store, deadline)
  }

  private func check(directory: String, _ deadline: Deadline) async throws(Failure) {
    let store = DiskStore(
      directory: directory, network: try StoreOptions.folder(name),
      definition: try source.definitionOfDirectory(name),
      stateDirectory: journal.stateDir)
    let examined = try await asking { () async throws(StoreError) in
      try await store.examine(
        journal: Journal(stateDirectory: journal.stateDir, network: name), repairing: mends,
        deadline: deadline)
    }
    guard let examined else {
      throw Failure(.no, "network \(name): there is no directory \(directory)/\(name)")
    }
    try finish(
      examined.left.map(Row.init), remarks: examined.remarks.map(Row.init),
      mended: examined.mended.map { "\($0.file): \($0.remedy)" })
  }

  private func check(_ store: ConsulStore, _ deadline: Deadline) async throws(Failure) {
    let repairer = Repairer(
      of: store, networkName: name, surroundings: ConsulOptions.surroundings)
    _ = try await definition(of: store, name, deadline)
    let wentBack = try await asking { () async throws(StoreError) in
      try await store.findOutWhetherItWentBack(deadline: deadline)
    }
    guard mends else {
      let found = try await deciding { () async throws(AllocationError) in
        try await repairer.diagnose(deadline: deadline)
      }
      if wentBack {
        Terminal.say(
          "Consul holds an older state of network \(name) than this node has seen: --repair draws "
            + "a new incarnation, and until then ADD is refused")
      }
      return try finish(found, mended: [], store: store, isWrong: wentBack)
    }
    var mended: [String] = []
    if wentBack || restored {
      try await deciding { () async throws(AllocationError) in
        try await repairer.renewIncarnation(deadline: deadline)
      }
      mended.append("drew a new incarnation of the definition")
    }
    let report = try await deciding { () async throws(AllocationError) in
      try await repairer.repair(deadline: deadline) { step in
        let keys = step.operations.compactMap { operation -> String? in
          if case .check = operation { return nil }
          return store.nameInConsul(operation.key)
        }
        mended.append("\(keys.sorted().joined(separator: " ")): \(step.action)")
        journal.write(step.events, name)
      }
    }
    try finish(report.left, mended: mended, store: store)
  }

  private func finish(
    _ left: [Diagnosis], mended: [String], store: ConsulStore, isWrong: Bool = false
  ) throws(Failure) {
    try finish(
      left.map { Row($0, of: store) }, remarks: [], mended: mended, isWrong: isWrong)
  }

  /// A finding as it is printed.
  private struct Row {
    let kind: String
    let key: String
    let explanation: String
    let repair: String
    let isMendable: Bool

    init(_ diagnosis: Diagnosis, of store: ConsulStore) {
      kind = diagnosis.finding.kind.rawValue
      key = store.nameInConsul(diagnosis.finding.key) ?? "\(diagnosis.finding.key)"
      explanation = diagnosis.finding.explanation
      (repair, isMendable) = (diagnosis.remedy, diagnosis.isMendable)
    }

    init(_ finding: DirectoryFinding) {
      (kind, key, explanation) = (finding.kind.rawValue, finding.file, finding.explanation)
      (repair, isMendable) = (finding.remedy, finding.isMendable)
    }

    var document: JSONValue {
      [
        "kind": .string(kind), "key": .string(key), "explanation": .string(explanation),
        "repair": .string(repair), "mendable": .bool(isMendable),
      ]
    }
  }

  private func finish(
    _ left: [Row], remarks: [Row], mended: [String], isWrong: Bool = false
  ) throws(Failure) {
    switch format.output {
    case .json:
      Terminal.print(
        JSONValue.object([
          .init("network", .string(name)), .init("wentBack", .bool(isWrong)),
          .init("mended", .array(mended.map { .string($0) })),
          .init("findings", .array(left.map(\.document))),
          .init("remarks", .array(remarks.map(\.document))),
        ]).indented)
    case .table:
      for line in mended { Terminal.print("mended  \(line)") }
      for remark in remarks { Terminal.print("remark  \(remark.key): \(remark.explanation)") }
      if !left.isEmpty {
        let rows = left.map { [$0.kind, $0.key, $0.explanation, $0.repair] }
        Terminal.print(Table(["FINDING", "KEY", "MEANING", "REPAIR"], rows).text)
      }
    }
    guard left.isEmpty, !isWrong else {
      throw Failure(
        .no, "network \(name): \(left.count.counted("finding"))\(mends ? " left" : "")")
    }
    if format.output == .table { Terminal.print("network \(name): nothing is wrong") }
  }
}
