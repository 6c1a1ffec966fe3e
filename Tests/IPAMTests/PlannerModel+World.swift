import AddressSpace

@testable import IPAM

// What a model of two planners is made of.

extension PlannerModel {
  enum Known: Equatable {
    case held(Attachment)
    case none
    case clearing
    case open
  }

  struct Call {
    let key: AttachmentKey
    /// What is acquired; nil for a release.
    let request: AcquireRequest?
    let called: UInt64
    let deadline: UInt64
    /// No other call of the name was open at any time of this one.
    var isAlone: Bool

    var isRelease: Bool { request == nil }
  }

  struct Sent {
    let process: Int
    let commit: Commit
    let due: UInt64
    let fate: Fate
  }

  enum Fate { case answered, lost, unanswered, late, refused, unavailable }

  struct Process {
    var planner: Planner
    var calls: [UInt64: Call] = [:]
    var reading: (keys: Set<StoreKey>, consistency: Consistency, due: UInt64, fails: Bool)?
    var wake = UInt64.max
  }

  struct Setting {
    var subnets: [SubnetRange.Text] = [SubnetRange.Text(subnet: "10.1.0.0/24")]
    var operationLimit = 64
    var cooldown: UInt32 = 0
    /// A delete of what is gone already counts as done, as in Consul.
    var deletesWhatIsGone = false
    /// How many calls in a hundred come when an operator has just changed the definition.
    var edits = 0
    var names = 12
    var faults = 25
    /// How many acquisitions in a hundred ask for an address, and how many have a hardware address, of
    /// few each.
    var demands = 10
    /// Between calls, in nanoseconds, at most; sometimes it is fifty times as much.
    var pause: UInt64 = 4_000_000
  }
}

extension Attachment {
  func satisfies(_ request: AcquireRequest) -> Bool {
    mac == request.mac && Set(request.requested).isSubset(of: holdings.map(\.address))
  }
}
