// Which Consul the tests run against.

internal import Glibc

/// The Consul binary: `CNI_IPAM_CONSUL`, else what `scripts/install-consul` finds (the one on the
/// PATH first) or fetches.
package enum ConsulBinary {
  /// For `.enabled(if:)`, with ``reason``: without a binary the tests that need one are skipped,
  /// but never in continuous integration, where they fail instead.
  package static var isAvailable: Bool {
    get async {
      if environmentVariable("CI") == "true" { return true }
      return (try? await path()) != nil
    }
  }

  package static let reason =
    "no Consul: set CNI_IPAM_CONSUL to a binary, or see what scripts/install-consul says"

  private static let found = Task { () async throws -> String in
    if let path = environmentVariable("CNI_IPAM_CONSUL") { return path }
    guard let real = realpath(#filePath, nil) else {
      throw TestSupportError("no \(#filePath)", errno)
    }
    defer { free(real) }
    let root = String(cString: real).split(separator: "/").dropLast(3).joined(separator: "/")
    let output = try await ChildProcess.run(["/\(root)/scripts/install-consul"])
    return output.split(separator: "\n").last.map { String($0) } ?? ""
  }

  package static func path() async throws -> String { try await found.value }
}
