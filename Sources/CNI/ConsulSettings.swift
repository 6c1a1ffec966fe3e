// The keys that say how to reach Consul. The first three are the ancestor's, with its spelling.

internal import JSON

/// How Consul is to be reached. Nil means that the configuration does not say; the environment of
/// Consul's own tools may.
public struct ConsulSettings: Hashable, Sendable {
  /// How fresh a read must be.
  public enum Consistency: String, Hashable, Sendable, CaseIterable {
    /// The leader's answer, without it having asked the others.
    case `default`
    /// The leader's answer, after it has asked the others.
    case consistent
    /// Any server's answer.
    case stale
  }

  /// The protocol.
  public enum Scheme: String, Hashable, Sendable, CaseIterable {
    /// Plain.
    case http
    /// With TLS.
    case https
  }

  /// `consul_addr`: a host, a URL, or `unix://` and a path; as given.
  public let address: String?
  /// `consul_port`: from 1 to 65535.
  public let port: Int?
  /// `dc`.
  public let datacenter: String?
  /// `scheme`.
  public let scheme: Scheme?
  /// `token`: a secret.
  public let token: String?
  /// `token_file`.
  public let tokenFile: String?
  /// `ca_file`.
  public let caFile: String?
  /// `cert_file`.
  public let certificateFile: String?
  /// `key_file`.
  public let keyFile: String?
  /// `tls_server_name`.
  public let tlsServerName: String?
  /// `namespace`.
  public let namespace: String?
  /// `partition`.
  public let partition: String?
  /// `prefix`: of our keys.
  public let prefix: String?
  /// `consistency`.
  public let consistency: Consistency?

  init(_ ipam: ConfigurationSection) throws(CNIError) {
    address = try ipam.string("consul_addr")
    port = try ipam.port("consul_port")
    datacenter = try ipam.string("dc")
    scheme = try ipam.choice("scheme")
    token = try ipam.string("token")
    tokenFile = try ipam.filePath("token_file")
    caFile = try ipam.filePath("ca_file")
    certificateFile = try ipam.filePath("cert_file")
    keyFile = try ipam.filePath("key_file")
    tlsServerName = try ipam.string("tls_server_name")
    namespace = try ipam.string("namespace")
    partition = try ipam.string("partition")
    prefix = try ipam.string("prefix")
    consistency = try ipam.choice("consistency")
  }
}

extension ConsulSettings: CustomStringConvertible {
  /// Where Consul is, without any secret.
  public var description: String {
    "\(address ?? "default address"):\(port.map(String.init) ?? "default port")"
  }
}

extension ConsulSettings: CustomDebugStringConvertible, CustomReflectable {
  /// The description: a dump shows no secret either.
  public var debugDescription: String { description }
  /// No children: a dump shows no secret either.
  public var customMirror: Mirror { Mirror(self, children: []) }
}

extension ConfigurationSection {
  /// A port as the number or, as the ancestor wrote it, its digits in a string.
  fileprivate func port(_ key: String) throws(CNIError) -> Int? {
    guard case .string(let text)? = value(key) else {
      return try integer(key, in: 1...65535)
    }
    if text.isEmpty { return nil }
    guard let port = UInt16(text), port > 0, text.first != "+" else {
      throw invalid(key, .string(text), "a port from 1 to 65535")
    }
    return Int(port)
  }
}
