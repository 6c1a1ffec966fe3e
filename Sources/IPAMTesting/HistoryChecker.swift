public import AddressSpace
public import IPAM
import Synchronization

// Was an address ever held by two? Callers know less than the store: an operation happens at some
// moment between its call and its return. So an attachment holds its addresses for certain only
// between the return of an acquisition and the next call that may release them:
//
//   acquire  |-----------|                          release  |------|
//                        ●━━━━━━━ held for certain ━━━━━━━━━━○
//
// Two certain times of one address that overlap, of two attachments, cannot be explained by any order
// of events (Herlihy and Wing, "Linearizability", 1990, for one register per address).

/// An operation as its caller saw it; times are of one monotonic clock, in nanoseconds.
public struct HistoryEvent: Hashable, Sendable {
  /// What happened.
  public enum Kind: Hashable, Sendable {
    /// The attachment was told that it holds these.
    case acquired([IPAddress])
    /// From the call on the addresses may be free, whatever the answer was.
    case released
  }

  /// What happened.
  public var kind: Kind
  /// To whom.
  public var attachment: AttachmentKey
  /// When the operation was called.
  public var called: UInt64
  /// When its answer came.
  public var returned: UInt64

  /// An operation.
  public init(_ kind: Kind, _ attachment: AttachmentKey, called: UInt64, returned: UInt64) {
    self.kind = kind
    self.attachment = attachment
    self.called = called
    self.returned = returned
  }
}

/// Collects what any number of callers saw.
public final class HistoryRecorder: Sendable {
  private let recorded = Mutex<[HistoryEvent]>([])

  /// An empty history.
  public init() {}

  /// All that was recorded, in the order of the answers.
  public var events: [HistoryEvent] { recorded.withLock { $0 } }

  /// Takes down an operation.
  public func record(_ event: HistoryEvent) {
    recorded.withLock { $0.append(event) }
  }
}

/// Finds addresses that two attachments held at once.
public enum HistoryChecker {
  /// One address, two holders.
  public struct Finding: Hashable, Sendable, CustomStringConvertible {
    /// The address.
    public let address: IPAddress
    /// Who held it, the earlier one first.
    public let holders: [AttachmentKey]
    /// A moment at which both held it for certain.
    public let moment: UInt64

    /// Address, holders and moment.
    public var description: String {
      "\(address) was held by \(holders[0]) and \(holders[1]) at \(moment)"
    }
  }

  private struct Hold {
    let attachment: AttachmentKey
    let begin: UInt64
    let end: UInt64
  }

  /// What no order of events explains; empty if the history is sound.
  ///
  /// - Complexity: O(n log n) in the events, and O(n) for each attachment that was named often.
  public static func findings(_ events: [HistoryEvent]) -> [Finding] {
    var holds: [IPAddress: [Hold]] = [:]
    for (attachment, own) in Dictionary(grouping: events, by: \.attachment) {
      let releases = own.filter { $0.kind == .released }
      for event in own {
        guard case .acquired(let addresses) = event.kind else { continue }
        // A release that overlaps the acquisition may have come after it.
        let end = releases.filter { $0.returned > event.called }.map(\.called).min() ?? .max
        guard end > event.returned else { continue }
        let hold = Hold(attachment: attachment, begin: event.returned, end: end)
        for address in addresses { holds[address, default: []].append(hold) }
      }
    }
    return holds.flatMap { overlaps($0.key, $0.value.sorted { $0.begin < $1.begin }) }
      .sorted { $0.moment < $1.moment }
  }

  private static func overlaps(_ address: IPAddress, _ holds: [Hold]) -> [Finding] {
    var findings: [Finding] = []
    for (index, hold) in holds.enumerated() {
      for later in holds[(index + 1)...] {
        if later.begin >= hold.end { break }
        if later.attachment == hold.attachment { continue }
        findings.append(
          Finding(
            address: address, holders: [hold.attachment, later.attachment], moment: later.begin))
      }
    }
    return findings
  }
}
