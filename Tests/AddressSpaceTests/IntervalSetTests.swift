// IntervalSet against a slow model, a plain set of small integers moved to places where 128-bit
// arithmetic has borders: the start, the limb border at 2^64, and the end at 2^128 − 1.

import AddressSpace
import TestSupport
import Testing

/// `size` offsets from `base` on, and sets of them in both forms.
private struct World: Sendable, CustomTestStringConvertible {
  let base: UInt128
  let size: Int

  static let all = [
    World(base: 0, size: 48), World(base: (1 << 64) - 24, size: 48),
    World(base: UInt128.max - 47, size: 48),
  ]

  var testDescription: String { "\(size) offsets from \(base)" }

  func offset(_ index: Int) -> Offset { Offset(base + UInt128(index)) }

  func range(_ first: Int, _ last: Int) -> OffsetRange? {
    OffsetRange(first: offset(first), last: offset(last))
  }

  func randomRange(using generator: inout SeededGenerator) -> (ClosedRange<Int>, OffsetRange)? {
    let first = Int.random(in: 0..<size, using: &generator)
    let last = min(size - 1, first + Int.random(in: 0..<12, using: &generator))
    return range(first, last).map { (first...last, $0) }
  }

  /// The model's members, one interval each: the set has to join them.
  func set(_ members: Set<Int>) -> IntervalSet {
    IntervalSet(members.map { OffsetRange(offset($0)) })
  }

  /// Compares every answer about `set` with the model.
  func check(_ set: IntervalSet, _ model: Set<Int>, _ note: Comment) {
    let sorted = model.sorted()
    var previous: OffsetRange?
    for interval in set.intervals {
      #expect(interval.first <= interval.last, note)
      if let previous { #expect(previous.last < interval.first &- .one, note) }
      previous = interval
    }
    #expect(set.count == ExactCount(UInt64(model.count)) && set.isEmpty == model.isEmpty, note)
    for (rank, member) in sorted.enumerated() {
      #expect(set.element(at: Offset(rank)) == offset(member), note)
    }
    #expect(set.element(at: Offset(sorted.count)) == nil && set.element(at: .max) == nil, note)
    for index in 0..<size {
      #expect(set.contains(offset(index)) == model.contains(index), "\(index), \(note)")
      let below = sorted.count { $0 < index }
      #expect(set.rank(of: offset(index)) == Offset(below), "\(index), \(note)")
    }
  }
}

@Suite struct IntervalSetTests {
  @Test(arguments: World.all)
  private func randomEventsAgreeWithTheModel(_ world: World) throws {
    let seed = TestSeed()
    var generator = seed.generator
    var set = IntervalSet()
    var model: Set<Int> = []
    let weight = Int.random(in: 1...9, using: &generator)
    for event in 0..<400 {
      let (indices, range) = try #require(world.randomRange(using: &generator))
      if Int.random(in: 0..<10, using: &generator) < weight {
        set.insert(range)
        model.formUnion(indices)
      } else {
        set.remove(range)
        model.subtract(indices)
      }
      world.check(set, model, "event \(event), \(seed)")
      let (window, windowRange) = try #require(world.randomRange(using: &generator))
      let inside = Set(window).intersection(model)
      #expect(set.overlaps(windowRange) == !inside.isEmpty, "event \(event), \(seed)")
      #expect(set.contains(windowRange) == (inside.count == window.count), "\(event), \(seed)")
      let stretches = set.intersection(with: windowRange)
      #expect(IntervalSet(stretches).intervals == stretches, "event \(event), \(seed)")
      world.check(IntervalSet(stretches), inside, "event \(event), \(seed)")
    }
  }

  @Test(arguments: World.all)
  private func algebraAgreesWithTheModel(_ world: World) {
    let seed = TestSeed()
    var generator = seed.generator
    for round in 0..<150 {
      let density = Int.random(in: 1...9, using: &generator)
      func sample() -> Set<Int> {
        Set((0..<world.size).filter { _ in Int.random(in: 0..<10, using: &generator) < density })
      }
      let (a, b) = (sample(), sample())
      let (x, y) = (world.set(a), world.set(b))
      let note: Comment = "round \(round), \(seed)"
      world.check(x.union(y), a.union(b), note)
      world.check(x.intersection(y), a.intersection(b), note)
      world.check(x.subtracting(y), a.subtracting(b), note)
      #expect(x.overlaps(y) == !a.isDisjoint(with: b), note)
      #expect((x == y) == (a == b), note)
      #expect(x.hashValue == world.set(a).hashValue, note)
    }
  }

  /// All 64 × 64 pairs of sets of six offsets.
  @Test(arguments: World.all)
  private func everyPairOfSmallSets(_ world: World) {
    let sets = (0..<64).map { pattern in
      let members = Set((0..<6).filter { pattern >> $0 & 1 == 1 })
      return (members, world.set(members))
    }
    for (a, x) in sets {
      for (b, y) in sets {
        let isRight =
          x.union(y) == world.set(a.union(b)) && x.intersection(y) == world.set(a.intersection(b))
          && x.subtracting(y) == world.set(a.subtracting(b))
          && x.overlaps(y) == !a.isDisjoint(with: b) && (x == y) == (a == b)
        #expect(isRight, "\(x) and \(y)")
      }
    }
  }

  @Test func theSetOfAllOffsets() throws {
    let all = IntervalSet(OffsetRange.all)
    #expect(all.count == .powerOfTwo(128) && all.complement.isEmpty)
    #expect(IntervalSet().complement == all && all.element(at: .max) == .max)
    #expect(all.rank(of: .max) == .max && all.element(at: .zero) == .zero)
    var holed = all
    holed.remove(OffsetRange(Offset(high: 1, low: 0)))
    #expect(holed.intervals.count == 2 && holed.count == .powerOfTwo(128) - .one)
    #expect(holed.element(at: Offset(high: 1, low: 0)) == Offset(high: 1, low: 1))
    #expect(holed.element(at: .max) == nil && holed.element(at: .max &- .one) == .max)
    #expect(holed.rank(of: .max) == .max &- .one)
    #expect(holed.complement.intervals == [OffsetRange(Offset(high: 1, low: 0))])
    holed.insert(OffsetRange(Offset(high: 1, low: 0)))
    #expect(holed == all && holed.union(all) == all && all.subtracting(all).isEmpty)
    let halves = try [
      #require(OffsetRange(first: Offset(high: 1 << 63, low: 0), last: .max)),
      #require(OffsetRange(first: .zero, last: Offset(high: (1 << 63) - 1, low: .max))),
    ]
    #expect(IntervalSet(halves) == all, "halves that touch are one interval, in any order")
  }

  @Test func reversedRangesDoNotExist() {
    #expect(OffsetRange(first: 2, last: 1) == nil && OffsetRange(first: 1, last: 1) != nil)
    #expect(OffsetRange(5).count == .one && OffsetRange.all.count == .powerOfTwo(128))
    #expect(
      IntervalSet([OffsetRange(3), OffsetRange(4), OffsetRange(6)]).description == "[3...4, 6...6]")
  }
}
