// Examples/podman/try: a real podman on both stores.

internal import Glibc
import TestSupport
import Testing

extension Trait where Self == ConditionTrait {
  /// The test needs podman and what it runs.
  static var needsPodman: Self {
    .enabled("no podman: apt-get install podman runc busybox-static") {
      isContinuousIntegration
        || ["podman", "runc", "conmon"].allSatisfy { program in
          ["/usr/bin/", "/usr/sbin/"].contains { access($0 + program, X_OK) == 0 }
        } && access("/bin/busybox", X_OK) == 0
    }
  }
}

@Suite(
  .needsConsul, .needsHostLocal, .needsRoot, .needsPodman,
  .enabled(PluginFile.staticReason) { await PluginFile.isStatic })
struct PodmanTests {
  @Test(arguments: StoreKind.allCases)
  func containersComeAndGo(_ kind: StoreKind) async throws {
    let network = try await TestNetwork(kind, name: "pods")
    var list = try Example.network("podman/pods.conflist")
    if let consul = network.consul {
      let plugins = Example.plugins(list).map { plugin -> JSON in
        guard let ipam = plugin["ipam"] else { return plugin }
        var placed = ipam.merging(network.place)
        placed["consul_addr"] = .string("unix://\(consul.socketPath)")
        placed["consul_port"] = nil
        return plugin.merging(["ipam": placed])
      }
      list["plugins"] = .array(plugins)
    }
    let file = network.folder.path + "/pods.conflist"
    try writeFile(file, list.text)
    var execution = Execution([try repositoryPath("Examples/podman/try"), Program.ours, file])
    execution.environment = ["PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
    let ended = try await execution.run()
    #expect(ended.exitStatus == 0, "\(ended)")
    #expect(ended.output.split(separator: "\n").count == 5, "\(ended)")
    #expect(try network.audit() == Holders())
    if kind == .consul {
      #expect(try network.everything().contains { $0.contains("/pools/") }, "Consul was not used")
    }
  }
}
