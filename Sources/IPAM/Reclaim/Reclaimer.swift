public import AddressSpace

// Attachments whose owner is gone, from the outside: no runtime speaks, an operator does. So nothing
// is believed at once. An attachment must be found without an owner twice, at least a grace period
// apart, and be the same one both times; then its ordinary release is made conditional on that, so
// that one made anew under its name is left alone.

/// Tells one attachment from every other that has or had its name.
public struct AttachmentStamp: Hashable, Sendable {
  /// The nonce of the commit that made it; 0 where none is kept, as in a directory.
  public let nonce: UInt64
  /// Seconds since 1970 by the node's clock.
  public let createdAt: UInt64
  /// What it holds.
  public let addresses: [IPAddress]

  /// A stamp.
  public init(nonce: UInt64, createdAt: UInt64, addresses: [IPAddress]) {
    self.nonce = nonce
    self.createdAt = createdAt
    self.addresses = addresses
  }

  /// The stamp of an attachment.
  public init(_ attachment: Attachment) {
    self.init(
      nonce: attachment.nonce, createdAt: attachment.createdAt,
      addresses: attachment.holdings.map(\.address))
  }
}

/// An attachment that was seen without an owner.
public struct Orphan: Hashable, Sendable {
  /// Its name.
  public let key: AttachmentKey
  /// Which one of that name.
  public let stamp: AttachmentStamp
  /// When it was first seen so, in seconds of a clock that never goes back.
  public let firstSeen: UInt64

  /// A sighting.
  public init(key: AttachmentKey, stamp: AttachmentStamp, firstSeen: UInt64) {
    self.key = key
    self.stamp = stamp
    self.firstSeen = firstSeen
  }
}

extension Orphan {
  /// Orphans of an observation, each with the time of its first sighting: the earlier one's if it was
  /// seen then and is the same, else now. What is not seen any more is forgotten.
  public static func merge(
    _ found: [AttachmentKey: AttachmentStamp], after earlier: [Orphan], now: UInt64
  ) -> [Orphan] {
    let known = Dictionary(earlier.map { ($0.key, $0) }) { first, _ in first }
    return found.map { key, stamp in
      let before = known[key].flatMap { $0.stamp == stamp ? $0.firstSeen : nil } ?? now
      // A clock that went back all the same proves nothing.
      return Orphan(key: key, stamp: stamp, firstSeen: min(before, now))
    }.sorted {
      ($0.key.node, $0.key.container, $0.key.interface)
        < ($1.key.node, $1.key.container, $1.key.interface)
    }
  }

  /// Whether the grace period, in seconds, has passed since the first sighting.
  public func isDue(now: UInt64, grace: UInt64) -> Bool {
    now >= firstSeen && now - firstSeen >= grace && now > firstSeen
  }
}

/// What one look at a node found without an owner.
public struct Orphans: Hashable, Sendable {
  /// Attachments that nobody uses, by name.
  public var stamps: [AttachmentKey: AttachmentStamp] = [:]
  /// Attachments that are not in use by a list that does not speak for them: another machine or runtime
  /// that goes by the same name made them, beside those that are.
  public var strangers: Set<AttachmentKey> = []
}

extension AllocationStore {
  /// The attachments of a node that nobody uses.
  ///
  /// - Parameters:
  ///   - nodeName: The node; nil for all, where a store belongs to one node.
  ///   - isInUse: Whether an attachment has an owner.
  ///   - isList: What is in use was told by one runtime, which knows its own containers only.
  ///   - deadline: When to give up.
  /// - Returns: What is without an owner. What cannot be read counts as in use.
  /// - Complexity: O(n) in the node's attachments of this network.
  public func orphans(
    ofNode nodeName: String?, inUse isInUse: (AttachmentKey, Attachment) -> Bool,
    isList: Bool = false, deadline: Deadline
  ) async throws(StoreError) -> Orphans {
    var unused: [(AttachmentKey, Attachment)] = []
    /// When the oldest one was made that is in use, by the instance that made it.
    var used: [String: UInt64] = [:]
    try await list(.attachments(node: nodeName), deadline: deadline) {
      key, entry throws(StoreError) in
      guard case .attachment(let name) = key, case .attachment(let attachment)? = entry.value
      else { return }
      guard isInUse(name, attachment) else { return unused.append((name, attachment)) }
      let instance = attachment.node.instance
      if !instance.isEmpty {
        used[instance] = min(used[instance] ?? .max, attachment.createdAt)
      }
    }
    let oldest = used.values.min() ?? .max
    var found = Orphans()
    for (name, attachment) in unused {
      // A node that lost its state directory has another instance since, and makes none by the old one.
      let instance = attachment.node.instance
      if isList, !instance.isEmpty, used[instance] == nil, attachment.createdAt > oldest {
        found.strangers.insert(name)
      } else {
        found.stamps[name] = AttachmentStamp(attachment)
      }
    }
    return found
  }
}
