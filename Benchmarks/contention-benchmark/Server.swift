// A real Consul of the benchmark's own: one server with its data on disk, in a folder that is new for
// every cell (a raft.db that was once large stays slow), on free loopback ports, ended by process id,
// and by the kernel if the benchmark dies.

import Foundation

struct BenchmarkError: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

final class ConsulServer {
  let address: String
  private let binary: String
  private let folder: URL
  private let process: Process

  /// Starts a server and waits until it is its own leader.
  init(binary: String) async throws {
    let folder = FileManager.default.temporaryDirectory
      .appendingPathComponent("contention-\(UInt64.random(in: 0...(.max)))")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let ports = try Self.freePorts(3)
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/setpriv")
    process.arguments = [
      "--pdeathsig", "KILL", binary, "agent", "-server", "-bootstrap-expect=1",
      "-data-dir=\(folder.path)/data", "-bind=127.0.0.1", "-client=127.0.0.1",
      "-http-port=\(ports[0])", "-server-port=\(ports[1])", "-serf-lan-port=\(ports[2])",
      "-serf-wan-port=-1", "-dns-port=-1", "-grpc-port=-1", "-disable-host-node-id",
      "-hcl=performance { raft_multiplier = 1 }", "-hcl=disable_update_check = true",
      "-hcl=limits { http_max_conns_per_client = 500 }",
    ]
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
    (address, self.binary) = ("127.0.0.1:\(ports[0])", binary)
    (self.folder, self.process) = (folder, process)
    for _ in 0..<300 {
      if try lastLogIndex() ?? 0 > 0, isLeader { return }
      try await Task.sleep(for: .milliseconds(100))
    }
    end()
    throw BenchmarkError("Consul at \(address) has no leader after 30 s")
  }

  /// Ends it and removes its data.
  func end() {
    process.terminate()
    process.waitUntilExit()
    try? FileManager.default.removeItem(at: folder)
  }

  /// The length of the server's own log: every commit is an entry, also one that lost its race.
  func lastLogIndex() throws -> Int? { Int(try info("last_log_index") ?? "") }

  var isLeader: Bool { (try? info("leader")) == "true" }

  var version: String {
    (try? run(["version"]).split(separator: "\n").first.map(String.init)) ?? "unknown"
  }

  /// The size of the server's log on disk, in bytes.
  var raftBytes: Int {
    let path = folder.appendingPathComponent("data/raft/raft.db").path
    return (try? FileManager.default.attributesOfItem(atPath: path)[.size] as? Int) ?? 0
  }

  /// The processor time that the server has used, in seconds.
  var processorSeconds: Double {
    guard
      let text = try? String(
        contentsOfFile: "/proc/\(process.processIdentifier)/stat", encoding: .utf8)
    else { return 0 }
    let fields = text.split(separator: ")").last?.split(separator: " ") ?? []
    guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else {
      return 0
    }
    return (user + system) / 100
  }

  private func info(_ name: String) throws -> String? {
    for line in try run(["info", "-http-addr=\(address)"]).split(separator: "\n") {
      let parts = line.split(separator: "=").map { $0.trimmingCharacters(in: .whitespaces) }
      if parts.count == 2, parts[0] == name { return parts[1] }
    }
    return nil
  }

  private func run(_ arguments: [String]) throws -> String {
    let process = Process()
    let output = Pipe()
    process.executableURL = URL(fileURLWithPath: binary)
    process.arguments = arguments
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    try process.run()
    let data = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return String(decoding: data, as: UTF8.self)
  }

  private static func freePorts(_ count: Int) throws -> [Int] {
    var ports: [Int] = []
    for _ in 0..<1_000 where ports.count < count {
      let port = Int.random(in: 10_000..<32_000)
      let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
      defer { close(descriptor) }
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_port = in_port_t(port).bigEndian
      address.sin_addr.s_addr = inet_addr("127.0.0.1")
      let isFree = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
        }
      }
      if isFree, !ports.contains(port) { ports.append(port) }
    }
    guard ports.count == count else { throw BenchmarkError("no free ports on 127.0.0.1") }
    return ports
  }
}
