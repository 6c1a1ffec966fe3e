// What the executable is to the system: what it links, what it reads, what it needs around it. The
// release plugin (static, as scripts/build makes it) has to run on hosts with nothing at all.

internal import FoundationEssentials
internal import Glibc
import TestSupport
import Testing

/// The plugin as a file.
enum PluginFile {
  /// The shared libraries that it names.
  static func libraries() async throws -> Set<String> {
    let ended = try await run(["readelf", "-d", Program.ours])
    guard ended.exitStatus == 0 else { throw TestSupportError("readelf: \(ended)") }
    let names = ended.output.split(separator: "\n").filter { $0.contains("(NEEDED)") }
      .compactMap { $0.split(separator: "[").last?.split(separator: "]").first }
    return Set(names.map(String.init))
  }

  /// Whether these bytes are in it.
  static func contains(_ text: String) async throws -> Bool {
    let ended = try await run(["grep", "-q", "-a", "-F", "-e", text, Program.ours])
    return ended.exitStatus == 0
  }

  private static func run(_ command: [String]) async throws -> Execution.Ended {
    var execution = Execution(command)
    execution.environment = ["LC_ALL": "C"]
    return try await execution.run()
  }

  /// Whether Swift is linked into it; continuous integration has to test such a one.
  static var isStatic: Bool {
    get async {
      if isContinuousIntegration { return true }
      guard let libraries = try? await libraries() else { return false }
      return !libraries.contains("libswiftCore.so")
    }
  }

  static let staticReason: Comment =
    "the plugin is not a release build: set CNI_IPAM_PLUGIN to what scripts/build prints"
}

@Suite(.needsConsul)
struct ProcessFactsTests {
  /// Foundation brings 40 MB of ICU. What is linked in statically shows by names that stripping
  /// leaves: the ICU data's, and mangled names of Foundation (not of FoundationEssentials).
  @Test func neitherFoundationNorICUIsLinked() async throws {
    let libraries = try await PluginFile.libraries()
    let forbidden = [
      "libFoundation.so", "libFoundationInternationalization.so", "lib_FoundationICU.so",
    ]
    #expect(libraries.isDisjoint(with: forbidden), "\(libraries.sorted())")
    #expect(!libraries.contains { $0.hasPrefix("libicu") }, "\(libraries.sorted())")
    for name in ["icudt", "$s10Foundation", "_FoundationICU"] {
      #expect(try await !PluginFile.contains(name), "\(name) is in the plugin")
    }
    #expect(try await PluginFile.contains("CNI protocol versions supported"))
  }

  @Test(.enabled(PluginFile.staticReason) { await PluginFile.isStatic })
  func theReleasePluginNeedsNoLibraries() async throws {
    let libraries = try await PluginFile.libraries()
    #expect(libraries.isEmpty, "\(libraries.sorted())")
  }

  @Test(
    .enabled(PluginFile.staticReason) { await PluginFile.isStatic },
    .needsRoot, arguments: StoreKind.allCases)
  func theReleasePluginRunsWhereThereIsNothing(_ kind: StoreKind) async throws {
    let root = try TemporaryFolder()
    // By another process: a file that is being written by one, or by what it started, cannot be run.
    let copied = try await Execution(["/bin/cp", Program.ours, root.path + "/plugin"]).run()
    try #require(copied.exitStatus == 0, "\(copied)")
    let network = try await TestNetwork(kind)
    var ipam: JSON = ["subnet": "10.7.0.0/24"]
    ipam = ipam.merging(network.place)
    ipam = ipam.merging(["stateDir": "/state"])
    if kind == .disk {
      ipam["dataDir"] = "/networks"
    } else {
      // A name that only /etc/hosts has, where the system would ask somebody else.
      mkdir(root.path + "/etc", 0o755)
      try writeFile(root.path + "/etc/nsswitch.conf", "hosts: mymachines resolve nobody\n")
      try writeFile(root.path + "/etc/hosts", "127.0.0.1 consul.example\n")
      ipam["consul_addr"] = "consul.example"
    }
    let configuration: JSON = ["name": "net", "cniVersion": "1.1.0", "ipam": ipam]
    for command in ["VERSION", "STATUS", "ADD", "CHECK", "DEL"] {
      var call = Call(command, configuration).by("/plugin")
      call.entering = ["/usr/sbin/chroot", root.path]
      let answer = try await call.succeeds()
      if command == "ADD" { #expect(answer.addresses == ["10.7.0.2/24"], "\(answer)") }
    }
  }

  /// The environment of every call in these tests is CNI_* and nothing else; here are the commands
  /// that reach a store.
  @Test(arguments: StoreKind.allCases)
  func runsWithNothingButCNIVariables(_ kind: StoreKind) async throws {
    let network = try await TestNetwork(kind)
    let configuration = network.configuration(["subnet": "10.7.0.0/24"], version: "1.1.0")
    for command in ["STATUS", "ADD", "CHECK", "DEL"] {
      let call = Call(command, configuration)
      #expect(call.variables.keys.allSatisfy { $0.hasPrefix("CNI_") })
      try await call.succeeds()
    }
  }

  /// libcni leaves standard input as it is.
  @Test func versionDoesNotReadStandardInput() async throws {
    var call = Call("VERSION")
    call.input = .keptOpen
    let answer = try await call.run()
    #expect(answer.succeeded && answer.json?["cniVersion"] == "1.1.0", "\(answer)")
  }

  /// A runtime that went away is an error, and no reason to end by a signal.
  @Test func nobodyReadsTheOutput() async throws {
    var execution = Execution(["/bin/sh", "-c", "exec 1>&- 2>&-; exec \"$0\"", Program.ours])
    execution.environment = ["CNI_COMMAND": "VERSION"]
    let ended = try await execution.run()
    #expect(ended.exitStatus == 1, "\(ended)")
  }
}
