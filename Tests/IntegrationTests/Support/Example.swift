// The files in Examples, as a test runs them: as they stand, but for the way to a store and what the
// test says otherwise.

internal import TestSupport

/// An example file.
enum Example {
  /// All network configurations, by their paths below Examples.
  static let networks = [
    "kubernetes/10-pods.conflist", "kubernetes/storage-network.yaml", "nomad/pods.conflist",
    "podman/pods.conflist",
  ]

  /// The network configuration in a file: the file itself, or the block `config: |` of a manifest.
  static func network(_ path: String) throws -> JSON {
    let text = String(decoding: try readRepositoryFile("Examples/\(path)"), as: UTF8.self)
    guard path.hasSuffix(".yaml") else { return try JSON(parsing: text) }
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    guard let start = lines.firstIndex(of: "  config: |") else {
      throw TestSupportError("no configuration in \(path)")
    }
    let block = lines[(start + 1)...].prefix { $0.isEmpty || $0.hasPrefix("    ") }
    return try JSON(parsing: block.joined(separator: "\n"))
  }

  /// The plugins of a network: those of a list, or the one.
  static func plugins(_ network: JSON) -> [JSON] { network["plugins"]?.elements ?? [network] }

  /// The network with its `ipam` led to a node's store.
  static func placed(_ network: JSON, on node: TestNode) -> JSON {
    func place(_ plugin: JSON) -> JSON {
      guard var ipam = plugin["ipam"] else { return plugin }
      ipam["token_file"] = nil
      return plugin.merging(["ipam": node.placed(ipam)])
    }
    guard let plugins = network["plugins"]?.elements else { return place(network) }
    return network.merging(["plugins": .array(plugins.map(place))])
  }
}
