import AddressSpace
import CNI
import IPAM

// One command of a runtime, in our words.

/// A command with the allocator that it works on.
struct Command {
  private let invocation: Invocation
  private let arguments: CNIArguments
  private let backend: Backend
  private let deadline: Deadline

  init(_ invocation: Invocation) throws {
    self.invocation = invocation
    arguments = try invocation.arguments()
    let settings = try invocation.configuration.storeSettings()
    let surroundings = SystemProcess.surroundings
    deadline = surroundings.deadline(
      inMilliseconds: settings.timeout.map(\.wholeMilliseconds) ?? 30_000)
    backend = try Backend(invocation, settings, surroundings)
  }

  func add() async throws -> AddResult {
    let wanted = try invocation.configuration.addressRequests(arguments: arguments)
    let acquired: Acquired
    do {
      acquired = try await backend.allocator.acquire(
        AcquireRequest(
          attachment: backend.name(of: invocation.attachment), requested: wanted.addresses,
          mac: wanted.mac, workload: Workload(arguments.identity)),
        deadline: deadline)
    } catch {
      throw CNIError(error, network: invocation.configuration.name)
    }
    let opinions = try invocation.configuration.poolSettings().opinions
    backend.warnOfDifferences(acquired.definition, in: opinions)
    return try AddResult(acquired)
  }

  func delete() async throws {
    do {
      _ = try await backend.allocator.release(
        backend.names(of: invocation.attachment), deadline: deadline)
    } catch {
      throw CNIError(error, network: invocation.configuration.name)
    }
  }

  func check() async throws {
    let expected = try invocation.configuration.previousAddresses()?.map(\.address)
    do {
      try await backend.allocator.check(
        backend.names(of: invocation.attachment), expected: expected, deadline: deadline)
    } catch {
      let failure = CNIError(error, network: invocation.configuration.name)
      guard case .notHeld = error, backend.isDirectory else { throw failure }
      throw CNIError(failure.code, "host-local: \(failure.message)", details: failure.details)
    }
  }

  func collect() async throws {
    let valid = Set(try invocation.configuration.validAttachments())
    let failures: [AllocationError]
    do {
      failures = try await backend.allocator.collect(
        inUse: { name in
          valid.contains(
            CNIAttachment(containerID: name.container, interfaceName: name.interface))
        }, deadline: deadline
      ).failures
    } catch {
      throw CNIError(error, network: invocation.configuration.name)
    }
    if let first = failures.first {
      let error = CNIError(first, network: invocation.configuration.name)
      throw CNIError(
        error.code, "\(failures.count) attachments could not be released: \(error.message)",
        details: error.details)
    }
  }

  func status() async throws {
    do {
      try await backend.allocator.probe(deadline: deadline)
    } catch {
      let reason = CNIError(error, network: invocation.configuration.name)
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
