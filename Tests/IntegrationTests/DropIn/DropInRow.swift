// A scenario for both plugins: ours and the reference's get the same configuration and the same
// calls, each in a directory of its own, and both must say and leave the same. Where ours does better
// on purpose, the row names the difference.

import TestSupport
import Testing

/// Why ours does not do what the reference does. All of them; everything else must be equal.
enum Difference: String, Sendable {
  case cleanFailure = "a failed ADD leaves nothing, not even an advanced last_reserved_ip"
  case reservedEnds = "network and broadcast addresses are never handed out"
  case reversedRange = "a range that ends before it begins is refused"
  case repeatedAdd = "a repeated ADD never gives a second address and never frees the first"
  case deleteAlwaysWorks = "a DEL needs no valid ranges, routes or CNI_ARGS"
  case strictCheck = "CHECK compares with prevResult"
  case emptyFile = "an empty address file is a crash's leftover and does not block its address"
  case notAnAttachment = "last_reserved_ip.N is not an address, whoever is called like its content"
  case noPanic = "no input crashes"
  case wholeSpace = "0.0.0.0/0 and ::/0 work, and so does 0.0.0.0/8"
  case plainLength = "a prefix length has no leading zeros, as an octet has none"
  case ownWords = "Go's words for a value of the wrong type are not repeated"
  case orderedList = "requests that nobody can serve are listed in the order in which they came"
  case requestFirst = "a request that nobody can serve is said before a set is searched"
  case newerVersion = "CNI 1.1.0"
  case carry = "address arithmetic keeps the family"
  case oncePerCall = "a DEL looks once, not once for every range set"
  case flatDirectory =
    "a file in a subdirectory is nobody's reservation: the reference walks, ours does not"
  case ancestorKeys =
    "range-start and range-end, as the ancestor had them, are rangeStart and rangeEnd"
}

/// What a call must come to.
enum Expected: Sendable, Equatable {
  case addresses([String])
  case error(String)
  case done
}

/// One call of a scenario.
struct Step: Sendable {
  var command = "ADD"
  var container = "c1"
  var interface = "eth0"
  var arguments: String?
  /// Put over the scenario's configuration for this call.
  var others: JSON = [:]
  var expected: Expected
  /// What the reference says instead, and why ours does not.
  var reference: Expected?
  var because: Difference?

  static func add(
    _ container: String = "c1", _ addresses: String..., interface: String = "eth0",
    arguments: String? = nil, others: JSON = [:]
  ) -> Step {
    Step(
      container: container, interface: interface, arguments: arguments, others: others,
      expected: .addresses(addresses))
  }

  static func fails(
    of command: String = "ADD", by container: String = "c1", _ message: String,
    interface: String = "eth0", arguments: String? = nil, others: JSON = [:]
  ) -> Step {
    Step(
      command: command, container: container, interface: interface, arguments: arguments,
      others: others, expected: .error(message))
  }

  static func del(
    _ container: String = "c1", interface: String = "eth0", arguments: String? = nil,
    others: JSON = [:]
  ) -> Step {
    Step(
      command: "DEL", container: container, interface: interface, arguments: arguments,
      others: others, expected: .done)
  }

  static func check(
    _ container: String = "c1", interface: String = "eth0", others: JSON = [:]
  ) -> Step {
    Step(
      command: "CHECK", container: container, interface: interface, others: others,
      expected: .done)
  }

  /// The same step where the reference comes to something else.
  func but(_ difference: Difference, _ reference: Expected? = nil) -> Step {
    var step = self
    (step.because, step.reference) = (difference, reference)
    return step
  }
}

/// A configuration, what stands in the directory, and calls.
struct DropInRow: Sendable, CustomTestStringConvertible {
  let testDescription: String
  var ipam: JSON
  var version: String? = "1.0.0"
  /// Beside `ipam`.
  var others: JSON = [:]
  var files: [String: String] = [:]
  var steps: [Step]

  init(
    _ name: String, _ ipam: JSON, version: String? = "1.0.0", others: JSON = [:],
    files: [String: String] = [:], _ steps: Step...
  ) {
    testDescription = name
    (self.ipam, self.version, self.others) = (ipam, version, others)
    (self.files, self.steps) = (files, steps)
  }
}

/// The code that ours has for a message of the reference, which has 999 for all.
func expectedCode(_ message: String) -> Int {
  let codes: [(String, Int)] = [
    ("no IP addresses available", 101), ("is subnet's gateway", 102),
    ("is not available in range set", 102), ("duplicate allocation", 102),
    ("Failed to find address", 103), ("ARGS: ", 4), ("no such file or directory", 5),
    ("not a directory", 5), (" must be ", 6), ("incompatible CNI versions", 1),
  ]
  return codes.first { message.contains($0.0) }?.1 ?? 7
}
