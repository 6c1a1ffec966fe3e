// Programs in Go that the tests need, from Tests/GoPrograms: built once for each run of the tests, with
// the distribution's Go and its package of the CNI project's library.

internal import Glibc
internal import TestSupport
import Testing

/// A program in Go.
enum GoProgram {
  /// Where golang-github-appc-cni-dev puts the library.
  static let libraries = "/usr/share/gocode"

  private static let folder = Result { try TemporaryFolder() }
  private static let libcniClientBuild = Task { try await build("libcni-client") }
  private static let delegatingPluginBuild = Task { try await build("delegating-plugin") }

  /// The path of a runtime that drives plugins by libcni.
  static var libcniClient: String {
    get async throws { try await libcniClientBuild.value }
  }

  /// The path of a network plugin that passes every command on to its IPAM plugin.
  static var delegatingPlugin: String {
    get async throws { try await delegatingPluginBuild.value }
  }

  private static func build(_ name: String) async throws -> String {
    let program = try folder.get().path + "/" + name
    var execution = Execution(["go", "build", "-buildvcs=false", "-o", program])
    execution.command.append(try repositoryPath("Tests/GoPrograms/\(name)/main.go"))
    execution.environment = [
      "PATH": "/usr/local/bin:/usr/bin:/bin", "GO111MODULE": "off", "GOPATH": libraries,
      "GOCACHE": try repositoryPath(".build/go-cache"),
    ]
    // Where nothing is cached, all that it imports is built, too.
    execution.patience = 1_200
    let ended = try await execution.run()
    guard ended.exitStatus == 0 else { throw TestSupportError("go build \(name): \(ended)") }
    return program
  }
}

extension Trait where Self == ConditionTrait {
  /// The test needs Go and libcni.
  static var needsGo: Self {
    .enabled("no Go or no libcni: apt-get install golang-go golang-github-appc-cni-dev") {
      let package = "\(GoProgram.libraries)/src/github.com/containernetworking/cni/libcni"
      return isContinuousIntegration
        || access("/usr/bin/go", X_OK) == 0 && access(package, R_OK) == 0
    }
  }
}
