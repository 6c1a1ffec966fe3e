// Search in texts, byte by byte. The library's own comes with its engine for regular expressions: 0.6 MB
// of the program, and 450 conformances more for the runtime to walk at each question which protocols a
// type has, of which a connection asks a dozen.

extension StringProtocol {
  /// Where a text that is not empty stands for the first time. O(length × length of the text).
  func firstRange(of text: String) -> Range<String.Index>? {
    let sought = text.utf8
    guard let first = sought.first else { return nil }
    var start = utf8.startIndex
    while let found = utf8[start...].firstIndex(of: first) {
      let rest = utf8[found...]
      if rest.starts(with: sought) { return found..<rest.index(found, offsetBy: sought.count) }
      start = utf8.index(after: found)
    }
    return nil
  }

  /// Whether a text that is not empty stands in here. O(length × length of the text).
  func contains(_ text: String) -> Bool { firstRange(of: text) != nil }

  /// This with all occurrences of a text that is not empty replaced. O(length × length of the text).
  func replacing(_ text: String, with replacement: String) -> String {
    var result = ""
    var rest = self[...]
    while let found = rest.firstRange(of: text) {
      result += rest[..<found.lowerBound]
      result += replacement
      rest = rest[found.upperBound...]
    }
    return result + rest
  }
}
