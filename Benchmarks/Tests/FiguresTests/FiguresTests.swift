import Figures
import FoundationEssentials
import Testing

// A mistake here would not crash; it would print a better number than was measured.

@Suite struct Arithmetic {
  @Test(
    arguments: [
      ([5, 5, 5, 5], 1), ([1, 0, 0, 0], 0.25), ([2, 1], 0.9), ([0, 0, 3, 3], 0.5), ([7], 1),
    ] as [([Double], Double)])
  func jain(shares: [Double], index: Double) {
    #expect(abs(jainIndex(shares) - index) < 1e-12)
  }

  @Test func nobodyGotAnything() {
    #expect(jainIndex([0, 0]).isNaN)
    #expect(jainIndex([]).isNaN)
  }

  @Test(
    arguments: [
      ([3, 1, 2], 2), ([4, 1, 2, 3], 2.5), ([9], 9), ([.nan, 2, 1, 3], 2),
    ] as [([Double], Double)])
  func middle(values: [Double], expected: Double) {
    #expect(median(values) == expected)
  }

  @Test func ratios() {
    #expect(per(3, 2) == 1.5)
    #expect(per(0, 2) == 0)
    #expect(per(3, 0).isNaN)
    #expect(median([]).isNaN)
  }

  @Test(
    arguments: [
      (0.005, 2, "0.01"), (1.005, 3, "1.005"), (-1.5, 1, "-1.5"), (12, 3, "12"),
      (0.0412, 4, "0.0412"),
      (1234.5678, 0, "1235"), (.nan, 2, "-"), (0.999, 2, "1.00"), (-0.25, 2, "-0.25"),
    ] as [(Double, Int, String)])
  func decimals(number: Double, digits: Int, text: String) {
    #expect(decimal(number, digits) == text)
  }
}

@Suite struct Bounds {
  @Test func heldAndMissed() {
    #expect(Figure("g", "n", 2, .atMost(2)).holds)
    #expect(!Figure("g", "n", 2.001, .atMost(2)).holds)
    #expect(Figure("g", "n", 2, .atLeast(2)).holds)
    #expect(!Figure("g", "n", 1.999, .atLeast(2)).holds)
  }

  @Test func whatWasNotMeasuredHoldsNothing() {
    #expect(!Figure("g", "n", .nan, .atMost(2)).holds)
    #expect(!Figure("g", "n", .nan, .atLeast(0)).holds)
  }

  @Test func aFailureNamesFigureBoundAndCommand() {
    let text = Figure("g", "commits for a lease", 0.0712, .atMost(0.06)).failure(again: "make x")
    #expect(
      text == "FAILED: commits for a lease: 0.0712, must be <= 0.0600; again: make x")
  }

  @Test func thresholdsComeBackAsWritten() throws {
    let file = FileManager.default.temporaryDirectory.appending(
      path: "thresholds-\(UInt64.random(in: 0...(.max)))")
    defer { try? FileManager.default.removeItem(at: file) }
    try Thresholds.write([("a.b", 1.25), ("c", 0.0312)], head: "# why\n", digits: 4, to: file)
    let read = try Thresholds(file: file)
    #expect(read["a.b"] == 1.25)
    #expect(read["c"] == 0.0312)
    // A count that nobody gave a bound must fail, and every count is at least 0.
    #expect(read["d"] < 0)
  }
}

@Suite struct Tables {
  @Test func fieldsThatNeedQuotes() {
    #expect(
      csv([["a", "b,c", "say \"x\""], ["two\nlines", "", "plain"]])
        == "a,\"b,c\",\"say \"\"x\"\"\"\n\"two\nlines\",,plain\n")
  }
}
