internal import Glibc
import TestSupport
import Testing

// What surrounds the commands: completions and manual pages.

@Suite struct TerminalTests {
  private static let path = ["PATH": "/usr/bin:/bin"]

  private func run(_ command: [String], input: String = "") async throws -> Execution.Ended {
    var execution = Execution(command)
    execution.environment = Self.path
    execution.input = .text(input)
    return try await execution.run()
  }

  @Test(arguments: ["bash", "zsh", "fish"])
  func completionsAreScriptsOfTheirShell(_ shell: String) async throws {
    let script = try await run([
      program("ipamctl", "CNI_IPAM_CTL"), "--generate-completion-script", shell,
    ])
    #expect(script.exitStatus == 0 && script.output.contains("reclaim"), "\(script)")
    // zsh and fish are checked where they are installed.
    guard access("/usr/bin/\(shell)", X_OK) == 0 else { return }
    let folder = try TemporaryFolder()
    try writeFile(folder.path + "/script", script.output)
    let checked = try await run(["/usr/bin/\(shell)", "-n", folder.path + "/script"])
    #expect(checked.exitStatus == 0, "\(checked)")
  }

  @Test func manualPagesSayWhatTheParserKnows() async throws {
    let folder = try TemporaryFolder()
    let pages = try await run([
      try repositoryPath("scripts/man-pages"), folder.path, program("ipamctl", "CNI_IPAM_CTL"),
    ])
    #expect(pages.exitStatus == 0, "\(pages)")
    let page = String(decoding: try readFile(folder.path + "/ipamctl.8"), as: UTF8.self)
    for words in [".Ss \\&map", ".Ss \\&network \\&create", "svg", ".Sh EXIT STATUS", ".It 3"] {
      #expect(page.contains(words), "\(words)")
    }
    for name in ["ipamctl", "cni-ipam-consul"] {
      let lint = try await run([
        "mandoc", "-T", "lint", "-W", "warning", "\(folder.path)/\(name).8",
      ])
      #expect(lint.exitStatus == 0 && lint.output.isEmpty, "\(lint)")
    }
  }

  @Test(.needsConsul) func noControlCharacterReachesTheTerminal() async throws {
    let bench = try await Bench()
    try await bench.succeeds("network", "create", "net", "--subnet", "10.1.0.0/24")
    #expect(try await bench.plugin("ADD", "net", "c1").exitStatus == 0)
    let key = bench.key("net/addresses/0a010002")
    let lease = try bench.consul.request("GET", key + "?raw").body
    // Of two members of one name the last counts.
    let hostile = lease.dropLast() + #","workload":{"POD":"a\u001b[31mb"}}"#
    _ = try bench.consul.request("PUT", key, body: String(hostile))
    let table = try await bench.succeeds("lease", "list", "net")
    #expect(table.contains("POD=a?[31mb") && !table.contains("\u{1B}"), "\(table)")
    for interface in ["eth\u{1B}[31m", "eth1"] {
      try await bench.succeeds(
        "lease", "acquire", "net", "--container", "c2", "--node", "n1", "--interface", interface)
    }
    let several = try await bench.ctl(
      "lease", "release", "net", "--container", "c2", "--node", "n1")
    #expect(several.exitStatus == 1 && several.errorOutput.contains("c2/eth?[31m"), "\(several)")
    #expect(!several.errorOutput.contains("\u{1B}"), "\(several)")
  }
}
