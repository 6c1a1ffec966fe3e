// The ways to Consul, each gone by the whole plugin: ADD, CHECK, STATUS, GC and DEL over TLS in both
// directions, through a Unix socket, by settings, by the variables of Consul's own tools, and by both.

import TestSupport
import Testing

@Suite(.needsConsul)
struct ConsulAccessTests {
  /// A network behind `address`, its keys read directly.
  struct Way: Sendable {
    let network: TestNetwork
    var ipam: JSON
    var variables: [String: String] = [:]

    init(_ consul: ConsulServer, _ address: String?, _ more: JSON = [:]) async throws {
      network = try await TestNetwork(.consul, consul: consul)
      ipam = network.place.merging(["subnet": "10.7.0.0/24", "consul_port": nil]).merging(more)
      ipam["consul_port"] = nil
      ipam["consul_addr"] = address.map { .string($0) }
    }

    func call(_ command: String, _ container: String = "c1", _ more: JSON = [:]) -> Call {
      let whole: JSON = ["cniVersion": "1.1.0", "name": "net", "ipam": ipam]
      var call = Call(command, whole.merging(more), container: container)
      call.variables.merge(variables) { $1 }
      return call
    }

    /// Every command does what it is for.
    func expectOpen(_ location: SourceLocation = #_sourceLocation) async throws {
      try await call("STATUS").succeeds()
      for container in ["c1", "c2"] {
        try await call("ADD", container).succeeds()
        try await call("CHECK", container).succeeds()
      }
      #expect(try network.audit().addresses.count == 2, sourceLocation: location)
      try await call("DEL").succeeds()
      // Collection frees only what was made in a second before.
      try await Task.sleep(for: .seconds(1))
      try await call("GC", "c1", ["cni.dev/valid-attachments": []]).succeeds()
      #expect(try network.audit() == Holders(), sourceLocation: location)
    }

    /// ADD and DEL fail with the code and words, and nothing is written.
    func expectClosed(
      _ code: Int, _ words: [String], _ location: SourceLocation = #_sourceLocation
    ) async throws {
      for command in ["ADD", "DEL"] {
        Refusal(code, words: words).expect(try await call(command).run(), location)
      }
      #expect(try network.everything().isEmpty, sourceLocation: location)
    }
  }

  private static func files(_ certificates: TestCertificates) -> JSON {
    [
      "ca_file": .string(certificates.authority), "tls_server_name": "server.dc1.consul",
      "cert_file": .string(certificates.client.certificate),
      "key_file": .string(certificates.client.key),
    ]
  }

  /// An agent that wants to know its clients, and whose name differs from its address.
  @Test func tlsInBothDirections() async throws {
    let certificates = try await TestCertificates()
    var options = ConsulServer.Options()
    options.certificates = certificates
    options.verifiesClients = true
    options.configuration = "verify_incoming = true"
    let consul = try await ConsulServer.start(options)
    let address = "https://127.0.0.1:\(consul.httpsPort)"
    let files = Self.files(certificates)
    try await Way(consul, address, files).expectOpen()

    var byParts = try await Way(consul, "127.0.0.1", files.merging(["scheme": "https"]))
    byParts.ipam["consul_port"] = .number(consul.httpsPort)
    try await byParts.call("ADD").succeeds()

    let broken: [(JSON, String)] = [
      (["cert_file": nil, "key_file": nil], "cert_file"),
      (["ca_file": .string(certificates.otherAuthority)], "ca_file"),
      (["ca_file": nil], "ca_file"), (["tls_server_name": "client.dc1.consul"], "tls_server_name"),
    ]
    for (change, word) in broken {
      var way = try await Way(consul, address, files)
      for (key, value) in change.members ?? [:] { way.ipam[key] = value == .null ? nil : value }
      try await way.expectClosed(11, ["no TLS with \(address)", word])
    }
    var half = try await Way(consul, address, files)
    half.ipam["key_file"] = nil
    try await half.expectClosed(7, ["cert_file", "key_file"])
    var gone = try await Way(consul, address, files)
    gone.ipam["ca_file"] = "/nonexistent/ca.pem"
    try await gone.expectClosed(7, ["ca_file", "/nonexistent/ca.pem"])
  }

  /// The same by variables alone, the authority as a file and as a directory.
  @Test func tlsByTheEnvironment() async throws {
    let certificates = try await TestCertificates()
    var options = ConsulServer.Options()
    options.certificates = certificates
    options.verifiesClients = true
    let consul = try await ConsulServer.start(options)
    let folder = try TemporaryFolder()
    try await ChildProcess.run(["cp", certificates.authority, folder.path + "/ca.pem"])
    let common = [
      "CONSUL_HTTP_ADDR": "127.0.0.1:\(consul.httpsPort)", "CONSUL_HTTP_SSL": "true",
      "CONSUL_CLIENT_CERT": certificates.client.certificate,
      "CONSUL_CLIENT_KEY": certificates.client.key,
      "CONSUL_TLS_SERVER_NAME": "server.dc1.consul",
    ]
    for (name, path) in [
      ("CONSUL_CACERT", certificates.authority), ("CONSUL_CAPATH", folder.path),
    ] {
      var way = try await Way(consul, nil)
      way.variables = common.merging([name: path]) { $1 }
      try await way.call("ADD").succeeds()
      #expect(try way.network.audit().addresses.count == 1, "\(name)")
    }
    var careless = try await Way(consul, nil)
    careless.variables = common.merging(["CONSUL_HTTP_SSL_VERIFY": "false"]) { $1 }
    try await careless.call("ADD").succeeds()
    var without = try await Way(consul, nil)
    without.variables = common
    try await without.expectClosed(11, ["no TLS"])
    // A setting wins over its variable.
    var corrected = try await Way(consul, nil, ["ca_file": .string(certificates.authority)])
    corrected.variables = common.merging(["CONSUL_CACERT": certificates.otherAuthority]) { $1 }
    try await corrected.call("ADD").succeeds()
    corrected.ipam["scheme"] = "http"
    try await corrected.call("CHECK").expectFailure(7, ["Client sent an HTTP request"])
  }

