// One place where Consul's HTTP API listens, parsed as Consul's own tools parse CONSUL_HTTP_ADDR:
// `host`, `host:port`, `[v6]:port`, `http(s)://host[:port][/path]`, `unix:///path`.

/// Where Consul's HTTP API listens: a TCP address, with or without TLS, or a Unix socket.
public struct ConsulEndpoint: Hashable, Sendable, CustomStringConvertible {
  enum Place: Hashable, Sendable {
    case tcp(host: String, port: Int)
    case unix(path: String)
  }

  let place: Place
  let usesTLS: Bool
  /// What said so: a setting or a variable; nil if nothing did.
  let origin: String?
  let names: ConsulSettingNames
  /// What a reverse proxy wants before `/v1`: empty, or with a leading and no trailing slash.
  let pathPrefix: String

  init(
    _ settings: ConsulSettings, environment: [String: String]
  ) throws(ConsulConfigurationError) {
    let text: String
    let defaultPort: Int?
    names = settings.names
    if let address = settings.address {
      (text, origin, defaultPort) = (address, names("consul_addr"), 8500)
    } else if let address = environment["CONSUL_HTTP_ADDR"] {
      // As Consul's tools have it: an address without a port means that of the scheme.
      (text, origin, defaultPort) = (address, "CONSUL_HTTP_ADDR", nil)
    } else {
      (text, origin, defaultPort) = ("127.0.0.1", nil, 8500)
    }
    let setting = origin ?? names("consul_addr")
    let parts = try AddressParts(text, setting: setting)
    usesTLS = try Self.usesTLS(parts.scheme, settings, environment)
    switch parts.scheme {
    case "unix":
      place = .unix(path: parts.rest)
      pathPrefix = ""
    default:
      let (host, port) = try parts.hostAndPort()
      let chosen = settings.port ?? port ?? defaultPort ?? (usesTLS ? 443 : 80)
      guard (1...65535).contains(chosen) else {
        throw ConsulConfigurationError(
          setting: settings.port == nil ? setting : names("consul_port"),
          problem: "the port is not in 1...65535")
      }
      place = .tcp(host: host, port: chosen)
      pathPrefix = parts.path
    }
  }

  /// A setting decides before a variable. Only among equals can the two contradict one another:
  /// settings that do are refused; variables that do mean TLS.
  private static func usesTLS(
    _ addressScheme: String?, _ settings: ConsulSettings, _ environment: [String: String]
  ) throws(ConsulConfigurationError) -> Bool {
    guard addressScheme != "unix" else { return false }
    let wanted = settings.scheme
    if let wanted {
      guard wanted == "http" || wanted == "https" else {
        throw ConsulConfigurationError(
          setting: "scheme", problem: "\"\(wanted)\" is neither http nor https")
      }
      if settings.address != nil, let addressScheme, addressScheme != wanted {
        throw ConsulConfigurationError(
          setting: "scheme", problem: "is \(wanted), but consul_addr says \(addressScheme)")
      }
      return wanted == "https"
    }
    if settings.address != nil, let addressScheme { return addressScheme == "https" }
    let isForced = try environment.flag("CONSUL_HTTP_SSL") ?? false
    return isForced || addressScheme == "https"
  }

  /// The address as a URL, for messages and for telling clusters apart.
  public var description: String {
    switch place {
    case .unix(let path): "unix://\(path)"
    case .tcp: "\(usesTLS ? "https" : "http")://\(authority)\(pathPrefix)"
    }
  }

  /// What to look at if nothing is there.
  var whatToCheck: String {
    let setting = names("consul_addr")
    guard let origin else { return "say where it is: \(setting) or CONSUL_HTTP_ADDR" }
    return names == .keys ? "check \(origin) and consul_port" : "check \(origin)"
  }

  /// The value of the Host header.
  var authority: String {
    switch place {
    case .unix: "localhost"
    case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
  }
}

/// The pieces of an address text.
private struct AddressParts {
  let text: String
  let setting: String
  let scheme: String?
  /// What follows the scheme: for unix the path, else `host[:port]`.
  let rest: String
  let path: String

  init(_ text: String, setting: String) throws(ConsulConfigurationError) {
    self.text = text
    self.setting = setting
    guard let (scheme, rest) = text.cut(at: "://") else {
      (self.scheme, self.rest, path) = (nil, text, "")
      return
    }
    self.scheme = scheme
    switch scheme {
    case "unix":
      (self.rest, path) = (rest, "")
      guard !rest.isEmpty, !rest.utf8.contains(0) else { throw error("names no socket") }
    case "http", "https":
      let (host, path) = rest.cut(at: "/") ?? (rest, "")
      self.rest = host
      self.path = path.split(separator: "/").reduce(into: "") { $0 += "/\($1)" }
      guard path.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f && !"?#".utf8.contains($0) }) else {
        throw error("has a path that no request can begin with; percent-encode it")
      }
    default:
      (self.rest, path) = (rest, "")
      throw error("the scheme is none of http, https, unix")
    }
  }

  func hostAndPort() throws(ConsulConfigurationError) -> (host: String, port: Int?) {
    let host: Substring
    let portText: Substring?
    if rest.hasPrefix("[") {
      guard let end = rest.firstIndex(of: "]") else { throw error("has a [ without its ]") }
      host = rest[..<end].dropFirst()
      let tail = rest[rest.index(after: end)...]
      guard tail.isEmpty || tail.hasPrefix(":") else { throw error("has text after the ]") }
      portText = tail.isEmpty ? nil : tail.dropFirst()
    } else if rest.count(where: { $0 == ":" }) == 1 {
      let colon = rest.firstIndex(of: ":") ?? rest.endIndex
      host = rest[..<colon]
      portText = rest[colon...].dropFirst()
    } else {
      host = rest[...]  // more than one colon without brackets: an IPv6 address and no port
      portText = nil
    }
    let allowed = host.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && !"/?#@\\".utf8.contains($0) }
    guard !host.isEmpty, allowed else { throw error("is not a host name or IP address") }
    guard let portText else { return (String(host), nil) }
    guard portText.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let port = Int(portText) else {
      throw error("the port is not a number")
    }
    return (String(host), port)
  }

  private func error(_ problem: String) -> ConsulConfigurationError {
    // What stands before an @ may be a password.
    let quoted = text.contains("@") ? "the address" : "\"\(text)\""
    return ConsulConfigurationError(setting: setting, problem: "\(quoted) \(problem)")
  }
}

extension String {
  /// The text before and after the first `separator`.
  fileprivate func cut(at separator: String) -> (String, String)? {
    guard let found = firstRange(of: separator) else { return nil }
    return (String(self[..<found.lowerBound]), String(self[found.upperBound...]))
  }
}
