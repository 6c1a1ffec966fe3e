// Who may speak to Consul: tokens under default-deny, and TLS in both directions.

import TestSupport
import Testing

@testable import ConsulBackend

@Suite(.needsConsul) struct AccessTests {
  @Test func tokens() async throws {
    var options = ConsulServer.Options()
    options.acl = true
    let server = try await ConsulServer.start(options)
    let secret = try server.makeToken(rules: #"key_prefix "mine/" { policy = "write" }"#)
    let client = try makeClient(server.address) { $0.token = ConsulSecret(secret) }
    let commit = await client.transaction([.cas(key: "mine/a", value: [1], index: 0)])
    #expect(commit.results?["mine/a"] != nil)
    #expect(try await client.get("mine/a", consistency: .consistent)?.value == [1])
    #expect(try await client.list("mine/").count == 1)

    // A read that is denied shows, but not in a list and not in a transaction.
    let hidden = try await failure { () async throws(ConsulError) in try await client.get("other/a")
    }
    #expect(hidden.failure == .refused(.accessDenied))
    #expect(try await client.list("other/").isEmpty)
    let inside = await client.transaction([.get(key: "other/a")])
    #expect(inside.failed == [FailedOperation(operation: 0, reason: .missing)])

    // A write that is denied is no lost race.
    let denied = await client.transaction([
      .cas(key: "mine/a", value: [2], index: 0), .set(key: "other/a", value: [1]),
    ])
    #expect(denied.failure == .refused(.accessDenied))
    #expect(denied.text.contains("other/a"))

    let stranger = "11111111-2222-3333-4444-555555555555"
    let unknown = try makeClient(server.address) { $0.token = ConsulSecret(stranger) }
    let refused = await unknown.transaction([.set(key: "mine/a", value: [1])])
    #expect(refused.failure == .refused(.tokenUnknown))
    let without = try makeClient(server.address)
    let nobody = try await failure { () async throws(ConsulError) in try await without.get("mine/a")
    }
    #expect(nobody.failure == .refused(.accessDenied))

    let texts = [hidden.text, denied.text, refused.text, nobody.text]
    for text in texts {
      #expect(!text.contains(secret) && !text.contains(stranger))
    }
  }

  @Test func aTokenFile() async throws {
    var options = ConsulServer.Options()
    options.acl = true
    let server = try await ConsulServer.start(options)
    let path = server.folder.path + "/token"
    try writeFile(path, (server.managementToken ?? "") + "\n")
    let client = try makeClient(server.address) { $0.tokenFile = path }
    #expect(await client.transaction([.set(key: "a", value: [1])]).results != nil)
  }

  @Test func tlsByAuthority() async throws {
    let certificates = try await TestCertificates()
    var options = ConsulServer.Options()
    options.certificates = certificates
    let server = try await ConsulServer.start(options)
    let address = "https://127.0.0.1:\(server.httpsPort)"

    let trusting = try makeClient(address) { $0.caFile = certificates.authority }
    #expect(await trusting.transaction([.set(key: "a", value: [1])]).results != nil)
    #expect(try await trusting.get("a")?.value == [1])
    #expect(trusting.counters.connections == 1)
    let byName = try makeClient(address) {
      $0.caFile = certificates.authority
      $0.tlsServerName = "server.dc1.consul"
    }
    #expect(try await byName.get("a")?.value == [1])
    var settings = ConsulSettings()
    settings.address = address
    let careless = ConsulClient(
      try ConsulConfiguration(settings, environment: ["CONSUL_HTTP_SSL_VERIFY": "false"]))
    #expect(try await careless.get("a")?.value == [1])

    let distrusts: [(inout ConsulSettings) -> Void] = [
      { $0.caFile = certificates.otherAuthority },
      {
        $0.caFile = certificates.authority
        $0.tlsServerName = "other.test"
      },
      { $0.address = "https://\(server.address)" },  // the port of plain http
    ]
    for (number, change) in distrusts.enumerated() {
      let client = try makeClient(address, change)
      let outcome = await client.transaction([.set(key: "b", value: [1])])
      #expect(outcome.failure == .notApplied(.tlsFailed), "case \(number): \(outcome.text)")
      #expect(outcome.text.contains("ca_file"))
    }
    let plain = try makeClient("http://127.0.0.1:\(server.httpsPort)")
    #expect(await plain.transaction([.set(key: "b", value: [1])]).failure == .refused(.badRequest))
    #expect(try await trusting.get("b") == nil)
  }

  @Test func tlsByClientCertificate() async throws {
    let certificates = try await TestCertificates()
    var options = ConsulServer.Options()
    options.certificates = certificates
    options.verifiesClients = true
    let server = try await ConsulServer.start(options)
    let address = "https://localhost:\(server.httpsPort)"
    let known = try makeClient(address) {
      $0.caFile = certificates.authority
      $0.certFile = certificates.client.certificate
      $0.keyFile = certificates.client.key
    }
    #expect(await known.transaction([.set(key: "a", value: [1])]).results != nil)

    // With TLS 1.3 the refusal comes after the request was sent, and is still a refusal.
    let nobody = try makeClient(address) { $0.caFile = certificates.authority }
    let outcome = await nobody.transaction([.set(key: "b", value: [1])])
    #expect(outcome.failure == .notApplied(.tlsFailed), "\(outcome.text)")
    #expect(try await known.get("b") == nil)
  }

  @Test(arguments: [
    ("a.test", "a.test", true), ("A.Test", "a.tesT", true), ("a.test.", "a.test", true),
    ("*.test", "a.test", true), ("*.test", "a.b.test", false), ("*.test", "test", false),
    ("a.*", "a.test", false), ("a*.test", "ab.test", false), ("a.test", "b.test", false),
    ("", "", false),
  ])
  func namesOfCertificates(_ pattern: String, _ name: String, _ isMatch: Bool) {
    #expect(TLSContext.matches(pattern, name) == isMatch)
  }

  @Test func certificateFilesThatCannotBeUsed() async throws {
    let folder = try TemporaryFolder()
    let empty = folder.path + "/empty.pem"
    try writeFile(empty, "not a certificate\n")
    for path in ["/nonexistent/file.pem", empty] {
      let changes: [(setting: String, change: (inout ConsulSettings) -> Void)] = [
        ("ca_file", { $0.caFile = path }),
        (
          "cert_file",
          {
            $0.certFile = path
            $0.keyFile = path
          }
        ),
      ]
      for (setting, change) in changes {
        let client = try makeClient("https://127.0.0.1:1", change)
        let outcome = await client.transaction([.get(key: "a")])
        #expect(outcome.failure == .refused(.configuration), "\(setting) \(path): \(outcome.text)")
        #expect(outcome.text.contains(setting) && outcome.text.contains(path))
      }
    }
  }
}
