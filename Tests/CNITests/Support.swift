// What the tests of this target share: a seeded generator, JSON compared by meaning, and a runtime
// that calls the skeleton.

import CNI
import Glibc
import JSON
import Testing

/// The seed of the property tests: CNI_IPAM_SEED, else a random one. Every property test names it
/// when it fails.
let seed: UInt64 =
  getenv("CNI_IPAM_SEED").flatMap { UInt64(String(cString: $0)) } ?? .random(in: 0 ... .max)

/// SplitMix64 (Steele, Lea, Flood 2014): small, and the same numbers everywhere for one seed.
struct SeededGenerator: RandomNumberGenerator {
  private var state = seed

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var word = state
    word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
    word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
    return word ^ (word >> 31)
  }
}

/// The JSON of a text with the members of every object sorted: equal if the texts mean the same.
func meaning(_ text: String) throws -> JSONValue {
  sorted(try JSONValue(parsing: Array(text.utf8)))
}

private func sorted(_ value: JSONValue) -> JSONValue {
  switch value {
  case .array(let elements): .array(elements.map(sorted))
  case .object(let members):
    .object(
      members.map { .init($0.key, sorted($0.value)) }.sorted { $0.key < $1.key })
  default: value
  }
}

/// Variables with which every command passes.
let goodEnvironment = [
  "CNI_CONTAINERID": "c1", "CNI_NETNS": "/run/netns/c1", "CNI_IFNAME": "eth0",
  "CNI_PATH": "/opt/cni/bin",
]

/// What the skeleton makes of a command; `variables` go over the good ones, an empty value is as
/// good as none.
func prepare(
  _ command: String, _ input: String, _ variables: [String: String] = [:]
) -> Skeleton.Preparation {
  var environment = goodEnvironment.merging(variables) { $1 }
  environment["CNI_COMMAND"] = command
  return Skeleton.prepare(
    environment: environment, about: "CNI test plugin", readInput: { Array(input.utf8) })
}

/// The reply, if the checks ended with one.
func reply(
  _ command: String, _ input: String, _ variables: [String: String] = [:]
) throws -> Reply {
  try reply(prepare(command, input, variables))
}

/// The reply, if that is what the checks came to.
func reply(_ preparation: Skeleton.Preparation) throws -> Reply {
  switch preparation {
  case .reply(let reply): return reply
  case .perform(let invocation): throw Unexpected(what: "\(invocation.command) passed the checks")
  }
}

/// The command, if it passed the checks.
func invocation(
  _ command: String, _ input: String, _ variables: [String: String] = [:]
) throws -> Invocation {
  switch prepare(command, input, variables) {
  case .perform(let invocation): return invocation
  case .reply(let reply): throw Unexpected(what: reply.standardOutput)
  }
}

struct Unexpected: Error {
  let what: String
}

/// A configuration with these keys in its `ipam`, and others beside it.
func configuration(
  ipam: String = "", _ others: String = ""
) throws -> NetworkConfiguration {
  let tail = others.isEmpty ? "" : ", " + others
  let text = #"{"name": "net", "ipam": {"# + ipam + "}" + tail + "}"
  return try NetworkConfiguration(parsing: Array(text.utf8))
}

/// What `body` throws, if it is a `CNIError`.
func failure<Value>(_ body: () throws -> Value) -> CNIError? {
  do {
    _ = try body()
    return nil
  } catch {
    return error as? CNIError
  }
}
