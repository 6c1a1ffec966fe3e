public import FoundationEssentials

// A file of bounds, a line each: name and number. It is written by a command, never by hand, and a
// change of it is a decision that a commit explains.

/// Bounds by the names of what they bound.
public struct Thresholds: Sendable {
  private var bounds: [String: Double] = [:]

  /// What a file's text says.
  public init(_ text: String) {
    for line in text.split(separator: "\n") where !line.hasPrefix("#") {
      let parts = line.split(separator: " ")
      if parts.count == 2, let bound = Double(parts[1]) { bounds[String(parts[0])] = bound }
    }
  }

  /// What a file says.
  public init(file: URL) throws {
    self.init(String(decoding: try Data(contentsOf: file), as: UTF8.self))
  }

  /// The bound of a count; one without a bound keeps none: an update gives it one.
  public subscript(name: String) -> Double { bounds[name] ?? -1 }

  /// Writes a file anew, the head first.
  public static func write(
    _ bounds: [(name: String, value: Double)], head: String, digits: Int = 2, to file: URL
  ) throws {
    let lines = bounds.map { "\($0.name) \(decimal($0.value, digits))\n" }
    try Data((head + lines.joined()).utf8).write(to: file)
  }
}
