import AddressSpace

@testable import IPAM

// What callers are told, beside what is known.

extension PlannerModel {
  /// Compares an answer with what was known.
  mutating func judge(_ call: Call, _ result: Result<Fulfilment, AllocationError>) {
    let before = call.isAlone ? known[call.key] ?? Known.none : .open
    var after = before
    switch result {
    case .success(.acquired(let acquired)):
      if before == .none && acquired.isRepeat { failures.append("\(call.key) held nothing") }
      if case .held(let held) = before, held.nonce != acquired.attachment.nonce {
        failures.append("\(call.key) gets a second time")
      }
      if !acquired.isRepeat, let request = call.request, !acquired.attachment.satisfies(request) {
        failures.append("\(call.key) gets \(acquired.attachment), not what it asked for")
      }
      after = .held(acquired.attachment)
    case .success(.released(let attachment)):
      if before == .none && attachment != nil { failures.append("\(call.key) held nothing") }
      // Whether it was this release is forgotten where enough others have written its chunk since.
      let mayBeItsOwn = attachment == nil && doubtedReleases.contains(call.key)
      if case .held(let held) = before, held.nonce != attachment?.nonce, !mayBeItsOwn {
        failures.append("\(call.key) releases \(String(describing: attachment)), not \(held)")
      }
      after = .none
    case .success(.available): break
    case .failure(.exhausted):
      if !isFull, lastFull.map({ $0 < call.called }) ?? true {
        failures.append("exhausted, and something was free all along")
      }
      if case .held = before { failures.append("\(call.key) holds something: \(result)") }
    case .failure(.requestedTaken(_, let address, _, _)):
      if case .held = before { failures.append("\(call.key) holds something: \(result)") }
      if !wasHeld(.lease(address), during: call) { failures.append("\(address) was free") }
    case .failure(.macTaken(let mac, _)):
      if case .held = before { failures.append("\(call.key) holds something: \(result)") }
      if !wasHeld(.mac(mac), during: call) { failures.append("\(mac) was nobody's") }
    case .failure(.outcomeUnknown):
      after = call.isRelease ? .open : afterDoubt(before)
    case .failure(.deadlineExceeded), .failure(.store): break
    case .failure(let error): failures.append("\(call.key): \(error)")
    }
    known[call.key] = call.isAlone ? after : .open
  }

  /// What is known of the names without an open call is so.
  mutating func expectTruth() {
    let entries = store.entries
    for index in processes.indices {
      for call in processes[index].calls.values where call.deadline < now {
        failures.append("\(call.key) waits beyond its deadline")
      }
      if processes[index].planner.isAboutToGiveUp {
        // Nothing keeps late copies of it out: a planner alone can do no more.
        for case .attachment(let key) in processes[index].planner.doubtful { known[key] = .open }
      }
    }
    let open = Set(processes.flatMap { $0.calls.values.map(\.key) })
    for (key, known) in known where !open.contains(key) {
      let entry = entries[.attachment(key)]
      switch known {
      case .open, .clearing: continue
      case .none:
        if let entry { failures.append("\(key) holds nothing, and the store has \(entry)") }
      case .held(let attachment):
        guard case .attachment(let stored)? = entry?.value, stored.nonce == attachment.nonce else {
          failures.append("\(key) was told that it holds \(attachment), but: \(entry as Any)")
          continue
        }
        for owned in attachment.ownedKeys where entries[owned]?.value?.owner != key {
          failures.append("\(owned) of \(key) is somebody else's")
        }
      }
    }
  }
}
