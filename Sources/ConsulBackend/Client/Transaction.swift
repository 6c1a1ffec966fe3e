// The words of /v1/txn: operations go in, exactly one outcome comes back.

/// One operation of a transaction. All of them apply or none does.
package enum TransactionOperation: Hashable, Sendable {
  /// Writes whatever is there.
  case set(key: String, value: [UInt8])
  /// Writes if the key's modify index is `index`; 0 means that the key must not exist.
  case cas(key: String, value: [UInt8], index: UInt64)
  /// The same with a number beside the value; all other writes set it to 0.
  case casFlagged(key: String, value: [UInt8], index: UInt64, flags: UInt64)
  /// Deletes whatever is there, also nothing.
  case delete(key: String)
  /// Deletes if the key's modify index is `index`. Consul also accepts a key that is missing.
  case deleteCAS(key: String, index: UInt64)
  /// Fails unless the key exists with the modify index `index`.
  case checkIndex(key: String, index: UInt64)
  /// Fails if the key exists.
  case checkNotExists(key: String)
  /// Reads one key; a missing one is a conflict.
  case get(key: String)
  /// Reads every key that begins with `prefix`; none is no conflict. What the token may not read
  /// is left out silently.
  case getTree(prefix: String)

  /// The key or prefix that the operation names.
  package var key: String {
    switch self {
    case .set(let key, _), .cas(let key, _, _), .casFlagged(let key, _, _, _), .delete(let key),
      .deleteCAS(let key, _), .checkIndex(let key, _), .checkNotExists(let key), .get(let key),
      .getTree(let key):
      key
    }
  }

  /// Whether exactly one result stands for it in the answer.
  var hasResult: Bool {
    switch self {
    case .set, .cas, .casFlagged, .checkIndex, .get: true
    case .delete, .deleteCAS, .checkNotExists, .getTree: false
    }
  }

  /// A transaction with one of these goes through Raft; without, it is served like a read.
  package var isWrite: Bool {
    switch self {
    case .set, .cas, .casFlagged, .delete, .deleteCAS: true
    case .checkIndex, .checkNotExists, .get, .getTree: false
    }
  }
}

/// What became of a transaction.
package enum TransactionOutcome: Hashable, Sendable {
  /// All of it applied. What the operations returned, in their order: set, cas and check-index bring the
  /// entry with its new index and an empty value; get and get-tree with the value; deletes and
  /// check-not-exists nothing.
  case committed([KVEntry])
  /// Nothing applied, because of a lost race: every operation that failed, in order.
  case conflict([FailedOperation])
  /// Nothing applied, and nothing will.
  case refused(ConsulRefusal)
  /// Nothing applied: the same transaction may be sent again.
  case notApplied(ConsulFault)
  /// Applied or not, nobody can tell.
  case unknown(ConsulFault)
}

/// An operation that lost a race.
package struct FailedOperation: Hashable, Sendable {
  package enum Reason: Hashable, Sendable {
    /// The key has another modify index, which only check-index names.
    case staleIndex(current: UInt64?)
    /// The key does not exist, or the token may not read it.
    case missing
    /// The key exists.
    case exists
  }

  /// Its position in the transaction.
  package let operation: Int
  package let reason: Reason
}

/// A key as Consul keeps it.
package struct KVEntry: Hashable, Sendable {
  package var key: String
  /// Empty also where Consul says `null`.
  package var value: [UInt8]
  /// Raft index of the creation; it grows when a key is deleted and made again.
  package var createIndex: UInt64
  /// Raft index of the last change that changed anything.
  package var modifyIndex: UInt64
  package var flags: UInt64
}

/// Who may answer a read.
package enum ReadConsistency: String, Hashable, Sendable {
  /// The leader by its lease; a deposed one may answer for a moment more.
  case `default`
  /// The leader after a quorum confirmed it.
  case consistent
  /// Any server, however far behind.
  case stale
}
