import IPAM
import Synchronization

// Time that passes only when nothing is left to do in the present, and chance that a seed decides.

/// A clock that stands still until it is moved.
final class VirtualClock: Sendable {
  private let time = Atomic<UInt64>(0)

  /// Nanoseconds since the simulation began.
  var nanoseconds: UInt64 { time.load(ordering: .relaxed) }

  func move(to moment: UInt64) {
    precondition(moment >= nanoseconds, "virtual time goes back")
    time.store(moment, ordering: .relaxed)
  }

  /// What a node sees of the world: this clock, its own idea of the date, its own chance.
  func surroundings(secondsAhead: Int64, seed: UInt64) -> Surroundings {
    let chance = Mutex(Chance(seed: seed))
    // 2023-11-14; only differences matter.
    let start: Int64 = 1_700_000_000 + secondsAhead
    return Surroundings(
      now: { UInt64(start) + self.nanoseconds / 1_000_000_000 },
      monotonic: { self.nanoseconds },
      random: { chance.withLock { $0.next() } },
      sleep: { _ in preconditionFailure("a simulated node waits by an event") })
  }
}

/// What happens when, earliest first; events of one moment in the order in which they were made.
///
/// - Complexity: O(log n) to add and to take. A binary heap (Williams, "Heapsort", 1964) of places, so
///   that events, which own memory, are not moved in it.
struct Agenda<Event> {
  private var heap: [(moment: UInt64, order: UInt64, place: Int)] = []
  private var events: [Event?] = []
  /// Places in `events` that are free again.
  private var free: [Int] = []
  private var made: UInt64 = 0
  /// The most that it ever held.
  private(set) var most = 0

  mutating func add(_ event: Event, at moment: UInt64) {
    made += 1
    let place = free.popLast() ?? events.count
    if place == events.count { events.append(event) } else { events[place] = event }
    heap.append((moment, made, place))
    most = max(most, heap.count)
    var child = heap.count - 1
    while child > 0, isEarlier(child, (child - 1) / 2) {
      heap.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  mutating func takeFirst() -> (moment: UInt64, event: Event)? {
    guard !heap.isEmpty else { return nil }
    heap.swapAt(0, heap.count - 1)
    let first = heap.removeLast()
    guard let event = events[first.place] else { preconditionFailure("a place holds an event") }
    events[first.place] = nil
    free.append(first.place)
    var parent = 0
    while true {
      var least = parent
      for child in (2 * parent + 1)...(2 * parent + 2)
      where child < heap.count && isEarlier(child, least) { least = child }
      if least == parent { return (first.moment, event) }
      heap.swapAt(parent, least)
      parent = least
    }
  }

  private func isEarlier(_ left: Int, _ right: Int) -> Bool {
    (heap[left].moment, heap[left].order) < (heap[right].moment, heap[right].order)
  }
}
