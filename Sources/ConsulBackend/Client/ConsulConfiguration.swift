// Where Consul is and how to speak to it: the network's own settings laid over the CONSUL_*
// environment, field by field. Reading files (token, certificates) is left to the first request.
//
//   ConsulSettings (JSON, the caller) ─┐
//                                      ├─ init ─▶ ConsulConfiguration ─▶ ConsulClient
//   CONSUL_* (a dictionary)           ─┘           (validated, immutable)
//
// A setting wins over its variable. Among the variables Consul's own order holds: a token file
// before a token, `CONSUL_HTTP_SSL=true` or an https:// address before http.

/// What a caller sets explicitly about Consul; `nil` leaves the field to the environment.
public struct ConsulSettings: Sendable {
  /// Host name or IP address, optionally with a port, or `http://…`, `https://…`, `unix:///path`.
  public var address: String?
  /// TCP port, 1…65535. Without one: the port in the address, else 8500.
  public var port: Int?
  /// `http` or `https`.
  public var scheme: String?
  /// The ACL token. Never printed.
  public var token: ConsulSecret?
  /// A file that holds the ACL token; it wins over `token`.
  public var tokenFile: String?
  /// PEM file with the certificate authorities to trust.
  public var caFile: String?
  /// PEM file with the client's certificate chain.
  public var certFile: String?
  /// PEM file with the client's private key.
  public var keyFile: String?
  /// The name that the server's certificate must carry, if it is not the host's.
  public var tlsServerName: String?
  /// Consul Enterprise namespace.
  public var namespace: String?
  /// Consul Enterprise admin partition.
  public var partition: String?
  /// Datacenter to forward requests to; without one, the agent's own.
  public var datacenter: String?
  /// How long an operation may take in all, at most a day.
  public var timeout: Duration?
  /// How fresh a read must be whose answer a commit will check: `default`, `consistent` or `stale`.
  public var consistency: String?

  /// What errors call these settings.
  public var names = ConsulSettingNames.keys

  /// All fields unset: everything comes from the environment and the defaults.
  public init() {}
}

/// A validated description of one Consul and the way to it. It prints without its secrets.
public struct ConsulConfiguration: Sendable, CustomStringConvertible {
  /// Where the HTTP API listens.
  public let endpoint: ConsulEndpoint
  /// Consul Enterprise namespace.
  public let namespace: String?
  /// Consul Enterprise admin partition.
  public let partition: String?
  /// Datacenter to forward requests to.
  public let datacenter: String?
  /// How long an operation may take in all, 30 s unless set.
  public let timeout: Duration

  let consistency: ReadConsistency
  let credentials: ConsulCredentials
  let tls: ConsulTLSFiles

  /// Lays `settings` over the variables of `environment`, as `CONSUL_HTTP_ADDR`,
  /// `CONSUL_HTTP_TOKEN`, `CONSUL_HTTP_TOKEN_FILE`, `CONSUL_HTTP_AUTH`, `CONSUL_HTTP_SSL`,
  /// `CONSUL_HTTP_SSL_VERIFY`, `CONSUL_CACERT`, `CONSUL_CAPATH`, `CONSUL_CLIENT_CERT`,
  /// `CONSUL_CLIENT_KEY`, `CONSUL_TLS_SERVER_NAME`, `CONSUL_NAMESPACE`, `CONSUL_PARTITION`.
  /// An empty variable counts as unset. No file is opened here.
  ///
  /// - Throws: ``ConsulConfigurationError`` naming the setting or variable that is at fault.
  public init(
    _ settings: ConsulSettings = ConsulSettings(), environment: [String: String]
  ) throws(ConsulConfigurationError) {
    let environment = environment.filter { !$0.value.isEmpty }
    endpoint = try ConsulEndpoint(settings, environment: environment)
    credentials = try ConsulCredentials(settings, environment: environment)
    tls = try ConsulTLSFiles(settings, environment: environment)
    namespace = settings.namespace ?? environment["CONSUL_NAMESPACE"]
    partition = settings.partition ?? environment["CONSUL_PARTITION"]
    datacenter = settings.datacenter
    timeout = settings.timeout ?? .seconds(30)
    guard timeout > .zero, timeout <= .seconds(86_400) else {
      throw ConsulConfigurationError(
        setting: "timeout", problem: "must be more than nothing and at most a day")
    }
    let wanted = settings.consistency ?? ReadConsistency.default.rawValue
    guard let known = ReadConsistency(rawValue: wanted) else {
      throw ConsulConfigurationError(
        setting: "consistency", problem: "\"\(wanted)\" is none of default, consistent, stale")
    }
    consistency = known
  }

  /// The address, and datacenter, namespace and partition where set; never a secret.
  public var description: String {
    let places = [("dc", datacenter), ("namespace", namespace), ("partition", partition)]
    return places.reduce(endpoint.description) { text, place in
      place.1.map { "\(text) \(place.0)=\($0)" } ?? text
    }
  }
}

/// A setting or variable that cannot be used. The text names it and never quotes a secret.
public struct ConsulConfigurationError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The setting's JSON key, or the variable's name.
  public let setting: String
  /// What is wrong with it.
  public let problem: String

  /// `setting: problem`.
  public var description: String { "\(setting): \(problem)" }
}

/// A string that must not be seen: it prints, dumps and reflects as `<secret>`.
public struct ConsulSecret: Sendable, CustomStringConvertible, CustomDebugStringConvertible,
  CustomReflectable
{
  let value: String

  /// Wraps `value`.
  public init(_ value: String) {
    self.value = value
  }

  /// Always `<secret>`.
  public var description: String { "<secret>" }
  /// Always `<secret>`.
  public var debugDescription: String { description }
  /// A mirror without children.
  public var customMirror: Mirror { Mirror(self, children: [:]) }
}

extension [String: String] {
  /// A variable as Go's `strconv.ParseBool` reads it; anything else is an error, where Consul's
  /// own tools only warn.
  func flag(_ name: String) throws(ConsulConfigurationError) -> Bool? {
    switch self[name] {
    case nil: nil
    case "1", "t", "T", "true", "TRUE", "True": true
    case "0", "f", "F", "false", "FALSE", "False": false
    case let other?:
      throw ConsulConfigurationError(setting: name, problem: "\"\(other)\" is not true or false")
    }
  }
}
