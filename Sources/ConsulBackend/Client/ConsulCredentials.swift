// What proves who we are to Consul, and what proves Consul to us: the ACL token, basic
// authentication for a proxy, and the TLS files. Only names and paths here until a request
// needs the contents; an error names the setting and the path, never the contents.

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#endif

/// Where the ACL token comes from, and basic authentication.
struct ConsulCredentials: Sendable {
  /// What is in it wins over ``token``, unless it is empty.
  let tokenFile: (path: String, setting: String)?
  let token: (secret: ConsulSecret, setting: String)?
  /// `user:password`.
  let basic: ConsulSecret?

  init(
    _ settings: ConsulSettings, environment: [String: String]
  ) throws(ConsulConfigurationError) {
    let variable = settings.token == nil ? environment["CONSUL_HTTP_TOKEN_FILE"] : nil
    tokenFile =
      settings.tokenFile.map { ($0, settings.names("token_file")) }
      ?? variable.map { ($0, "CONSUL_HTTP_TOKEN_FILE") }
    token =
      settings.token.map { ($0, settings.names("token")) }
      ?? environment["CONSUL_HTTP_TOKEN"].map { (ConsulSecret($0), "CONSUL_HTTP_TOKEN") }
    basic = environment["CONSUL_HTTP_AUTH"].map { ConsulSecret($0.contains(":") ? $0 : $0 + ":") }
  }

  /// The request headers, and what must never be shown; reads the token file.
  func resolve() throws(ConsulConfigurationError) -> (
    headers: [(String, String)], secrets: [String]
  ) {
    var headers: [(String, String)] = []
    var secrets: [String] = []
    if let token = try readToken() {
      headers.append(("X-Consul-Token", token))
      secrets.append(token)
    }
    if let basic {
      let encoded = Base64.encode(Array(basic.value.utf8))
      headers.append(("Authorization", "Basic \(encoded)"))
      secrets += [encoded, basic.value]
    }
    return (headers, secrets)
  }

  private func readToken() throws(ConsulConfigurationError) -> String? {
    if let (path, setting) = tokenFile {
      let bytes = try readSmallFile(path, setting: setting)
      let text = String(decoding: bytes, as: UTF8.self)
      if let token = try Self.trimmed(text, setting) { return token }
    }
    guard let token else { return nil }
    return try Self.trimmed(token.secret.value, token.setting)
  }

  private static func trimmed(
    _ text: String, _ setting: String
  ) throws(ConsulConfigurationError) -> String? {
    let isSpace = { (byte: UInt8) in byte == 0x20 || (0x09...0x0d).contains(byte) }
    let trimmed = text.utf8.drop(while: isSpace).reversed().drop(while: isSpace).reversed()
    guard trimmed.allSatisfy({ (0x21...0x7e).contains($0) }) else {
      throw ConsulConfigurationError(
        setting: setting, problem: "the token has a character that no HTTP header can carry")
    }
    return trimmed.isEmpty ? nil : String(decoding: Array(trimmed), as: UTF8.self)
  }
}

/// The files and names of TLS, as configured; nothing of it is looked at for http.
struct ConsulTLSFiles: Sendable {
  /// A file or a directory of PEM certificates.
  let authorities: (path: String, setting: String)?
  let certificate: (path: String, setting: String)?
  let key: (path: String, setting: String)?
  let serverName: String?
  let verifies: Bool
  let names: ConsulSettingNames

  init(
    _ settings: ConsulSettings, environment: [String: String]
  ) throws(ConsulConfigurationError) {
    let names = settings.names
    self.names = names
    func pick(_ path: String?, _ setting: String, _ name: String) -> (String, String)? {
      path.map { ($0, names(setting)) } ?? environment[name].map { ($0, name) }
    }
    authorities =
      pick(settings.caFile, "ca_file", "CONSUL_CACERT")
      ?? environment["CONSUL_CAPATH"].map { ($0, "CONSUL_CAPATH") }
    certificate = pick(settings.certFile, "cert_file", "CONSUL_CLIENT_CERT")
    key = pick(settings.keyFile, "key_file", "CONSUL_CLIENT_KEY")
    serverName = settings.tlsServerName ?? environment["CONSUL_TLS_SERVER_NAME"]
    verifies = try environment.flag("CONSUL_HTTP_SSL_VERIFY") ?? true
    guard (certificate == nil) == (key == nil) else {
      let (given, missing) =
        certificate.map { ($0.setting, names("key_file") + " or CONSUL_CLIENT_KEY") }
        ?? (key?.setting ?? "", names("cert_file") + " or CONSUL_CLIENT_CERT")
      throw ConsulConfigurationError(setting: given, problem: "needs \(missing) beside it")
    }
  }
}

/// The whole of a small file. A token or a certificate is far below the bound of 1 MiB.
private func readSmallFile(
  _ path: String, setting: String
) throws(ConsulConfigurationError) -> [UInt8] {
  let descriptor = open(path, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else {
    let reason = String(cString: strerror(errno))
    throw ConsulConfigurationError(setting: setting, problem: "cannot open \(path): \(reason)")
  }
  defer { close(descriptor) }
  var bytes: [UInt8] = []
  var buffer = [UInt8](repeating: 0, count: 4096)
  while bytes.count <= 1 << 20 {
    let count = read(descriptor, &buffer, buffer.count)
    if count > 0 {
      bytes += buffer[..<count]
    } else if count == 0 {
      return bytes
    } else if errno != EINTR {
      let reason = String(cString: strerror(errno))
      throw ConsulConfigurationError(setting: setting, problem: "cannot read \(path): \(reason)")
    }
  }
  throw ConsulConfigurationError(setting: setting, problem: "\(path) is larger than 1 MiB")
}
