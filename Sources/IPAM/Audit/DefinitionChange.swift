public import AddressSpace
import BitmapAllocator

// What a change of a network's definition does to those who hold addresses. A lease outlives any
// change: it is released as it was made. What can go wrong is that an address is no longer the
// network's (stranded), or that it gets a second bit because its subnet is cut otherwise.

/// Who is in the way of a change of a definition.
public struct DefinitionChange: Sendable {
  /// Why a change is not made.
  public enum Obstacle: Hashable, Sendable {
    /// The network is of another kind, or its name differs: that is another network.
    case otherNetwork(String)
    /// A subnet in use would be cut otherwise: chunk size or unit. Force does not help.
    case recut(subnet: Prefix, inUse: String)
    /// An address would be outside the ranges while somebody holds it; nil in a network without
    /// leases.
    case stranded(IPAddress, holder: AttachmentKey?)
  }

  let old: NetworkDefinition
  let new: NetworkDefinition

  /// A change from one definition to another.
  public init(from old: NetworkDefinition, to new: NetworkDefinition) {
    self.old = old
    self.new = new
  }

  /// What is in the way, sorted by address; empty if nothing is.
  ///
  /// - Throws: ``AllocationError/invalidDefinition(_:)`` if a definition cannot be laid out, else
  ///   ``AllocationError/store(_:)``.
  /// - Complexity: O(n) in the leases and words of chunks.
  public func obstacles(
    in store: any AllocationStore, deadline: Deadline
  ) async throws(AllocationError) -> [Obstacle] {
    if old.name != new.name { return [.otherNetwork("the name is \(old.name)")] }
    if old.kind != new.kind { return [.otherNetwork("its kind is \(old.kind.rawValue)")] }
    let before: [SetLayout]
    let after: [SetLayout]
    do {
      (before, after) = (try old.layouts(), try new.layouts())
    } catch {
      throw .invalidDefinition(error)
    }
    do {
      let evidence = try await Evidence(from: store, deadline: deadline)
      return recuts(before, after, evidence) + stranded(before, after, evidence)
    } catch {
      throw .store(error)
    }
  }

  private func recuts(
    _ before: [SetLayout], _ after: [SetLayout], _ evidence: Evidence
  ) -> [Obstacle] {
    let pools = Set(after.flatMap(\.pools).map(\.geometry))
    let gone = Set(before.flatMap(\.pools).map(\.geometry)).subtracting(pools)
    let recut = gone.filter { pool in pools.contains { $0.subnet.overlaps(pool.subnet) } }
    return recut.sorted { $0.subnet < $1.subnet }.compactMap { pool in
      let leases = evidence.leases.keys.count { key in
        if case .lease(let address) = key { pool.subnet.contains(address) } else { false }
      }
      let bits = evidence.chunks.reduce(0) { count, item in
        guard case .chunk(let name) = item.key, name.pool == pool, name.node.level == 0 else {
          return count
        }
        guard let chunk = item.value.chunk else { return count + 1 }
        return count + chunk.bitmap.takenCount - chunk.cooling.count
      }
      guard leases > 0 || bits > 0 else { return nil }
      return .recut(
        subnet: pool.subnet,
        inUse:
          "\(leases.counted("lease")) and \(bits.counted("marked address", "marked addresses"))")
    }
  }

  private func stranded(
    _ before: [SetLayout], _ after: [SetLayout], _ evidence: Evidence
  ) -> [Obstacle] {
    var found: [IPAddress: AttachmentKey?] = [:]
    func isLost(_ address: IPAddress) -> Bool {
      !after.contains { $0.segment(allowing: address) != nil }
        && before.contains { $0.segment(allowing: address) != nil }
    }
    for (key, entry) in evidence.leases {
      guard case .lease(let address) = key, isLost(address) else { continue }
      found[address] = .some(entry.value?.owner)
    }
    if old.kind == .bare {
      for (key, entry) in evidence.chunks {
        guard case .chunk(let name) = key, name.node.level == 0, let chunk = entry.chunk
        else { continue }
        let existing = name.pool.existingBits(in: name.node)
        for bit in chunk.bitmap.takenBits where bit < existing && !chunk.cooling.contains(bit) {
          let address = name.pool.address(of: name.pool.ordinal(of: name.node, bit: bit))
          if isLost(address) { found[address] = .some(nil) }
        }
      }
    }
    return found.sorted { $0.key < $1.key }.map { .stranded($0.key, holder: $0.value) }
  }
}
