import AddressSpace
import BitmapAllocator

// The loop that performs a repair plan beside live traffic:
//
//   audit ──▶ plan ──▶ commit ──▶ … ──▶ audit again, until nothing is left that can be mended
//                │        └ conflict: somebody was faster; the next audit says what is left
//                └ records first: bits follow them
//
// Every commit is whole and conditional, so that a repair can be stopped anywhere and begun again.

/// A finding and what repair would do about it.
public struct Diagnosis: Hashable, Sendable {
  /// What is wrong.
  public let finding: AuditFinding
  /// What repair would do, or why it can do nothing.
  public let remedy: String
  /// Whether repair can do it.
  public let isMendable: Bool

  /// A finding with what is to be said of it.
  public init(finding: AuditFinding, remedy: String, isMendable: Bool) {
    self.finding = finding
    self.remedy = remedy
    self.isMendable = isMendable
  }
}

/// Mends what an audit finds in a store that keeps its definition.
public struct Repairer: Sendable {
  /// What a repair did.
  public struct Report: Hashable, Sendable {
    /// Commits that happened.
    public var commits = 0
    /// Commits that lost a race; what they were for was looked at again.
    public var conflicts = 0
    /// What is left, because only a person can decide it or because others kept winning.
    public var left: [Diagnosis] = []
  }

  /// Audits of one repair: what one commit brings to light the next one mends.
  static let passes = 24
  /// Commits for one chunk in one pass: 16,384 bits at 60 a commit are 273.
  static let stepsPerSubject = 512
  /// How often what goes alone is tried in one pass.
  static let racesInARow = 16

  let store: any AllocationStore
  let networkName: String
  let surroundings: Surroundings

  /// A repairer.
  public init(of store: any AllocationStore, networkName: String, surroundings: Surroundings) {
    self.store = store
    self.networkName = networkName
    self.surroundings = surroundings
  }

  /// Audits the network and says what repair would do; changes nothing.
  ///
  /// - Throws: ``AllocationError``; ``AllocationError/undefinedNetwork(_:)`` without a definition.
  /// - Complexity: O(n) in leases, attachments and words of chunks, twice if something is wrong.
  public func diagnose(deadline: Deadline) async throws(AllocationError) -> [Diagnosis] {
    try await look(deadline).diagnoses
  }

  /// Mends what can be mended.
  ///
  /// - Parameters:
  ///   - deadline: When to stop; what was mended stays so.
  ///   - progress: Called with every step that was committed.
  /// - Throws: ``AllocationError``.
  /// - Complexity: O(n) for each audit, of which there are as many as repairs bring new findings to
  ///   light, and a commit for about as many findings as a transaction has operations.
  public func repair(
    deadline: Deadline, progress: (RepairStep) -> Void = { _ in }
  ) async throws(AllocationError) -> Report {
    var report = Report()
    for _ in 0..<Self.passes {
      var (plan, diagnoses, subjects) = try await look(deadline)
      report.left = diagnoses
      guard diagnoses.contains(where: \.isMendable) else { return report }
      let records = subjects.filter { $0.isRecord && plan.step(for: $0)?.isPossible == true }
      let before = report.commits
      try await perform(
        records.isEmpty ? subjects : records, &plan, &report, deadline, progress)
      if report.commits == before {
        guard surroundings.remaining(until: deadline) > Self.pause else { return report }
        await surroundings.sleep(Self.pause + surroundings.random() % Self.pause)
      }
    }
    report.left = try await look(deadline).diagnoses
    return report
  }

  /// Draws a new incarnation of the definition, as after a restored store: every node forgets what
  /// it has seen, no commit that was begun before can happen, and nothing is acquired from a chunk
  /// until ``repair(deadline:progress:)`` has taken it over.
  ///
  /// - Throws: ``AllocationError``.
  /// - Complexity: two round trips.
  public func renewIncarnation(deadline: Deadline) async throws(AllocationError) {
    try await store.withTurn(deadline: deadline) { () async throws(AllocationError) in
      while true {
        var (definition, revision) = try await definition(deadline)
        definition.incarnation = surroundings.random()
        let operation = StoreOperation.put(
          .definition, .definition(definition), expected: revision)
        if try await commit([operation], deadline) != nil { return }
      }
    }
  }

