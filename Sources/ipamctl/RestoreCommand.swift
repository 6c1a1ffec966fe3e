import AddressSpace
import ArgumentParser
import ConsulBackend
import DiskBackend
import IPAM
import JSON

extension ImportCommand {
  struct Restore: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "export",
      abstract: "Restores a network that ipamctl export wrote, where none is. (default)",
      discussion: """
        The file is read and checked whole before anything is written. Until the import is \
        complete no node is given an address of the network; if it is interrupted, run it again \
        with the same file. A directory's export goes into a network that is defined and empty: \
        give --node, and stop the node's containers from coming and going until it is done.
        """)
    @Argument(help: "The file; - is standard input.") var file: String
    @Option(help: "The network's name here; the one in the file without this.")
    var network: String?
    @Option(help: "The node that the attachments of a directory's export are on.") var node = ""
    @Flag(help: "Only say what would be restored.") var dryRun = false
    @OptionGroup var journal: JournalOptions
    @OptionGroup var place: StoreOptions
    @OptionGroup var format: OutputOptions

    func run() async throws {
      var export = try ExportContent(file)
      let name = network ?? export.header.network
      let store = try place.store(name, mayBeNew: true, stateDir: journal.stateDir)
      let deadline = place.consul.deadline
      let counts = export.counts
      if store is DiskStore {
        guard export.marks.isEmpty else {
          throw Failure(.no, "a directory keeps neither cooling nor taken addresses without leases")
        }
        try await restore(export, in: store, name, deadline)
      } else if var document = export.definition {
        document = document.replacing("name", .string(name))
        try checkNewName(name)
        var definition = try NetworkDefinition(checking: document, name: name)
        try export.check(against: definition, file)
        definition.incarnation = max(
          1, StableHash.of(Offset(export.header.id).hex(digits: 16).utf8))
        try await restore(export, as: definition, in: store, deadline)
      } else {
        guard !node.isEmpty else { throw Failure(.usage, "a directory's export needs --node") }
        export.put(on: node)
        try await fill(export, store, name, deadline)
      }
      guard !dryRun else { return report("would be restored", name, counts) }
      try await check(store, name, deadline)
      report("restored", name, counts)
    }

    /// A whole network in a store that keeps definitions.
    private func restore(
      _ export: ExportContent, as definition: NetworkDefinition, in store: any AllocationStore,
      _ deadline: Deadline
    ) async throws(Failure) {
      let restoration = Restoration(
        of: definition, in: store, surroundings: ConsulOptions.surroundings)
      let beginning = try await deciding { () async throws(AllocationError) in
        try await restoration.begin(dryRun: dryRun, deadline: deadline)
      }
      switch beginning {
      case .occupied:
        throw Failure(
          .no,
          "network \(definition.name) is not empty: a restore needs another --network or --consul-prefix"
        )
      case .complete:
        Terminal.say("network \(definition.name) was restored from this file already")
        return
      case .resumed: Terminal.say("going on with an interrupted import")
      case .fresh: break
      }
      guard !dryRun else { return }
      try await adopt(export, store, definition.name, deadline)
      try await deciding { () async throws(AllocationError) in
        _ = try await restoration.mark(export.marks, deadline: deadline)
        try await restoration.finish(deadline: deadline)
      }
    }

    /// The attachments of a directory in a network that is defined.
    private func fill(
      _ export: ExportContent, _ store: any AllocationStore, _ name: String, _ deadline: Deadline
    ) async throws(Failure) {
      if let consul = store as? ConsulStore {
        _ = try await ipamctl.definition(of: consul, name, deadline)
      }
      try await refuseOthers(export, store, name, deadline)
      guard !dryRun else { return }
      try await adopt(export, store, name, deadline)
    }

    private func adopt(
      _ export: ExportContent, _ store: any AllocationStore, _ name: String, _ deadline: Deadline
    ) async throws(Failure) {
      let adoption = Adoption(
        into: store, networkName: name, node: Node(name: node),
        surroundings: ConsulOptions.surroundings)
      let outcomes = try await deciding { () async throws(AllocationError) in
        try await adoption.adopt(export.attachments, dryRun: false, deadline: deadline) {
          journal.write($0, name)
        }
      }
      let refused = outcomes.compactMap { attachment, outcome -> String? in
        guard case .refused(let why) = outcome else { return nil }
        return "\(attachment.key): \(why)"
      }
      guard refused.isEmpty else {
        for text in refused { Terminal.say(text) }
        throw Failure(.no, "\(refused.count.counted("attachment")) not restored")
      }
    }

    /// A directory, whose files are its leases.
    private func restore(
      _ export: ExportContent, in store: any AllocationStore, _ name: String, _ deadline: Deadline
    ) async throws(Failure) {
      let present = try await refuseOthers(export, store, name, deadline)
      guard !dryRun else { return }
      let now = ConsulOptions.surroundings.now()
      let record = Attachment(holdings: [], node: Node(name: ""), nonce: 0, createdAt: now)
      let limit = store.traits.operationLimit
      var events: [JournalEvent] = []
      for attachment in export.attachments {
        let key = AttachmentKey(
          node: "", container: attachment.key.container, interface: attachment.key.interface)
        let missing = attachment.addresses.filter { !present.contains($0) }
        for start in stride(from: 0, to: missing.count, by: limit) {
          let part = Array(missing[start..<min(start + limit, missing.count)])
          events.append(JournalEvent(time: now, kind: .acquire, addresses: part, attachment: key))
        }
      }
      var left = events[...]
      while let first = left.first {
        // Each commit is noted before the next, so that a kill takes one's notes at most.
        var batch = [left.removeFirst()]
        var count = first.addresses.count
        while let next = left.first, count + next.addresses.count <= limit {
          count += next.addresses.count
          batch.append(left.removeFirst())
        }
        let operations = batch.flatMap { event in
          event.addresses.map { address in
            StoreOperation.put(
              .lease(address), .lease(Lease(event.attachment, record)), expected: .absent)
          }
        }
        switch await store.commit(operations, cursors: [:], deadline: deadline) {
        case .committed: journal.write(batch, name)
        case .refused(let error): throw Failure(error)
        case .unavailable(let text), .unknown(let text): throw Failure(.unavailable, text)
        case .conflict, .tooLarge:
          throw Failure(.no, "somebody else writes to network \(name); run the import again")
        }
      }
    }

    /// Refuses a network that holds what is not of this export; the addresses that are there.
    @discardableResult
    private func refuseOthers(
      _ export: ExportContent, _ store: any AllocationStore, _ name: String, _ deadline: Deadline
    ) async throws(Failure) -> Set<IPAddress> {
      var holders: [IPAddress: AttachmentKey] = [:]
      for attachment in export.attachments {
        for address in attachment.addresses { holders[address] = attachment.key }
      }
      var present: Set<IPAddress> = []
      var other: IPAddress?
      try await asking { () async throws(StoreError) in
        try await store.list(.leases, deadline: deadline) { key, entry in
          guard case .lease(let address) = key else { return }
          if case .lease(let lease) = entry.value, let holder = holders[address],
            lease.attachment.container == holder.container,
            lease.attachment.interface == holder.interface
          {
            present.insert(address)
          } else {
            other = address
          }
        }
      }
      if let other {
        throw Failure(
          .no,
          "network \(name) is not empty: \(other) is leased there and not, or to somebody else, in "
            + "the export")
      }
      return present
    }

    private func check(
      _ store: any AllocationStore, _ name: String, _ deadline: Deadline
    ) async throws(Failure) {
      var known: NetworkDefinition?
      if let consul = store as? ConsulStore {
        known = try await ipamctl.definition(of: consul, name, deadline).definition
      }
      let findings: [AuditFinding]
      do {
        findings = try await Auditor(of: store, definition: known).findings(deadline: deadline)
      } catch let error as AllocationError {
        throw Failure(error)
      } catch {
        throw Failure(.failed, "\(error)")
      }
      guard findings.isEmpty else {
        throw Failure(
          .no, "\(findings.count.counted("finding")) after the import: ipamctl check \(name)")
      }
    }

    private func report(_ verb: String, _ name: String, _ counts: ExportCounts) {
      switch format.output {
      case .table: Terminal.print("network \(name): \(counts.text) \(verb)")
      case .json:
        Terminal.print(
          JSONValue.object([
            .init("network", .string(name)), .init("attachments", .number(counts.attachments)),
            .init("cooling", .number(counts.cooling)), .init("taken", .number(counts.taken)),
            .init("dryRun", .bool(dryRun)),
          ]).indented)
      }
    }
  }
}

