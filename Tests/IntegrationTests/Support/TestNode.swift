// A node of a cluster as its runtime sees it: a network namespace, plugins, and networks.

internal import FoundationEssentials
internal import Glibc
internal import TestSupport

/// A node with plugins: a network namespace, a CNI_PATH, and a network in one of the stores.
struct TestNode: Sendable {
  let host: NetworkNamespace
  let network: TestNetwork
  private let plugins: TemporaryFolder

  /// CNI_PATH.
  var path: String { plugins.path }

  /// Ours is installed as `consul` and as `host-local`, all others are the distribution's.
  init(_ kind: StoreKind, network name: String = "net") async throws {
    host = try await NetworkNamespace.make()
    network = try await TestNetwork(kind, name: name)
    plugins = try TemporaryFolder()
    for name in ["bridge", "ptp", "macvlan", "portmap"] {
      install("\(Program.distribution)/\(name)", as: name)
    }
    for name in ["consul", "host-local"] { install(Program.ours, as: name) }
  }

  /// Puts a program into CNI_PATH.
  func install(_ program: String, as name: String) {
    symlink(program, "\(plugins.path)/\(name)")
  }

  /// An `ipam` object that leads to this node's store. Consul is reached by its Unix socket, which does
  /// not care for network namespaces.
  func placed(_ ipam: JSON) -> JSON {
    var placed = ipam.merging(network.place)
    if let consul = network.consul {
      placed["consul_addr"] = .string("unix://\(consul.socketPath)")
      placed["consul_port"] = nil
    }
    return placed
  }

  /// A configuration of `plugin` with both families.
  func configuration(_ plugin: JSON) -> JSON {
    let ipam = placed([
      "ranges": [[["subnet": "10.7.0.0/24"]], [["subnet": "fd00:7::/64"]]],
      "routes": [["dst": "0.0.0.0/0"], ["dst": "::/0"]],
    ])
    let head: JSON = ["cniVersion": "1.0.0", "name": .string(network.name), "ipam": ipam]
    return head.merging(plugin)
  }

  /// A call of the plugin that the configuration names, on this node.
  func call(
    _ command: String, _ configuration: JSON, _ namespace: NetworkNamespace?,
    container: String = "c1"
  ) -> Call {
    var call = Call(command, configuration, container: container)
    call.program = "\(plugins.path)/\(configuration["type"]?.string ?? "")"
    call.entering = host.entering
    call.variables["CNI_PATH"] = plugins.path
    call.variables["CNI_NETNS"] = namespace?.path
    call.variables["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"  // for iptables
    return call
  }
}

/// Addresses without their prefix lengths.
func bare(_ addresses: [String]) -> Set<String> {
  Set(addresses.map { String($0.prefix { $0 != "/" }) })
}
