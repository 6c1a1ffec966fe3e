import DiskBackend
import IPAM
import IPAMTesting
import Testing
import TestSupport

// The suite that every store passes, on directories.

@Suite struct DiskConformanceTests {
  @Test(arguments: ConformanceCheck.all)
  func directory(_ check: ConformanceCheck) async throws {
    let folder = try TemporaryFolder()
    let suite = StoreConformance { definition in
      DiskStore(
        directory: folder.path, network: "net", definition: definition,
        stateDirectory: folder.path)
    }
    let outcome = try await suite.run(check)
    if case .skipped(let reason) = outcome { print("\(check): skipped, \(reason)") }
  }
}
