// A caller's wish on its way through the planner: waiting, drafted into a commit, in doubt, resolved.

/// What a caller asked for and how it has fared so far.
package struct Wish: Sendable {
  package indirect enum Body: Hashable, Sendable {
    case acquire(AcquireRequest)
    /// Release what the first of these attachments holds that exists (a node's earlier names).
    case release([AttachmentKey])
    /// Release what this attachment holds if it is still the one of the stamp.
    case releaseOnly(AttachmentKey, AttachmentStamp)
    /// Find out whether every range set has something free, and change nothing.
    case probe
  }

  /// Who waits for it.
  let ticket: UInt64
  let body: Body
  let deadline: Deadline
  /// On the monotonic clock, for the age cap of the back-off.
  let enqueuedAt: UInt64
  /// Lost races so far.
  var conflicts = 0
  /// Times that the store could not serve it, of a cleanup.
  var failures = 0
  /// Not to be tried before this moment of the monotonic clock.
  var notBefore: UInt64 = 0
  /// How long to wait if only chunks are left on which races were lost, in nanoseconds.
  var owedWait: UInt64 = 0
  /// Chunks on which races were lost, and how many: after two, others are tried first.
  var avoided: [ChunkKey: Int] = [:]
  /// Attachments are looked up before the next attempt: a commit said that one exists or is gone.
  var needsAttachments = false
  /// The definition could not be read: a release goes on without it.
  var goesWithoutDefinition = false
  /// The node's own copies were asked for before anybody else was.
  var hasTriedCopies = false
  /// What the store said last when it could not serve it.
  var lastTrouble: String?
  /// A commit of this release may have happened; why that is not known.
  var doubt: String?

  /// The attachment that an acquisition makes.
  var acquires: AttachmentKey? {
    if case .acquire(let request) = body { request.attachment } else { nil }
  }

  /// The attachments one of which a release takes back.
  var releases: [AttachmentKey] {
    switch body {
    case .release(let keys): keys
    case .releaseOnly(let key, _): [key]
    case .acquire, .probe: []
    }
  }

  var isRelease: Bool {
    switch body {
    case .release, .releaseOnly: true
    default: false
    }
  }

  /// The planner's own: nobody waits for it.
  var isCleanup: Bool { ticket == 0 }

  package init(ticket: UInt64, body: Body, deadline: Deadline, enqueuedAt: UInt64) {
    self.ticket = ticket
    self.body = body
    self.deadline = deadline
    self.enqueuedAt = enqueuedAt
  }
}

/// What a wish led to.
package enum Fulfilment: Hashable, Sendable {
  indirect case acquired(Acquired)
  /// What was held and is no more; nil if nothing was held.
  case released(Attachment?)
  case available
}

/// What planning one wish against the current view and draft said.
enum Verdict {
  /// It is part of the draft now.
  case drafted
  /// It cannot be decided without these.
  case needs(Set<StoreKey>, Consistency)
  case resolved(Result<Fulfilment, AllocationError>)
  /// It has to wait for the commit that is being drafted.
  case deferred
  /// The commit that is being drafted has no room for it.
  case full
  /// There is nothing to try before this moment.
  case notBefore(UInt64)
}

/// What the loop has to do next.
package enum Step {
  case read(Set<StoreKey>, Consistency)
  case commit(Commit)
  /// Wait for this many nanoseconds.
  case wait(UInt64)
  /// Nothing is left to do.
  case idle
}