  private static let pause: UInt64 = 50_000_000

  private func definition(
    _ deadline: Deadline
  ) async throws(AllocationError) -> (NetworkDefinition, Revision) {
    let entry: StoreEntry?
    do {
      entry = try await store.read([.definition], consistency: .consistent, deadline: deadline)[
        .definition]
    } catch {
      throw .store(error)
    }
    switch entry?.value {
    case .definition(let definition): return (definition, entry?.revision ?? .absent)
    case .damaged(let text):
      throw .store(StoreError(.damaged, "the definition cannot be read: \(text)"))
    default: throw .undefinedNetwork(networkName)
    }
  }

  private func auditor(
    _ definition: NetworkDefinition
  ) throws(AllocationError) -> Auditor {
    do {
      return try Auditor(of: store, definition: definition)
    } catch {
      throw .invalidDefinition(error)
    }
  }

  /// A plan by one look at the store, without an audit.
  func plan(_ deadline: Deadline) async throws(AllocationError) -> RepairPlan {
    let (definition, revision) = try await definition(deadline)
    let layouts = try auditor(definition).layouts
    do {
      let evidence = try await Evidence(from: store, deadline: deadline)
      return RepairPlan(
        evidence, definition, revision, layouts, limit: limit(definition),
        now: surroundings.now(), random: surroundings.random)
    } catch {
      throw .store(error)
    }
  }

  private func look(
    _ deadline: Deadline
  ) async throws(AllocationError) -> (RepairPlan, diagnoses: [Diagnosis], [RepairSubject]) {
    let (definition, revision) = try await definition(deadline)
    let auditor = try auditor(definition)
    let (findings, evidence) = try await auditor.findingsWithEvidence(deadline)
    var plan = RepairPlan(
      evidence, definition, revision, auditor.layouts, limit: limit(definition),
      now: surroundings.now(), random: surroundings.random)
    var steps: [RepairSubject: RepairStep] = [:]
    var diagnoses: [Diagnosis] = []
    for finding in findings {
      guard let subject = plan.subject(of: finding) else { continue }
      plan.found[subject, default: []].formUnion(finding.revisions.keys)
      let step = steps[subject] ?? plan.step(for: subject)
      steps[subject] = step
      diagnoses.append(
        Diagnosis(
          finding: finding, remedy: step?.action ?? "nothing: it goes with the others",
          isMendable: step?.isPossible ?? false))
    }
    let subjects = steps.filter(\.value.isPossible).keys.sorted { $0.rank < $1.rank }
    return (plan, diagnoses, subjects)
  }

  /// Brings a plan up to date for some keys: one round trip.
  func look(
    again keys: Set<StoreKey>, _ plan: inout RepairPlan, _ deadline: Deadline
  ) async throws(AllocationError) {
    do {
      plan.note(try await store.read(keys, consistency: .consistent, deadline: deadline))
    } catch {
      throw .store(error)
    }
  }

  /// Brings a plan up to date for all that the next step of one subject depends on, if it can be: what
  /// depends on a whole listing cannot, and is left for the next audit. From then on the plan mends
  /// nothing but what was found: beside a chunk that is read anew, leases that were listed before it
  /// look wrong.
  private func look(
    again subject: RepairSubject, _ plan: inout RepairPlan, _ deadline: Deadline
  ) async throws(AllocationError) -> Bool {
    guard plan.dependsOnItsKeysOnly(subject) else { return false }
    plan.isNarrow = true
    var seen: Set<StoreKey> = []
    while true {
      let keys = Set(plan.step(for: subject)?.operations.map(\.key) ?? [])
        .subtracting([.definition])
      guard !keys.isSubset(of: seen) else { return plan.dependsOnItsKeysOnly(subject) }
      seen.formUnion(keys)
      // Chunks are what others write all the time: last, so that they have little time for it.
      let chunks = seen.filter { if case .chunk = $0 { true } else { false } }
      for part in [seen.subtracting(chunks), chunks] where !part.isEmpty {
        try await look(again: part, &plan, deadline)
      }
    }
  }

