import AddressSpace
import IPAM
internal import Glibc

// A commit: first what it depends on, then files complete but without names, then the intent, then the
// names. Only leases become files; chunks and attachments follow from them.

/// What a commit means for the directory.
private struct Plan {
  struct Birth {
    let operation: Int
    let address: IPAddress
    let holder: Holder
  }
  struct Death {
    let address: IPAddress
    let holder: Holder
    let status: FileStatus
  }

  /// The time that all files of the commit get, in nanoseconds.
  let version: UInt64
  var births: [Birth] = []
  var deaths: [Death] = []

  var changes: [DirectoryChange] {
    births.map { .taken($0.address, $0.holder) } + deaths.map { .freed($0.address, $0.holder) }
  }
}

extension Access {
  mutating func commit(
    _ operations: [StoreOperation], cursors: [Int: IPAddress]
  ) -> CommitOutcome {
    guard operations.count <= DiskConfiguration.operationLimit else { return .tooLarge }
    do throws(SystemError) {
      var lost: [Int] = []
      for (index, operation) in operations.enumerated()
      where try read(operation.key).revision != operation.expected {
        lost.append(index)
      }
      guard lost.isEmpty else { return .conflict(lost) }
      if let refusal = operations.lazy.compactMap(refusal).first { return .refused(refusal) }
      guard let directory else { return .committed(Revision(1)) }

      var plan = Plan(version: nextVersion)
      let owners = Set(operations.compactMap(\.deletedHolder))
      for (index, operation) in operations.enumerated() {
        switch operation {
        case .put(.lease(let address), .lease(let lease), _):
          guard let holder = Holder(lease.attachment) else { continue }
          plan.births.append(Plan.Birth(operation: index, address: address, holder: holder))
        case .delete(.lease(let address), _):
          guard let death = try death(of: address, owners) else { return .conflict([index]) }
          plan.deaths.append(death)
        default: continue
        }
      }
      if let lost = try carryOut(plan, in: directory) {
        distrust()
        return .conflict(lost)
      }
      for (set, address) in cursors { directory.setCursor(set, address) }
      if configuration.isDurable { try directory.descriptor.synchronize() }
      try apply(plan.changes, version: plan.version)
      return .committed(Revision(plan.version))
    } catch {
      distrust()
      return .refused(error.asStoreError)
    }
  }

  /// Why an operation cannot be done in a directory at all.
  private func refusal(_ operation: StoreOperation) -> StoreError? {
    guard case .put(let key, let value, let expected) = operation else { return nil }
    switch (key, value) {
    case (.chunk, _), (.attachment, _), (.mac, _): return nil
    case (.lease, .lease(let lease)):
      guard expected == .absent else {
        return StoreError(.refused, "a lease in a directory is never rewritten, only released")
      }
      guard Holder(lease.attachment) != nil else {
        return StoreError(
          .refused, "a file in host-local's format cannot name the attachment \(lease.attachment)")
      }
      return nil
    default: return StoreError(.refused, "a directory in host-local's format keeps no \(key)")
    }
  }

  /// The file that goes; nil if its content is not what the commit takes it for.
  private func death(
    of address: IPAddress, _ owners: Set<Holder>
  ) throws(SystemError) -> Plan.Death? {
    guard let directory, case .held(let holder, _) = try directory.look(at: address),
      let status = try directory.descriptor.status(of: address.fileName),
      owners.isEmpty || owners.contains(holder)
    else { return nil }
    return Plan.Death(address: address, holder: holder, status: status)
  }
}

// MARK: - Files

extension Access {
  /// Makes files come and go, all or none; the operations whose addresses somebody took who does not
  /// keep to the lock.
  private func carryOut(
    _ plan: Plan, in directory: NetworkDirectory
  ) throws(SystemError) -> [Int]? {
    var newborns: [Newborn] = []
    for birth in plan.births {
      newborns.append(
        try Newborn(
          birth.holder.content, named: birth.address.fileName, in: directory,
          time: FileTime(nanosecondsSinceEpoch: plan.version), durably: configuration.isDurable))
    }
    let hasIntent = try record(newborns, plan.deaths, in: directory)
    var linked: [Newborn] = []
    do throws(SystemError) {
      for (birth, newborn) in zip(plan.births, newborns) {
        guard try newborn.link(in: directory) else {
          try undo(linked, hasIntent, in: directory)
          return [birth.operation]
        }
        linked.append(newborn)
      }
      if hasIntent, !plan.deaths.isEmpty {
        try directory.advance(to: .unlinking, durably: configuration.isDurable)
      }
      try remove(plan.deaths, in: directory)
    } catch {
      try undo(linked, hasIntent, in: directory)
      throw error
    }
    if hasIntent { try directory.forgetIntent(durably: configuration.isDurable) }
    return nil
  }

  /// Writes down what is about to happen, if it has to be: a single name comes or goes at once, only
  /// several need a word to others first.
  private func record(
    _ newborns: [Newborn], _ deaths: [Plan.Death], in directory: NetworkDirectory
  ) throws(SystemError) -> Bool {
    guard newborns.count + deaths.count > 1 else { return false }
    var intent = Intent()
    intent.links = newborns.map { Intent.File($0.name, $0.status, $0.content) }
    intent.unlinks = deaths.map { Intent.File($0.address.fileName, $0.status, $0.holder.content) }
    do throws(SystemError) {
      try directory.record(intent, durably: configuration.isDurable)
      return true
    } catch  where newborns.isEmpty && (error.code == ENOSPC || error.code == EDQUOT) {
      // Where nothing can be written, a release must still be possible: it is what frees the disk.
      try? directory.forgetIntent(durably: false)
      return false
    }
  }

  private func undo(
    _ linked: [Newborn], _ hasIntent: Bool, in directory: NetworkDirectory
  ) throws(SystemError) {
    for newborn in linked { try directory.descriptor.unlink(newborn.name) }
    if hasIntent { try directory.forgetIntent(durably: configuration.isDurable) }
  }

  /// Removes files; if one cannot be removed, those that are gone are written again.
  private func remove(
    _ deaths: [Plan.Death], in directory: NetworkDirectory
  ) throws(SystemError) {
    var gone: [Plan.Death] = []
    do throws(SystemError) {
      for death in deaths {
        try directory.descriptor.unlink(death.address.fileName)
        gone.append(death)
      }
    } catch {
      for death in gone {
        let name = death.address.fileName
        let file = try Newborn(
          death.holder.content, named: name, in: directory, time: death.status.modified,
          durably: configuration.isDurable)
        _ = try file.link(in: directory)
      }
      throw error
    }
  }
}

extension StoreOperation {
  /// The holder whose attachment it deletes.
  fileprivate var deletedHolder: Holder? {
    if case .delete(.attachment(let key), _) = self { Holder(key) } else { nil }
  }
}

extension Intent.File {
  fileprivate init(_ name: String, _ status: FileStatus, _ content: [UInt8]) {
    self.init(
      name: name, inode: status.identity.inode, modified: status.modified,
      content: Fingerprint(content).value)
  }
}
