import AddressSpace
import CNI
import DiskBackend
import IPAM

// One command of a runtime, in our words.

/// A command with the allocator that it works on.
struct Command {
  private let invocation: Invocation
  private let arguments: CNIArguments
  /// What is requested, of a command that minds.
  private let wanted: AddressRequests?
  private let backend: Backend
  private let deadline: Deadline
  private let started: UInt64
  /// What an ADD has made, unless it found it there.
  private var made: AttachmentKey?

  init(_ invocation: Invocation) throws {
    self.invocation = invocation
    let surroundings = SystemProcess.surroundings
    started = surroundings.monotonic()
    let configuration = invocation.configuration
    let isOfAttachment = invocation.command == .add || invocation.command == .check
    do {
      arguments = try invocation.arguments()
      let settings = try configuration.storeSettings()
      Log.configure(invocation, settings)
      deadline = surroundings.deadline(
        inMilliseconds: settings.timeout.map(\.wholeMilliseconds) ?? 30_000)
      wanted = isOfAttachment ? try configuration.addressRequests(arguments: arguments) : nil
      backend = try Backend(invocation, settings, surroundings)
    } catch {
      // The reference decodes the whole configuration first: what is no address there is said first.
      if isOfAttachment { try configuration.checkSyntax() }
      throw error
    }
  }

  /// Does it; what there is to print.
  mutating func perform() async throws -> AddResult? {
    defer { if Log.keeps(.debug) { log(.debug, "cost", backend.cost) } }
    var result: AddResult?
    switch invocation.command {
    case .add: result = try await add()
    case .del: try await delete()
    case .check: try await check()
    case .gc: try await collect()
    case .status: try await status()
    case .version: break
    }
    if result == nil { log(.info, "done") }
    return result
  }

  private func log(_ level: LogLevel, _ message: String, _ fields: [(String, String)] = []) {
    guard Log.keeps(level) else { return }
    let microseconds = (SystemProcess.surroundings.monotonic() - started) / 1_000
    let fields = fields + [("backend", backend.place), ("us", String(microseconds))]
    Log.write(level, message, fields.map { (key: $0.0, value: $0.1) })
  }

  private mutating func add() async throws -> AddResult {
    let acquired: Acquired
    do {
      var request = AcquireRequest(
        attachment: backend.name(of: invocation.attachment), requested: wanted?.addresses ?? [],
        mac: wanted?.mac, workload: Workload(arguments.identity))
      request.needsAddresses = true
      acquired = try await backend.allocator.acquire(request, deadline: deadline)
      await backend.allocator.settle()
    } catch {
      throw CNIError(error, backend.remedies)
    }
    if !acquired.isRepeat {
      let name = backend.name(of: invocation.attachment)
      made = name
      write([JournalEvent(acquired: acquired.attachment, by: name)])
    }
    if Log.keeps(.info) {
      let addresses = acquired.attachment.holdings.map(\.address.description)
      log(
        .info, acquired.isRepeat ? "the same again" : "acquired",
        [("addresses", addresses.joined(separator: ","))])
    }
    let opinions = try invocation.configuration.poolSettings().opinions
    backend.warnOfDifferences(acquired.definition, in: opinions)
    return try AddResult(acquired)
  }

  private func delete() async throws {
    do {
      try await release(backend.names(of: invocation.attachment))
    } catch {
      throw CNIError(error, backend.remedies)
    }
  }

  /// Gives back what an ADD has made whose result reached nobody.
  func takeBack() async {
    guard let made else { return }
    do {
      try await release([made])
    } catch {
      log(.error, "not given back: \(error)")
    }
  }

  private func release(_ names: [AttachmentKey]) async throws(AllocationError) {
    let released = try await backend.allocator.release(names, deadline: deadline)
    await backend.allocator.settle()
    guard let released else { return }
    let name = names.first { $0.node == released.node.name } ?? names[0]
    write([event(of: released, name)])
  }

  private func event(of released: Attachment, _ name: AttachmentKey) -> JournalEvent {
    JournalEvent(released: released, of: name, at: SystemProcess.surroundings.now())
  }

  /// The journal is for people who look back: an event that is lost fails nobody.
  private func write(_ events: [JournalEvent]) {
    if !backend.journal.append(events) { log(.debug, "the journal cannot be written") }
  }

  private func check() async throws {
    let expected = try invocation.configuration.previousAddresses()?.map(\.address)
    do {
      try await backend.allocator.check(
        backend.names(of: invocation.attachment), expected: expected, deadline: deadline)
    } catch {
      let failure = CNIError(error, backend.remedies)
      guard case .notHeld = error, backend.isDirectory else { throw failure }
      throw CNIError(failure.code, "host-local: \(failure.message)", details: failure.details)
    }
  }

  private func collect() async throws {
    let valid = Set(try invocation.configuration.validAttachments())
    let collected: Collected
    do {
      collected = try await backend.allocator.collect(
        inUse: { name in
          valid.contains(
            CNIAttachment(containerID: name.container, interfaceName: name.interface))
        }, deadline: deadline)
    } catch {
      throw CNIError(error, backend.remedies)
    }
    write(
      collected.released.compactMap { name in
        collected.held[name].map { event(of: $0, name) }
      })
    for name in collected.fromBeforeBoot {
      log(
        .info, "released what an earlier boot of this node left",
        [("holder", "\(name.container)/\(name.interface)")])
    }
    let failures = collected.failures
    if let first = failures.first {
      let error = CNIError(first, backend.remedies)
      throw CNIError(
        error.code,
        "\(failures.count.counted("attachment")) could not be released: \(error.message)",
        details: error.details)
    }
  }

  private func status() async throws {
    do {
      try await backend.allocator.probe(deadline: deadline)
    } catch {
      let reason = CNIError(error, backend.remedies)
      throw CNIError(.notAvailable, reason.message, details: reason.details)
    }
  }
}

extension Duration {
  var wholeMilliseconds: UInt64 {
    let (seconds, attoseconds) = components
    return UInt64(max(0, seconds)) * 1_000 + UInt64(max(0, attoseconds)) / 1_000_000_000_000_000
  }
}
