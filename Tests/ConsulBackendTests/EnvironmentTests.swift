// The CONSUL_* variables mean to us what they mean to Consul's own command line: both are run with the
// same ones, and what they send, or whether they get through at all, is compared.

import TestSupport
import Testing

@testable import ConsulBackend

@Suite(.needsConsul) struct EnvironmentTests {
  /// `consul kv get` with variables and nothing else.
  private func tool(_ environment: [String: String]) async throws -> Execution.Ended {
    var execution = Execution([try await ConsulBinary.path(), "kv", "get", "known"])
    execution.environment = environment.merging(["PATH": "/usr/bin:/bin", "HOME": "/"]) { $1 }
    return try await execution.run()
  }

  private func client(_ environment: [String: String]) throws -> ConsulClient {
    ConsulClient(try ConsulConfiguration(environment: environment))
  }

  /// What of a request is decided by variables: its line, the host and who asks.
  private func parts(_ request: String) -> Set<String> {
    let lines = request.split(separator: "\r\n").map { String($0) }
    let names = ["host: ", "x-consul-token: ", "authorization: ", "x-consul-namespace: "]
    return Set(
      lines.prefix(1)
        + lines.filter { line in names.contains { line.lowercased().hasPrefix($0) } })
  }

  @Test func whatIsSent() async throws {
    let folder = try TemporaryFolder()
    let (file, empty) = (folder.path + "/token", folder.path + "/empty")
    try writeFile(file, " from-file \n")
    try writeFile(empty, "\n")
    let server = try ScriptedServer.always(404, "", headers: "X-Consul-Index: 1\r\n")
    let rows: [[String: String]] = [
      [:], ["CONSUL_HTTP_ADDR": "http://\(server.address)"], ["CONSUL_HTTP_TOKEN": "mine"],
      ["CONSUL_HTTP_TOKEN": " mine "], ["CONSUL_HTTP_TOKEN_FILE": file],
      ["CONSUL_HTTP_TOKEN_FILE": file, "CONSUL_HTTP_TOKEN": "mine"],
      ["CONSUL_HTTP_TOKEN_FILE": empty, "CONSUL_HTTP_TOKEN": "mine"],
      ["CONSUL_HTTP_TOKEN_FILE": "", "CONSUL_HTTP_TOKEN": "mine"],
      ["CONSUL_HTTP_AUTH": "user:pass"], ["CONSUL_HTTP_AUTH": "user"],
      ["CONSUL_HTTP_AUTH": "user:pa:ss", "CONSUL_HTTP_TOKEN": "mine"],
      ["CONSUL_NAMESPACE": "team"], ["CONSUL_HTTP_SSL": "false"], ["CONSUL_HTTP_SSL": "0"],
      ["CONSUL_HTTP_SSL": ""], ["CONSUL_HTTP_SSL_VERIFY": "true"], ["CONSUL_CACERT": "/nowhere"],
    ]
    for row in rows {
      let environment = row.merging(["CONSUL_HTTP_ADDR": server.address]) { old, _ in old }
      let count = server.requests.count
      _ = try await tool(environment)
      let theirs = server.requests.dropFirst(count)
      let ours = try client(environment)
      #expect(try await ours.get("known") == nil)
      await ours.shutdown()
      let both = Array(server.requests.dropFirst(count))
      guard theirs.count == 1, both.count == 2 else {
        // Their tool reads TLS files also where it needs none.
        #expect(theirs.isEmpty && row["CONSUL_CACERT"] != nil, "\(row): \(both)")
        continue
      }
      #expect(parts(both[0]) == parts(both[1]), "\(row)")
    }
  }

