// Consul servers of the benchmark's own, on free loopback ports, with their data in a folder that is
// new for every cell: a raft.db that was once large stays slow.

import Foundation

/// One server, one in memory, or three.
final class ConsulServer: Sendable {
  /// The leader's HTTP address.
  let address: String
  private let folder: URL
  private let processes: [Process]

  /// Starts them and waits for a leader. What they are for is said if one ends by itself.
  init(binary: String, _ ground: Ground = .single, for purpose: String) async throws {
    let folder = try Children.folder()
    var processes: [Process] = []
    var addresses: [String] = []
    do {
      let count = ground == .cluster ? 3 : 1
      let hosts = (1...count).map { "127.0.0.\($0)" }
      let ports = try Self.freePorts(3, on: hosts)
      for host in hosts {
        var arguments = ["agent"]
        if ground == .dev {
          arguments.append("-dev")
        } else {
          arguments += [
            "-server", "-bootstrap-expect=\(count)", "-data-dir=\(folder.path)/data-\(host)",
          ]
        }
        arguments += [
          "-bind=\(host)", "-client=\(host)", "-node=server-\(host)", "-http-port=\(ports[0])",
          "-server-port=\(ports[1])", "-serf-lan-port=\(ports[2])", "-serf-wan-port=-1",
          "-dns-port=-1", "-grpc-port=-1", "-disable-host-node-id",
          "-hcl=performance { raft_multiplier = 1 }", "-hcl=disable_update_check = true",
          "-hcl=limits { http_max_conns_per_client = 2000 }",
        ]
        arguments += hosts.filter { $0 != host }.map { "-retry-join=\($0):\(ports[2])" }
        arguments += count > 1 ? ["-retry-interval=1s"] : []
        processes.append(try await Children.start(binary, arguments, neededFor: purpose))
        addresses.append("\(host):\(ports[0])")
      }
      for _ in 0..<600 {
        let state = addresses.compactMap { try? ServerState($0) }
        if state.count == count, let leader = state.first(where: \.isLeader),
          leader.peers == count - 1
        {
          (self.address, self.folder, self.processes) = (leader.address, folder, processes)
          return
        }
        try await Task.sleep(for: .milliseconds(50))
      }
      throw BenchmarkError("Consul at \(addresses) has no leader after 30 s")
    } catch {
      for process in processes { Children.end(process) }
      Children.remove(folder)
      throw error
    }
  }

  /// Ends them and removes their data.
  func end() {
    for process in processes { Children.end(process) }
    Children.remove(folder)
  }

  /// The length of the log: every commit is an entry, also one that lost its race.
  func lastLogIndex() throws -> Int? { try ServerState(address).lastLogIndex }

  var version: String { (try? ServerState(address).version).map { "Consul \($0)" } ?? "unknown" }

  /// The sizes of the logs on disk, in bytes; nil without a disk.
  var raftBytes: Int? {
    let folders = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    let sizes = folders.compactMap { name -> Int? in
      let path = "\(folder.path)/\(name)/raft/raft.db"
      return try? FileManager.default.attributesOfItem(atPath: path)[.size] as? Int
    }
    return sizes.isEmpty ? nil : sizes.reduce(0, +)
  }

  /// The processor time that they have used, in seconds.
  var processorSeconds: Double {
    processes.reduce(0) { sum, process in
      let path = "/proc/\(process.processIdentifier)/stat"
      let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
      let fields = text.split(separator: ")").last?.split(separator: " ") ?? []
      guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else {
        return sum
      }
      return sum + (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }
  }

  /// Ports that are free on all hosts.
  private static func freePorts(_ count: Int, on hosts: [String]) throws -> [Int] {
    var ports: [Int] = []
    for _ in 0..<1_000 where ports.count < count {
      let port = Int.random(in: 10_000..<32_000)
      if !ports.contains(port), hosts.allSatisfy({ isFree(port, on: $0) }) { ports.append(port) }
    }
    guard ports.count == count else { throw BenchmarkError("no free ports on \(hosts)") }
    return ports
  }

  private static func isFree(_ port: Int, on host: String) -> Bool {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | O_CLOEXEC, 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(port).bigEndian
    address.sin_addr.s_addr = inet_addr(host)
    return withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
      }
    }
  }
}

/// What an agent says of itself and of Raft.
struct ServerState {
  let address: String
  let version: String
  let isLeader: Bool
  /// Other servers of the cluster.
  let peers: Int
  /// See ``ConsulServer/lastLogIndex()``.
  let lastLogIndex: Int?

  init(_ address: String) throws {
    self.address = address
    let reply = try KVConnection(address).send("GET", "/v1/agent/self")
    let object = try JSONSerialization.jsonObject(with: Data(reply.body)) as? [String: Any]
    let config = object?["Config"] as? [String: Any]
    let stats = object?["Stats"] as? [String: [String: String]]
    version = config?["Version"] as? String ?? "unknown"
    isLeader = stats?["consul"]?["leader"] == "true"
    peers = stats?["raft"]?["num_peers"].flatMap { Int($0) } ?? 0
    lastLogIndex = stats?["raft"]?["last_log_index"].flatMap { Int($0) }
  }
}