  @Test func aUnixSocket() async throws {
    let consul = try await SharedConsul.get()
    try await Way(consul, "unix://\(consul.socketPath)").expectOpen()
    var byVariable = try await Way(consul, nil)
    byVariable.variables = ["CONSUL_HTTP_ADDR": "unix://\(consul.socketPath)"]
    try await byVariable.call("ADD").succeeds()
    #expect(try byVariable.network.audit().addresses.count == 1)
    try await Way(consul, "unix:///nonexistent/socket").expectClosed(11, ["/nonexistent/socket"])
  }

  /// Address and token, each from where it may come; what is set wins over what is in the air.
  @Test func settingsBeforeVariables() async throws {
    var options = ConsulServer.Options()
    options.acl = true
    let consul = try await ConsulServer.start(options)
    let token = try #require(consul.managementToken)
    let folder = try TemporaryFolder()
    let (good, bad) = (folder.path + "/token", folder.path + "/other")
    try writeFile(good, "  \(token)\n")
    let wrong = "b2c3d4e5-0000-0000-0000-000000000000"
    try writeFile(bad, wrong)
    let rows: [(ipam: JSON, variables: [String: String], isOpen: Bool)] = [
      (["token": .string(token)], [:], true), (["token_file": .string(good)], [:], true),
      ([:], ["CONSUL_HTTP_TOKEN": token], true), ([:], ["CONSUL_HTTP_TOKEN_FILE": good], true),
      ([:], ["CONSUL_HTTP_TOKEN_FILE": good, "CONSUL_HTTP_TOKEN": wrong], true),
      (["token": .string(wrong), "token_file": .string(good)], [:], true),
      (["token": .string(token)], ["CONSUL_HTTP_TOKEN_FILE": bad], true),
      (["token_file": .string(good)], ["CONSUL_HTTP_TOKEN": wrong], true),
      (["token": .string(wrong)], ["CONSUL_HTTP_TOKEN": token], false),
      (["token_file": .string(bad)], ["CONSUL_HTTP_TOKEN": token], false),
      ([:], ["CONSUL_HTTP_TOKEN_FILE": bad, "CONSUL_HTTP_TOKEN": token], false),
    ]
    for (ipam, variables, isOpen) in rows {
      var way = try await Way(consul, nil, ipam)
      way.variables = variables.merging(["CONSUL_HTTP_ADDR": consul.address]) { $1 }
      let answer = try await way.call("ADD").run()
      #expect(answer.succeeded == isOpen, "\(ipam) \(variables): \(answer)")
      if !isOpen { Refusal(7, words: ["ACL not found"]).expect(answer) }
    }
    var elsewhere = try await Way(consul, consul.address, ["token": .string(token)])
    elsewhere.variables = ["CONSUL_HTTP_ADDR": "127.0.0.1:1"]
    try await elsewhere.call("ADD").succeeds()
  }

  /// Where there is no such datacenter, and where namespaces and partitions are Enterprise's.
  @Test func placesThatAreNotThere() async throws {
    let consul = try await SharedConsul.get()
    let right = try await Way(consul, consul.address, ["dc": "dc1", "consistency": "stale"])
    try await right.expectOpen()
    for (key, word) in [
      ("dc", "No path to datacenter"), ("namespace", "ns"), ("partition", "partition"),
    ] {
      let way = try await Way(consul, consul.address, [key: "nowhere"])
      let answer = try await way.call("ADD").run()
      #expect(answer.code == 7 && answer.message?.lowercased().contains(word.lowercased()) == true)
      #expect(try way.network.everything().isEmpty, "\(answer)")
    }
    let unknown = try await Way(consul, consul.address, ["consistency": "fresh"])
    try await unknown.expectClosed(7, ["consistency", "fresh"])
  }

  /// `timeout` bounds a command in all, whatever the server does not do.
  @Test func timeIsBounded() async throws {
    let server = try ScriptedServer { $0.waitForClose() }
    let consul = try await SharedConsul.get()
    let way = try await Way(consul, server.address, ["timeout": "600ms"])
    for command in ["ADD", "CHECK", "DEL", "STATUS"] {
      let clock = ContinuousClock()
      let began = clock.now
      let answer = try await way.call(command).run()
      let took = began.duration(to: clock.now)
      #expect(answer.code == (command == "STATUS" ? 50 : 11), "\(answer)")
      #expect(took > .milliseconds(300) && took < .seconds(10), "\(command): \(took)")
    }
  }
}

extension Call {
  /// Runs it and wants a failure with these words.
  func expectFailure(
    _ code: Int, _ words: [String], _ location: SourceLocation = #_sourceLocation
  ) async throws {
    Refusal(code, words: words).expect(try await run(), location)
  }
}
