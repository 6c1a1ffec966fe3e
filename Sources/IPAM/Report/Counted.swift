extension BinaryInteger {
  /// The number with what it counts, for people: `1 lease`, `2 leases`.
  ///
  /// - Parameters:
  ///   - noun: What one of them is called.
  ///   - plural: What several are called; the noun with an `s` without this.
  package func counted(_ noun: String, _ plural: String? = nil) -> String {
    "\(self) \(self == 1 ? noun : plural ?? noun + "s")"
  }
}
