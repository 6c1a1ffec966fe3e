// One measurement, described: who writes what, how many, on what ground. A worker process is told its
// part of it by the same description.
//
//   processes ⊇ nodes ⊇ writers:  writer w is of node w mod nodes, node n lives in process n mod processes

import AddressSpace
import IPAM

/// What writers do.
enum Work: String, Codable, Sendable, CaseIterable {
  /// Leases, by the allocator: bit, lease and attachment in one commit.
  case leases
  /// Bits without leases, by the bulk allocator, one at a time.
  case bits
  /// A conditional write of a key of one's own: the server's commit rate.
  case plain
  /// The same through the client that the allocator uses: what this process can do without it.
  case sameClient
  /// All read, change and write one key, again at once after a lost race.
  case readModifyWrite
  /// A key for each address, the lowest free one found by listing them.
  case keyScan
  /// The same under a session's lock, as the ancestor does, without its sleeps.
  case lockScan
  /// Appends of 8 KiB to a file, each followed by fdatasync: the disk.
  case fdatasync

  var isBaseline: Bool { self != .leases && self != .bits }
}

/// Where a network is kept.
enum Ground: String, Codable, Sendable, CaseIterable {
  /// One Consul server, data on disk.
  case single
  /// `consul agent -dev`: no disk.
  case dev
  /// Three Consul servers, data on disk.
  case cluster
  /// A Consul that runs already.
  case address
  /// A directory in host-local's format.
  case disk
  /// The reference store in memory.
  case memory

  var isConsul: Bool { self != .disk && self != .memory }
}

/// Which chunks writers meet on.
enum Chunks: String, Codable, Sendable, CaseIterable {
  /// The whole pool in one key.
  case shared
  /// A chunk for each node: names are chosen so that no two nodes begin in one.
  case own
  /// As in production: by the hash of the node's name.
  case home
}

/// The operations of a writer.
enum Mix: String, Codable, Sendable, CaseIterable {
  /// Acquisitions only; what is acquired is kept.
  case acquire
  /// An acquisition and its release in turn, two operations.
  case churn
  /// Acquisitions of addresses asked for by name.
  case given
  /// Releases of what was acquired before the clock began.
  case release
}

/// One measurement.
struct Cell: Codable, Hashable, Sendable {
  var work = Work.leases
  var ground = Ground.single
  var writers = 1
  var nodes = 1
  var processes = 1
  var chunks = Chunks.home
  /// Whether the writers of a node share commits.
  var groupCommit = true
  var pool = "10.64.0.0/16"
  /// The binary logarithm of the addresses in a chunk; nil for the pool's default.
  var bits: Int?
  /// Percent of the pool that is taken before the clock begins, spread evenly.
  var fill = 0
  var mix = Mix.acquire
  /// Bytes of a plain write's value; nil for a chunk as the allocator writes it.
  var valueSize: Int?
  /// Connections that wait for changes of the keys.
  var watchers = 0
  var seconds = 4.0
  /// Operations of each writer after which it stops; nil for no such limit.
  var operations: Int?
  /// Addresses of one operation, without leases.
  var bulk = 1
  /// Writers go on until the pool refuses one more, however long that takes.
  var untilFull = false

  /// What is different from the standard, in a few words: a row's and a curve's name.
  var name: String {
    var parts: [String] = []
    switch work {
    case .leases: parts.append(untilFull ? "fill to the last" : "leases")
    case .bits: parts.append(bulk > 1 ? "\(bulk) bits at once" : "bits only")
    case .plain: parts.append("plain writes")
    case .sameClient: parts.append("plain writes, same client")
    case .readModifyWrite: parts.append("read-modify-write")
    case .keyScan: parts.append("key scan")
    case .lockScan: parts.append("lock and scan")
    case .fdatasync: parts.append("fdatasync")
    }
    if ground != .single { parts.append(ground.rawValue) }
    if processes > 1 { parts.append(processes == writers ? "processes" : "\(processes) processes") }
    if !work.isBaseline {
      if nodes > 1, nodes != processes { parts.append("\(nodes) nodes") }
      if chunks != .home { parts.append("\(chunks) chunk") }
      if let bits { parts.append("chunks of \(1 << bits)") }
      if !groupCommit { parts.append("no group commit") }
      if mix != .acquire { parts.append("\(mix)") }
    }
    if let length = pool.split(separator: "/").last, length != "16", !work.isBaseline {
      parts.append("/\(length)")
    }
    if fill > 0 { parts.append("\(fill) % full") }
    if let valueSize { parts.append("\(valueSize) B") }
    if watchers > 0 { parts.append("\(watchers) watchers") }
    return parts.joined(separator: ", ")
  }