/// A whole export in memory: nothing of it is believed before its last line was read.
struct ExportContent {
  private(set) var header = ExportHeader(network: "", id: 0, exportedAt: 0)
  private(set) var definition: JSONValue?
  private(set) var attachments: [AdoptedAttachment] = []
  private(set) var marks: [RestoredMark] = []
  private(set) var counts = ExportCounts()

  /// Reads a file.
  init(_ path: String) throws(Failure) {
    var reader = try LineReader(path)
    var owners: [IPAddress: Int] = [:]
    var names: [AttachmentKey: Int] = [:]
    var isWhole = false
    while let line = try reader.next() {
      let number = reader.number
      func wrong(_ text: String) -> Failure { Failure(.usage, "\(path) line \(number): \(text)") }
      let record: ExportRecord
      do throws(ExportRecord.Malformed) {
        record = try ExportRecord(line: line)
      } catch {
        throw wrong(error.description)
      }
      guard !isWhole else { throw wrong("there is more after the end") }
      if case .header = record {} else if number == 1 { throw wrong("the header is missing") }
      counts.count(record)
      switch record {
      case .header(let header):
        guard number == 1 else { throw wrong("another header") }
        self.header = header
      case .definition(let document):
        guard definition == nil else { throw wrong("another definition") }
        definition = document
      case .attachment(let attachment):
        if let earlier = names.updateValue(number, forKey: attachment.key) {
          throw wrong("\(attachment.key) is on line \(earlier) already")
        }
        for address in attachment.addresses {
          if let earlier = owners.updateValue(number, forKey: address) {
            throw wrong("\(address) is on line \(earlier) already")
          }
        }
        attachments.append(attachment)
      case .mark(let mark): marks.append(mark)
      case .end(let stated):
        guard stated == counts else {
          throw wrong("\(stated.text) were written, and \(counts.text) are here")
        }
        isWhole = true
      }
    }
    guard isWhole else {
      throw Failure(.usage, "\(path): the last line is missing: the file was cut off")
    }
  }

  /// Refuses addresses that the definition has no subnet for: they could never be restored.
  func check(against definition: NetworkDefinition, _ path: String) throws(Failure) {
    let subnets = definition.rangeSets.flatMap { $0.ranges.map(\.subnet) }
    let outside = attachments.flatMap { attachment in
      attachment.addresses.filter { address in
        !subnets.contains { $0.contains(address) }
      }.map { "\($0) of \(attachment.key)" }
    }
    guard let first = outside.first else { return }
    throw Failure(
      .usage,
      "\(path): \(outside.count.counted("address", "addresses")) in none of the definition's subnets, "
        + "the first \(first)")
  }

  /// Puts attachments without a node on one.
  mutating func put(on node: String) {
    for index in attachments.indices where attachments[index].key.node.isEmpty {
      let key = attachments[index].key
      attachments[index].key = AttachmentKey(
        node: node, container: key.container, interface: key.interface)
    }
  }
}

extension JSONValue {
  /// The object with a member set.
  fileprivate func replacing(_ key: String, _ value: JSONValue) -> JSONValue {
    guard case .object(let members) = self else { return self }
    return .object(members.filter { $0.key != key } + [Member(key, value)])
  }
}
