// What a test may need of the machine, and why it is skipped where that is missing: never in
// continuous integration.

internal import Glibc
internal import TestSupport
import Testing

/// Whether this is continuous integration, where nothing is skipped.
let isContinuousIntegration = environmentVariable("CI") != nil

/// Whether network namespaces can be made.
var isPrivileged: Bool { isContinuousIntegration || geteuid() == 0 }

extension Trait where Self == ConditionTrait {
  /// The test needs a real Consul.
  static var needsConsul: Self {
    .enabled(Comment(rawValue: ConsulBinary.reason)) {
      if isContinuousIntegration { return true }
      return await ConsulBinary.isAvailable
    }
  }

  /// The test makes network namespaces or changes its root.
  static var needsRoot: Self { .enabled("not root") { isPrivileged } }

  /// The test compares with the distribution's host-local.
  static var needsHostLocal: Self {
    .enabled("no \(Program.hostLocal): apt-get install containernetworking-plugins") {
      isContinuousIntegration || access(Program.hostLocal, X_OK) == 0
    }
  }
}
