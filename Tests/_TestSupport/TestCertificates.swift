// Certificates for the TLS tests, made by the openssl command in a folder that goes away.

/// An authority, a server's certificate for localhost and 127.0.0.1, a client's, and a second
/// authority that signed none of them.
package final class TestCertificates: Sendable {
  package struct Pair: Sendable {
    /// PEM files.
    package let certificate, key: String
  }

  private let folder: TemporaryFolder
  package let authority: String
  package let otherAuthority: String
  package let server: Pair
  package let client: Pair

  package init() async throws {
    let folder = try TemporaryFolder()
    self.folder = folder
    func pair(_ name: String) -> Pair {
      Pair(certificate: "\(folder.path)/\(name).pem", key: "\(folder.path)/\(name)-key.pem")
    }
    for name in ["authority", "other"] {
      let new = pair(name)
      try await ChildProcess.run(
        Self.request(new, "/CN=\(name) of the tests")
          + ["-x509", "-days", "2", "-addext", "keyUsage=critical,keyCertSign,cRLSign"])
    }
    authority = pair("authority").certificate
    otherAuthority = pair("other").certificate
    let names = [
      "server": "subjectAltName=DNS:localhost,DNS:server.dc1.consul,IP:127.0.0.1",
      "client": "subjectAltName=DNS:client.dc1.consul",
    ]
    for (name, alternative) in names {
      let (new, signer) = (pair(name), pair("authority"))
      try await ChildProcess.run(Self.request(new, "/CN=\(name)") + ["-addext", alternative])
      try await ChildProcess.run([
        "openssl", "x509", "-req", "-in", new.certificate, "-out", new.certificate,
        "-CA", signer.certificate, "-CAkey", signer.key, "-CAcreateserial", "-days", "2",
        "-copy_extensions", "copyall",
      ])
    }
    (server, client) = (pair("server"), pair("client"))
  }

  private static func request(_ pair: Pair, _ subject: String) -> [String] {
    [
      "openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
      "-keyout", pair.key, "-out", pair.certificate, "-subj", subject,
    ]
  }
}
