// Servers that are not there, not Consul, broken or unwilling: an error that says so, with code 11
// where another try may help, and nothing half done.

import TestSupport
import Testing

@Suite(.needsConsul)
struct BadServerTests {
  /// A configuration that leads to `address`.
  private func configuration(_ port: Int, _ more: JSON = [:]) throws -> (JSON, TemporaryFolder) {
    let state = try TemporaryFolder()
    let ipam: JSON = [
      "type": "consul", "consul_addr": "127.0.0.1", "consul_port": .number(port),
      "subnet": "10.7.0.0/24", "timeout": "2s", "stateDir": .string(state.path),
    ]
    return (
      ["cniVersion": "1.1.0", "name": "net", "ipam": ipam.merging(more)], state
    )
  }

  /// Every command that needs the store says the same; STATUS in its own code.
  private func expectRefusals(
    _ port: Int, code: Int, words: [String], _ more: JSON = [:]
  ) async throws {
    let (configuration, state) = try configuration(port, more)
    defer { withExtendedLifetime(state) {} }
    for command in ["ADD", "CHECK", "DEL", "STATUS", "GC"] {
      var call = configuration.merging(command == "GC" ? ["cni.dev/valid-attachments": []] : [:])
      var answer = try await Call(command, call).run()
      if !words.allSatisfy({ answer.description.contains($0) }) {
        // On a machine that is so busy that nothing was heard of the server in that time.
        call["ipam"]?["timeout"] = "20s"
        answer = try await Call(command, call).run()
      }
      Refusal(command == "STATUS" ? 50 : code, words: words).expect(answer)
    }
  }

  @Test func nobodyListens() async throws {
    try await expectRefusals(1, code: 11, words: ["127.0.0.1:1", "nothing listens"])
  }

  @Test func theHostHasNoAddress() async throws {
    let (configuration, state) = try configuration(
      8500, ["consul_addr": "consul.invalid", "timeout": "5s"])
    defer { withExtendedLifetime(state) {} }
    Refusal(11, words: ["consul.invalid"]).expect(try await Call("ADD", configuration).run())
  }

  @Test func somethingThatIsNotHTTP() async throws {
    let server = try ScriptedServer { connection in
      connection.write("220 mail.example.net ESMTP\r\n")
      connection.waitForClose()
    }
    try await expectRefusals(server.port, code: 11, words: [server.address])
  }

  @Test(arguments: ["", "garbage", "{\"Results\":", "[{\"Key\": 7}]", "\u{0}\u{1}\u{2}", "null"])
  func anAnswerThatIsNotConsuls(_ body: String) async throws {
    let server = try ScriptedServer.always(200, body)
    let (configuration, state) = try configuration(server.port)
    defer { withExtendedLifetime(state) {} }
    for command in ["ADD", "DEL"] {
      let answer = try await Call(command, configuration).run()
      #expect(answer.isError, "\(command): \(answer)")
      #expect([5, 11, 104].contains(answer.code), "\(command): \(answer)")
    }
  }

  @Test func serversThatCloseOrReset() async throws {
    for resets in [false, true] {
      let server = try ScriptedServer { connection in
        _ = connection.request()
        if resets { connection.reset() }
      }
      try await expectRefusals(server.port, code: 11, words: [])
    }
  }

  @Test func aServerThatNeverAnswers() async throws {
    let server = try ScriptedServer { $0.waitForClose() }
    try await expectRefusals(server.port, code: 11, words: [])
  }

  @Test func noLeader() async throws {
    let server = try ScriptedServer.always(500, "No cluster leader")
    try await expectRefusals(server.port, code: 11, words: ["No cluster leader"])
  }

  /// A token without the right: said at once, because trying again cannot help, and not shown.
  @Test func deniedToken() async throws {
    var options = ConsulServer.Options()
    options.acl = true
    let consul = try await ConsulServer.start(options)
    let network = try await TestNetwork(.consul, consul: consul)
    let ipam: JSON = ["subnet": "10.7.0.0/24", "timeout": "20s"]
    let reader = try consul.makeToken(
      rules: "key_prefix \"\(network.prefix)/\" { policy = \"read\" }")
    for token in [reader, "b2c3d4e5-0000-0000-0000-000000000000", ""] {
      var whole = network.configuration(ipam)
      if !token.isEmpty { whole["ipam"]?["token"] = .string(token) }
      let answer = try await Call("ADD", whole).run()
      Refusal(7).expect(answer)
      let text = answer.ended.output
      #expect(text.contains("Permission denied") || text.contains("ACL not found"), "\(answer)")
      #expect(token.isEmpty || !text.contains(token), "the token is shown: \(answer)")
      #expect(try network.everything().isEmpty)
    }

    let writer = try consul.makeToken(
      rules: "key_prefix \"\(network.prefix)/\" { policy = \"write\" }")
    let allowed = network.configuration(ipam.merging(["token": .string(writer)]))
    try await Call("ADD", allowed).succeeds()
    let before = try network.contents()
    let denied = network.configuration(ipam.merging(["token": .string(reader)]))
    for (command, container) in [("ADD", "c2"), ("DEL", "c1")] {
      Refusal(7).expect(try await Call(command, denied, container: container).run())
      #expect(try network.contents() == before)
    }
    try await Call("DEL", allowed).succeeds()
    #expect(try network.audit() == Holders())
  }

  /// Values in the store that nobody understands: never allocated from, and a DEL still works.
  @Test(arguments: ["", "garbage", "CIPB\u{1}"])
  func aDamagedChunk(_ value: String) async throws {
    let network = try await TestNetwork(.consul)
    let configuration = network.configuration(["subnet": "10.7.0.0/24"])
    try await Call("ADD", configuration).succeeds()
    let chunk = try #require(try network.contents().keys.first { $0.hasPrefix("pools/") })
    let path = "/v1/kv/\(network.prefix)/net/\(chunk)"
    let consul = try #require(network.consul)
    _ = try consul.request("PUT", path, body: value)

    let before = try network.contents()
    let answer = try await Call("ADD", configuration, container: "c2").run()
    #expect(answer.isError && answer.code == 104, "\(answer)")
    #expect(try network.contents() == before)

    try await Call("DEL", configuration).succeeds()
    let left = try network.contents().keys.filter { !$0.hasPrefix("pools/") && $0 != "config" }
    #expect(left.isEmpty, "\(left)")
  }
}
