public import IPAM

/// What a simulated cluster is, does and suffers.
public struct Scenario: Sendable {
  /// How long a server takes; give it samples of a measurement, from which it draws evenly.
  public struct Service: Sendable {
    /// From a client to the server or back, in nanoseconds; never empty.
    public var hop: [UInt64]
    /// What one round of the leader takes (its log on disk and on a quorum) before its commits happen,
    /// in nanoseconds, however many it carries; never empty.
    public var round: [UInt64]
    /// How many processors do all work, one thing each at a time.
    public var processors: Int
    /// How long a commit keeps one of them busy, in nanoseconds; drawn once for a spell, because what
    /// slows a server down slows down all that it does at the time. Never empty.
    public var perCommit: [UInt64]
    /// How long such a spell is, in nanoseconds.
    public var spell: UInt64
    /// What each operation of a commit adds to that, in nanoseconds.
    public var perOperation: UInt64
    /// How long a read keeps a processor busy, in nanoseconds.
    public var perRead: UInt64
    /// How long one wish keeps a processor busy before its commit is sent, in nanoseconds; never empty.
    public var client: [UInt64]

    /// A service.
    public init(
      hop: [UInt64], round: [UInt64], processors: Int = 1, perCommit: [UInt64],
      spell: UInt64 = 50_000_000, perOperation: UInt64 = 0, perRead: UInt64 = 0,
      client: [UInt64] = [0]
    ) {
      precondition(
        ![hop, round, perCommit, client].contains([]), "a service needs samples of each kind")
      precondition(processors > 0, "a service needs processors")
      self.hop = hop
      self.round = round
      self.processors = processors
      self.perCommit = perCommit
      self.spell = spell
      self.perOperation = perOperation
      self.perRead = perRead
      self.client = client
    }
  }

  /// What goes wrong, in percent of the requests unless said otherwise.
  public struct Faults: Sendable {
    /// The commit happens and its connection is cut before the answer.
    public var cutAfter = 0
    /// The commit is lost with its connection.
    public var cutBefore = 0
    /// The connection is cut, and the commit arrives up to 5 s later.
    public var late = 0
    /// No answer ever comes, whether the commit happens or not; reads likewise.
    public var silent = 0
    /// The commit is turned away.
    public var refused = 0
    /// Kills of a node, with all that it had in hand, over the whole run.
    public var kills = 0
    /// Pauses of the leader, of up to 3 s, over the whole run.
    public var pauses = 0
    /// Nodes' dates are up to this many seconds wrong, either way.
    public var skewSeconds: Int64 = 0

    /// No faults; set what is wanted.
    public init() {}
  }

  /// The network; its node names are `n0`, `n1`, …
  public var definition: NetworkDefinition
  /// How many nodes, each one process with a group commit of its own.
  public var nodes: Int
  /// How many callers each node has; each has one operation under way.
  public var callers: Int
  /// How many operations each caller begins.
  public var operations: Int
  /// Attachments that a caller keeps at most; it releases one at random when it has so many.
  public var keeps: Int
  /// Commits that a node may have in flight at once, as many as a ``NetworkAllocator`` has.
  public var flights = NetworkAllocator.flightLimit
  /// How often a caller that has something releases it although it may keep it, in percent.
  public var releases = 30
  /// Callers pause for less than this between operations and before their first, in nanoseconds.
  public var pause: UInt64 = 1_000_000
  /// Whether a caller that was told that nothing is free begins nothing more: a pool is filled to its
  /// last address by as many operations as that takes.
  public var endsWhenFull = false
  /// Whether the run ends with all that the callers saw; addresses held twice are found without it.
  public var keepsHistory = true
  /// How long an operation may take, in nanoseconds.
  public var patience: UInt64 = 30_000_000_000
  /// How fast the server is.
  public var service: Service
  /// What goes wrong.
  public var faults = Faults()
  /// Kills and pauses fall into this time from the start, in nanoseconds.
  public var faultPeriod: UInt64 = 2_000_000_000

  /// A scenario without faults.
  public init(
    definition: NetworkDefinition, nodes: Int, callers: Int, operations: Int, keeps: Int,
    service: Service
  ) {
    self.definition = definition
    self.nodes = nodes
    self.callers = callers
    self.operations = operations
    self.keeps = keeps
    self.service = service
  }

  /// Whether a caller releases something next, rather than acquire.
  ///
  /// - Parameters:
  ///   - count: Attachments that it has.
  ///   - chance: Decides.
  public func releasesNext(
    having count: Int, using chance: inout some RandomNumberGenerator
  ) -> Bool {
    count > 0 && (count >= keeps || Int.random(in: 0..<100, using: &chance) < releases)
  }
}

/// What came of a simulated run.
public struct SimulationReport: Hashable, Sendable {
  /// Operations that succeeded.
  public var succeeded = 0
  /// Acquisitions that were told that nothing is free.
  public var exhausted = 0
  /// Operations that ended in doubt, late or with their node.
  public var failed = 0
  /// Commits that happened, late copies included.
  public var commits = 0
  /// Commits that lost a race.
  public var conflicts = 0
  /// Reads.
  public var reads = 0
  /// Rounds of the leader that carried commits.
  public var rounds = 0
  /// How long the processors were at work, all together, in nanoseconds.
  public var busy: UInt64 = 0
  /// Jain's index over the operations of each node ("A Quantitative Measure of Fairness", 1984) when
  /// half of all were done: 1 if all had done the same, 1/n if one of n had done all.
  public var fairness = 1.0
  /// Kills of a node.
  public var kills = 0
  /// Virtual time at the end of the last successful operation, in nanoseconds.
  public var elapsed: UInt64 = 0
  /// Virtual time that each successful operation took, in nanoseconds, in the order of their ends.
  public var latencies: [UInt64] = []
  /// Answers that were wrong: exhaustion although something was free all along (I4).
  public var lies: [String] = []
  /// Addresses that a caller was told it holds while another held them for certain (I1).
  public var duplicates: [String] = []
  /// FNV-1a over all events, their moments and what came of them: equal runs have equal traces.
  public var trace: UInt64 = 0xcbf2_9ce4_8422_2325

  mutating func note(_ values: UInt64...) {
    for value in values { trace = (trace ^ value) &* 0x100_0000_01b3 }
  }
}
