/// Jain's index of fairness: (Σx)² / (n Σx²), 1 if all got the same, 1/n if one got all (Jain, Chiu and
/// Hawe, "A quantitative measure of fairness and discrimination", 1984). Not a number where nobody got
/// anything.
public func jainIndex(_ shares: [Double]) -> Double {
  let sum = shares.reduce(0, +)
  let squares = shares.reduce(0) { $0 + $1 * $1 }
  return squares > 0 ? sum * sum / (Double(shares.count) * squares) : .nan
}

/// The middle value, of two middle ones their mean; not a number where there is none. What is not a
/// number does not count.
public func median(_ values: [Double]) -> Double {
  let sorted = values.filter { !$0.isNaN }.sorted()
  guard !sorted.isEmpty else { return .nan }
  let middle = sorted.count / 2
  return sorted.count.isMultiple(of: 2) ? (sorted[middle - 1] + sorted[middle]) / 2 : sorted[middle]
}

/// How much of one for each of the other; not a number where there is none of the other, so that a
/// figure that was not measured keeps no bound.
public func per(_ amount: Double, _ count: Double) -> Double {
  count > 0 ? amount / count : .nan
}