  /// Commits the steps of all subjects, several at a time where they have no key in common.
  private func perform(
    _ subjects: [RepairSubject], _ plan: inout RepairPlan, _ report: inout Report,
    _ deadline: Deadline, _ progress: (RepairStep) -> Void
  ) async throws(AllocationError) {
    var queue = subjects[...]
    var tries: [RepairSubject: Int] = [:]
    var isCautious = false
    var races = 0
    while !queue.isEmpty {
      plan.limit = limit(plan.definition)
      var batch: [(subject: RepairSubject, step: RepairStep)] = []
      var operations: [StoreKey: StoreOperation] = [:]
      while let subject = queue.first {
        guard let step = plan.step(for: subject), step.isPossible,
          tries[subject, default: 0] < Self.stepsPerSubject
        else {
          queue.removeFirst()
          continue
        }
        guard let merged = Self.merge(operations, step.operations, limit: plan.limit),
          batch.isEmpty || !isCautious
        else { break }
        operations = merged
        batch.append((subject, step))
        queue.removeFirst()
      }
      guard !batch.isEmpty else { return }
      let all = Array(operations.values)
      let events = batch.flatMap(\.step.events)
      if let revision = try await commit(all, noting: events, plan, deadline) {
        report.commits += 1
        plan.apply(all, revision)
        for (subject, step) in batch {
          progress(step)
          tries[subject, default: 0] += 1
        }
        queue = (batch.map(\.subject) + queue)[...]
        races = 0
      } else {
        report.conflicts += 1
        // Of several steps one lost: each is tried alone. One alone is tried by what is there now, since
        // others may work faster than all is read; then it is left for the next audit.
        races = isCautious ? races + 1 : 0
        isCautious = true
        var canGoOn = races < Self.racesInARow
        if canGoOn, batch.count == 1 {
          canGoOn = try await look(again: batch[0].subject, &plan, deadline)
        }
        if canGoOn { queue = (batch.map(\.subject) + queue)[...] } else { races = 0 }
      }
    }
  }

  /// The union of operations, if only checks are shared and it fits a commit; a single step always
  /// does, so that what is too large is told by the store.
  private static func merge(
    _ operations: [StoreKey: StoreOperation], _ more: [StoreOperation], limit: Int
  ) -> [StoreKey: StoreOperation]? {
    var merged = operations
    for operation in more {
      if let other = merged[operation.key], other != operation { return nil }
      if merged[operation.key] != nil, case .check = operation {
      } else if merged[operation.key] != nil {
        return nil
      }
      merged[operation.key] = operation
    }
    return operations.isEmpty || merged.count <= limit ? merged : nil
  }

  /// The revision, or nil for a lost race or an outcome that the next audit will show.
  func commit(
    _ operations: [StoreOperation], _ deadline: Deadline
  ) async throws(AllocationError) -> Revision? {
    while true {
      switch await store.commit(operations, cursors: [:], deadline: deadline) {
      case .committed(let revision): return revision
      case .conflict, .unknown: return nil
      case .tooLarge:
        if case .put(_, .definition(let definition), _)? = operations.first {
          do {
            try definition.checkOneCommit(limit: store.traits.operationLimit)
          } catch {
            throw .invalidDefinition(error)
          }
        }
        return nil
      case .refused(let error): throw .store(error)
      case .unavailable(let text):
        guard surroundings.remaining(until: deadline) > Self.pause else {
          throw .deadlineExceeded(text)
        }
        await surroundings.sleep(Self.pause)
      }
    }
  }
}
