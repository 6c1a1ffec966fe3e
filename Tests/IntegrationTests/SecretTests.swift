// The token is nobody else's business: not in a result, an error, a log, a file of ours or the list of
// processes, wherever it comes from and whatever the server does with it.

internal import FoundationEssentials
import TestSupport
import Testing

@Suite(.needsConsul)
struct SecretTests {
  fileprivate static let secret = "5ec2e700-aaaa-bbbb-cccc-5ec2e7005ec2"

  enum Source: CaseIterable, Sendable { case setting, file, variable, variableForFile }

  /// A call whose token comes from `source`, with everything logged.
  private func call(
    _ command: String, _ port: Int, _ source: Source, _ folder: TemporaryFolder,
    timeout: String = "30s"
  ) throws -> Call {
    let path = folder.path + "/token"
    try writeFile(path, Self.secret + "\n")
    var ipam: JSON = [
      "type": "consul", "consul_addr": "127.0.0.1", "consul_port": .number(port),
      "subnet": "10.7.0.0/24", "timeout": .string(timeout),
      "stateDir": .string(folder.path + "/state"),
      "logLevel": "debug", "logFile": .string(folder.path + "/log"),
    ]
    var variables: [String: String] = [:]
    switch source {
    case .setting: ipam["token"] = .string(Self.secret)
    case .file: ipam["token_file"] = .string(path)
    case .variable: variables["CONSUL_HTTP_TOKEN"] = Self.secret
    case .variableForFile: variables["CONSUL_HTTP_TOKEN_FILE"] = path
    }
    var call = Call(command, ["cniVersion": "1.1.0", "name": "net", "ipam": ipam])
    call.variables.merge(variables) { $1 }
    return call
  }

  /// All that the plugin wrote in the folder.
  private func written(_ folder: TemporaryFolder) throws -> String {
    let names = try FileManager.default.subpathsOfDirectory(atPath: folder.path)
    return names.filter { $0 != "token" }.reduce(into: "") { text, name in
      let bytes = (try? readFile("\(folder.path)/\(name)")) ?? []
      text += name + " " + String(decoding: bytes, as: UTF8.self)
    }
  }

  /// Every place where a server can speak.
  enum Echo: CaseIterable, Sendable {
    case failure, denial, success, redirect, badRequest, conflict, noHTTP

    func reply(_ connection: ScriptedServer.Connection, _ request: String) {
      switch self {
      case .failure: connection.reply(500, request)
      case .denial: connection.reply(403, "Permission denied " + request)
      case .success: connection.reply(200, request)
      case .redirect:
        connection.reply(301, "", headers: "Location: http://h/\(SecretTests.secret)\r\n")
      case .badRequest: connection.reply(400, request)
      case .conflict where request.hasPrefix("PUT"):
        connection.reply(409, #"{"Errors":[{"OpIndex":0,"What":"\#(SecretTests.secret)"}]}"#)
      case .conflict: connection.reply(404, "", headers: "X-Consul-Index: 1\r\n")
      case .noHTTP: connection.write(SecretTests.secret + "\r\n")
      }
    }
  }

  /// Servers that give back what they were sent.
  @Test(arguments: Source.allCases)
  func whateverTheServerSays(_ source: Source) async throws {
    try await withThrowingDiscardingTaskGroup { group in
      for echo in Echo.allCases {
        group.addTask { try await expectSilence(source, echo) }
      }
    }
  }

  private func expectSilence(_ source: Source, _ echo: Echo) async throws {
    let folder = try TemporaryFolder()
    let server = try ScriptedServer { connection in
      while let request = connection.request() { echo.reply(connection, request) }
    }
    for command in ["ADD", "CHECK", "DEL", "STATUS"] {
      let ended = try await call(command, server.port, source, folder, timeout: "500ms").run()
      // A DEL of what is not there is done.
      #expect(ended.isError || (echo == .conflict && command == "DEL"), "\(echo) \(ended)")
      #expect(!ended.description.contains(Self.secret), "\(echo) \(command): \(ended)")
    }
    #expect(server.requests.contains { $0.contains("X-Consul-Token: \(Self.secret)\r\n") })
    let files = try written(folder)
    #expect(files.contains("command=ADD"), "the log is there")
    #expect(!files.contains(Self.secret), "\(echo): \(files)")
  }

  /// What works says nothing of it either: the token is good, and every line is logged.
  @Test(arguments: Source.allCases)
  func whatWorksSaysNothing(_ source: Source) async throws {
    var options = ConsulServer.Options()
    options.acl = true
    let consul = try await ConsulServer.start(options)
    let made = try consul.request(
      "PUT", "/v1/acl/token",
      body: #"{"SecretID":"\#(Self.secret)","Policies":[{"Name":"global-management"}]}"#)
    #expect(made.status == 200, "\(made)")
    let folder = try TemporaryFolder()
    for command in ["STATUS", "ADD", "ADD", "CHECK", "DEL"] {
      let ended = try await call(command, consul.port, source, folder).succeeds()
      #expect(!ended.description.contains(Self.secret), "\(command): \(ended)")
    }
    #expect(try !written(folder).contains(Self.secret))
    #expect(try !consul.request("GET", "/v1/kv/?recurse").body.contains(Self.secret))
  }

  /// While a command runs, no process shows it to others: it is in nobody's arguments.
  @Test(arguments: Source.allCases)
  func theListOfProcesses(_ source: Source) async throws {
    let isSeen = Gate()
    defer { isSeen.open() }
    let server = try ScriptedServer { connection in
      while connection.request() != nil {
        isSeen.wait()
        connection.reply(403, "Permission denied")
      }
    }
    let folder = try TemporaryFolder()
    let call = try call("ADD", server.port, source, folder)
    async let ended = call.run()
    try await eventually("the request") { server.connections > 0 }
    var seen = 0
    for name in try FileManager.default.contentsOfDirectory(atPath: "/proc") {
      guard Int(name) != nil, let line = try? readFile("/proc/\(name)/cmdline") else { continue }
      let words = String(decoding: line, as: UTF8.self)
      if words.contains("cni-ipam-consul") { seen += 1 }
      #expect(!words.contains(Self.secret), "\(words)")
    }
    #expect(seen > 0, "the plugin is in the list")
    isSeen.open()
    #expect(try await ended.code == 7)
  }
}
