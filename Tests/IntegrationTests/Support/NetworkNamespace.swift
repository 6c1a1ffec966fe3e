// Network namespaces without names: each belongs to a process of its own that sleeps, and the kernel
// removes it with everything in it when that process ends, which it does with the tests at the latest.
// So nothing of the machine's own network is touched, and parallel runs do not meet.

internal import Glibc
internal import TestSupport

/// A network namespace.
final class NetworkNamespace: Sendable {
  private let owner: ChildProcess

  /// The path that a runtime would say in CNI_NETNS.
  var path: String { "/proc/\(owner.pid)/ns/net" }

  private init(_ owner: ChildProcess) {
    self.owner = owner
  }

  deinit { owner.signal(SIGKILL) }

  /// A new namespace with its loopback up.
  static func make() async throws -> NetworkNamespace {
    let owner = try await ChildProcess.start(["unshare", "--net", "sleep", "infinity"])
    let namespace = NetworkNamespace(owner)
    for _ in 0..<60_000 where owner.isRunning {
      if let inode = identity(namespace.path), inode != identity("/proc/self/ns/net") {
        try await namespace.runs("ip", "link", "set", "lo", "up")
        return namespace
      }
      try await Task.sleep(for: .milliseconds(5))
    }
    throw TestSupportError("no network namespace: unshare --net failed")
  }

  private static func identity(_ path: String) -> UInt64? {
    var status = stat()
    return stat(path, &status) == 0 ? UInt64(status.st_ino) : nil
  }

  /// The words that make a command run in here.
  var entering: [String] { ["nsenter", "--net=\(path)", "--"] }

  /// Runs a command in here and wants it to succeed; returns what it printed.
  @discardableResult
  func runs(_ command: String...) async throws -> String {
    var execution = Execution(entering + command)
    execution.environment = ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin"]
    let ended = try await execution.run()
    guard ended.exitStatus == 0 else { throw TestSupportError("\(command): \(ended)") }
    return ended.output
  }

  /// What `ip -json` says in here.
  func ip(_ words: String...) async throws -> [JSON] {
    var execution = Execution(entering + ["ip", "-json"] + words)
    execution.environment = ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin"]
    let ended = try await execution.run()
    guard ended.exitStatus == 0 else { throw TestSupportError("ip \(words): \(ended)") }
    return ended.output.isEmpty ? [] : try JSON(parsing: ended.output).elements ?? []
  }

  /// The names of the interfaces in here but for the loopback.
  func interfaces() async throws -> [String] {
    try await ip("link", "show").compactMap { $0["ifname"]?.string }.filter { $0 != "lo" }
  }

  /// The addresses of an interface with their prefix lengths, without link-local ones.
  func addresses(of interface: String) async throws -> Set<String> {
    let links = try await ip("address", "show", "dev", interface, "scope", "global")
    return Set(
      links.flatMap { $0["addr_info"]?.elements ?? [] }.compactMap { info in
        guard let address = info["local"]?.string, let length = info["prefixlen"]?.number else {
          return nil
        }
        return "\(address)/\(length)"
      })
  }

  /// The gateway of the default route of a family, `-4` or `-6`.
  func defaultGateway(_ family: String) async throws -> String? {
    try await ip(family, "route", "show", "default").first?["gateway"]?.string
  }

  /// Runs `body` on a thread that is in here.
  func inside<Value: Sendable>(
    _ body: @escaping @Sendable () throws -> Value
  ) async throws -> Value {
    let path = path
    return try await withCheckedThrowingContinuation { continuation in
      onNewThread {
        continuation.resume(
          with: Result {
            try Self.enter(path)
            return try body()
          })
      }
    }
  }

  /// setns(2), which the C library declares only to those who ask for its extensions.
  private static func enter(_ path: String) throws {
    typealias Function = @convention(c) (Int32, Int32) -> Int32
    guard let symbol = dlsym(nil, "setns") else { throw TestSupportError("no setns") }
    let setns = unsafeBitCast(symbol, to: Function.self)
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw TestSupportError("cannot open \(path)", errno) }
    defer { close(descriptor) }
    let cloneNewNetwork: Int32 = 0x4000_0000
    guard setns(descriptor, cloneNewNetwork) == 0 else { throw TestSupportError("setns", errno) }
  }
}
