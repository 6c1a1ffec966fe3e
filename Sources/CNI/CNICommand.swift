// The six commands of CNI 1.1.0.

/// What the runtime wants done: the value of `CNI_COMMAND`, in capitals.
public enum CNICommand: String, Hashable, Sendable, CaseIterable {
  /// Give the attachment its addresses.
  case add = "ADD"
  /// Take them back.
  case del = "DEL"
  /// Is all as ADD left it?
  case check = "CHECK"
  /// Release what belongs to no attachment of a list.
  case gc = "GC"
  /// Could an ADD be served?
  case status = "STATUS"
  /// Which versions are spoken?
  case version = "VERSION"

  /// The version of the specification that introduced it; nil if it was always there.
  var minimumVersion: CNISpecVersion? {
    switch self {
    case .check: .v040
    case .gc, .status: .v110
    case .add, .del, .version: nil
    }
  }
}
