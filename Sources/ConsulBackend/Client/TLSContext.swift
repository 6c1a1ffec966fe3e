// TLS for https only: certificates are read and a context is made when the first request is.

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#endif
internal import NIOCore
internal import NIOSSL

struct TLSContext: Sendable {
  private let context: NIOSSLContext
  /// For SNI and the certificate; `nil` for an IP address, which the certificate must then name.
  private let serverName: String?
  private let verifies: Bool

  init(_ files: ConsulTLSFiles, host: String) throws(ConsulConfigurationError) {
    var configuration = TLSConfiguration.makeClientConfiguration()
    verifies = files.verifies
    if !files.verifies { configuration.certificateVerification = .none }
    if let (path, setting) = files.authorities {
      configuration.trustRoots = try Self.reading(setting, path) {
        .certificates(try Self.certificates(at: path))
      }
    }
    if let (path, setting) = files.certificate {
      configuration.certificateChain = try Self.reading(setting, path) {
        try NIOSSLCertificate.fromPEMFile(path).map { .certificate($0) }
      }
    }
    if let (path, setting) = files.key {
      configuration.privateKey = try Self.reading(setting, path) {
        .privateKey(try NIOSSLPrivateKey(file: path, format: .pem))
      }
    }
    let setting = files.authorities?.setting ?? files.names("ca_file")
    context = try Self.reading(setting, files.authorities?.path ?? "the system's") {
      try NIOSSLContext(configuration: configuration)
    }
    let isAddress = { (try? SocketAddress(ipAddress: $0, port: 0)) != nil }
    if let name = files.serverName, isAddress(name), name != host {
      throw ConsulConfigurationError(
        setting: files.names("tls_server_name"),
        problem: "\(name) is an address; a host name is needed")
    }
    let name = files.serverName ?? host
    serverName = isAddress(name) ? nil : name
  }

  /// Whether the server's certificate carries the name that it must.
  ///
  /// NIOSSL is content when it names the address that was connected to instead. Consul's own tools
  /// are not: there a name tells a server from a client, whose certificates have one authority.
  func accepts(_ certificate: NIOSSLCertificate?) -> Bool {
    guard let serverName, verifies else { return true }
    return certificate?._subjectAlternativeNames().contains { name in
      guard case .dnsName = name.nameType else { return false }
      return Self.matches(String(decoding: Array(name.contents), as: UTF8.self), serverName)
    } ?? false
  }

  /// RFC 6125: letters in either case, and `*` as the whole first label for any one label.
  static func matches(_ pattern: String, _ name: String) -> Bool {
    let labels = { (text: String) in text.lowercased().split(separator: ".") }
    let (pattern, name) = (labels(pattern), labels(name))
    guard pattern.count == name.count, let first = pattern.first else { return false }
    return (first == "*" || first == name[0]) && pattern.dropFirst() == name.dropFirst()
  }

  func makeHandler() throws -> NIOSSLClientHandler {
    try NIOSSLClientHandler(context: context, serverHostname: serverName)
  }

  /// Whether an error text is a peer's alert about a certificate.
  static func isCertificateAlert(_ text: String) -> Bool {
    let text = text.uppercased()
    return text.contains("ALERT")
      && ["CERTIFICATE", "UNKNOWN_CA", "ACCESS_DENIED"].contains { text.contains($0) }
  }

  /// The certificates of a PEM file, or of all files in a directory, whatever their names, as Consul's
  /// tools read CONSUL_CAPATH: into directories in it, and through no link to one.
  private static func certificates(at path: String) throws -> [NIOSSLCertificate] {
    var status = stat()
    guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
      return try NIOSSLCertificate.fromPEMFile(path)
    }
    return try certificates(in: path)
  }

  private static func certificates(in folder: String) throws -> [NIOSSLCertificate] {
    guard let directory = opendir(folder) else { return try NIOSSLCertificate.fromPEMFile(folder) }
    defer { closedir(directory) }
    var found: [NIOSSLCertificate] = []
    while let entry = readdir(directory) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name == "." || name == ".." { continue }
      let path = "\(folder)/\(name)"
      var status = stat()
      let isFolder = lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
      found += try isFolder ? certificates(in: path) : NIOSSLCertificate.fromPEMFile(path)
    }
    return found
  }

  private static func reading<Value>(
    _ setting: String, _ path: String, _ body: () throws -> Value
  ) throws(ConsulConfigurationError) -> Value {
    do { return try body() } catch {
      throw ConsulConfigurationError(
        setting: setting, problem: "cannot use \(path): \(error)")
    }
  }
}
