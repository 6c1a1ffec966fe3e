import ArgumentParser
import ConsulBackend
import IPAM
import JSON

// A definition from a file, from flags, or a file with flags laid over it. Flags become members of
// the document, so that one place checks both.

struct DefinitionOptions: ParsableArguments {
  @Option(
    name: [.customShort("f"), .customLong("file")],
    help: "The definition as JSON (docs/network.schema.json); - is standard input.")
  var file: String?
  @Option(help: "A subnet to hand addresses out of; each given is a range set of its own.")
  var subnet: [String] = []
  @Option(help: "The first address of the only subnet given.")
  var rangeStart: String?
  @Option(help: "The last address of the only subnet given.")
  var rangeEnd: String?
  @Option(help: "The gateway of the only subnet given; its first address without this.")
  var gateway: String?
  @Option(help: "An address, range (first-last) or prefix that is never handed out.")
  var exclude: [String] = []
  @Option(help: "A route for every container: destination or destination,gateway.")
  var route: [String] = []
  @Option(help: "How long a released address is not handed out again, in seconds.")
  var cooldown: Int?
  @Option(help: "What to do when only cooling addresses are left: borrow or strict.")
  var cooldownPolicy: String?
  @Option(help: "Where a search begins: homeChunk or sequential.")
  var searchOrder: String?
  @Option(help: "The binary logarithm of the addresses in a chunk, 6 to 14.")
  var chunkBits: Int?
  @Option(help: "Delegate prefixes of this length instead of addresses.")
  var unitPrefixLength: Int?
  @Option(help: "How many commits of each node Consul keeps for ipamctl history, up to 4096.")
  var journal: Int?
  @Flag(help: "Accept subnets of one or two addresses.")
  var allowSmallSubnets = false
  @Option(help: "leased (containers hold addresses) or bare (bits only, for a library's use).")
  var kind: String?

  /// Whether nothing at all was given.
  var isEmpty: Bool {
    file == nil && flags(over: .null).isEmpty
  }

  func validate() throws {
    guard subnet.count == 1 || (rangeStart == nil && rangeEnd == nil && gateway == nil) else {
      throw ValidationError("--range-start, --range-end and --gateway need exactly one --subnet")
    }
  }

  /// Refuses a definition where Consul has its own.
  func mustBeEmpty() throws(Failure) {
    guard isEmpty else {
      throw Failure(.usage, "the definition stands in Consul; options for it go with --data-dir")
    }
  }

  /// The document: the file, or what the flags are laid over.
  func document(over base: JSONValue) throws(Failure) -> JSONValue {
    var document = base
    if let file {
      do {
        document = try JSONValue(parsing: try Terminal.read(file))
      } catch let error as JSONSyntaxError {
        throw Failure(.usage, "\(file): \(error.message) at byte \(error.position)")
      } catch let failure as Failure {
        throw failure
      } catch {
        throw Failure(.usage, "\(file): \(error)")
      }
    }
    guard case .object(let members) = document else {
      throw Failure(.usage, "the definition is \(document.kind), not an object")
    }
    let flags = flags(over: document)
    let kept = members.filter { member in !flags.contains { $0.key == member.key } }
    return .object(kept + flags)
  }

  private func flags(over base: JSONValue) -> [JSONValue.Member] {
    var flags: [JSONValue.Member] = []
    func add(_ key: String, _ value: JSONValue?) {
      if let value { flags.append(.init(key, value)) }
    }
    if !subnet.isEmpty { add("ranges", .array(subnet.map { .array([range($0)]) })) }
    if !exclude.isEmpty { add("exclude", .array(exclude.map { .string($0) })) }
    if !route.isEmpty { add("routes", .array(route.map(routeRecord))) }
    if cooldown != nil || cooldownPolicy != nil {
      let seconds = cooldown.map { JSONValue.number($0) } ?? base["cooldown"]?["seconds"]
      let policy = cooldownPolicy.map { JSONValue.string($0) } ?? base["cooldown"]?["policy"]
      add(
        "cooldown",
        object([
          ("seconds", seconds ?? .number(Int(NetworkDefinition.defaultCooldown))),
          ("policy", policy),
        ]))
    }
    add("searchOrder", searchOrder.map { .string($0) })
    add("chunkBits", chunkBits.map { .number($0) })
    add("unitPrefixLength", unitPrefixLength.map { .number($0) })
    add("journal", journal.map { .number($0) })
    add("allowSmallSubnets", allowSmallSubnets ? .bool(true) : nil)
    add("kind", kind.map { .string($0) })
    return flags
  }

  private func range(_ subnet: String) -> JSONValue {
    object([
      ("subnet", .string(subnet)), ("rangeStart", rangeStart.map { .string($0) }),
      ("rangeEnd", rangeEnd.map { .string($0) }), ("gateway", gateway.map { .string($0) }),
    ])
  }

  private func routeRecord(_ text: String) -> JSONValue {
    let parts = text.split(separator: ",", maxSplits: 1).map(String.init)
    return object([
      ("dst", .string(parts.first ?? text)),
      ("gw", parts.count > 1 ? .string(parts[1]) : nil),
    ])
  }

  private func object(_ members: [(String, JSONValue?)]) -> JSONValue {
    .object(members.compactMap { name, value in value.map { JSONValue.Member(name, $0) } })
  }
}
