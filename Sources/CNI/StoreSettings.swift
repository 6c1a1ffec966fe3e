// Where the leases of a network are kept and how that place is reached: what every command needs,
// a DEL with an otherwise broken configuration included.

/// Which of the two stores a network is kept in.
public enum BackendKind: String, Hashable, Sendable, CaseIterable {
  /// A local directory in the format of `host-local`.
  case disk
  /// Consul.
  case consul
}

/// How a line of the log is written.
public enum LogFormat: String, Hashable, Sendable, CaseIterable {
  /// `key=value` pairs.
  case logfmt
  /// A JSON object.
  case json
}

/// How much is logged.
public enum LogLevel: String, Hashable, Sendable, CaseIterable, Comparable {
  /// Every step.
  case debug
  /// One line for each command.
  case info
  /// What an operator should look at.
  case warning
  /// Failures only.
  case error

  /// Less important before more important.
  public static func < (left: LogLevel, right: LogLevel) -> Bool { left.rank < right.rank }

  private var rank: Int {
    switch self {
    case .debug: 0
    case .info: 1
    case .warning: 2
    case .error: 3
    }
  }
}

/// The store of a network, from `ipam`. Nil means that the configuration does not say.
public struct StoreSettings: Hashable, Sendable {
  /// `type`: the name under which the runtime looks for the plugin.
  public let type: String?
  /// `backend`; if not given, `type` decides: `host-local` is disk, anything else Consul.
  public let backend: BackendKind
  /// `dataDir`: the directory of the disk store's networks.
  public let dataDirectory: String?
  /// `sync`: whether the disk store must survive the loss of power.
  public let sync: Bool?
  /// `node`: the name of this host; at most 255 bytes, no control characters.
  public let node: String?
  /// `stateDir`: the directory for what this node remembers.
  public let stateDirectory: String?
  /// `timeout`: how long a command may take in all; positive.
  public let timeout: Duration?
  /// `logLevel`.
  public let logLevel: LogLevel?
  /// `logFile`: a file for the log, beside standard error.
  public let logFile: String?
  /// `logFormat`.
  public let logFormat: LogFormat?
  /// How to reach Consul.
  public let consul: ConsulSettings
}

extension NetworkConfiguration {
  /// The store's settings. Throws code 6 for a value of the wrong type, 7 for an impossible one or
  /// if there is no `ipam`. O(keys).
  public func storeSettings() throws(CNIError) -> StoreSettings {
    let ipam = try ipam()
    let type = try ipam.string("type")
    return StoreSettings(
      type: type,
      backend: try ipam.choice("backend") ?? (type == "host-local" ? .disk : .consul),
      dataDirectory: try ipam.filePath("dataDir"),
      sync: try ipam.bool("sync"),
      node: try ipam.name("node"),
      stateDirectory: try ipam.filePath("stateDir"),
      timeout: try ipam.duration("timeout", isPositive: true),
      logLevel: try ipam.choice("logLevel"),
      logFile: try ipam.filePath("logFile"),
      logFormat: try ipam.choice("logFormat"),
      consul: try ConsulSettings(ipam))
  }
}
