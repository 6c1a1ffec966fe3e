import ConsulBackend
import Glibc
import IPAM
import JSON

// The runtime's network configurations as far as they concern address management. What else is in
// them is their plugins' affair.

/// A file of /etc/cni/net.d.
struct NodeConfiguration {
  /// A plugin of the file that has its addresses managed by us, or by host-local.
  struct Network {
    var name: String
    /// The IPAM plugin that the runtime looks for.
    var type: String
    var version: String
    var ipam: JSONValue
  }

  let path: String
  let networks: [Network]

  /// All files in a folder; those that cannot be read are reported.
  static func all(in folder: String, _ report: inout DoctorReport) -> [NodeConfiguration] {
    guard let names = Terminal.names(in: folder) else {
      report.fail(
        "configurations", "\(folder): \(String(cString: strerror(errno)))",
        "put the network's configuration there, or say --conf-dir")
      return []
    }
    var files: [NodeConfiguration] = []
    let wanted = names.sorted().filter { name in
      [".conf", ".conflist", ".json"].contains { name.hasSuffix($0) }
    }
    for name in wanted {
      let path = "\(folder)/\(name)"
      do {
        let file = NodeConfiguration(path, try Terminal.json(path))
        guard !file.networks.isEmpty else { continue }
        report.pass("configuration", "\(path): \(file.networks.map(\.name).joined(separator: " "))")
        files.append(file)
      } catch {
        report.fail("configuration", error.description, "mend the file: no runtime can read it")
      }
    }
    if files.isEmpty {
      report.fail(
        "configurations", "no file in \(folder) has an ipam section of consul or host-local",
        "put the network's configuration there, or say --conf-dir")
    }
    return files
  }

  private init(_ path: String, _ document: JSONValue) {
    self.path = path
    let name = document["name"]?.string ?? ""
    let version = document["cniVersion"]?.string ?? "0.1.0"
    networks = (document["plugins"]?.elements ?? [document]).compactMap { plugin in
      guard let ipam = plugin["ipam"], let type = ipam["type"]?.string,
        ["consul", "cni-ipam-consul", "host-local"].contains(type)
      else { return nil }
      return Network(name: name, type: type, version: version, ipam: ipam)
    }
  }
}

extension DoctorReport {
  /// Whether a file and Consul say the same of a network.
  mutating func compare(
    _ network: NodeConfiguration.Network, with entry: StoreEntry, of store: ConsulStore,
    in path: String
  ) {
    let check = "network \(network.name)"
    switch entry.value {
    case .definition(let definition):
      let configured: [RangeSet]
      do {
        guard let sets = try network.rangeSets else {
          return pass(check, "defined in Consul, and \(path) leaves the ranges to it")
        }
        configured = sets
      } catch {
        return fail(check, "\(path): \(error)", "mend the file: every ADD fails")
      }
      guard configured == definition.rangeSets else {
        let there = definition.rangeSets.text
        return fail(
          check, "\(path) says \(configured.text), and Consul \(there), which rules",
          "change the file, or the network for all nodes: ipamctl network update "
            + network.name.shellWord + store.operatorWords)
      }
      pass(check, "\(path) and Consul say the same")
    case .damaged(let text):
      fail(
        check, "its definition cannot be read: \(text)",
        "write it again: ipamctl network show and update, or restore an export")
    default:
      pass(check, "not defined yet: the first ADD defines it as \(path) says")
    }
  }
}

extension NodeConfiguration.Network {
  /// The ranges of the ipam section, made whole as the plugin does; nil if it has none.
  fileprivate var rangeSets: [RangeSet]? {
    get throws(NetworkDefinitionError) {
      func text(_ range: JSONValue) -> SubnetRange.Text {
        SubnetRange.Text(
          subnet: range["subnet"]?.string, rangeStart: range["rangeStart"]?.string,
          rangeEnd: range["rangeEnd"]?.string, gateway: range["gateway"]?.string)
      }
      var sets: [[SubnetRange.Text]] = []
      if ipam["subnet"]?.string != nil { sets.append([text(ipam)]) }
      sets += (ipam["ranges"]?.elements ?? []).map { ($0.elements ?? []).map(text) }
      guard !sets.isEmpty else { return nil }
      return try RangeSet.sets(sets, rules: SubnetRange.Rules(masksHostBits: true))
    }
  }
}

extension [RangeSet] {
  fileprivate var text: String {
    map { set in set.ranges.map { "\($0) of \($0.subnet)" }.joined(separator: ", ") }
      .joined(separator: "; ")
  }
}