  /// The first second on a new server does not count, in no cell: its log and its heap grow from nothing,
  /// and separate processes begin by reading.
  var warmUp: Double { ground.isConsul && operations == nil && !untilFull ? 1 : 0 }

  /// The chunk size that the definition says: what was asked for, or all in one key.
  var chunkBits: Int? {
    get throws {
      guard chunks == .shared, !work.isBaseline else { return bits }
      let prefix = try Prefix(parsing: pool)
      let bits = prefix.address.family.bitWidth - prefix.length
      guard bits <= 14 else {
        throw BenchmarkError("--chunks shared: \(pool) does not fit in one key; a /18 does")
      }
      return max(bits, 6)
    }
  }

  /// The network that the cell works on.
  var definition: NetworkDefinition {
    get throws {
      NetworkDefinition(
        name: Cell.network, kind: work == .bits ? .bare : .leased,
        rangeSets: try RangeSet.sets([[SubnetRange.Text(subnet: pool)]]), chunkBits: try chunkBits)
    }
  }

  static let network = "contention"

  /// What cannot be measured, said before anything starts.
  func check() throws {
    func refuse(_ isWrong: Bool, _ text: String) throws {
      if isWrong { throw BenchmarkError(text) }
    }
    try refuse(!(1...256).contains(writers), "--writers \(writers): 1 to 256")
    try refuse(processes < 1, "--processes \(processes): at least 1")
    try refuse(nodes < 1, "--nodes \(nodes): at least 1")
    try refuse(nodes > writers, "--nodes \(nodes): every node needs a writer, there are \(writers)")
    try refuse(
      processes > nodes, "--processes \(processes): a node lives in one process, there are \(nodes)"
    )
    try refuse(!(0...100).contains(fill), "--fill \(fill): 0 to 100 percent")
    try refuse(
      chunks == .own && nodes != writers, "--chunks own: every writer must be a node of its own")
    try refuse(ground == .memory && processes > 1, "memory is not shared between processes")
    try refuse(
      work == .bits && ground == .disk, "--bare: a directory keeps leases and nothing else")
    try refuse(
      work == .bits && mix != .acquire, "--bare: only --mix acquire, bits have no names to release")
    try refuse(
      untilFull && mix != .acquire && mix != .given,
      "--until-full: with --mix acquire or given, a pool never fills by --mix \(mix)")
    try refuse(work == .bits && fill > 0, "--fill works with leases, not with --bare")
    try refuse(
      work.isBaseline && work != .fdatasync && !ground.isConsul,
      "the baseline \(work) is one of Consul's")
    try refuse(
      bulk < 1 || bulk > 1 && (work != .bits || writers > 1), "--bulk: one writer, with --bare")
    try refuse(processes > 1 && work.isBaseline, "baselines are threads of one process")
    try refuse(bits.map { !(6...14).contains($0) } ?? false, "--chunk-bits: 6 to 14")
    try refuse(bits != nil && chunks == .shared, "--chunk-bits: not with --chunks shared")
    try refuse(!(0...1_000).contains(watchers), "--watchers \(watchers): 0 to 1,000")
    try refuse(watchers > 0 && !ground.isConsul, "--watchers: only Consul has them")
    try refuse(operations.map { $0 < 1 } ?? false, "--operations: at least 1")
    // Values differ in 16 bytes.
    try refuse(
      valueSize.map { !(16...380_000).contains($0) } ?? false,
      "--value-size: 16 to 380,000 bytes, Consul takes no more")
    do { _ = try definition } catch let error as BenchmarkError {
      throw error
    } catch {
      throw BenchmarkError("--pool \(pool): \(error)")
    }
  }
}