  @Test func whoGetsThrough() async throws {
    let certificates = try await TestCertificates()
    let folder = try TemporaryFolder()
    try await ChildProcess.run(["mkdir", folder.path + "/inner"])
    try await ChildProcess.run(["cp", certificates.authority, folder.path + "/inner/ca.crt"])
    try await ChildProcess.run(["cp", certificates.otherAuthority, folder.path + "/other.pem"])
    // A link to a folder is no folder to walk into, and no certificate.
    let linked = try TemporaryFolder()
    try await ChildProcess.run(["cp", certificates.authority, linked.path + "/ca.pem"])
    try await ChildProcess.run(["ln", "-s", folder.path + "/inner", linked.path + "/more"])
    var options = ConsulServer.Options()
    options.certificates = certificates
    options.verifiesClients = true
    options.unixSocket = true
    let server = try await ConsulServer.start(options)
    #expect(try server.request("PUT", "/v1/kv/known", body: "1").status == 200)
    let (plain, secure) = (server.address, "127.0.0.1:\(server.httpsPort)")
    let client = [
      "CONSUL_CLIENT_CERT": certificates.client.certificate,
      "CONSUL_CLIENT_KEY": certificates.client.key,
    ]
    let trust = ["CONSUL_CACERT": certificates.authority]
    let rows: [(variables: [String: String], isOpen: Bool)] = [
      (["CONSUL_HTTP_ADDR": plain], true), (["CONSUL_HTTP_ADDR": "http://\(plain)"], true),
      (["CONSUL_HTTP_ADDR": "unix://\(server.socketPath)"], true),
      (["CONSUL_HTTP_ADDR": "unix://\(server.socketPath)x"], false),
      (["CONSUL_HTTP_ADDR": "https://\(plain)"], false), (["CONSUL_HTTP_ADDR": secure], false),
      (tls(["CONSUL_HTTP_ADDR": "https://\(secure)"], client, trust), true),
      (tls(["CONSUL_HTTP_ADDR": secure, "CONSUL_HTTP_SSL": "true"], client, trust), true),
      (tls(["CONSUL_HTTP_ADDR": secure, "CONSUL_HTTP_SSL": "1"], client, trust), true),
      (tls(["CONSUL_HTTP_ADDR": "http://\(secure)", "CONSUL_HTTP_SSL": "T"], client, trust), true),
      (
        tls(["CONSUL_HTTP_ADDR": "https://\(secure)", "CONSUL_HTTP_SSL": "false"], client, trust),
        true
      ),
      (tls(["CONSUL_HTTP_ADDR": "https://\(secure)"], trust), false),
      (tls(["CONSUL_HTTP_ADDR": "https://\(secure)"], client), false),
      (
        tls(
          ["CONSUL_HTTP_ADDR": "https://\(secure)", "CONSUL_HTTP_SSL_VERIFY": "false"], client),
        true
      ),
      (
        tls(["CONSUL_HTTP_ADDR": "https://\(secure)", "CONSUL_CAPATH": folder.path], client), true
      ),
      (
        tls(["CONSUL_HTTP_ADDR": "https://\(secure)", "CONSUL_CAPATH": linked.path], client), false
      ),
      (
        tls(
          [
            "CONSUL_HTTP_ADDR": "https://\(secure)", "CONSUL_CAPATH": folder.path,
            "CONSUL_CACERT": certificates.otherAuthority,
          ], client), false
      ),
      (
        tls(
          ["CONSUL_HTTP_ADDR": "https://\(secure)", "CONSUL_TLS_SERVER_NAME": "server.dc1.consul"],
          client, trust), true
      ),
      (
        tls(
          ["CONSUL_HTTP_ADDR": "https://\(secure)", "CONSUL_TLS_SERVER_NAME": "client.dc1.consul"],
          client, trust), false
      ),
      (
        tls(
          [
            "CONSUL_HTTP_ADDR": "https://\(secure)",
            "CONSUL_CLIENT_CERT": certificates.client.certificate,
          ], trust), false
      ),
      (
        tls(
          ["CONSUL_HTTP_ADDR": "https://\(secure)", "CONSUL_CACERT": "/nonexistent.pem"], client),
        false
      ),
    ]
    for (variables, isOpen) in rows {
      let theirs = try await tool(variables)
      #expect((theirs.exitStatus == 0) == isOpen, "theirs: \(variables): \(theirs)")
      do {
        let ours = try self.client(variables)
        let entry = try await ours.get("known")
        #expect(isOpen && entry?.value == Array("1".utf8), "ours: \(variables)")
        await ours.shutdown()
      } catch {
        #expect(!isOpen, "ours: \(variables): \(error)")
      }
    }
  }

  private func tls(_ groups: [String: String]...) -> [String: String] {
    groups.reduce(into: [:]) { $0.merge($1) { old, _ in old } }
  }
}
