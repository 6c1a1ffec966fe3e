import ConsulBackend
import DiskBackend
import IPAM

/// Where readings come from. Each is by the token and the certificates that the files hold then, which
/// others renew: so each opens a connection of its own.
enum MetricsSource: Sendable {
  /// The networks of these names; of none: all below the prefix.
  case consul(names: [String], ConsulOptions)
  case directory(any AllocationStore, NetworkDefinition, name: String, ConsulOptions)

  init(
    _ names: [String], _ source: DefinitionOptions, dataDir: String?, _ consul: ConsulOptions
  ) throws(Failure) {
    guard let dataDir, let name = names.first,
      let definition = try source.definitionOfDirectory(name)
    else {
      try source.mustBeEmpty()
      _ = try consul.configuration()
      self = .consul(names: names, consul)
      return
    }
    self = .directory(
      DiskStore(
        directory: dataDir, network: try StoreOptions.folder(name), definition: definition),
      definition,
      name: name, consul)
  }

  /// Reads every network; what keeps single ones from being read comes beside the rest.
  ///
  /// - Throws: What keeps all of them: the store gives no answer or no list.
  func read() async throws(Failure) -> (metrics: PoolMetrics, failures: [Failure]) {
    var metrics = PoolMetrics()
    switch self {
    case .directory(let store, let definition, let name, let options):
      metrics.add(name, try await PoolReading.take(store, definition, options.deadline))
      return (metrics, [])
    case .consul(var names, let options):
      let networks = try options.networks()
      // One deadline for all.
      let deadline = options.deadline
      if names.isEmpty {
        names = try await asking { () async throws(StoreError) in
          try await networks.names(deadline: deadline)
        }
      }
      var failures: [Failure] = []
      for name in names {
        do {
          let store = networks.store(name)
          let known = try await definition(of: store, name, deadline).definition
          metrics.add(name, try await PoolReading.take(store, known, deadline))
        } catch {
          if error.status == .unavailable { throw error }
          metrics.addUnreadable(name)
          failures.append(error)
        }
      }
      return (metrics, failures)
    }
  }
}
