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

      After a Consul snapshot was restored, nodes that notice refuse every ADD until a repair has \
      given the network a new incarnation. This happens by itself where the copies in --state-dir \
      show it, else say --restored. Addresses handed out after the snapshot was taken stand \
      nowhere any more: no repair can know them, and they may be handed out again. Restart the \
      containers that were started since.
      """)
  @Argument(help: "The network.") var name: String
  @Flag(help: "Mend what can be mended.") var repair = false
  @Flag(help: "The store was restored to an older state: draw a new incarnation too.")
  var restored = false
  @Option(help: "Where the plugin keeps its copies on this node.")
  var stateDir = DiskStore.defaultStateDirectory
  @Option(help: "Check a directory of host-local's format instead of Consul: the folder of NAME.")
  var dataDir: String?
  @OptionGroup var consul: ConsulOptions
  @OptionGroup var format: OutputOptions

  func validate() throws {
    guard !restored || repair else { throw ValidationError("--restored needs --repair") }
    guard dataDir == nil || !repair else {
      throw ValidationError("--repair is for Consul: in a directory the files are the truth")
    }
  }

  func run() async throws {
    let deadline = consul.deadline
    if let dataDir {
      let store = DiskStore(directory: dataDir, network: name, definition: nil)
      let findings = try await deciding { () async throws(AllocationError) in
        do {
          return try await Auditor(of: store, definition: nil).findings(deadline: deadline)
        } catch let error as AllocationError {
          throw error
        } catch {
          throw .damaged("\(error)")
        }
      }
      let left = findings.map {
        Diagnosis(
          finding: $0, remedy: "look at the file: nothing is known of it", isMendable: false)
      }
      return try finish(left, mended: [], store: nil)
    }
    let store = ConsulStore(
      try consul.configuration(), prefix: consul.prefix, network: name, stateDirectory: stateDir,
      surroundings: ConsulOptions.surroundings)
    try await check(store, deadline)
  }

  private func check(_ store: ConsulStore, _ deadline: Deadline) async throws(Failure) {
    let repairer = Repairer(
      of: store, networkName: name, surroundings: ConsulOptions.surroundings)
    _ = try await definition(of: store, name, deadline)
    let wentBack = try await asking { () async throws(StoreError) in
      try await store.findOutWhetherItWentBack(deadline: deadline)
    }
    guard repair else {
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
      }
    }
    try finish(report.left, mended: mended, store: store)
  }

  private func finish(
    _ left: [Diagnosis], mended: [String], store: ConsulStore?, isWrong: Bool = false
  ) throws(Failure) {
    func key(_ finding: AuditFinding) -> String {
      store?.nameInConsul(finding.key) ?? "\(finding.key)"
    }
    switch format.output {
    case .json:
      let findings = left.map { diagnosis in
        JSONValue.object([
          .init("kind", .string(diagnosis.finding.kind.rawValue)),
          .init("key", .string(key(diagnosis.finding))),
          .init("explanation", .string(diagnosis.finding.explanation)),
          .init("repair", .string(diagnosis.remedy)),
          .init("mendable", .bool(diagnosis.isMendable)),
        ])
      }
      Terminal.print(
        JSONValue.object([
          .init("network", .string(name)), .init("wentBack", .bool(isWrong)),
          .init("mended", .array(mended.map { .string($0) })),
          .init("findings", .array(findings)),
        ]).indented)
    case .table:
      for line in mended { Terminal.print("mended  \(line)") }
      if !left.isEmpty {
        let rows = left.map {
          [$0.finding.kind.rawValue, key($0.finding), $0.finding.explanation, $0.remedy]
        }
        Terminal.print(Table(["FINDING", "KEY", "MEANING", "REPAIR"], rows).text)
      }
    }
    guard left.isEmpty, !isWrong else {
      throw Failure(
        .no, "network \(name): \(left.count) findings\(repair ? " are left" : "")")
    }
    if format.output == .table { Terminal.print("network \(name): nothing is wrong") }
  }
}
