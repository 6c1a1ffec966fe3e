import AddressSpace
import ArgumentParser
import ConsulBackend
import IPAM
import JSON

// Whereabouts keeps a pool as one object of Kubernetes:
//
//   spec.range         the pool in CIDR notation
//   spec.allocations   offset from that address, in decimal ──▶ {"id", "podref", "ifname"}
//
// `id` is the container ID, `podref` namespace/name, `ifname` missing in what old versions wrote.

extension ImportCommand {
  struct Whereabouts: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "whereabouts",
      abstract: "Takes over the IPPools of Whereabouts, as kubectl prints them.",
      discussion: """
        FILE is what kubectl get ippools.whereabouts.cni.cncf.io -A -o json prints; - is standard \
        input. The network must be defined in Consul: ipamctl network create. IPPools of other \
        subnets than the network's are left out. Whereabouts does not record nodes: give --pods, \
        what kubectl get pods -A -o json prints, or --node if all run on one; an attachment whose \
        node is not known is held under no node until ipamctl reclaim releases it.
        """)
    @Argument(help: "The file with the IPPools.") var file: String
    @Option(help: "The network in Consul.") var network: String
    @Option(help: "The node of containers of which none is known.") var node = ""
    @Option(help: "The file with the pods, which say the nodes.") var pods: String?
    @OptionGroup var options: Options

    func run() async throws {
      let store = try options.consul.store(network)
      let deadline = options.consul.deadline
      let definition = try await ipamctl.definition(of: store, network, deadline).definition
      let subnets = definition.rangeSets.flatMap(\.ranges).map(\.subnet)
      let nodes = try pods.map { path throws(Failure) in
        try PodNodes(try Terminal.json(path), path)
      }
      var importer = Importer(options, node: node)
      for pool in try Self.pools(try Terminal.json(file), file) {
        guard let range = pool["spec"]?["range"]?.string,
          let start = try? InterfaceAddress(parsing: range)
        else {
          throw Failure(.usage, "\(file): IPPool \(Self.name(pool)): spec.range is no CIDR address")
        }
        guard subnets.contains(where: { $0.overlaps(start.prefix) }) else {
          Terminal.say("IPPool \(Self.name(pool)) of \(range) is not of network \(network)")
          continue
        }
        guard case .object(let allocations)? = pool["spec"]?["allocations"] else { continue }
        for allocation in allocations {
          importer.add(
            whereabouts: allocation.value, offset: allocation.key, from: start.address,
            nodes: nodes)
        }
      }
      guard !importer.isEmpty else {
        throw Failure(.no, "\(file) has no allocations of network \(network)")
      }
      try await importer.run(into: store, network, deadline)
    }

    /// One object, or the list that kubectl makes of several.
    private static func pools(
      _ document: JSONValue, _ file: String
    ) throws(Failure) -> [JSONValue] {
      let pools = document["items"]?.elements ?? [document]
      for pool in pools where pool["kind"]?.string != "IPPool" {
        throw Failure(
          .usage, "\(file): kind \(pool["kind"]?.compact ?? "(none)") where an IPPool was expected")
      }
      return pools
    }

    private static func name(_ pool: JSONValue) -> String {
      pool["metadata"]?["name"]?.string ?? "(without a name)"
    }
  }
}

/// Which node a pod runs on.
struct PodNodes {
  private var nodes: [String: String] = [:]

  /// Reads a list of pods.
  init(_ document: JSONValue, _ path: String) throws(Failure) {
    guard let items = document["items"]?.elements else {
      throw Failure(.usage, "\(path): not a list of pods")
    }
    for pod in items {
      let metadata = pod["metadata"]
      guard let namespace = metadata?["namespace"]?.string, let name = metadata?["name"]?.string
      else { throw Failure(.usage, "\(path): a pod without namespace and name") }
      nodes["\(namespace)/\(name)"] = pod["spec"]?["nodeName"]?.string
    }
  }

  subscript(reference: String) -> String? { nodes[reference] }
}

extension Importer {
  /// An allocation of Whereabouts.
  mutating func add(
    whereabouts allocation: JSONValue, offset text: String, from start: IPAddress,
    nodes: PodNodes?
  ) {
    guard let count = ExactCount(decimal: text)?.offset, let address = start.advanced(by: count)
    else { return refuse("\(start) + \(text)", "the offset is no number within the family") }
    guard let container = allocation["id"]?.string, !container.isEmpty else {
      return refuse(address.description, "it names no container")
    }
    let interface = allocation["ifname"]?.string ?? ""
    let reference = allocation["podref"]?.string ?? ""
    let parts = reference.split(separator: "/", omittingEmptySubsequences: false)
    var labels: [String: String] = [:]
    if parts.count == 2 {
      labels = ["K8S_POD_NAMESPACE": String(parts[0]), "K8S_POD_NAME": String(parts[1])]
    }
    add(
      address, container, interface.isEmpty ? options.interface : interface, mac: nil,
      node: nodes?[reference], Workload(labels))
  }
}

extension Terminal {
  /// A file's JSON; `-` is standard input.
  static func json(_ path: String) throws(Failure) -> JSONValue {
    let bytes = try read(path)
    do {
      return try JSONValue(parsing: bytes)
    } catch {
      throw Failure(.usage, "\(path): not JSON: \(error.message) at byte \(error.position)")
    }
  }
}
