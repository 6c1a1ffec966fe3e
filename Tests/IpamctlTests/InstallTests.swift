internal import Glibc
import TestSupport
import Testing

/// `make install` and `make uninstall`, below a folder.
@Suite struct InstallTests {
  /// The files and links below a folder, with their modes and what links name.
  private func tree(_ folder: String) async throws -> [String] {
    var execution = Execution(["find", folder, "!", "-type", "d", "-printf", "%P %m %l\n"])
    execution.environment = ["PATH": "/usr/bin:/bin"]
    return try await execution.run().output.split(separator: "\n").map(String.init).sorted()
  }

  @Test func putsAllInPlaceAndTakesItAway() async throws {
    let folder = try TemporaryFolder()
    // A name with a space, and the distribution's plugin standing there.
    let root = folder.path + "/a root"
    for part in ["", "/opt", "/opt/cni", "/opt/cni/bin"] { mkdir(root + part, 0o755) }
    try writeFile(root + "/opt/cni/bin/host-local", "another's")
    let ctl = program("ipamctl", "CNI_IPAM_CTL")
    func make(_ target: String) async throws -> Execution.Ended {
      var execution = Execution([
        "make", "-C", try repositoryPath("."), target, "DESTDIR=\(root)", "PREFIX=/usr",
        "IPAMCTL=\(ctl)", "PLUGIN=\(program("cni-ipam-consul", "CNI_IPAM_PLUGIN"))",
      ])
      execution.environment = ["PATH": environmentVariable("PATH") ?? "/usr/bin:/bin"]
      return try await execution.run()
    }
    for _ in 0..<2 {
      let installed = try await make("install")
      #expect(installed.exitStatus == 0, "\(installed)")
      #expect(
        try await tree(root) == [
          "opt/cni/bin/cni-ipam-consul 755 ", "opt/cni/bin/consul 777 cni-ipam-consul",
          "opt/cni/bin/host-local 777 cni-ipam-consul", "opt/cni/bin/host-local.replaced 600 ",
          "usr/bin/ipamctl 755 ", "usr/share/bash-completion/completions/ipamctl 644 ",
          "usr/share/fish/vendor_completions.d/ipamctl.fish 644 ",
          "usr/share/man/man8/cni-ipam-consul.8 644 ", "usr/share/man/man8/ipamctl.8 644 ",
          "usr/share/zsh/site-functions/_ipamctl 644 ",
        ])
    }
    let help = try await Execution([root + "/usr/bin/ipamctl", "--help"]).run()
    #expect(help.output.contains("EXIT STATUS"), "\(help)")
    let removed = try await make("uninstall")
    #expect(removed.exitStatus == 0, "\(removed)")
    #expect(try await tree(root) == ["opt/cni/bin/host-local 600 "])
    #expect(try await make("uninstall").exitStatus == 0)
  }
}
