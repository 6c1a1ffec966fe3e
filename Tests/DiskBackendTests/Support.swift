import AddressSpace
import DiskBackend
import Glibc
import IPAM
import IPAMTesting
import Testing
import TestSupport

/// A data directory of its own, our allocators on it, and the distribution's host-local.
final class DiskFixture: Sendable {
  static let hostLocal = "/usr/lib/cni/host-local"

  let folder: TemporaryFolder
  let dataDirectory: String
  let definition: NetworkDefinition
  let subnets: [[String]]

  var directory: String { "\(dataDirectory)/net" }

  init(
    _ subnets: [[String]] = [["10.1.0.0/24"]], on path: String? = nil
  ) throws {
    folder = try TemporaryFolder()
    dataDirectory = path ?? folder.path + "/networks"
    self.subnets = subnets
    let sets = try RangeSet.sets(subnets.map { $0.map { SubnetRange.Text(subnet: $0) } })
    definition = NetworkDefinition(name: "net", rangeSets: sets, searchOrder: .sequential)
  }

  /// A store as a new process would have it.
  func store(sync: Bool = false) -> DiskStore {
    DiskStore(
      directory: dataDirectory, network: "net", definition: definition,
      stateDirectory: folder.path + "/state", sync: sync)
  }

  func allocator(
    _ store: (any AllocationStore)? = nil, policy: RepeatPolicy = .refuse
  ) -> NetworkAllocator {
    NetworkAllocator(
      store: store ?? self.store(), networkName: "net", definition: definition,
      node: Node(name: ""), repeatPolicy: policy, surroundings: .system)
  }

  var deadline: Deadline { Surroundings.system.deadline(inMilliseconds: 60_000) }

  // MARK: - Ours

  /// ADD by a new store; the addresses.
  @discardableResult
  func acquire(
    _ container: String, requested: [String] = [], from allocator: NetworkAllocator? = nil
  ) async throws -> [String] {
    let addresses = try requested.map { text in try IPAddress(parsing: text) }
    let request = AcquireRequest(attachment: .named(container), requested: addresses)
    let acquired = try await (allocator ?? self.allocator()).acquire(request, deadline: deadline)
    return acquired.attachment.holdings.map(\.address.description)
  }

  /// DEL by a new store; what was held.
  @discardableResult
  func release(_ container: String, from allocator: NetworkAllocator? = nil) async throws
    -> [String]
  {
    let names = [AttachmentKey.named(container), .named(container, interface: "")]
    let released = try await (allocator ?? self.allocator()).release(names, deadline: deadline)
    return released?.holdings.map(\.address.description) ?? []
  }

  /// Fails like CHECK if the attachment holds nothing.
  func check(_ container: String) async throws {
    let names = [AttachmentKey.named(container), .named(container, interface: "")]
    try await allocator().check(names, expected: nil, deadline: deadline)
  }

  func audit() async throws -> [AuditFinding] {
    try await Auditor(of: store(), definition: definition).findings(deadline: deadline)
  }

  // MARK: - host-local's

  /// One execution of the distribution's host-local.
  func hostLocal(_ command: String, _ container: String) async throws -> Execution.Ended {
    let ranges = subnets.map { set in
      "[" + set.map { "{\"subnet\":\"\($0)\"}" }.joined(separator: ",") + "]"
    }
    var execution = Execution([Self.hostLocal])
    execution.input = .text(
      """
      {"cniVersion":"1.0.0","name":"net","type":"bridge","ipam":{"type":"host-local",
      "dataDir":"\(dataDirectory)","ranges":[\(ranges.joined(separator: ","))]}}
      """)
    execution.environment = [
      "CNI_COMMAND": command, "CNI_CONTAINERID": container, "CNI_IFNAME": "eth0",
      "CNI_NETNS": "/var/run/netns/none", "CNI_PATH": "/usr/lib/cni",
    ]
    return try await execution.run()
  }

  // MARK: - The directory itself

  /// The names of all files, sorted.
  var names: [String] {
    get throws {
      guard let stream = opendir(directory) else {
        throw TestSupportError("cannot read \(directory)", errno)
      }
      defer { closedir(stream) }
      var names: [String] = []
      while let entry = readdir(stream) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) {
          $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if name != "." && name != ".." { names.append(name) }
      }
      return names.sorted()
    }
  }

  func content(_ name: String) throws -> String {
    String(decoding: try readFile("\(directory)/\(name)"), as: UTF8.self)
  }

  func write(_ name: String, _ content: String) throws {
    try writeFile("\(directory)/\(name)", content)
  }

  func remove(_ name: String) {
    unlink("\(directory)/\(name)")
  }

  func makeDirectory() throws {
    mkdir(dataDirectory, 0o755)
    guard mkdir(directory, 0o755) == 0 else {
      throw TestSupportError("cannot make \(directory)", errno)
    }
  }

  func mode(_ name: String) -> mode_t {
    var status = stat()
    return lstat("\(directory)/\(name)", &status) == 0 ? status.st_mode & 0o7777 : 0
  }
}

extension AttachmentKey {
  static func named(_ container: String, interface: String = "eth0") -> AttachmentKey {
    AttachmentKey(node: "", container: container, interface: interface)
  }
}

/// Whether a test that needs something of its machine may be left out here: never in CI.
func maySkip(_ reason: String) -> Bool {
  print("skipped: \(reason)")
  return environmentVariable("CI") == nil
}
