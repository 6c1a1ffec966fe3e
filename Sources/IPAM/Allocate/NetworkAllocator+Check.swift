public import AddressSpace

// CHECK and GC: what is held, and what has no holder any more.

/// What a collection came to.
public struct Collected: Sendable {
  /// The attachments that were released.
  public let released: [AttachmentKey]
  /// What each attachment that was to be released held.
  public let held: [AttachmentKey: Attachment]
  /// Those of them that were made before this boot of the node; empty where no boot is recorded.
  public let fromBeforeBoot: [AttachmentKey]
  /// What could not be released, and why.
  public let failures: [AllocationError]
}

extension NetworkAllocator {
  /// Makes sure that an attachment holds what it should.
  ///
  /// - Parameters:
  ///   - names: The attachment's possible names; the first that exists counts.
  ///   - expected: Addresses that it should hold, as far as this network hands them out; nil if any
  ///     will do.
  ///   - deadline: When to give up.
  /// - Throws: ``AllocationError/notHeld(_:_:)``, naming the address that is missing.
  public func check(
    _ names: [AttachmentKey], expected: [IPAddress]?, deadline: Deadline
  ) async throws(AllocationError) {
    guard let first = names.first else { return }
    let definitionKeys: Set<StoreKey> = store.traits.keepsDefinition ? [.definition] : []
    let answer = try await readConsistently(
      definitionKeys.union(names.map(StoreKey.attachment)), deadline)
    let found = names.first { (answer[.attachment($0)] ?? .absent) != .absent }
    guard let key = found, case .attachment(let attachment)? = answer[.attachment(key)]?.value
    else { throw .notHeld(first, nil) }
    let held = Set(attachment.holdings.map(\.address))
    let sets = try rangeSets(answer[.definition])
    for address in expected ?? []
    where sets.contains(where: { $0.range(holding: address) != nil }) && !held.contains(address) {
      throw .notHeld(key, address)
    }
    let leases = try await readConsistently(Set(held.map(StoreKey.lease)), deadline)
    for address in held.sorted() {
      guard leases[.lease(address)]?.value?.owner == key else { throw .notHeld(key, address) }
    }
  }

  /// Releases every attachment of this node that is not in use any more.
  ///
  /// Only what this node and this installation of it made before the call is touched; what cannot be
  /// read counts as in use.
  ///
  /// - Parameters:
  ///   - isInUse: Whether the runtime still knows an attachment.
  ///   - deadline: When to give up.
  /// - Returns: What was released, what of it another boot of the node had made, and the failures,
  ///   which do not stop the rest.
  /// - Complexity: O(n) in the node's attachments of this network.
  public func collect(
    inUse isInUse: (AttachmentKey) -> Bool, deadline: Deadline
  ) async throws(AllocationError) -> Collected {
    let begun = surroundings.now()
    let isShared = store.traits.isShared
    var unused: [AttachmentKey: Attachment] = [:]
    var earlier: Set<AttachmentKey> = []
    do {
      try await store.list(.attachments(node: isShared ? node.name : nil), deadline: deadline) {
        key, entry throws(StoreError) in
        guard case .attachment(let name) = key, case .attachment(let attachment)? = entry.value
        else { return }
        let boot = attachment.node.bootID
        let isOfEarlierBoot = !boot.isEmpty && !node.bootID.isEmpty && boot != node.bootID
        // The clock may have been set back between two boots.
        let isEarlier = isOfEarlierBoot || attachment.createdAt < begun
        let isOurs = attachment.node.instance == node.instance && isEarlier
        if (isOurs || !isShared) && !isInUse(name) {
          unused[name] = attachment
          if isOfEarlierBoot { earlier.insert(name) }
        }
      }
    } catch {
      throw .store(error)
    }
    let (released, failures) = await releaseAll(unused, deadline)
    return Collected(
      released: released, held: unused, fromBeforeBoot: released.filter(earlier.contains),
      failures: failures)
  }

  /// Releases what was seen, and not what was made anew under its name meanwhile.
  private func releaseAll(
    _ seen: [AttachmentKey: Attachment], _ deadline: Deadline
  ) async -> (released: [AttachmentKey], failures: [AllocationError]) {
    let stamps = seen.mapValues { AttachmentStamp($0) }
    let (together, failed) = await releaseTogether(stamps, deadline)
    guard failed.count > 1 else { return (together, failed.map(\.1)) }
    var released = together
    // Those that shared a commit share its failure; alone, each has only its own.
    var failures: [AllocationError] = []
    for (name, failure) in failed {
      guard case .store(let error) = failure, error.kind == .io, let stamp = stamps[name] else {
        failures.append(failure)
        continue
      }
      do throws(AllocationError) {
        if try await release(name, only: stamp, deadline: deadline) != nil { released.append(name) }
      } catch {
        failures.append(error)
      }
    }
    return (released, failures)
  }

  private func releaseTogether(
    _ stamps: [AttachmentKey: AttachmentStamp], _ deadline: Deadline
  ) async -> (released: [AttachmentKey], failed: [(AttachmentKey, AllocationError)]) {
    await withTaskGroup(of: (AttachmentKey, Result<Bool, AllocationError>).self) { group in
      for (name, stamp) in stamps {
        group.addTask {
          do throws(AllocationError) {
            let held = try await self.release(name, only: stamp, deadline: deadline)
            return (name, .success(held != nil))
          } catch {
            return (name, .failure(error))
          }
        }
      }
      var released: [AttachmentKey] = []
      var failed: [(AttachmentKey, AllocationError)] = []
      for await (name, result) in group {
        switch result {
        case .success(true): released.append(name)
        case .success(false): continue
        case .failure(let error): failed.append((name, error))
        }
      }
      return (released, failed)
    }
  }

  private func readConsistently(
    _ keys: Set<StoreKey>, _ deadline: Deadline
  ) async throws(AllocationError) -> [StoreKey: StoreEntry] {
    do {
      return try await store.read(keys, consistency: .consistent, deadline: deadline)
    } catch {
      throw .store(error)
    }
  }

  private func rangeSets(_ stored: StoreEntry?) throws(AllocationError) -> [RangeSet] {
    if store.traits.keepsDefinition {
      guard case .definition(let definition)? = stored?.value else { return [] }
      return definition.rangeSets
    }
    return localDefinition?.rangeSets ?? []
  }
}
